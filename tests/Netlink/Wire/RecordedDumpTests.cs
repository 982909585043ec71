// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink.Wire;
using Xunit;

namespace VpcCni.Netlink.Tests.Wire;

/// <summary>Parses the recorded dumps of a real kernel.</summary>
public sealed class RecordedDumpTests
{
    private const AddressFamily V4 = IpFamily.V4;
    private const AddressFamily V6 = IpFamily.V6;

    [Fact]
    public void Links_are_parsed()
    {
        var links = Fixture.Parse(Fixture.Datagram("links"), Rtm.RTM_NEWLINK, LinkMessage.Parse);
        LinkFlags up = LinkFlags.Up | LinkFlags.Running | LinkFlags.LowerUp,
            ethernet = LinkFlags.Broadcast | LinkFlags.Multicast;
        Assert.Equal(
            [
                new LinkInfo
                {
                    Index = 1,
                    Name = "lo",
                    Mac = default(MacAddress),
                    Mtu = 65536,
                    Flags = up | LinkFlags.Loopback,
                },
                new LinkInfo
                {
                    Index = 2,
                    Name = "eni0",
                    Mac = MacAddress.Parse("02:00:00:00:00:01"),
                    Mtu = 9001,
                    Flags = up | ethernet,
                    Kind = "veth",
                    PeerIndex = 2,
                    PeerNamespaceId = 0,
                },
                new LinkInfo
                {
                    Index = 3,
                    Name = "br0",
                    Mac = MacAddress.Parse("02:00:00:00:00:03"),
                    Mtu = 1500,
                    Flags = LinkFlags.Up | ethernet,
                    Kind = "bridge",
                },
            ],
            links
        );
    }

    [Fact]
    public void Addresses_are_parsed()
    {
        var addresses = Fixture.Parse(Fixture.Datagram("addresses"), Rtm.RTM_NEWADDR, AddressMessage.Parse);
        Assert.Equal(
            [
                Address(1, "127.0.0.1", 8, AddressFlags.Permanent, AddressScope.Host),
                Address(2, "10.0.0.2", 24, AddressFlags.Permanent | AddressFlags.NoPrefixRoute),
                Address(1, "::1", 128, AddressFlags.Permanent, AddressScope.Host),
                Address(2, "fd00::2", 64, AddressFlags.Permanent | AddressFlags.NoDad),
            ],
            addresses
        );

        static AddressInfo Address(int link, string address, int length, AddressFlags flags, AddressScope scope = AddressScope.Global) =>
            new()
            {
                LinkIndex = link,
                Address = IPAddress.Parse(address),
                PrefixLength = length,
                Flags = flags,
                Scope = scope,
            };
    }

    [Fact]
    public void Routes_are_parsed()
    {
        var routes = Fixture.Parse(Fixture.Datagram("routes"), Rtm.RTM_NEWROUTE, RouteMessage.Parse);
        Assert.Equal(
            [
                new RouteInfo
                {
                    Family = V4,
                    Gateway = IPAddress.Parse("10.0.0.1"),
                    LinkIndex = 2,
                    Table = 1000,
                    Metric = 7,
                    Mtu = 1400,
                    PreferredSource = IPAddress.Parse("10.0.0.2"),
                    OnLink = true,
                    Protocol = RouteProtocol.Static,
                },
                new RouteInfo
                {
                    Family = V4,
                    Destination = IPNetwork.Parse("10.1.0.5/32"),
                    LinkIndex = 2,
                    Scope = RouteScope.Link,
                },
                new RouteInfo
                {
                    Family = V4,
                    Destination = IPNetwork.Parse("10.7.0.0/16"),
                    NextHops =
                    [
                        new NextHop(IPAddress.Parse("10.0.0.3"), 2, 2, OnLink: true),
                        new NextHop(IPAddress.Parse("10.0.0.4"), 2, 1, OnLink: true),
                    ],
                },
                new RouteInfo
                {
                    Family = V4,
                    Destination = IPNetwork.Parse("10.8.0.0/16"),
                    Gateway = IPAddress.Parse("fd00::9"),
                    LinkIndex = 2,
                },
                new RouteInfo
                {
                    Family = V4,
                    Destination = IPNetwork.Parse("10.9.0.0/16"),
                    Type = RouteType.Blackhole,
                },
                Local("10.0.0.2/32", 2, "10.0.0.2", RouteType.Local, RouteScope.Host),
                Local("10.0.0.255/32", 2, "10.0.0.2", RouteType.Broadcast, RouteScope.Link),
                Local("127.0.0.0/8", 1, "127.0.0.1", RouteType.Local, RouteScope.Host),
                Local("127.0.0.1/32", 1, "127.0.0.1", RouteType.Local, RouteScope.Host),
                Local("127.255.255.255/32", 1, "127.0.0.1", RouteType.Broadcast, RouteScope.Link),
                new RouteInfo
                {
                    Family = V6,
                    Destination = IPNetwork.Parse("fd01::/64"),
                    Gateway = IPAddress.Parse("fd00::9"),
                    LinkIndex = 2,
                    Table = 300,
                    Metric = 1024,
                },
                new RouteInfo
                {
                    Family = V6,
                    Destination = IPNetwork.Parse("fd00::/64"),
                    LinkIndex = 2,
                    Protocol = RouteProtocol.Kernel,
                    Metric = 256,
                },
                Local6("::1/128", 1, RouteType.Local, 0),
                Local6("fd00::2/128", 2, RouteType.Local, 0),
                Local6("ff00::/8", 2, RouteType.Multicast, 256),
            ],
            routes
        );

        static RouteInfo Local(string destination, int link, string source, RouteType type, RouteScope scope) =>
            new()
            {
                Family = V4,
                Destination = IPNetwork.Parse(destination),
                LinkIndex = link,
                Table = RouteTable.Local,
                Protocol = RouteProtocol.Kernel,
                Scope = scope,
                Type = type,
                PreferredSource = IPAddress.Parse(source),
            };

        static RouteInfo Local6(string destination, int link, RouteType type, int metric) =>
            new()
            {
                Family = V6,
                Destination = IPNetwork.Parse(destination),
                LinkIndex = link,
                Table = RouteTable.Local,
                Protocol = RouteProtocol.Kernel,
                Type = type,
                Metric = metric,
            };
    }

