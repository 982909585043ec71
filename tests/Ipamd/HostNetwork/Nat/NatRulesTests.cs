// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.HostNetwork.Nat;
using Xunit;

namespace VpcCni.Ipamd.Tests.HostNetwork.Nat;

public sealed class NatRulesTests
{
    private static readonly NatSettings Defaults = new(
        "eth0",
        IPAddress.Parse("10.0.0.5"),
        Ipv6Address: null,
        Ranges("10.0.0.0/16", "100.64.0.0/16"),
        new HostNetworkOptions()
    );

    [Fact]
    public void Defaults_give_the_whole_table_in_one_transaction() =>
        Assert.Equal(
            """
            add table ip vpccni
            delete table ip vpccni
            table ip vpccni {
              set inside { type ipv4_addr; flags interval; elements = { 10.0.0.0/16, 100.64.0.0/16 }; }
              chain from_outside {
                type filter hook prerouting priority mangle; policy accept;
                iifname "eth0" ct direction original fib daddr . iif type local ct mark set ct mark or 0x80
              }
              chain from_pods {
                type filter hook prerouting priority dstnat + 10; policy accept;
                iifname "eni*" ct direction original ct state new ip daddr != @inside fib daddr type != local counter ct mark set ct mark or 0x80
                iifname "eni*" ct mark and 0x80 == 0x80 meta mark set meta mark or 0x80
              }
              chain to_outside {
                type nat hook postrouting priority srcnat + 10; policy accept;
                oifname != "vlan*" ip daddr != @inside fib saddr type != local fib daddr type != local counter snat to 10.0.0.5 fully-random
              }
            }

            """,
            NatRules.Script(Defaults)
        );

    [Fact]
    public void Node_local_addresses_of_ipv6_pods_are_translated_and_closed()
    {
        var script = NatRules.Script(Defaults with { Options = new HostNetworkOptions { Ipv4Egress = true } });

        Assert.Contains("ip saddr 169.254.172.0/22 fib daddr type != local counter snat to 10.0.0.5 fully-random", script);
        Assert.Contains("ip daddr 169.254.172.0/22 ct state new counter reject", script);
        Assert.DoesNotContain("ip6", script);
    }

    [Fact]
    public void Node_local_addresses_alone_make_a_table()
    {
        var options = new HostNetworkOptions
        {
            ExternalSnat = true,
            NodePorts = false,
            Ipv4Egress = true,
        };

        Assert.Equal(
            """
            add table ip vpccni
            delete table ip vpccni
            table ip vpccni {
              chain node_local {
                type nat hook postrouting priority srcnat + 10; policy accept;
                ip saddr 169.254.172.0/22 fib daddr type != local counter snat to 10.0.0.5 fully-random
              }
              chain to_node_local {
                type filter hook forward priority filter; policy accept;
                ip daddr 169.254.172.0/22 ct state new counter reject
              }
            }

            """,
            NatRules.Script(Defaults with { Options = options })
        );
    }

    [Fact]
    public void Ipv6_egress_makes_a_table_of_its_own_when_the_node_has_an_address()
    {
        var settings = Defaults with { Options = new HostNetworkOptions { Ipv6Egress = true } };
        Assert.DoesNotContain("ip6", NatRules.Script(settings));

        var script = NatRules.Script(settings with { Ipv6Address = IPAddress.Parse("2001:db8::5") });

        Assert.Contains("table ip6 vpccni {", script);
        Assert.Contains("ip6 saddr fd00::ac:0/118 fib daddr type != local counter snat to 2001:db8::5 fully-random", script);
        Assert.Contains("ip6 daddr fd00::ac:0/118 ct state new counter reject", script);
        Assert.Equal(["ip", "ip6"], NatDeclaration.Of(settings with { Ipv6Address = IPAddress.Parse("2001:db8::5") }).Families);
    }

