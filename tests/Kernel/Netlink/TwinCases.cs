// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Kernel.Tests.Netlink;

/// <summary>A change as a command of `ip` and as a request of this library, after the same preparation.</summary>
/// <param name="Name">Name of the case.</param>
/// <param name="Ip">Arguments of `ip`. PEER stands for the path of a second namespace.</param>
/// <param name="Ours">Creates the request; the argument is the namespace PEER.</param>
/// <param name="Before">Additional preparation: commands of `ip`, separated by ';'.</param>
/// <param name="Errno">Expected error of the kernel.</param>
public sealed record TwinCase(
    string Name,
    string Ip,
    Func<NetworkNamespace, NetlinkRequest> Ours,
    string Before = "",
    Errno Errno = Errno.None
)
{
    public override string ToString() => Name;
}

/// <summary>Every request of the library in its relevant forms, with its command.</summary>
internal static class TwinCases
{
    /// <summary>
    /// In a new namespace the loopback link has index 1, so p0 (created first by the kernel) gets 2 and v0 gets 3. Addresses that the
    /// kernel generates are disabled, because they appear with a delay.
    /// </summary>
    public const string Preparation =
        "link add v0 address 02:00:00:00:00:01 type veth peer name p0 address 02:00:00:00:00:02;link set v0 addrgenmode none;link "
        + "set p0 addrgenmode none;"
        + "link set lo up;link set v0 up;link set p0 up;addr add 10.0.0.2/24 dev v0;addr add fd00::2/64 dev v0 nodad";

    private const AddressFamily V4 = IpFamily.V4;
    private const AddressFamily V6 = IpFamily.V6;
    private const int P0 = 2;
    private const int V0 = 3;
    private static readonly MacAddress Mac5 = MacAddress.Parse("02:00:00:00:00:05");
    private static readonly MacAddress Mac6 = MacAddress.Parse("02:00:00:00:00:06");

    public static TheoryData<TwinCase> All => [.. Links, .. Addresses, .. Routes, .. Rules, .. Neighbours];

    private static IEnumerable<TwinCase> Links =>
        [
            new(
                "veth, plain",
                "link add x0 address 02:00:00:00:00:05 type veth peer name y0 address 02:00:00:00:00:06",
                _ =>
                    LinkRequests.CreateVeth(
                        new VethSpec
                        {
                            Name = "x0",
                            Mac = Mac5,
                            PeerName = "y0",
                            PeerMac = Mac6,
                        }
                    )
            ),
            new(
                "veth with the peer in another namespace, all options",
                "link add x0 mtu 9001 address 02:00:00:00:00:05 up type veth peer name eth0 netns PEER mtu 8000 address 02:00:00:00:00:06",
                peer =>
                    LinkRequests.CreateVeth(
                        new VethSpec
                        {
                            Name = "x0",
                            Mac = Mac5,
                            Mtu = 9001,
                            Up = true,
                            PeerName = "eth0",
                            PeerNamespace = peer,
                            PeerMac = Mac6,
                            PeerMtu = 8000,
                        }
                    )
            ),
            new(
                "veth whose name exists",
                "link add v0 type veth peer name y0",
                _ => LinkRequests.CreateVeth(new VethSpec { Name = "v0", PeerName = "y0" }),
                Errno: Errno.EEXIST
            ),
            new("bridge", "link add br0 address 02:00:00:00:00:05 type bridge", _ => LinkRequests.CreateBridge("br0", Mac5)),
            // The kernel of a test machine may lack the driver; the message is the same.
            new(
                "dummy",
                "link add d0 mtu 1400 address 02:00:00:00:00:05 type dummy",
                _ => LinkRequests.CreateDummy("d0", Mac5, 1400),
                Errno: AnyOutcome
            ),
            new("vlan", "link add link v0 v0.5 type vlan id 5", _ => LinkRequests.CreateVlan("v0.5", V0, 5), Errno: AnyOutcome),
            new("link up", "link set p0 up", _ => LinkRequests.SetUp(P0, true), "link set p0 down"),
            new("link down", "link set v0 down", _ => LinkRequests.SetUp(V0, false)),
            new("link mtu", "link set v0 mtu 1400", _ => LinkRequests.SetMtu(V0, 1400)),
            new("link mtu out of range", "link set v0 mtu 99999999", _ => LinkRequests.SetMtu(V0, 99999999), Errno: Errno.EINVAL),
            new("link mac", "link set v0 address 02:00:00:00:00:05", _ => LinkRequests.SetMac(V0, Mac5)),
            new("link rename", "link set v0 name w0", _ => LinkRequests.Rename(V0, "w0"), "link set v0 down"),
            new(
                "link rename to an existing name",
                "link set v0 name p0",
                _ => LinkRequests.Rename(V0, "p0"),
                "link set v0 down",
                Errno.EEXIST
            ),
            new(
                "link into a bridge",
                "link set v0 master br0",
                _ => LinkRequests.SetMaster(V0, 4),
                "link add br0 address 02:00:00:00:00:05 type bridge"
            ),
            new(
                "link out of a bridge",
                "link set v0 nomaster",
                _ => LinkRequests.SetMaster(V0, 0),
                "link add br0 address 02:00:00:00:00:05 type bridge;link set v0 master br0"
            ),
            new("link to another namespace", "link set v0 netns PEER", peer => LinkRequests.MoveToNamespace(V0, peer)),
            new("link delete", "link delete v0", _ => LinkRequests.Delete(V0)),
            new("link group", "link set v0 group 77", _ => LinkRequests.SetGroup(V0, 77)),
            new("link group delete", "link delete group 77", _ => LinkRequests.DeleteGroup(77), "link set v0 group 77"),
            new("link group delete, empty", "link delete group 78", _ => LinkRequests.DeleteGroup(78), Errno: Errno.ENODEV),
        ];

