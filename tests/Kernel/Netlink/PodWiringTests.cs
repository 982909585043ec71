// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.Netlink;

/// <summary>Wires and unwires a pod from beginning to end.</summary>
public sealed class PodWiringTests
{
    [Fact]
    public void Pod_wired_in_two_batches_is_shown_by_ip()
    {
        Requirement.NeedRoot();
        using var node = NetworkNamespace.CreateAnonymous();
        using var pod = NetworkNamespace.CreateAnonymous();
        using var netlink = node.OpenRouteNetlink();
        using var inside = pod.OpenRouteNetlink();
        var mac = MacAddress.Parse("02:00:00:00:00:01");
        var peerMac = MacAddress.Parse("02:00:00:00:00:02");
        netlink.Execute(
            LinkRequests.CreateVeth(
                new VethSpec
                {
                    Name = "eni0",
                    Mac = mac,
                    Mtu = 9001,
                    Up = true,
                    PeerName = "eth0",
                    PeerNamespace = pod,
                    PeerMac = peerMac,
                    PeerMtu = 9001,
                    PeerUp = true,
                }
            )
        );

        var link = netlink.FindLink("eni0")!;
        var peer = inside.FindLink("eth0")!;
        Assert.Equal(mac, link.Mac);
        Assert.Equal(peerMac, peer.Mac);
        Assert.Equal((9001, 9001), (link.Mtu, peer.Mtu));
        Assert.True(link.IsUp && peer.IsUp);
        Assert.Equal(peer.Index, link.PeerIndex);
        Assert.Equal("veth", link.Kind);

        var address = IPAddress.Parse("10.0.0.5");
        inside.Execute([
            AddressRequests.Add(peer.Index, address, 32),
            RouteRequests.Add(
                new RouteInfo
                {
                    Family = IpFamily.V4,
                    Destination = IPNetwork.Parse("169.254.1.1/32"),
                    LinkIndex = peer.Index,
                    Scope = RouteScope.Link,
                }
            ),
            RouteRequests.Add(
                new RouteInfo
                {
                    Family = IpFamily.V4,
                    Gateway = IPAddress.Parse("169.254.1.1"),
                    LinkIndex = peer.Index,
                }
            ),
            NeighbourRequests.Replace(
                new NeighbourInfo
                {
                    LinkIndex = peer.Index,
                    Address = IPAddress.Parse("169.254.1.1"),
                    Mac = mac,
                }
            ),
        ]);
        netlink.Execute([
            RouteRequests.Add(
                new RouteInfo
                {
                    Family = IpFamily.V4,
                    Destination = new IPNetwork(address, 32),
                    LinkIndex = link.Index,
                    Scope = RouteScope.Link,
                }
            ),
            RuleRequests.Add(
                new RuleInfo
                {
                    Family = IpFamily.V4,
                    Destination = new IPNetwork(address, 32),
                    Priority = 512,
                }
            ),
            RuleRequests.Add(
                new RuleInfo
                {
                    Family = IpFamily.V4,
                    Source = new IPNetwork(address, 32),
                    Priority = 1536,
                    Table = 1002,
                }
            ),
        ]);

        Assert.Contains(inside.GetAddresses(IpFamily.V4, peer.Index), found => found.Address.Equals(address) && found.PrefixLength == 32);
        Assert.Contains(
            inside.GetRoutes(IpFamily.V4, RouteTable.Main),
            route => route.Destination is null && route.LinkIndex == peer.Index
        );
        Assert.Contains(
            inside.GetNeighbours(IpFamily.V4, peer.Index),
            entry => entry.State == NeighbourState.Permanent && entry.Mac == mac
        );
        Assert.Contains(netlink.GetRules(IpFamily.V4), rule => rule is { Priority: 1536, Table: 1002 });

        netlink.Execute(LinkRequests.Delete("eni0"));
        Assert.Null(inside.FindLink("eth0"));
    }
}