    [Fact]
    public void Node_ports_of_dual_stack_pods_are_marked_in_both_families()
    {
        var script = NatRules.Script(Defaults with { Options = new HostNetworkOptions { HasIpv6OnSecondary = true } });

        Assert.EndsWith(
            """
            add table ip6 vpccni
            delete table ip6 vpccni
            table ip6 vpccni {
              chain from_outside {
                type filter hook prerouting priority mangle; policy accept;
                iifname "eth0" ct direction original fib daddr . iif type local ct mark set ct mark or 0x80
              }
              chain from_pods {
                type filter hook prerouting priority dstnat + 10; policy accept;
                iifname "eni*" ct mark and 0x80 == 0x80 meta mark set meta mark or 0x80
              }
            }

            """,
            script
        );
    }

    public sealed class Case
    {
        private readonly string _name;

        internal Case(string name, HostNetworkOptions options, string[] has, string[] hasNot) =>
            (_name, Options, Has, HasNot) = (name, options, has, hasNot);

        internal HostNetworkOptions Options { get; }
        internal string[] Has { get; }
        internal string[] HasNot { get; }

        public override string ToString() => _name;
    }

    public static TheoryData<Case> Cases =>
        new()
        {
            new Case(
                "external SNAT: marks for node ports only",
                new HostNetworkOptions { ExternalSnat = true },
                ["from_outside", "meta mark set"],
                ["snat", "inside", "ct state new"]
            ),
            new Case(
                "no node ports: pods still leave by the primary interface",
                new HostNetworkOptions { NodePorts = false },
                ["snat to", "ct state new", "meta mark set"],
                ["from_outside"]
            ),
            new Case(
                "neither: no table",
                new HostNetworkOptions { ExternalSnat = true, NodePorts = false },
                ["delete table ip vpccni"],
                ["{"]
            ),
            new Case(
                "everything is excluded",
                new HostNetworkOptions { ExcludedRanges = Ranges("0.0.0.0/0") },
                ["from_outside"],
                ["snat", "ct state new"]
            ),
            new Case(
                "excluded ranges are inside",
                new HostNetworkOptions { ExcludedRanges = Ranges("198.18.0.0/24") },
                ["10.0.0.0/16, 100.64.0.0/16, 198.18.0.0/24"],
                []
            ),
            new Case(
                "an excluded range that holds one of the VPC's",
                new HostNetworkOptions { ExcludedRanges = Ranges("10.0.0.0/8") },
                ["{ 10.0.0.0/8, 100.64.0.0/16 }"],
                ["10.0.0.0/16"]
            ),
            new Case(
                "ports from a hash",
                new HostNetworkOptions { SnatPorts = SnatPorts.HashRandom },
                ["snat to 10.0.0.5 random\n"],
                ["fully"]
            ),
            new Case("ports kept", new HostNetworkOptions { SnatPorts = SnatPorts.Kept }, ["snat to 10.0.0.5\n"], ["random"]),
            new Case(
                "another mark and prefix",
                new HostNetworkOptions { ConnectionMark = 0x100, VethPrefix = "pod" },
                ["ct mark and 0x100 == 0x100", "\"pod*\""],
                ["0x80", "eni"]
            ),
        };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Option_changes_exactly_its_part(Case row)
    {
        var script = NatRules.Script(Defaults with { Options = row.Options });
        Assert.All(row.Has, text => Assert.Contains(text, script, StringComparison.Ordinal));
        Assert.All(row.HasNot, text => Assert.DoesNotContain(text, script, StringComparison.Ordinal));
    }

    [Fact]
    public void Order_of_ranges_does_not_change_the_table() =>
        Assert.Equal(NatRules.Script(Defaults), NatRules.Script(Defaults with { VpcRanges = [.. Defaults.VpcRanges.Reverse()] }));

    private static IPNetwork[] Ranges(params string[] ranges) => [.. ranges.Select(IPNetwork.Parse)];
}