    [Fact]
    public void Rules_are_parsed()
    {
        var rules = Fixture.Parse(Fixture.Datagram("rules"), Rtm.RTM_NEWRULE, RuleMessage.Parse);
        var v4 = rules.Where(rule => rule.Family == V4).ToArray();
        var v6 = rules.Where(rule => rule.Family == V6).ToArray();
        Assert.Equal(
            [
                Standard(V4, 0, RouteTable.Local),
                new RuleInfo
                {
                    Family = V4,
                    Priority = 1024,
                    Source = IPNetwork.Parse("10.0.0.0/24"),
                    Mark = 0x80,
                    MarkMask = 0x80,
                    InputInterface = "eni0",
                    Table = 1000,
                },
                new RuleInfo
                {
                    Family = V4,
                    Priority = 1536,
                    Destination = IPNetwork.Parse("10.5.0.0/16"),
                    OutputInterface = "eni0",
                    Invert = true,
                    Action = RuleAction.Blackhole,
                    Table = 0,
                    Protocol = RouteProtocol.Static,
                },
                new RuleInfo
                {
                    Family = V4,
                    Priority = 2000,
                    Table = 300,
                    HasOtherSelectors = true,
                },
                Standard(V4, 32766, RouteTable.Main),
                Standard(V4, 32767, RouteTable.Default),
            ],
            v4
        );
        Assert.Equal(
            [
                Standard(V6, 0, RouteTable.Local),
                new RuleInfo
                {
                    Family = V6,
                    Priority = 512,
                    Destination = IPNetwork.Parse("fd00::/64"),
                    Table = 300,
                },
                Standard(V6, 32766, RouteTable.Main),
            ],
            v6
        );

        static RuleInfo Standard(AddressFamily family, int priority, int table) =>
            new()
            {
                Family = family,
                Priority = priority,
                Table = table,
                Protocol = RouteProtocol.Kernel,
            };
    }

    [Fact]
    public void Neighbours_are_parsed()
    {
        var neighbours = Fixture.Parse(Fixture.Datagram("neighbours"), Rtm.RTM_NEWNEIGH, NeighbourMessage.Parse);
        Assert.Contains(
            new NeighbourInfo
            {
                LinkIndex = 2,
                Address = IPAddress.Parse("169.254.1.1"),
                Mac = MacAddress.Parse("02:00:00:00:00:09"),
            },
            neighbours
        );
        var proxies = Fixture.Parse(Fixture.Datagram("proxies"), Rtm.RTM_NEWNEIGH, NeighbourMessage.Parse);
        Assert.Equal(
            [
                new NeighbourInfo
                {
                    LinkIndex = 2,
                    Address = IPAddress.Parse("10.0.0.77"),
                    State = NeighbourState.None,
                    Proxy = true,
                },
            ],
            proxies
        );
    }

    [Theory]
    [InlineData("error-table", Errno.ENOENT, "ipv4: FIB table does not exist")]
    [InlineData("error-nodev", Errno.ENODEV, null)]
    public void Errors_are_parsed_with_the_text_of_the_kernel(string fixture, Errno errno, string? text)
    {
        var reader = new MessageReader(Fixture.Datagram(fixture));
        Assert.True(reader.TryRead(out var message));
        var acknowledgement = message.Header.Type == Nlm.NLMSG_DONE ? Acknowledgement.ReadDone(message) : Acknowledgement.Read(message);
        Assert.Equal(new Acknowledgement(errno, text), acknowledgement);
    }
}
