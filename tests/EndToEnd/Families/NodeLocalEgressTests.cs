// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Paths;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Families;

/// <summary>ENABLE_V4_EGRESS, the default, in IPv6 mode.</summary>
public sealed class Ipv4EgressTests(Ipv6Node node) : NodeLocalEgressTests(node, IpFamily.V4), IClassFixture<Ipv6Node>;

/// <summary>ENABLE_V6_EGRESS in IPv4 mode.</summary>
public sealed class Ipv6EgressTests(Ipv4NodeWithIpv6Egress node)
    : NodeLocalEgressTests(node, IpFamily.V6),
        IClassFixture<Ipv4NodeWithIpv6Egress>;

/// <summary>Pods of one family that reach destinations of the other, with the real binaries and packets.</summary>
/// <param name="node">The node.</param>
/// <param name="other">The family that the pods lack.</param>
public abstract class NodeLocalEgressTests(FamilyNode node, AddressFamily other)
{
    private const int Connections = 10;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Packets_to_the_other_family_leave_by_the_primary_interface_with_the_nodes_address()
    {
        await node.StartAsync();
        var pod = await node.AddAsync("web");
        Assert.DoesNotContain(pod.Ips, ip => ip.BaseAddress.AddressFamily == other);
        var local = LocalAddressOf(pod);
        Assert.DoesNotContain(local.ToString(), pod.Result.ToJsonString(), StringComparison.Ordinal);

        var watch = new LinkWatch(node.TheNode);
        for (var connection = 0; connection < Connections; connection++)
            Assert.Equal(node.TheNode.AddressOf(other), await node.SourceAsync(pod.Network, FabricAddresses.InternetHostOf(other)));
        var carried = watch.Stop();
        carried.RequireSent(LinkWatch.PrimaryLink, 3 * Connections);
        carried.RequireReceived(LinkWatch.PrimaryLink, 3 * Connections);
        await FamilyNode.Probe.PingAsync(pod.Network, FabricAddresses.InternetHostOf(other), Token);
        Assert.Equal(0, await SpoofedAsync());

        // Its own family is not affected, and neither command mentions the address.
        await FamilyNode.Probe.TcpAsync(node.TheNode.Network, pod.Network, pod.Ips[0].BaseAddress, Token);
        Assert.DoesNotContain(local.ToString(), await node.IpamdAsync("pods"), StringComparison.Ordinal);
        await node.AssertCleanAsync();

        await node.DeleteAsync(pod);
        await node.AssertNoPodsAsync();
    }

    [Fact]
    public async Task Nobody_connects_to_a_pod_by_its_node_local_address()
    {
        await node.StartAsync();
        var (pod, neighbour) = (await node.AddAsync("web"), await node.AddAsync("neighbour"));
        var (target, own) = (LocalAddressOf(pod), LocalAddressOf(neighbour));
        Assert.NotEqual(target, own);

        var refused = await Assert.ThrowsAnyAsync<SocketException>(() =>
            FamilyNode.Probe.TcpAsync(neighbour.Network, pod.Network, target, Token)
        );
        Assert.Equal(SocketError.ConnectionRefused, refused.SocketErrorCode);
        // The packets of the neighbour reach the other family: only this destination is closed to it.
        await node.SourceAsync(neighbour.Network, FabricAddresses.InternetHostOf(other));

        await node.DeleteAsync(pod);
        await node.DeleteAsync(neighbour);
        await node.AssertNoPodsAsync();
    }

    [Fact]
    public async Task Killed_daemon_and_a_lost_table_do_not_end_the_egress()
    {
        await node.StartAsync();
        var pod = await node.AddAsync("web");
        await node.TheNode.Ipamd!.KillAsync(Token);
        Assert.Equal(node.TheNode.AddressOf(other), await node.SourceAsync(pod.Network, FabricAddresses.InternetHostOf(other)));
        await node.Node.ExecAsync("nft", "delete", "table", other == IpFamily.V6 ? "ip6" : "ip", "vpccni");

        node.TheNode.Ipamd.Start();
        await node.Node.Lab.WaitUntilReadyAsync(Token);

        await FamilyNode.WaitForNodeLocalNatAsync(node.Node, other);
        Assert.Equal(node.TheNode.AddressOf(other), await node.SourceAsync(pod.Network, FabricAddresses.InternetHostOf(other)));
        Assert.Equal(0, (await node.RunAsync("CHECK", pod)).Code);

        await node.DeleteAsync(pod);
        await node.AssertNoPodsAsync();
    }

    private async Task<long> SpoofedAsync() =>
        (await node.Node.Lab.Fabric.ReadDropsAsync(Token)).SpoofedByInterface.Values.Sum(drops => drops.Packets);

    /// <summary>The pod's only address of the range of the family that it lacks.</summary>
    private IPAddress LocalAddressOf(FamilyPod pod)
    {
        using var netlink = pod.Network.OpenRouteNetlink();
        return Assert.Single(netlink.GetAddresses(other), address => NodeLocalAddresses.Contains(address.Address)).Address;
    }
}