    private static IEnumerable<TwinCase> Addresses =>
        [
            new("address", "addr add 10.0.0.5/32 dev v0", _ => AddressRequests.Add(V0, IPAddress.Parse("10.0.0.5"), 32)),
            new(
                "address without prefix route",
                "addr add 10.3.0.5/24 dev v0 noprefixroute",
                _ => AddressRequests.Add(V0, IPAddress.Parse("10.3.0.5"), 24, new AddressOptions { NoPrefixRoute = true })
            ),
            new(
                "address of link scope",
                "addr add 169.254.7.7/16 dev v0 scope link",
                _ => AddressRequests.Add(V0, IPAddress.Parse("169.254.7.7"), 16, new AddressOptions { Scope = AddressScope.Link })
            ),
            new(
                "address with broadcast",
                "addr add 10.3.0.5/24 broadcast 10.3.0.255 dev v0",
                _ =>
                    AddressRequests.Add(
                        V0,
                        IPAddress.Parse("10.3.0.5"),
                        24,
                        new AddressOptions { Broadcast = IPAddress.Parse("10.3.0.255") }
                    )
            ),
            new(
                "address IPv6",
                "addr add fd05::5/64 dev v0 nodad",
                _ => AddressRequests.Add(V0, IPAddress.Parse("fd05::5"), 64, new AddressOptions { NoDad = true })
            ),
            new(
                "address IPv6 without prefix route",
                "addr add fd05::5/64 dev v0 nodad noprefixroute",
                _ => AddressRequests.Add(V0, IPAddress.Parse("fd05::5"), 64, new AddressOptions { NoDad = true, NoPrefixRoute = true })
            ),
            new(
                "address that exists",
                "addr add 10.0.0.2/24 dev v0",
                _ => AddressRequests.Add(V0, IPAddress.Parse("10.0.0.2"), 24),
                Errno: Errno.EEXIST
            ),
            new(
                "address replaced",
                "addr replace 10.0.0.2/24 dev v0 noprefixroute",
                _ => AddressRequests.Replace(V0, IPAddress.Parse("10.0.0.2"), 24, new AddressOptions { NoPrefixRoute = true })
            ),
            new("address removed", "addr del 10.0.0.2/24 dev v0", _ => AddressRequests.Remove(V0, IPAddress.Parse("10.0.0.2"), 24)),
            new("address IPv6 removed", "addr del fd00::2/64 dev v0", _ => AddressRequests.Remove(V0, IPAddress.Parse("fd00::2"), 64)),
            new(
                "address that does not exist",
                "addr del 10.0.0.99/24 dev v0",
                _ => AddressRequests.Remove(V0, IPAddress.Parse("10.0.0.99"), 24),
                Errno: Errno.EADDRNOTAVAIL
            ),
        ];

