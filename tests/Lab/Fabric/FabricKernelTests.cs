// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;
using Xunit;
using static VpcCni.Lab.Tests.Fabric.FabricBench;

namespace VpcCni.Lab.Tests.Fabric;

/// <summary>Tests the fabric on the real kernel, without a model: attachment, routing, drops and cleanup.</summary>
public sealed class FabricKernelTests
{
    [Fact]
    public async Task Attached_primary_eni_is_configured_as_by_dhcp()
    {
        await using var bench = await CreateAsync();
        var eni = Eni("0a", "node-1", device: 0, "10.0.1.10");
        var node = await bench.AddNodeAsync("node-1", eni);

        using var netlink = node.OpenRouteNetlink();
        var link = netlink.FindLink("eth0");
        Assert.NotNull(link);
        Assert.Equal(eni.Mac, link.Mac);
        Assert.Equal(FabricAddresses.Mtu, link.Mtu);
        Assert.True(link.IsUp);
        var address = Assert.Single(netlink.GetAddresses(IpFamily.V4, link.Index));
        Assert.Equal((IPAddress.Parse("10.0.1.10"), 24), (address.Address, address.PrefixLength));
        var route = Assert.Single(netlink.GetRoutes(IpFamily.V4, RouteTable.Main), route => route.Destination is null);
        Assert.Equal(IPAddress.Parse("10.0.1.1"), route.Gateway);
    }

    [Fact]
    public async Task Attached_secondary_eni_is_down_and_unconfigured_until_detached()
    {
        await using var bench = await CreateAsync();
        var node = await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10"));
        var eni = Eni("0b", "node-1", device: 1, "10.0.1.20", "10.0.1.21");
        using var netlink = node.OpenRouteNetlink();

        bench.Fabric.Attach(eni);
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        var link = netlink.FindLinkByMac(eni.Mac);
        Assert.NotNull(link);
        Assert.Equal("ens6", link.Name);
        Assert.False(link.IsUp);
        Assert.Empty(netlink.GetAddresses(IpFamily.V4, link.Index));

        bench.Fabric.Detach(eni.InterfaceId);
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        Assert.Null(netlink.FindLink("ens6"));
        Assert.DoesNotContain(eni.InterfaceId, (await bench.Fabric.ReadDropsAsync(Cancellation)).SpoofedByInterface.Keys);
    }

    [Fact]
    public async Task Nodes_reach_each_other_across_subnets_at_every_owned_address()
    {
        await using var bench = await CreateAsync();
        var one = await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10"));
        var two = await bench.AddNodeAsync("node-2", Eni("0b", "node-2", device: 0, "10.0.1.11", "10.0.1.50", "10.0.1.64/28"));
        var three = await bench.AddNodeAsync("node-3", Eni("0c", "node-3", device: 0, "10.0.2.10"));
        AddAddress(two, "10.0.1.50");
        AddAddress(two, "10.0.1.79");

        foreach (var target in (string[])["10.0.1.11", "10.0.1.50", "10.0.1.79"])
        {
            await bench.Probe.PingAsync(one, IPAddress.Parse(target), Cancellation);
            var outcome = await bench.Probe.TcpAsync(three, two, IPAddress.Parse(target), Cancellation);
            Assert.Equal(IPAddress.Parse("10.0.2.10"), outcome.ObservedSource);
        }

        await bench.Probe.PingAsync(one, IPAddress.Parse("10.0.1.1"), Cancellation);
    }

    [Fact]
    public async Task Packets_to_an_unowned_address_are_dropped_and_counted()
    {
        await using var bench = await CreateAsync();
        var one = await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10"));
        await bench.AddNodeAsync("node-2", Eni("0b", "node-2", device: 0, "10.0.1.11"));
        AddAddress(bench.Nodes["node-2"], "10.0.1.50"); // configured there, but EC2 knows nothing of it

        await Assert.ThrowsAsync<TimeoutException>(() => bench.ShortProbe.PingAsync(one, IPAddress.Parse("10.0.1.50"), Cancellation));
        Assert.Equal(1, (await bench.Fabric.ReadDropsAsync(Cancellation)).Unowned.Packets);
    }

    [Fact]
    public async Task Packets_with_a_source_the_eni_does_not_own_are_dropped_and_counted()
    {
        await using var bench = await CreateAsync();
        var one = await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10", "10.0.1.40"));
        var two = await bench.AddNodeAsync("node-2", Eni("0b", "node-2", device: 0, "10.0.1.11"));
        var target = IPAddress.Parse("10.0.1.11");

        Assert.False(await bench.Probe.IsForgedSourceDeliveredAsync(one, IPAddress.Parse("10.0.1.99"), two, target, Cancellation));
        Assert.False(await bench.Probe.IsForgedSourceDeliveredAsync(one, IPAddress.Parse("10.0.1.12"), two, target, Cancellation));
        Assert.True(await bench.Probe.IsForgedSourceDeliveredAsync(one, IPAddress.Parse("10.0.1.40"), two, target, Cancellation));
        var drops = await bench.Fabric.ReadDropsAsync(Cancellation);
        Assert.Equal(2, drops.SpoofedByInterface["eni-0a"].Packets);
        Assert.Equal(0, drops.SpoofedByInterface["eni-0b"].Packets);
    }

