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
    public async Task A_route_to_a_link_that_is_no_pods_keeps_its_address_from_pods_while_it_is_there_and_is_taken_for_no_pod()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(2), provisioningDisabled: true);
        var foreign = pool.Cloud.Interfaces[0].Blocks[0].BaseAddress;
        pool.Host.Pods.AddRange([
            new PodRoute("cilium_host", foreign) { Foreign = "its peer is in no other network namespace" },
            new PodRoute("ens6", IPAddress.Parse("10.0.0.1")) { Foreign = "it is not a veth" },
        ]);
        await pool.StepAsync();
        var held = Assert.Single(pool.Ledger.Attachments());
        Assert.Equal((true, "cilium_host", foreign), (held.IsHostOwned, held.Key.ContainerId, held.Addresses[0].Address));
        Assert.Empty(HostNetworkDeclaration.Of(pool.Ledger, null, new NetworkRanges(), pool.Time.GetUtcNow()).Pods);
        Assert.DoesNotContain(pool.Told, happened => happened is PoolEvent.Recovered);
        Assert.NotEqual(foreign, Assert.IsType<AddOutcome.Held>(await pool.AddAsync("a")).Attachment.Addresses[0].Address);
        pool.Host.Pods.RemoveAll(route => route.Foreign is not null);
        await LookTwiceAsync(pool);
        Assert.DoesNotContain(pool.Ledger.Attachments(), item => item.IsHostOwned);
    }

    [Fact]
    public async Task What_an_earlier_sandbox_left_on_the_link_of_its_successor_is_no_evidence()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        await pool.StepAsync();
        var added = Assert.IsType<AddOutcome.Held>(await pool.AddAsync("ss-0")).Attachment;
        var link = "eni" + KernelUsage.LinkSuffix(added);
        var old = pool
            .Cloud.Interfaces[0]
            .Blocks.Select(block => block.BaseAddress)
            .First(address => !address.Equals(added.Addresses[0].Address));
        pool.Host.Route(link, added.Addresses[0].Address);
        pool.Host.Route(link, old);
        pool.Evidence.ReserveInUse();
        Assert.Equal([added.Key], pool.Ledger.Attachments().Select(item => item.Key));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_recovered_address_is_given_back_when_an_ADD_of_the_same_pod_has_its_link(bool isStillRouted)
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        await pool.Interfaces.ObserveAsync(default);
        var old = pool.Cloud.Interfaces[0].Blocks[0].BaseAddress;
        var link = "eni" + KernelUsage.LinkSuffix(new PodReference("default", "ss-0"));
        pool.Host.Route(link, old);
        pool.Evidence.ReserveInUse();
        await pool.StepAsync();
        var added = Assert.IsType<AddOutcome.Held>(await pool.AddAsync("ss-0")).Attachment;
        if (!isStillRouted)
            pool.Host.Pods.Clear();
        pool.Host.Route(link, added.Addresses[0].Address);
        await LookTwiceAsync(pool);
        Assert.Equal([added.Key], pool.Ledger.Attachments().Select(item => item.Key));
    }

    private static async Task LookTwiceAsync(PoolHarness pool)
    {
        for (var look = 0; look < 2; look++)
        {
            pool.Time.Advance(TimeSpan.FromMinutes(2));
            await pool.StepAsync();
        }
    }
}