    private static IEnumerable<TwinCase> Routes =>
        [
            new(
                "route on the link",
                "route add 10.1.0.5/32 dev v0 scope link",
                _ => RouteRequests.Add(Route4("10.1.0.5/32") with { LinkIndex = V0, Scope = RouteScope.Link })
            ),
            new(
                "route by gateway",
                "route add 10.1.0.0/16 via 10.0.0.1",
                _ => RouteRequests.Add(Route4("10.1.0.0/16") with { Gateway = IPAddress.Parse("10.0.0.1") })
            ),
            new(
                "default route",
                "route add default via 10.0.0.1 dev v0",
                _ =>
                    RouteRequests.Add(
                        new RouteInfo
                        {
                            Family = V4,
                            Gateway = IPAddress.Parse("10.0.0.1"),
                            LinkIndex = V0,
                        }
                    )
            ),
            new(
                "route with everything",
                "route add 10.2.0.0/16 via 10.9.0.9 dev v0 table 1000 onlink src 10.0.0.2 metric 50 mtu 1400 proto static",
                _ =>
                    RouteRequests.Add(
                        Route4("10.2.0.0/16") with
                        {
                            Gateway = IPAddress.Parse("10.9.0.9"),
                            LinkIndex = V0,
                            Table = 1000,
                            OnLink = true,
                            PreferredSource = IPAddress.Parse("10.0.0.2"),
                            Metric = 50,
                            Mtu = 1400,
                            Protocol = RouteProtocol.Static,
                        }
                    )
            ),
            new(
                "default route in a small table",
                "route add default dev v0 table 2",
                _ =>
                    RouteRequests.Add(
                        new RouteInfo
                        {
                            Family = V4,
                            LinkIndex = V0,
                            Table = 2,
                            Scope = RouteScope.Link,
                        }
                    )
            ),
            new(
                "route by IPv6 gateway",
                "route add 10.8.0.0/16 via inet6 fd00::9 dev v0",
                _ => RouteRequests.Add(Route4("10.8.0.0/16") with { Gateway = IPAddress.Parse("fd00::9"), LinkIndex = V0 })
            ),
            new(
                "blackhole",
                "route add blackhole 10.9.0.0/16",
                _ => RouteRequests.Add(Route4("10.9.0.0/16") with { Type = RouteType.Blackhole })
            ),
            new(
                "unreachable, IPv6",
                "-6 route add unreachable fd09::/64 table 300",
                _ => RouteRequests.Add(Route6("fd09::/64") with { Type = RouteType.Unreachable, Table = 300 })
            ),
            new(
                "route IPv6",
                "-6 route add fd01::/64 via fd00::9 dev v0 table 1000",
                _ => RouteRequests.Add(Route6("fd01::/64") with { Gateway = IPAddress.Parse("fd00::9"), LinkIndex = V0, Table = 1000 })
            ),
            new(
                "default route IPv6",
                "route add default via fd00::9 dev v0 metric 7",
                _ =>
                    RouteRequests.Add(
                        new RouteInfo
                        {
                            Family = V6,
                            Gateway = IPAddress.Parse("fd00::9"),
                            LinkIndex = V0,
                            Metric = 7,
                        }
                    )
            ),
            new(
                "route with two next hops",
                "route add 10.7.0.0/16 nexthop via 10.0.0.3 dev v0 weight 2 nexthop via 10.0.0.4 dev v0 weight 1 onlink",
                _ =>
                    RouteRequests.Add(
                        Route4("10.7.0.0/16") with
                        {
                            NextHops =
                            [
                                new NextHop(IPAddress.Parse("10.0.0.3"), V0, 2),
                                new NextHop(IPAddress.Parse("10.0.0.4"), V0, 1, OnLink: true),
                            ],
                        }
                    )
            ),
            new(
                "route that exists",
                "route add 10.1.0.0/16 via 10.0.0.1",
                _ => RouteRequests.Add(Route4("10.1.0.0/16") with { Gateway = IPAddress.Parse("10.0.0.1") }),
                "route add 10.1.0.0/16 dev v0",
                Errno.EEXIST
            ),
            new(
                "route replaced",
                "route replace 10.1.0.0/16 via 10.0.0.1",
                _ => RouteRequests.Replace(Route4("10.1.0.0/16") with { Gateway = IPAddress.Parse("10.0.0.1") }),
                "route add 10.1.0.0/16 dev v0"
            ),
            new(
                "route by an unreachable gateway",
                "route add 10.1.0.0/16 via 172.16.0.1",
                _ => RouteRequests.Add(Route4("10.1.0.0/16") with { Gateway = IPAddress.Parse("172.16.0.1") }),
                Errno: Errno.ENETUNREACH
            ),
            new(
                "route removed by its attributes",
                "route del 10.1.0.0/16 dev v0",
                _ => RouteRequests.Remove(Any4("10.1.0.0/16") with { LinkIndex = V0 }),
                "route add 10.1.0.0/16 dev v0"
            ),
            new(
                "route removed from a table",
                "route del 10.1.0.0/16 table 1000",
                _ => RouteRequests.Remove(Any4("10.1.0.0/16") with { Table = 1000 }),
                "route add 10.1.0.0/16 dev v0 table 1000"
            ),
            new(
                "route removed by all its attributes",
                "route del unicast 10.1.0.0/16 via 10.0.0.1 dev v0 table 1000 proto static scope global metric 5",
                _ =>
                    RouteRequests.Remove(
                        Route4("10.1.0.0/16") with
                        {
                            Gateway = IPAddress.Parse("10.0.0.1"),
                            LinkIndex = V0,
                            Table = 1000,
                            Protocol = RouteProtocol.Static,
                            Metric = 5,
                        }
                    ),
                "route add 10.1.0.0/16 via 10.0.0.1 dev v0 table 1000 proto static metric 5"
            ),
            new(
                "route IPv6 removed",
                "-6 route del fd01::/64 dev v0",
                _ => RouteRequests.Remove(Any6("fd01::/64") with { LinkIndex = V0 }),
                "route add fd01::/64 dev v0"
            ),
            new("route that does not exist", "route del 10.99.0.0/16", _ => RouteRequests.Remove(Any4("10.99.0.0/16")), Errno: Errno.ESRCH),
        ];

