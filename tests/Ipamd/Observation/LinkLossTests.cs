// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Observation;

/// <summary>The kernel knows first that an interface was taken away: the cloud is asked then, and not with the next hint.</summary>
public sealed class LinkLossTests
{
    [Fact]
    public async Task A_link_that_goes_makes_the_cloud_be_observed_at_once()
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
        var second = cloud.Interfaces.First(item => item.DeviceIndex == 1);
        cloud.Change(second.Id, _ => null);
        pool.Membership.LinkLost(second.Mac);
        pool.Time.Advance(PoolLimits.FirstObserveRetry);
        await pool.StepAsync();
        Assert.Equal(second.Id, Assert.Single(pool.Told.OfType<PoolEvent.AddressesLost>()).Loss.Interface);
    }

    [Fact]
    public async Task A_link_that_is_no_interfaces_costs_no_call()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        await pool.StepAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(20));
        cloud.Calls.Clear();
        pool.Membership.LinkLost("02:00:00:00:99:99");
        await pool.StepAsync();
        Assert.DoesNotContain("DescribeAttachedInterfaces", cloud.Calls);
    }
}
