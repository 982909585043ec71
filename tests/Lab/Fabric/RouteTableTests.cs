// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;
using static VpcCni.Lab.Tests.Fabric.FabricBench;

namespace VpcCni.Lab.Tests.Fabric;

/// <summary>Tests routes of route tables, and interfaces that may forward, with packets.</summary>
public sealed class RouteTableTests
{
    /// <summary>A pod range that is not part of the VPC.</summary>
    private static readonly IPNetwork Pods = IPNetwork.Parse("172.20.1.0/24");
    private const string PodAddress = "172.20.1.5";

    [Fact]
    public async Task Route_delivers_to_a_node_that_may_forward()
    {
        await using var bench = await CreateAsync();
        var one = await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10"));
        var two = await bench.AddNodeAsync("node-2", Eni("0b", "node-2", device: 0, "10.0.1.11") with { MayForward = true });
        AddAddress(two, PodAddress);
        await Assert.ThrowsAsync<TimeoutException>(() => bench.ShortProbe.PingAsync(one, IPAddress.Parse(PodAddress), Cancellation));

        bench.Fabric.SetRoutes([new FabricRoute(SubnetA, Pods, "eni-0b")]);
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        await bench.ReachAsync(one, PodAddress);
        Assert.True(
            await bench.Probe.IsForgedSourceDeliveredAsync(
                two,
                IPAddress.Parse(PodAddress),
                one,
                IPAddress.Parse("10.0.1.10"),
                Cancellation
            )
        );
    }

    [Fact]
    public async Task Route_to_a_node_that_may_not_forward_is_dropped_and_counted_both_ways()
    {
        await using var bench = await CreateAsync();
        var one = await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10"));
        var two = await bench.AddNodeAsync("node-2", Eni("0b", "node-2", device: 0, "10.0.1.11") with { MayForward = true });
        AddAddress(two, PodAddress);
        bench.Fabric.SetRoutes([new FabricRoute(SubnetA, Pods, "eni-0b")]);
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        await bench.ReachAsync(one, PodAddress);

        bench.Fabric.SetForwarding("eni-0b", mayForward: false);
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        await Assert.ThrowsAsync<TimeoutException>(() => bench.ShortProbe.PingAsync(one, IPAddress.Parse(PodAddress), Cancellation));
        Assert.False(
            await bench.Probe.IsForgedSourceDeliveredAsync(
                two,
                IPAddress.Parse(PodAddress),
                one,
                IPAddress.Parse("10.0.1.10"),
                Cancellation
            )
        );
        var drops = await bench.Fabric.ReadDropsAsync(Cancellation);
        Assert.Equal((1, 1), (drops.Unowned.Packets, drops.SpoofedByInterface["eni-0b"].Packets));

        bench.Fabric.SetForwarding("eni-0b", mayForward: true);
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        await bench.ReachAsync(one, PodAddress);
    }

    [Fact]
    public async Task Route_applies_to_its_subnet_only_and_without_a_subnet_to_all()
    {
        await using var bench = await CreateAsync();
        var one = await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10"));
        var two = await bench.AddNodeAsync("node-2", Eni("0b", "node-2", device: 0, "10.0.1.11") with { MayForward = true });
        var three = await bench.AddNodeAsync("node-3", Eni("0c", "node-3", device: 0, "10.0.2.10"));
        AddAddress(two, PodAddress);
        bench.Fabric.SetRoutes([new FabricRoute(SubnetB, Pods, "eni-0b")]);
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        // The reply follows the main table of the node's own subnet.
        await bench.ReachAsync(three, PodAddress);
        await Assert.ThrowsAsync<TimeoutException>(() => bench.ShortProbe.PingAsync(one, IPAddress.Parse(PodAddress), Cancellation));

        bench.Fabric.SetRoutes([new FabricRoute(Subnet: null, Pods, "eni-0b")]);
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        await bench.ReachAsync(three, PodAddress);
        await bench.ReachAsync(one, PodAddress);
    }

    [Fact]
    public async Task Longest_prefix_decides_between_a_route_and_the_vpcs_ranges()
    {
        await using var bench = await CreateAsync();
        var one = await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10"));
        var two = await bench.AddNodeAsync("node-2", Eni("0b", "node-2", device: 0, "10.0.1.11") with { MayForward = true });
        var three = await bench.AddNodeAsync("node-3", Eni("0c", "node-3", device: 0, "10.0.2.10"));
        AddAddress(two, "10.0.7.7");
        AddAddress(two, "192.0.2.7");
        bench.Fabric.SetRoutes([
            new FabricRoute(SubnetA, IPNetwork.Parse("0.0.0.0/0"), "eni-0b"),
            new FabricRoute(SubnetA, IPNetwork.Parse("10.0.7.0/24"), "eni-0b"),
        ]);
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);

