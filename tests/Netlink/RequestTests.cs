// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using Xunit;

namespace VpcCni.Netlink.Tests;

/// <summary>Requests are described as `ip` commands; contradictory ones are rejected before they are sent.</summary>
public sealed class RequestTests
{
    private const AddressFamily V4 = IpFamily.V4;
    private const AddressFamily V6 = IpFamily.V6;
    private static readonly MacAddress Mac = MacAddress.Parse("02:00:00:00:00:01");

    public static TheoryData<string, NetlinkRequest> Descriptions =>
        new()
        {
            {
                "ip link add eni0 mtu 9001 address 02:00:00:00:00:01 up type veth peer name eth0 mtu 1500",
                LinkRequests.CreateVeth(
                    new VethSpec
                    {
                        Name = "eni0",
                        Mac = Mac,
                        Mtu = 9001,
                        Up = true,
                        PeerName = "eth0",
                        PeerMtu = 1500,
                    }
                )
            },
            { "ip link add br0 type bridge", LinkRequests.CreateBridge("br0") },
            { "ip link add d0 mtu 1400 type dummy", LinkRequests.CreateDummy("d0", mtu: 1400) },
            { "ip link add link if2 name vlan5 type vlan id 5", LinkRequests.CreateVlan("vlan5", 2, 5) },
            { "ip link set if2 nomaster", LinkRequests.SetMaster(2, 0) },
            { "ip link set eni0 down", LinkRequests.SetUp("eni0", false) },
            { "ip address add 10.0.0.5/32 dev if3", AddressRequests.Add(3, IPAddress.Parse("10.0.0.5"), 32) },
            {
                "ip address replace fd00::5/64 dev if3 noprefixroute nodad",
                AddressRequests.Replace(3, IPAddress.Parse("fd00::5"), 64, new AddressOptions { NoDad = true, NoPrefixRoute = true })
            },
            { "ip address delete 10.0.0.5/32 dev if3", AddressRequests.Remove(3, IPAddress.Parse("10.0.0.5"), 32) },
            {
                "ip route add default via 10.0.0.1 dev if3 table 2 onlink",
                RouteRequests.Add(
                    new RouteInfo
                    {
                        Family = V4,
                        Gateway = IPAddress.Parse("10.0.0.1"),
                        LinkIndex = 3,
                        Table = 2,
                        OnLink = true,
                    }
                )
            },
            {
                "ip route replace blackhole 10.9.0.0/16 table 254 proto 4 metric 9",
                RouteRequests.Replace(
                    new RouteInfo
                    {
                        Family = V4,
                        Destination = IPNetwork.Parse("10.9.0.0/16"),
                        Type = RouteType.Blackhole,
                        Protocol = RouteProtocol.Static,
                        Metric = 9,
                    }
                )
            },
            {
                "ip -6 route delete fd01::/64 dev if3 table 1000",
                RouteRequests.Remove(
                    new RouteInfo
                    {
                        Family = V6,
                        Destination = IPNetwork.Parse("fd01::/64"),
                        LinkIndex = 3,
                        Table = 1000,
                    }
                )
            },
            {
                "ip rule add not from 10.0.0.0/24 to 10.1.0.0/16 fwmark 0x80/0xff iif eth0 oif eth1 table 2 priority 512 protocol 4",
                RuleRequests.Add(
                    new RuleInfo
                    {
                        Family = V4,
                        Invert = true,
                        Source = IPNetwork.Parse("10.0.0.0/24"),
                        Destination = IPNetwork.Parse("10.1.0.0/16"),
                        Mark = 0x80,
                        MarkMask = 0xff,
                        InputInterface = "eth0",
                        OutputInterface = "eth1",
                        Table = 2,
                        Priority = 512,
                        Protocol = RouteProtocol.Static,
                    }
                )
            },
            {
                "ip -6 rule delete from all prohibit priority 7",
                RuleRequests.Remove(
                    new RuleInfo
                    {
                        Family = V6,
                        Action = RuleAction.Prohibit,
                        Priority = 7,
                    }
                )
            },
            {
                "ip neighbour replace 169.254.1.1 lladdr 02:00:00:00:00:01 dev if3 nud permanent",
                NeighbourRequests.Replace(
                    new NeighbourInfo
                    {
                        LinkIndex = 3,
                        Address = IPAddress.Parse("169.254.1.1"),
                        Mac = Mac,
                    }
                )
            },
            { "ip neighbour delete proxy 10.0.0.7 dev if3", NeighbourRequests.Remove(3, IPAddress.Parse("10.0.0.7"), proxy: true) },
        };