    [Fact]
    public async Task Changed_addresses_move_routes_and_sources_and_keep_the_counter()
    {
        await using var bench = await CreateAsync();
        var one = await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10", "10.0.1.40"));
        var two = await bench.AddNodeAsync("node-2", Eni("0b", "node-2", device: 0, "10.0.1.11"));
        AddAddress(one, "10.0.1.40");
        AddAddress(two, "10.0.1.40");
        var moved = IPAddress.Parse("10.0.1.40");
        var observer = await bench.AddNodeAsync("node-3", Eni("0c", "node-3", device: 0, "10.0.2.10"));
        Assert.False(await bench.Probe.IsForgedSourceDeliveredAsync(two, moved, observer, IPAddress.Parse("10.0.2.10"), Cancellation));
        await bench.Probe.TcpAsync(observer, one, moved, Cancellation);

        // Move the address from one ENI to the other. In this order both own it for a moment.
        bench.Fabric.SetAddresses("eni-0b", Networks("10.0.1.11", "10.0.1.40"));
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        bench.Fabric.SetAddresses("eni-0a", Networks("10.0.1.10"));
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);

        await bench.Probe.TcpAsync(observer, two, moved, Cancellation);
        Assert.True(await bench.Probe.IsForgedSourceDeliveredAsync(two, moved, observer, IPAddress.Parse("10.0.2.10"), Cancellation));
        Assert.False(await bench.Probe.IsForgedSourceDeliveredAsync(one, moved, observer, IPAddress.Parse("10.0.2.10"), Cancellation));
        var drops = await bench.Fabric.ReadDropsAsync(Cancellation);
        Assert.Equal((1, 1), (drops.SpoofedByInterface["eni-0a"].Packets, drops.SpoofedByInterface["eni-0b"].Packets));
    }

    [Fact]
    public async Task Internet_reaches_only_primary_addresses_and_on_premises_reaches_all()
    {
        await using var bench = await CreateAsync();
        var node = await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10", "10.0.1.40"));
        AddAddress(node, "10.0.1.40");
        var fabric = bench.Fabric;

        var outcome = await bench.Probe.TcpAsync(node, fabric.Internet, FabricAddresses.InternetHost, Cancellation);
        Assert.Equal(IPAddress.Parse("10.0.1.10"), outcome.ObservedSource);
        Assert.False(
            await bench.Probe.IsForgedSourceDeliveredAsync(
                node,
                IPAddress.Parse("10.0.1.40"),
                fabric.Internet,
                FabricAddresses.InternetHost,
                Cancellation
            )
        );
        Assert.True(
            await bench.Probe.IsForgedSourceDeliveredAsync(
                node,
                IPAddress.Parse("10.0.1.40"),
                fabric.OnPremises,
                FabricAddresses.OnPremisesHost,
                Cancellation
            )
        );
        await Assert.ThrowsAsync<TimeoutException>(() =>
            bench.ShortProbe.PingAsync(fabric.Internet, IPAddress.Parse("10.0.1.40"), Cancellation)
        );
        await bench.Probe.PingAsync(fabric.OnPremises, IPAddress.Parse("10.0.1.40"), Cancellation);

        var drops = await fabric.ReadDropsAsync(Cancellation);
        Assert.Equal((1, 1), (drops.InternetOutbound.Packets, drops.InternetInbound.Packets));
        Assert.Equal(0, drops.SpoofedByInterface["eni-0a"].Packets);
    }

    [Fact]
    public async Task Repeated_changes_have_no_effect_and_a_burst_is_applied_at_once()
    {
        await using var bench = await CreateAsync();
        var node = await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10"));
        using var netlink = node.OpenRouteNetlink();
        var index = netlink.FindLink("eth0")!.Index;

        for (var round = 0; round < 200; round++)
        {
            bench.Fabric.Attach(Eni("0a", "node-1", device: 0, "10.0.1.10"));
            bench.Fabric.Attach(Eni("0b", "node-1", device: 1, "10.0.1.20", "10.0.1.21"));
            bench.Fabric.SetAddresses("eni-0b", Networks("10.0.1.20", $"10.0.1.{30 + round}"));
            if (round % 2 == 0)
                bench.Fabric.Detach("eni-0b");
        }

        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        Assert.Null(bench.Fabric.Failure);
        Assert.Equal(index, netlink.FindLink("eth0")!.Index);
        using var router = bench.Fabric.Router.OpenRouteNetlink();
        var link = router.FindLink(FabricNames.RouterLink("eni-0b"))!;
        var routed = router
            .GetRoutes(IpFamily.V4, RouteTable.Main)
            .Where(route => route.LinkIndex == link.Index)
            .Select(route => route.Destination!.Value);
        Assert.Equal(Networks("10.0.1.20", "10.0.1.229"), routed.OrderBy(network => network.BaseAddress.GetAddressBytes()[3]));
    }

    [Fact]
    public async Task Create_reports_existing_namespaces_and_dispose_removes_all()
    {
        FabricNames names;
        await using (var bench = await CreateAsync())
        {
            names = bench.Names;
            await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10"));
            Assert.Equal(4, FabricNamespaces.Find(names).Count);
            var error = await Assert.ThrowsAsync<FabricException>(() =>
                VpcFabric.CreateAsync(Options(names), TimeProvider.System, NullLogger.Instance, Cancellation)
            );
            Assert.Contains(names.Router, error.Message, StringComparison.Ordinal);
            Assert.Contains($"vpc-lab down --name {names.Lab}", error.Message, StringComparison.Ordinal);
            Assert.Equal(4, FabricNamespaces.Find(names).Count);
        }

        Assert.Empty(FabricNamespaces.Find(names));
    }
}