        // The default route takes what is outside the VPC, the longer one a part of the VPC; the rest of the VPC stays.
        await bench.ReachAsync(one, "192.0.2.7");
        await bench.ReachAsync(one, "10.0.7.7");
        var outcome = await bench.Probe.TcpAsync(one, three, IPAddress.Parse("10.0.2.10"), Cancellation);
        Assert.Equal(IPAddress.Parse("10.0.1.10"), outcome.ObservedSource);
        await bench.ReachAsync(one, FabricAddresses.OnPremisesHost.ToString());
    }

    [Fact]
    public async Task Route_of_a_detached_interface_drops_until_it_is_attached_again()
    {
        await using var bench = await CreateAsync();
        var one = await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10"));
        var forwarder = Eni("0b", "node-2", device: 0, "10.0.1.11") with { MayForward = true };
        var two = await bench.AddNodeAsync("node-2", forwarder);
        AddAddress(two, PodAddress);
        bench.Fabric.SetRoutes([new FabricRoute(SubnetA, Pods, "eni-0b")]);
        bench.Fabric.Detach("eni-0b");
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        await Assert.ThrowsAsync<TimeoutException>(() => bench.ShortProbe.PingAsync(one, IPAddress.Parse(PodAddress), Cancellation));
        Assert.Equal(1, (await bench.Fabric.ReadDropsAsync(Cancellation)).Unowned.Packets);

        bench.Fabric.Attach(forwarder);
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        await bench.ReachAsync(one, PodAddress);

        bench.Fabric.SetRoutes([]);
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        using var router = bench.Fabric.Router.OpenRouteNetlink();
        Assert.DoesNotContain(router.GetRules(IpFamily.V4), rule => rule.Priority == 1000);
        Assert.Empty(router.GetRoutes(IpFamily.V4, 1000));
    }

    [Fact]
    public async Task Ipv6_route_delivers_to_a_node_that_may_forward()
    {
        await using var bench = await CreateDualAsync();
        var one = await bench.AddNodeAsync("node-1", Dual(Eni("0a", "node-1", device: 0, "10.0.1.10"), "2001:db8:0:101::10"));
        var two = await bench.AddNodeAsync(
            "node-2",
            Dual(Eni("0b", "node-2", device: 0, "10.0.1.11"), "2001:db8:0:101::11") with
            {
                MayForward = true,
            }
        );
        AddAddress(two, "fd20::5");
        bench.Fabric.SetRoutes([new FabricRoute(SubnetA6, IPNetwork.Parse("fd20::/64"), "eni-0b")]);
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        await WaitForIpv6RouterAsync(one);
        await WaitForIpv6RouterAsync(two);
        await bench.ReachAsync(one, "fd20::5");

        bench.Fabric.SetForwarding("eni-0b", mayForward: false);
        await bench.Fabric.WaitUntilAppliedAsync(Cancellation);
        await Assert.ThrowsAsync<TimeoutException>(() => bench.ShortProbe.PingAsync(one, IPAddress.Parse("fd20::5"), Cancellation));
    }

    [Fact]
    public async Task Interface_with_a_host_address_reaches_its_neighbours_through_the_gateway()
    {
        await using var bench = await CreateAsync();
        var one = await bench.AddNodeAsync("node-1", Eni("0a", "node-1", device: 0, "10.0.1.10") with { ConfiguredPrefixLength = 32 });
        await bench.AddNodeAsync("node-2", Eni("0b", "node-2", device: 0, "10.0.1.11") with { ConfiguredPrefixLength = 32 });
        await bench.ReachAsync(one, "10.0.1.11");
        using var netlink = one.OpenRouteNetlink();
        var link = netlink.FindLink("eth0")!;
        Assert.Equal(32, Assert.Single(netlink.GetAddresses(IpFamily.V4, link.Index)).PrefixLength);
        var neighbours = netlink.GetNeighbours(IpFamily.V4, link.Index).Select(neighbour => neighbour.Address);
        Assert.Equal(IPAddress.Parse("10.0.1.1"), Assert.Single(neighbours));
    }

    /// <summary>Waits until a node has its default route from the router's first advertisement.</summary>
    private static async Task WaitForIpv6RouterAsync(NetworkNamespace node)
    {
        using var netlink = node.OpenRouteNetlink();
        await Eventually.TrueAsync(() => netlink.GetRoutes(IpFamily.V6, RouteTable.Main).Any(route => route.Destination is null));
    }
}
