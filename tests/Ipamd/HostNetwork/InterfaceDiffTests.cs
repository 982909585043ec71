// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Ipamd.Tests.HostNetwork;

public sealed class InterfaceDiffTests
{
    private static readonly InterfaceWiring Second = new()
    {
        Mac = "02:00:00:00:00:01",
        Slot = new Slot(0, 1),
        PrimaryAddress = IPAddress.Parse("10.0.0.20"),
        SubnetRange = IPNetwork.Parse("10.0.0.0/20"),
        Mtu = 9001,
    };

    [Fact]
    public void New_link_gets_everything_in_the_order_that_the_kernel_accepts()
    {
        var requests = InterfaceDiff
            .Compute(Second, State(mtu: 1500, up: false), Second.Families)
            .Select(request => request.Description)
            .ToArray();
        Assert.Equal(6, requests.Length);
        Assert.Contains("mtu 9001", requests[0], StringComparison.Ordinal);
        Assert.Contains("up", requests[1], StringComparison.Ordinal);
        Assert.Contains("10.0.0.20/20", requests[2], StringComparison.Ordinal);
        Assert.Contains("noprefixroute", requests[2], StringComparison.Ordinal);
        Assert.Contains("10.0.0.1/32", requests[3], StringComparison.Ordinal);
        Assert.Contains("default", requests[4], StringComparison.Ordinal);
        Assert.Contains("table 2", requests[4], StringComparison.Ordinal);
        Assert.Contains("from 10.0.0.20", requests[5], StringComparison.Ordinal);
    }

    [Fact]
    public void Right_state_needs_no_repair() => Assert.Empty(InterfaceDiff.Compute(Second, Complete(), Second.Families));

    [Fact]
    public void Primary_interface_gets_its_MTU_and_nothing_else()
    {
        var primary = Second with { Slot = new Slot(0, 0) };
        var request = Assert.Single(InterfaceDiff.Compute(primary, State(mtu: 1500, up: true), primary.Families));
        Assert.Contains("mtu 9001", request.Description, StringComparison.Ordinal);
    }

    public static TheoryData<string, string> Deviations =>
        new()
        {
            { "a foreign address on the link", "10.0.0.99" },
            { "a wrong prefix length", "10.0.0.20/32" },
            { "the gateway's route is gone", "10.0.0.1/32" },
            { "the default route leads elsewhere", "default" },
            { "the subnet is routed through main", "10.0.0.0/20" },
            { "the rule is gone", "from 10.0.0.20" },
            { "the rule leads to another table", "table 7" },
            { "the rule is there twice", "from 10.0.0.20" },
        };

    [Theory]
    [MemberData(nameof(Deviations))]
    public void Drift_is_repaired(string what, string expected)
    {
        var right = Complete();
        var state = what switch
        {
            "a foreign address on the link" => right with { Addresses = [.. right.Addresses, Address("10.0.0.99", 20)] },
            "a wrong prefix length" => right with { Addresses = [Address("10.0.0.20", 32)] },
            "the gateway's route is gone" => right with { Routes = [right.Routes[1]] },
            "the default route leads elsewhere" => right with
            {
                Routes = [right.Routes[0], right.Routes[1] with { Gateway = IPAddress.Parse("10.0.0.2") }],
            },
            "the subnet is routed through main" => right with
            {
                Routes =
                [
                    .. right.Routes,
                    new RouteInfo
                    {
                        Family = IpFamily.V4,
                        Destination = Second.SubnetRange,
                        LinkIndex = 7,
                        Table = RouteTable.Main,
                    },
                ],
            },
            "the rule is gone" => right with { Rules = [] },
            "the rule leads to another table" => right with
            {
                Rules = [InterfaceDiff.FromInterface(Second.PrimaryAddress, Second.RouteTable) with { Table = 7 }],
            },
            "the rule is there twice" => right with { Rules = [.. right.Rules, .. right.Rules] },
            _ => throw new ArgumentOutOfRangeException(nameof(what)),
        };
        var requests = InterfaceDiff.Compute(Second, state, Second.Families);
        Assert.Contains(requests, request => request.Description.Contains(expected, StringComparison.Ordinal));
        Assert.InRange(requests.Count, 1, 2);
    }

