// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Datapath.Tests;

/// <summary>The values against what the AWS plugin makes, written as <c>ip</c> shows it (its docs, "cni-proposal.md").</summary>
public sealed class PodPathTests
{
    private static readonly IPAddress Four = IPAddress.Parse("10.0.0.21");
    private static readonly IPAddress Six = IPAddress.Parse("2600:1f13::21");

    public static TheoryData<string, Egress?, string[]> Rules() =>
        new()
        {
            { "10.0.0.21", Egress.Main, ["512: from all to 10.0.0.21/32 lookup 254"] },
            { "10.0.0.21", null, ["512: from all to 10.0.0.21/32 lookup 254"] },
            { "10.0.0.21", Egress.ByTable(3), ["512: from all to 10.0.0.21/32 lookup 254", "1536: from 10.0.0.21/32 lookup 3"] },
            {
                "2600:1f13::21",
                Egress.ByTable(3),
                ["512: from all to 2600:1f13::21/128 lookup 254", "1536: from 2600:1f13::21/128 lookup 3"]
            },
            { "10.0.0.21", new Egress.Vlan(7), ["512: from all to 10.0.0.21/32 lookup 254"] },
        };

    [Theory]
    [MemberData(nameof(Rules))]
    public void Rules_follow_the_egress(string address, Egress? egress, string[] expected) =>
        Assert.Equal(expected, PodPath.Rules(IPAddress.Parse(address), egress).Select(Shown));

    [Fact]
    public void Branch_rule_is_by_the_link_that_traffic_arrives_by() =>
        Assert.Equal(
            "10: from all iif vlan.eth.7 lookup 107",
            Shown(PodPath.FromBranch(Four.AddressFamily, "vlan.eth.7", new Egress.Vlan(7)))
        );

    [Theory]
    [InlineData(IpFamily.V4, 0, "169.254.1.1")]
    [InlineData(IpFamily.V4, 2, "169.254.1.3")]
    [InlineData(IpFamily.V6, 0, "fe80::1")]
    [InlineData(IpFamily.V6, 1, "fe80::2")]
    public void Gateway_is_that_of_the_AWS_plugin(AddressFamily family, int index, string expected) =>
        Assert.Equal(IPAddress.Parse(expected), PodPath.Gateway(family, index));

    [Fact]
    public void First_interface_has_the_default_route_in_main() =>
        Assert.Equal(
            ["169.254.1.1/32 via  dev 5 table 254 Link", " via 169.254.1.1 dev 5 table 254 Global"],
            PodPath.InPod(IpFamily.V4, podIndex: 5, index: 0).Select(Shown)
        );

    [Fact]
    public void Further_interface_has_its_routes_in_its_own_table_and_a_rule_to_it()
    {
        Assert.Equal(
            ["fe80::2/128 via  dev 5 table 1 Link", " via fe80::2 dev 5 table 1 Global"],
            PodPath.InPod(IpFamily.V6, podIndex: 5, index: 1).Select(Shown)
        );
        Assert.Equal("1: from 2600:1f13::21/128 lookup 1", Shown(PodPath.InPodRule(Six, index: 1)!));
        Assert.Null(PodPath.InPodRule(Six, index: 0));
    }

    [Fact]
    public void Pod_has_a_local_route_of_an_IPv6_address_only()
    {
        var route = PodPath.LocalRoute(Six, podIndex: 5)!;

        Assert.Equal("2600:1f13::21/128 via  dev 5 table 255 Global", Shown(route));
        Assert.Equal(RouteType.Local, route.Type);
        Assert.Null(PodPath.LocalRoute(Four, podIndex: 5));
    }

    [Fact]
    public void Host_has_a_neighbour_entry_of_an_IPv6_address_only()
    {
        var mac = MacAddress.Parse("02:00:00:00:00:01");

        Assert.Equal(
            new NeighbourInfo
            {
                LinkIndex = 5,
                Address = Six,
                Mac = mac,
                State = NeighbourState.Permanent,
            },
            PodPath.PodNeighbour(Six, hostIndex: 5, mac)
        );
        Assert.Null(PodPath.PodNeighbour(Four, hostIndex: 5, mac));
    }

    [Theory]
    [InlineData("10.0.0.21/32", true)]
    [InlineData("10.0.0.16/28", false)]
    [InlineData("2600::21/128", true)]
    [InlineData("2600::/32", false)]
    public void Single_address_is_recognised_in_both_families(string range, bool expected) =>
        Assert.Equal(expected, IpRanges.IsSingle(IPNetwork.Parse(range)));

    private static string Shown(RuleInfo rule) =>
        $"{rule.Priority}: from {rule.Source?.ToString() ?? "all"}{(rule.Destination is { } to ? $" to {to}" : "")}"
        + $"{(rule.InputInterface is { } link ? $" iif {link}" : "")} lookup {rule.Table}";

    private static string Shown(RouteInfo route) =>
        $"{route.Destination} via {route.Gateway} dev {route.LinkIndex} table {route.Table} {route.Scope}";
}