    private static IEnumerable<TwinCase> Rules =>
        [
            new(
                "rule from",
                "rule add from 10.0.0.5 lookup 1000 pref 1536",
                _ =>
                    RuleRequests.Add(
                        new RuleInfo
                        {
                            Family = V4,
                            Source = IPNetwork.Parse("10.0.0.5/32"),
                            Table = 1000,
                            Priority = 1536,
                        }
                    )
            ),
            new(
                "rule to",
                "rule add to 10.0.0.0/24 lookup main pref 512",
                _ =>
                    RuleRequests.Add(
                        new RuleInfo
                        {
                            Family = V4,
                            Destination = IPNetwork.Parse("10.0.0.0/24"),
                            Priority = 512,
                        }
                    )
            ),
            new(
                "rule with everything",
                "rule add not from 10.0.0.0/24 to 10.1.0.0/16 fwmark 0x80/0xff iif v0 oif p0 lookup 2 pref 1024 protocol static",
                _ =>
                    RuleRequests.Add(
                        new RuleInfo
                        {
                            Family = V4,
                            Invert = true,
                            Source = IPNetwork.Parse("10.0.0.0/24"),
                            Destination = IPNetwork.Parse("10.1.0.0/16"),
                            Mark = 0x80,
                            MarkMask = 0xff,
                            InputInterface = "v0",
                            OutputInterface = "p0",
                            Table = 2,
                            Priority = 1024,
                            Protocol = RouteProtocol.Static,
                        }
                    )
            ),
            new(
                "rule on unmarked packets",
                "rule add fwmark 0/0x80 lookup 2 pref 1024",
                _ =>
                    RuleRequests.Add(
                        new RuleInfo
                        {
                            Family = V4,
                            MarkMask = 0x80,
                            Table = 2,
                            Priority = 1024,
                        }
                    )
            ),
            new(
                "rule that drops",
                "rule add from 10.6.0.0/16 blackhole pref 7",
                _ =>
                    RuleRequests.Add(
                        new RuleInfo
                        {
                            Family = V4,
                            Source = IPNetwork.Parse("10.6.0.0/16"),
                            Action = RuleAction.Blackhole,
                            Priority = 7,
                        }
                    )
            ),
            new(
                "rule IPv6",
                "-6 rule add to fd00::/64 lookup 300 pref 512",
                _ =>
                    RuleRequests.Add(
                        new RuleInfo
                        {
                            Family = V6,
                            Destination = IPNetwork.Parse("fd00::/64"),
                            Table = 300,
                            Priority = 512,
                        }
                    )
            ),
            new(
                "rule that exists",
                "rule add from 10.0.0.5 lookup 1000 pref 1536",
                _ =>
                    RuleRequests.Add(
                        new RuleInfo
                        {
                            Family = V4,
                            Source = IPNetwork.Parse("10.0.0.5/32"),
                            Table = 1000,
                            Priority = 1536,
                        }
                    ),
                "rule add from 10.0.0.5 lookup 1000 pref 1536",
                Errno.EEXIST
            ),
            new(
                "rule removed",
                "rule del from 10.0.0.5 lookup 1000 pref 1536",
                _ =>
                    RuleRequests.Remove(
                        new RuleInfo
                        {
                            Family = V4,
                            Source = IPNetwork.Parse("10.0.0.5/32"),
                            Table = 1000,
                            Priority = 1536,
                            Action = RuleAction.Unspecified,
                        }
                    ),
                "rule add from 10.0.0.5 lookup 1000 pref 1536"
            ),
            new(
                "rule IPv6 removed",
                "-6 rule del to fd00::/64 lookup 300 pref 512",
                _ =>
                    RuleRequests.Remove(
                        new RuleInfo
                        {
                            Family = V6,
                            Destination = IPNetwork.Parse("fd00::/64"),
                            Table = 300,
                            Priority = 512,
                            Action = RuleAction.Unspecified,
                        }
                    ),
                "-6 rule add to fd00::/64 lookup 300 pref 512"
            ),
            new(
                "rule that does not exist",
                "rule del from 10.0.0.5 lookup 1000 pref 99",
                _ =>
                    RuleRequests.Remove(
                        new RuleInfo
                        {
                            Family = V4,
                            Source = IPNetwork.Parse("10.0.0.5/32"),
                            Table = 1000,
                            Priority = 99,
                            Action = RuleAction.Unspecified,
                        }
                    ),
                Errno: Errno.ENOENT
            ),
        ];