    [Theory]
    [InlineData("fwmark")]
    [InlineData("iif")]
    [InlineData("not")]
    [InlineData("ports")]
    public void Foreign_rule_with_the_same_source_is_not_removed_and_not_ours(string condition)
    {
        var ours = InterfaceDiff.FromInterface(Second.PrimaryAddress, Second.RouteTable);
        var foreign = condition switch
        {
            "fwmark" => ours with { Mark = 1, MarkMask = 1 },
            "iif" => ours with { InputInterface = "wg0", Table = 7 },
            "not" => ours with { Invert = true, Table = 7 },
            "ports" => ours with { HasOtherSelectors = true, Table = 7 },
            _ => throw new ArgumentOutOfRangeException(nameof(condition)),
        };
        var request = Assert.Single(InterfaceDiff.Compute(Second, Complete() with { Rules = [foreign] }, Second.Families));
        Assert.Contains("ip rule add", request.Description, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("10.0.16.0/20", IpFamily.V4, "10.0.16.1")]
    [InlineData("10.0.16.0/20", IpFamily.V6, "fe80:ec2::1")]
    [InlineData("2001:db8::/64", IpFamily.V6, "fe80:ec2::1")]
    [InlineData("2001:db8::/64", IpFamily.V4, null)]
    public void Gateway_follows_the_subnet_and_the_family(string subnet, AddressFamily family, string? gateway) =>
        Assert.Equal(
            gateway is null ? null : IPAddress.Parse(gateway),
            InterfaceDiff.Gateway(Second with { SubnetRange = IPNetwork.Parse(subnet) }, family)
        );

    [Fact]
    public void Table_of_an_interface_with_IPv6_blocks_gets_the_routes_of_both_families()
    {
        var both = Second with { CarriesIpv6 = true };
        Assert.Equal(
            [
                "ip -6 route replace fe80:ec2::1/128 dev if7 table 2 scope 253",
                "ip -6 route replace default via fe80:ec2::1 dev if7 table 2",
            ],
            InterfaceDiff.Compute(both, Complete(), both.Families).Select(repair => repair.Description)
        );
        Assert.Empty(InterfaceDiff.Compute(Second, Complete(), Second.Families));
    }

    private static InterfaceState Complete() =>
        State(mtu: 9001, up: true) with
        {
            Addresses = [Address("10.0.0.20", 20)],
            Routes =
            [
                new RouteInfo
                {
                    Family = IpFamily.V4,
                    Destination = IPNetwork.Parse("10.0.0.1/32"),
                    LinkIndex = 7,
                    Table = 2,
                    Scope = RouteScope.Link,
                },
                new RouteInfo
                {
                    Family = IpFamily.V4,
                    Gateway = IPAddress.Parse("10.0.0.1"),
                    LinkIndex = 7,
                    Table = 2,
                },
            ],
            Rules = [InterfaceDiff.FromInterface(Second.PrimaryAddress, Second.RouteTable)],
        };

    private static InterfaceState State(int mtu, bool up) =>
        new()
        {
            Link = new LinkInfo
            {
                Index = 7,
                Name = "ens6",
                Mac = MacAddress.Parse(Second.Mac),
                Mtu = mtu,
                Flags = up ? LinkFlags.Up : LinkFlags.None,
            },
            Addresses = [],
            Routes = [],
            Rules = [],
        };

    private static AddressInfo Address(string address, int length) =>
        new()
        {
            LinkIndex = 7,
            Address = IPAddress.Parse(address),
            PrefixLength = length,
            Scope = AddressScope.Global,
        };
}
