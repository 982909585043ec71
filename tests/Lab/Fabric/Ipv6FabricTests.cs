// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;
using static VpcCni.Lab.Tests.Fabric.FabricBench;

namespace VpcCni.Lab.Tests.Fabric;

/// <summary>Tests the IPv6 side of the fabric on the real kernel: router advertisements, ownership, spoofing and the gateway.</summary>
public sealed class Ipv6FabricTests
{
    private static readonly IPAddress One = IPAddress.Parse("2001:db8:0:101:1::1"),
        Two = IPAddress.Parse("2001:db8:0:101:1::2"),
        Three = IPAddress.Parse("2001:db8:0:102:1::3");

    [Fact]
    public async Task Primary_eni_gets_its_address_and_a_default_route_by_advertisement()
    {
        await using var bench = await CreateDualAsync();
        var node = await AddNodeAsync(bench, "node-1", Dual(Eni("0a", "node-1", device: 0, "10.0.1.10"), One.ToString()));

        using var netlink = node.OpenRouteNetlink();
        var link = netlink.FindLink("eth0")!;
        var address = Assert.Single(netlink.GetAddresses(IpFamily.V6, link.Index), one => !one.Address.IsIPv6LinkLocal);
        Assert.Equal((One, 128), (address.Address, address.PrefixLength));
        var route = Assert.Single(DefaultRoutes(netlink));
        Assert.Equal(IPAddress.Parse("fe80::ec2:0:101"), route.Gateway);
        Assert.Equal(link.Index, route.LinkIndex);
        // The subnet's range is not on-link: the advertisements have no prefix.
        Assert.DoesNotContain(netlink.GetRoutes(IpFamily.V6, RouteTable.Main), one => one.Destination == SubnetA6);
    }

    [Fact]
    public async Task Advertised_route_survives_forwarding_and_comes_back_after_a_flush()
    {
        await using var bench = await CreateDualAsync();
        var node = await AddNodeAsync(bench, "node-1", Dual(Eni("0a", "node-1", device: 0, "10.0.1.10"), One.ToString()));
        using var netlink = node.OpenRouteNetlink();

        Forward(node);
        var route = Assert.Single(DefaultRoutes(netlink));
        netlink.Execute(RouteRequests.Remove(route));
        await Eventually.TrueAsync(() => DefaultRoutes(netlink).Count == 1);
    }

    [Fact]
    public async Task Secondary_eni_that_comes_up_reaches_the_link_local_router()
    {
        await using var bench = await CreateDualAsync();
        var node = await AddNodeAsync(bench, "node-1", Dual(Eni("0a", "node-1", device: 0, "10.0.1.10"), One.ToString()));
        var peer = await AddNodeAsync(bench, "node-2", Dual(Eni("0b", "node-2", device: 0, "10.0.1.11"), Two.ToString()));
        Forward(node);
        bench.Fabric.Attach(Dual(Eni("0c", "node-1", device: 1, "10.0.1.20"), "2001:db8:0:101:2::1", "2001:db8:0:101:3::/80"));
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);

        using var netlink = node.OpenRouteNetlink();
        var link = netlink.FindLink("ens6")!;
        Assert.False(link.IsUp);
        Assert.Empty(netlink.GetAddresses(IpFamily.V6, link.Index));
        AddAddress(node, "2001:db8:0:101:3::7");
        netlink.Execute(LinkRequests.SetUp(link.Index, true));
        ThroughSecondary(netlink, link.Index, IPAddress.Parse("2001:db8:0:101:3::7"));
        // The kernel forwards nothing by a link whose link-local address is still tentative.
        await Eventually.TrueAsync(() =>
            netlink.GetAddresses(IpFamily.V6, link.Index).Any(one => !one.Flags.HasFlag(AddressFlags.Tentative))
        );

