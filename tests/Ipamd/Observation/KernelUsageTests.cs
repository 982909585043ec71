// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Observation;

/// <summary>What the kernel's routes prove, and what they do not.</summary>
public sealed class KernelUsageTests
{
    [Fact]
    public async Task Route_to_a_foreign_link_reserves_its_address_for_the_host()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(2), provisioningDisabled: true);
        var foreign = pool.Cloud.Interfaces[0].Blocks[0].BaseAddress;
        pool.Host.Pods.AddRange([
            new PodRoute("cilium_host", foreign) { Foreign = "its peer is in no other network namespace" },
            new PodRoute("ens6", IPAddress.Parse("10.0.0.1")) { Foreign = "it is not a veth" },
        ]);
        await pool.StepAsync();
        var reserved = Assert.Single(pool.Ledger.Attachments());
        Assert.Equal((true, "cilium_host", foreign), (reserved.IsHostOwned, reserved.Key.ContainerId, reserved.Addresses[0].Address));
        Assert.Empty(HostNetworkDeclaration.Of(pool.Ledger, null, new NetworkRanges(() => { }), pool.Time.GetUtcNow()).Pods);
        Assert.DoesNotContain(pool.Published, published => published is PoolEvent.Recovered);
        Assert.NotEqual(foreign, Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("a")).Attachment.Addresses[0].Address);
        pool.Host.Pods.RemoveAll(route => route.Foreign is not null);
        await CheckTwiceAsync(pool);
        Assert.DoesNotContain(pool.Ledger.Attachments(), item => item.IsHostOwned);
    }

    [Fact]
    public async Task Route_left_by_an_earlier_sandbox_on_the_same_link_is_no_usage()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        await pool.StepAsync();
        var added = Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("ss-0")).Attachment;
        var link = "eni" + KernelUsage.LinkSuffix(added);
        var old = pool
            .Cloud.Interfaces[0]
            .Blocks.Select(block => block.BaseAddress)
            .First(address => !address.Equals(added.Addresses[0].Address));
        pool.Host.Route(link, added.Addresses[0].Address);
        pool.Host.Route(link, old);
        pool.Usage.ReserveInUse();
        Assert.Equal([added.Key], pool.Ledger.Attachments().Select(item => item.Key));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Recovered_address_is_released_when_an_ADD_of_the_pod_has_its_link(bool isStillRouted)
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        await pool.Interfaces.ObserveAsync(default);
        var old = pool.Cloud.Interfaces[0].Blocks[0].BaseAddress;
        var link = "eni" + KernelUsage.LinkSuffix(new PodReference("default", "ss-0"));
        pool.Host.Route(link, old);
        pool.Usage.ReserveInUse();
        await pool.StepAsync();
        var added = Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("ss-0")).Attachment;
        if (!isStillRouted)
            pool.Host.Pods.Clear();
        pool.Host.Route(link, added.Addresses[0].Address);
        await CheckTwiceAsync(pool);
        Assert.Equal([added.Key], pool.Ledger.Attachments().Select(item => item.Key));
    }

    private static async Task CheckTwiceAsync(PoolHarness pool)
    {
        for (var check = 0; check < 2; check++)
        {
            pool.Time.Advance(TimeSpan.FromMinutes(2));
            await pool.StepAsync();
        }
    }
}
