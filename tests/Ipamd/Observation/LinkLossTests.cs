// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Observation;

/// <summary>The kernel shows first that an interface was detached: it causes an observation at once, before the next hint.</summary>
public sealed class LinkLossTests
{
    [Fact]
    public async Task Lost_link_of_an_interface_causes_an_observation()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        await pool.StepAsync();
        foreach (var pod in new[] { "a", "b", "c", "d" })
        {
            await pool.AddAsync(pod);
            await pool.StepAsync();
        }

        pool.Time.Advance(TimeSpan.FromMinutes(2));
        await pool.StepAsync();
        var second = cloud.Interfaces.First(item => item.Slot == new Slot(0, 1));
        cloud.Change(second.Id, _ => null);
        pool.Host.LinkLost(second.Mac);
        pool.Time.Advance(PoolLimits.ObserveRetries.First);
        await pool.StepAsync();
        Assert.Equal(second.Id, Assert.Single(pool.Published.OfType<PoolEvent.AddressesLost>()).Loss.Interface);
    }

    [Fact]
    public async Task Lost_link_of_no_interface_costs_no_call()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        await pool.StepAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(20));
        cloud.Calls.Clear();
        pool.Host.LinkLost("02:00:00:00:99:99");
        await pool.StepAsync();
        Assert.DoesNotContain("DescribeAttachedInterfaces", cloud.Calls);
    }
}