        var outcome = await bench.Probe.TcpAsync(peer, node, IPAddress.Parse("2001:db8:0:101:3::7"), Cancellation);
        Assert.Equal(Two, outcome.ObservedSource);
        Assert.True(LinkCounters.Read(node)["ens6"].SentPackets > 3);
    }

    [Fact]
    public async Task Nodes_reach_each_other_across_subnets_at_addresses_and_in_prefixes()
    {
        await using var bench = await CreateDualAsync();
        var one = await AddNodeAsync(bench, "node-1", Dual(Eni("0a", "node-1", device: 0, "10.0.1.10"), One.ToString()));
        var two = await AddNodeAsync(
            bench,
            "node-2",
            Dual(Eni("0b", "node-2", device: 0, "10.0.1.11"), Two.ToString(), "2001:db8:0:101:9::/80")
        );
        var three = await AddNodeAsync(bench, "node-3", Dual(Eni("0c", "node-3", device: 0, "10.0.2.10"), Three.ToString()));
        AddAddress(two, "2001:db8:0:101:9::1");
        AddAddress(two, "2001:db8:0:101:9:ffff:ffff:ffff");

        foreach (var target in (string[])[Two.ToString(), "2001:db8:0:101:9::1", "2001:db8:0:101:9:ffff:ffff:ffff"])
        {
            await bench.Probe.PingAsync(one, IPAddress.Parse(target), Cancellation);
            var outcome = await bench.Probe.TcpAsync(three, two, IPAddress.Parse(target), Cancellation);
            Assert.Equal(Three, outcome.ObservedSource);
        }

        await bench.Probe.PingAsync(one, IPAddress.Parse("2001:db8:0:101::1"), Cancellation);
    }

    [Fact]
    public async Task Packets_to_an_unowned_address_are_dropped_and_counted()
    {
        await using var bench = await CreateDualAsync();
        var one = await AddNodeAsync(bench, "node-1", Dual(Eni("0a", "node-1", device: 0, "10.0.1.10"), One.ToString()));
        await AddNodeAsync(bench, "node-2", Dual(Eni("0b", "node-2", device: 0, "10.0.1.11"), Two.ToString()));
        AddAddress(bench.Nodes["node-2"], "2001:db8:0:101:9::1"); // configured there, but EC2 knows nothing of it

        await Assert.ThrowsAsync<TimeoutException>(() =>
            bench.ShortProbe.PingAsync(one, IPAddress.Parse("2001:db8:0:101:9::1"), Cancellation)
        );
        Assert.Equal(1, (await bench.Fabric.ReadDropsAsync(Cancellation)).Unowned.Packets);
    }

    [Fact]
    public async Task Packets_with_a_source_the_eni_does_not_own_are_dropped_and_counted()
    {
        await using var bench = await CreateDualAsync();
        var one = await AddNodeAsync(
            bench,
            "node-1",
            Dual(Eni("0a", "node-1", device: 0, "10.0.1.10"), One.ToString(), "2001:db8:0:101:9::/80")
        );
        var two = await AddNodeAsync(bench, "node-2", Dual(Eni("0b", "node-2", device: 0, "10.0.1.11"), Two.ToString()));

        Assert.False(await ForgedAsync(bench, one, "2001:db8:0:101:a::1", two, Two));
        Assert.False(await ForgedAsync(bench, one, Two.ToString(), two, Two));
        Assert.False(await ForgedAsync(bench, one, "fd00::1", two, Two));
        Assert.True(await ForgedAsync(bench, one, "2001:db8:0:101:9::77", two, Two));
        var drops = await bench.Fabric.ReadDropsAsync(Cancellation);
        Assert.Equal((3, 0), (drops.SpoofedByInterface["eni-0a"].Packets, drops.SpoofedByInterface["eni-0b"].Packets));
    }

    [Fact]
    public async Task Moved_prefix_moves_routes_and_sources_and_the_node_keeps_its_first_address()
    {
        await using var bench = await CreateDualAsync();
        var one = await AddNodeAsync(
            bench,
            "node-1",
            Dual(Eni("0a", "node-1", device: 0, "10.0.1.10"), One.ToString(), "2001:db8:0:101:9::/80")
        );
        var two = await AddNodeAsync(bench, "node-2", Dual(Eni("0b", "node-2", device: 0, "10.0.1.11"), Two.ToString()));
        var observer = await AddNodeAsync(bench, "node-3", Dual(Eni("0c", "node-3", device: 0, "10.0.2.10"), Three.ToString()));
        var moved = IPAddress.Parse("2001:db8:0:101:9::1");
        AddAddress(one, moved.ToString());
        AddAddress(two, moved.ToString());
        await bench.Probe.TcpAsync(observer, one, moved, Cancellation);
        Assert.False(await ForgedAsync(bench, two, moved.ToString(), observer, Three));

        // In this order both own it for a moment.
        bench.Fabric.SetAddresses("eni-0b", Networks("10.0.1.11", Two.ToString(), "2001:db8:0:101:9::/80"));
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        bench.Fabric.SetAddresses("eni-0a", Networks("10.0.1.10", One.ToString()));
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);

        Assert.True(await ForgedAsync(bench, two, moved.ToString(), observer, Three));
        Assert.False(await ForgedAsync(bench, one, moved.ToString(), observer, Three));
        await bench.Probe.TcpAsync(observer, two, moved, Cancellation);
        using var netlink = one.OpenRouteNetlink();
        Assert.Contains(One, netlink.GetAddresses(IpFamily.V6, netlink.FindLink("eth0")!.Index).Select(address => address.Address));
    }

    [Fact]
    public async Task First_address_assigned_later_is_configured_and_removed()
    {
        await using var bench = await CreateDualAsync();
        var node = await bench.AddNodeAsync("node-1", Dual(Eni("0a", "node-1", device: 0, "10.0.1.10")));
        using var netlink = node.OpenRouteNetlink();
        var link = netlink.FindLink("eth0")!.Index;
        IEnumerable<IPAddress> Addresses() =>
            netlink.GetAddresses(IpFamily.V6, link).Select(address => address.Address).Where(address => !address.IsIPv6LinkLocal);

        Assert.Empty(Addresses());
        bench.Fabric.SetAddresses("eni-0a", Networks("10.0.1.10", One.ToString()));
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        Assert.Equal([One], Addresses());
        bench.Fabric.SetAddresses("eni-0a", Networks("10.0.1.10"));
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        Assert.Empty(Addresses());
    }

    [Fact]
    public async Task Gateway_is_egress_only_and_on_premises_reaches_all()
    {
        await using var bench = await CreateDualAsync();
        var node = await AddNodeAsync(
            bench,
            "node-1",
            Dual(Eni("0a", "node-1", device: 0, "10.0.1.10"), One.ToString(), "2001:db8:0:101:9::/80")
        );
        var pod = IPAddress.Parse("2001:db8:0:101:9::1");
        AddAddress(node, pod.ToString());
        var fabric = bench.Fabric;

        var outcome = await bench.Probe.TcpAsync(node, fabric.Internet, FabricAddresses.InternetHost6, Cancellation);
        Assert.Equal(One, outcome.ObservedSource);
        await bench.Probe.PingAsync(node, FabricAddresses.InternetHost6, Cancellation);
        Assert.True(await ForgedAsync(bench, node, pod.ToString(), fabric.Internet, FabricAddresses.InternetHost6));
        foreach (var target in (IPAddress[])[One, pod])
        {
            await Assert.ThrowsAsync<TimeoutException>(() => bench.ShortProbe.PingAsync(fabric.Internet, target, Cancellation));
            await Assert.ThrowsAsync<TimeoutException>(() => bench.ShortProbe.TcpAsync(fabric.Internet, node, target, Cancellation));
            await bench.Probe.PingAsync(fabric.OnPremises, target, Cancellation);
            Assert.Equal(
                FabricAddresses.OnPremisesHost6,
                (await bench.Probe.TcpAsync(fabric.OnPremises, node, target, Cancellation)).ObservedSource
            );
        }

        var drops = await fabric.ReadDropsAsync(Cancellation);
        Assert.True(drops.InternetInbound.Packets >= 4, $"{drops.InternetInbound.Packets}");
        Assert.Equal(0, drops.SpoofedByInterface["eni-0a"].Packets);
    }

    [Fact]
    public async Task Detached_eni_takes_its_routes_and_guards_with_it()
    {
        await using var bench = await CreateDualAsync();
        await AddNodeAsync(bench, "node-1", Dual(Eni("0a", "node-1", device: 0, "10.0.1.10"), One.ToString()));
        using var router = bench.Fabric.Router.OpenRouteNetlink();
        int Routes() =>
            router
                .GetRoutes(IpFamily.V6, RouteTable.Main)
                .Count(route => route.Protocol == RouteProtocol.Static && route.Destination is { } to && SubnetA6.Contains(to.BaseAddress));
        Assert.Equal(1, Routes());
        bench.Fabric.Attach(Dual(Eni("0c", "node-1", device: 1, "10.0.1.20"), "2001:db8:0:101:2::1", "2001:db8:0:101:3::/80"));
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        Assert.Equal(3, Routes());
        bench.Fabric.Detach("eni-0c");
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        Assert.Equal(1, Routes());
        Assert.Equal(["eni-0a"], (await bench.Fabric.ReadDropsAsync(Cancellation)).SpoofedByInterface.Keys);
        Assert.Null(bench.Fabric.Failure);
    }

    [Fact]
    public async Task Fabric_without_an_ipv6_range_carries_no_ipv6()
    {
        await using var bench = await CreateAsync();
        var node = await bench.AddNodeAsync("node-1", Dual(Eni("0a", "node-1", device: 0, "10.0.1.10"), One.ToString()));
        using var netlink = node.OpenRouteNetlink();
        Assert.DoesNotContain(netlink.GetAddresses(IpFamily.V6), address => address.Address.Equals(One));
        Assert.Empty(DefaultRoutes(netlink));
        using var router = bench.Fabric.Router.OpenRouteNetlink();
        Assert.DoesNotContain(
            router.GetRoutes(IpFamily.V6, RouteTable.Main),
            route => route.Destination is { } to && !to.BaseAddress.IsIPv6LinkLocal
        );
    }

    [Theory]
    [InlineData("2001:db8:ffff:100::/56", null)]
    [InlineData("2001:db8:fff0::/44", "2001:db8:ffff::/64")]
    [InlineData("fd98:18::/56", "fd98:18::/64")]
    [InlineData("fe80::/56", "fe80::/10")]
    [InlineData("::/56", "::/8")]
    public void Range_that_the_lab_reserves_is_a_problem(string range, string? reserved)
    {
        var problem = FabricAddresses.Problem(IPNetwork.Parse(range));
        if (reserved is null)
            Assert.Null(problem);
        else
            Assert.Contains(reserved, problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Link_local_address_is_derived_from_the_mac_as_the_kernel_does() =>
        Assert.Equal(IPAddress.Parse("fe80::ff:fe00:10a"), FabricAddresses.LinkLocal(MacAddress.Parse("02:00:00:00:01:0a")));

    /// <summary>Adds a node with its primary ENI and waits for its default route.</summary>
    private static async Task<NetworkNamespace> AddNodeAsync(FabricBench bench, string name, FabricInterface primary)
    {
        var node = await bench.AddNodeAsync(name, primary);
        using var netlink = node.OpenRouteNetlink();
        await Eventually.TrueAsync(() => DefaultRoutes(netlink).Count == 1);
        return node;
    }

    private static List<RouteInfo> DefaultRoutes(RouteNetlink netlink) =>
        [.. netlink.GetRoutes(IpFamily.V6, RouteTable.Main).Where(route => route.Destination is null && route.Type == RouteType.Unicast)];

    private static void Forward(NetworkNamespace node) => Sysctl.Write(node, ("ipv6/conf/all/forwarding", "1"));

    /// <summary>Routes what has this source through the secondary ENI, as a daemon does.</summary>
    private static void ThroughSecondary(RouteNetlink netlink, int link, IPAddress source)
    {
        var router = new RouteInfo
        {
            Family = IpFamily.V6,
            Destination = new IPNetwork(FabricAddresses.LinkLocalRouter, 128),
            LinkIndex = link,
            Table = 2,
            Protocol = RouteProtocol.Static,
        };
        netlink.Execute([
            RouteRequests.Add(router),
            RouteRequests.Add(router with { Destination = null, Gateway = FabricAddresses.LinkLocalRouter }),
            RuleRequests.Add(
                new RuleInfo
                {
                    Family = IpFamily.V6,
                    Priority = 1536,
                    Source = new IPNetwork(source, 128),
                    Table = 2,
                }
            ),
        ]);
    }

    private static Task<bool> ForgedAsync(FabricBench bench, NetworkNamespace from, string source, NetworkNamespace to, IPAddress target) =>
        bench.Probe.IsForgedSourceDeliveredAsync(from, IPAddress.Parse(source), to, target, Cancellation);
}