    private static IEnumerable<TwinCase> Neighbours =>
        [
            new(
                "neighbour",
                "neigh replace 169.254.1.1 lladdr 02:00:00:00:00:05 dev v0 nud permanent",
                _ =>
                    NeighbourRequests.Replace(
                        new NeighbourInfo
                        {
                            LinkIndex = V0,
                            Address = IPAddress.Parse("169.254.1.1"),
                            Mac = Mac5,
                        }
                    )
            ),
            new(
                "neighbour IPv6",
                "neigh replace fd00::9 lladdr 02:00:00:00:00:05 dev v0 nud permanent",
                _ =>
                    NeighbourRequests.Replace(
                        new NeighbourInfo
                        {
                            LinkIndex = V0,
                            Address = IPAddress.Parse("fd00::9"),
                            Mac = Mac5,
                        }
                    )
            ),
            new(
                "neighbour changed",
                "neigh replace 10.0.0.9 lladdr 02:00:00:00:00:06 dev v0 nud noarp",
                _ =>
                    NeighbourRequests.Replace(
                        new NeighbourInfo
                        {
                            LinkIndex = V0,
                            Address = IPAddress.Parse("10.0.0.9"),
                            Mac = Mac6,
                            State = NeighbourState.NoArp,
                        }
                    ),
                "neigh replace 10.0.0.9 lladdr 02:00:00:00:00:05 dev v0 nud permanent"
            ),
            new(
                "neighbour removed",
                "neigh del 10.0.0.9 dev v0",
                _ => NeighbourRequests.Remove(V0, IPAddress.Parse("10.0.0.9")),
                "neigh replace 10.0.0.9 lladdr 02:00:00:00:00:05 dev v0 nud permanent"
            ),
            new(
                "neighbour that does not exist",
                "neigh del 10.0.0.77 dev v0",
                _ => NeighbourRequests.Remove(V0, IPAddress.Parse("10.0.0.77")),
                Errno: Errno.ENOENT
            ),
        ];

    /// <summary>Success or failure, as long as `ip` has the same outcome.</summary>
    public const Errno AnyOutcome = (Errno)(-1);

    private static RouteInfo Route4(string destination) => new() { Family = V4, Destination = IPNetwork.Parse(destination) };

    private static RouteInfo Route6(string destination) => new() { Family = V6, Destination = IPNetwork.Parse(destination) };

    private static RouteInfo Any4(string destination) =>
        Route4(destination) with
        {
            Scope = RouteScope.Nowhere,
            Protocol = RouteProtocol.Unspecified,
            Type = RouteType.Unspecified,
        };

    private static RouteInfo Any6(string destination) =>
        Route6(destination) with
        {
            Protocol = RouteProtocol.Unspecified,
            Type = RouteType.Unspecified,
        };
}