    [Theory]
    [MemberData(nameof(Descriptions), DisableDiscoveryEnumeration = true)]
    public void Description_is_the_equivalent_ip_command(string command, NetlinkRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        Assert.Equal(command, request.Description);
        Assert.Equal(command, request.Tolerating(Errno.EEXIST).ToString());
    }

    [Fact]
    public void Tolerating_returns_a_copy_that_tolerates_more()
    {
        var strict = LinkRequests.Delete("eni0");
        var lenient = strict.Tolerating(Errno.ENODEV).Tolerating(Errno.ENOENT);
        Assert.False(strict.Tolerates(Errno.ENODEV));
        Assert.True(lenient.Tolerates(Errno.ENODEV) && lenient.Tolerates(Errno.ENOENT));
        Assert.False(lenient.Tolerates(Errno.EPERM));
    }

    [Theory]
    [InlineData("")]
    [InlineData("sixteen-chars-xx")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("a:b")]
    [InlineData("..")]
    public void Invalid_link_names_are_rejected(string name)
    {
        Assert.Throws<ArgumentException>(() => LinkRequests.Delete(name));
        Assert.Throws<ArgumentException>(() => LinkRequests.CreateBridge(name));
        Assert.Throws<ArgumentException>(() => LinkRequests.CreateVeth(new VethSpec { Name = "a", PeerName = name }));
        Assert.Throws<ArgumentException>(() => RuleRequests.Add(new RuleInfo { Family = V4, InputInterface = name }));
    }

    [Fact]
    public void Contradictory_arguments_are_rejected()
    {
        Assert.Throws<ArgumentException>(() => RouteRequests.Add(new RouteInfo { Family = V6, Gateway = IPAddress.Loopback }));
        Assert.Throws<ArgumentException>(() =>
            RouteRequests.Add(new RouteInfo { Family = V4, Destination = IPNetwork.Parse("fd00::/64") })
        );
        Assert.Throws<ArgumentException>(() =>
            RouteRequests.Add(
                new RouteInfo
                {
                    Family = V4,
                    LinkIndex = 1,
                    NextHops = [new NextHop(null, 2)],
                }
            )
        );
        Assert.Throws<ArgumentException>(() => RouteRequests.Add(new RouteInfo { Family = AddressFamily.Unspecified }));
        Assert.Throws<ArgumentException>(() => RuleRequests.Add(new RuleInfo { Family = V4, Source = IPNetwork.Parse("fd00::/64") }));
        Assert.Throws<ArgumentException>(() => RuleRequests.Remove(new RuleInfo { Family = V4, HasOtherSelectors = true }));
        Assert.Throws<ArgumentOutOfRangeException>(() => AddressRequests.Add(1, IPAddress.Loopback, 33));
        Assert.Throws<ArgumentOutOfRangeException>(() => AddressRequests.Add(0, IPAddress.Loopback, 32));
        Assert.Throws<ArgumentOutOfRangeException>(() => LinkRequests.CreateVlan("v", 1, 4095));
    }

    [Fact]
    public void Route_with_too_many_next_hops_is_rejected()
    {
        var hops = Enumerable.Range(1, 500).Select(index => new NextHop(IPAddress.Loopback, index)).ToArray();
        Assert.Throws<ArgumentException>(() => RouteRequests.Add(new RouteInfo { Family = V4, NextHops = hops }));
    }
}
