// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Ipamd.Tests.HostNetwork;

/// <summary>What is against what must be, but for the interfaces, which have <see cref="InterfaceDiffTests"/>.</summary>
public sealed class HostNetworkDiffTests
{
    private const AddressFamily V4 = AddressFamily.InterNetwork;
    private const int Primary = 2, Secondary = 3, Web = 10;
    private static readonly MacAddress PrimaryMac = MacAddress.Parse("02:00:00:00:00:01"), SecondaryMac = MacAddress.Parse("02:00:00:00:00:02");
    private static readonly PodEndpoint WebPod = new("aaaaaaaaaaa", IPAddress.Parse("10.0.0.21"), 2);

    public sealed class Case
    {
        private readonly string _name;

        internal Case(string name, Func<ObservedHost, ObservedHost> observed, string[] expected, Func<HostNetworkState, HostNetworkState>? declared = null)
            => (_name, Observed, Expected, Declared) = (name, observed, expected, declared);

        internal Func<ObservedHost, ObservedHost> Observed { get; }
        internal string[] Expected { get; }
        internal Func<HostNetworkState, HostNetworkState>? Declared { get; }

        public override string ToString() => _name;
    }

    public static TheoryData<Case> Cases => new()
    {
        new Case("all is right", host => host, []),
        new Case("rules flushed", host => host with { Rules = [] },
        [
            "ip rule add from 10.0.0.20/32 table 2 priority 32765", "ip rule add from all table 254 priority 32766", "ip rule add from all fwmark 0x80/0x80 table 254 priority 1024", "ip rule add from all to 198.51.100.0/24 table 254 priority 1535",
            "ip rule add from all to 10.0.0.21/32 table 254 priority 512", "ip rule add from 10.0.0.21/32 table 2 priority 1536",
        ]),
        new Case("the pod's route is gone", host => host with { Routes = [.. host.Routes.Where(route => route.LinkIndex != Web)] }, ["ip route add 10.0.0.21/32 dev if10 table 254 scope 253"]),
        new Case("the pod's address is routed to another link", host => host with { Routes = [.. host.Routes.Select(route => route.LinkIndex == Web ? route with { LinkIndex = 99 } : route)] }, []),
        new Case("the pod's link is not there yet", host => host with { Rules = Without(host, 512, 1536), Links = [.. host.Links.Where(link => link.Index != Web)] }, []),
        new Case("the pod's link is down", host => host with { Rules = Without(host, 512, 1536), Links = [.. host.Links.Select(link => link.Index == Web ? link with { Flags = LinkFlags.None } : link)] }, []),
        new Case("the pod's link was let go by a DEL that is not over", host => host with
        {
            Rules = Without(host, 512, 1536), Routes = [.. host.Routes.Where(route => route.LinkIndex != Web)], Links = [.. host.Links.Select(link => link.Index == Web ? link with { Group = LinkGroups.Released } : link)],
        }, []),
        new Case("a tap has the MAC address of the interface's hardware", host => host with { Rules = Without(host, 32765), Links = [.. host.Links, Link(50, "tap0", SecondaryMac, "tun")] },
            ["ip rule add from 10.0.0.20/32 table 2 priority 32765"]),
        new Case("the interface's link is gone", host => host with { Rules = Without(host, 1024), Links = [.. host.Links.Where(link => link.Index != Secondary)] },
            ["ip rule add from all fwmark 0x80/0x80 table 254 priority 1024"]),
        new Case("two attachments mean one link", host => host with { Rules = Without(host, 512, 1536) }, [],
            state => state with { Inputs = state.Inputs with { Pods = [WebPod, WebPod with { Address = IPAddress.Parse("10.0.0.22") }] } }),
        new Case("an earlier holder's rule leads to another interface", host => host with { Rules = [.. host.Rules, From("10.0.0.21", 3)] }, ["ip rule delete from 10.0.0.21/32 table 3 priority 1536"]),
        new Case("the pod moved to the primary interface", host => host, ["ip rule delete from 10.0.0.21/32 table 2 priority 1536 protocol 4"],
            state => state with { Inputs = state.Inputs with { Pods = [WebPod with { RouteTable = RouteTables.Main }] } }),
        new Case("the interface of the pod is not known", host => host with { Rules = Without(host, 1536) }, [], state => state with { Inputs = state.Inputs with { Pods = [WebPod with { RouteTable = null }] } }),
        new Case("an external service is no longer one", host => host, ["ip rule delete from all to 198.51.100.0/24 table 254 priority 1535"], state => state with { Options = new HostNetworkOptions() }),
        new Case("the kernel's rule for main is gone", host => host with { Rules = Without(host, 32766) }, ["ip rule add from all table 254 priority 32766"]),
        new Case("somebody's rule leads everything to main", host => host with { Rules = [.. Without(host, 32766), new RuleInfo { Family = V4, Priority = 20000 }] }, []),
        new Case("no marks", host => host, ["ip rule delete from all fwmark 0x80/0x80 table 254 priority 1024"],
            state => state with { Options = state.Options with { ExternalSnat = true, NodePorts = false } }),
        new Case("rules of others with our priorities", host => host with
        {
            Rules =
            [
                .. host.Rules,
                new RuleInfo { Family = V4, Priority = 1024, Mark = 0x80, MarkMask = 0x80, Table = 77 },
                new RuleInfo { Family = V4, Priority = 1024, Mark = 0x1, MarkMask = 0x1 },
                new RuleInfo { Family = V4, Priority = 1535, Destination = IPNetwork.Parse("192.0.2.0/24"), InputInterface = "wg0" },
                new RuleInfo { Family = V4, Priority = 1536, Source = IPNetwork.Parse("10.0.0.21/32"), Table = 3, HasOtherSelectors = true },
                new RuleInfo { Family = V4, Priority = 1536, Source = IPNetwork.Parse("10.0.0.0/24"), Table = 3 },
            ],
        }, []),
        new Case("a rule of ours that looks at something else as well is not ours", host => host with
        {
            Rules = [.. Without(host, 512), new RuleInfo { Family = V4, Priority = 512, Destination = IPNetwork.Parse("10.0.0.21/32"), InputInterface = "wg0" }],
        }, ["ip rule add from all to 10.0.0.21/32 table 254 priority 512"]),
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_difference_is_exactly_what_must_change(Case row)
    {
        var state = row.Declared?.Invoke(State) ?? State;
        Assert.Equal(row.Expected, Requests(HostNetworkDiff.Compute(state, row.Observed(Right))).Select(repair => repair.Description));
    }

    [Fact]
    public void Two_links_that_may_be_the_interface_are_named_and_neither_is_touched()
    {
        var observed = Right with { Rules = Without(Right, 32765), Links = [.. Right.Links, Link(50, "ens7", SecondaryMac, kind: null)] };
        var repairs = HostNetworkDiff.Compute(State, observed);
        Assert.Empty(repairs.Interfaces);
        Assert.Contains("ens6, ens7", Assert.Single(repairs.Problems), StringComparison.Ordinal);
    }

    [Fact]
    public void The_rule_of_an_interface_whose_link_is_gone_is_stale()
        => Assert.Equal([32765], HostNetworkDiff.Compute(State, Right with { Links = [.. Right.Links.Where(link => link.Index != Secondary)] }).Stale.Select(rule => rule.Priority));

    [Fact]
    public void A_pod_is_repaired_only_if_it_looked_broken_before()
    {
        var broken = HostNetworkDiff.Compute(State, Right with { Rules = Without(Right, 512) });
        var right = HostNetworkDiff.Compute(State, Right);
        Assert.Equal([WebPod], broken.Confirmed(broken).Pods.Select(item => item.Pod));
        Assert.Empty(broken.Confirmed(right).Pods);
        Assert.Empty(right.Confirmed(broken).Pods);
    }

    [Fact]
    public void The_reverse_path_filter_of_every_ENI_is_loose()
    {
        var observed = Right with { ReversePathFilters = new Dictionary<int, string> { [Primary] = "0", [Secondary] = "1", [Web] = "1" } };
        Assert.Equal([new SettingRepair("ens6", "rp_filter", "2"), new SettingRepair("eth0", "rp_filter", "2")], HostNetworkDiff.Compute(State, observed).Settings.OrderBy(item => item.Link));
    }

    [Fact]
    public void Rules_of_a_pod_that_is_gone_are_stale_and_only_those()
    {
        RuleInfo[] gone = [To("10.0.0.30"), From("10.0.0.30", 2)];
        RuleInfo[] others = [To("192.0.2.1"), From("10.0.0.30", 77), To("10.0.0.31"), new RuleInfo { Family = V4, Priority = 512, Destination = IPNetwork.Parse("10.0.0.30/32"), Table = 77 }];
        var routed = new RouteInfo { Family = V4, Destination = IPNetwork.Parse("10.0.0.31/32"), LinkIndex = 50 };
        var observed = Right with { Rules = [.. Right.Rules, .. gone, .. others], Routes = [.. Right.Routes, routed] };
        Assert.Equal(gone, HostNetworkDiff.Compute(State, observed).Stale);
    }

    [Fact]
    public void A_stale_rule_is_condemned_when_it_was_stale_at_every_look_for_a_while()
    {
        var rules = new StaleRules();
        var (start, rule) = (new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), To("10.0.0.30"));
        Assert.Empty(rules.Condemn([rule], start));
        Assert.Empty(rules.Condemn([rule], start.AddSeconds(9)));
        Assert.Empty(rules.Condemn([], start.AddSeconds(10)));
        Assert.Empty(rules.Condemn([rule], start.AddSeconds(11)));
        Assert.Equal([rule], rules.Condemn([rule], start.AddSeconds(21)));
    }

    [Fact]
    public void A_rule_that_was_put_back_while_its_pod_went_is_condemned_soon_and_is_looked_for_then()
    {
        var rules = new StaleRules();
        var (start, rule) = (new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), To("10.0.0.30"));
        Assert.Null(rules.Due);
        rules.Repaired([IPAddress.Parse("10.0.0.30")], start);
        Assert.Empty(rules.Condemn([rule, To("10.0.0.31")], start));
        Assert.Equal(start.AddSeconds(1), rules.Due);
        Assert.Equal([rule], rules.Condemn([rule, To("10.0.0.31")], start.AddSeconds(1)));
        Assert.Equal(start.AddSeconds(10), rules.Due);
    }

    private static IEnumerable<Repair> Requests(HostRepairs repairs) => [.. repairs.Interfaces.SelectMany(item => item.Requests), .. repairs.Node, .. repairs.Pods.SelectMany(item => item.Requests)];

    private static HostNetworkState State => new()
    {
        Inputs = new HostNetworkInputs
        {
            Node = new NodeFacts { PrimaryAddress = IPAddress.Parse("10.0.0.10"), PrimaryMac = PrimaryMac, VpcRanges = [IPNetwork.Parse("10.0.0.0/16")] },
            Pods = [WebPod],
            PodRanges = [IPNetwork.Parse("10.0.0.21/32"), IPNetwork.Parse("10.0.0.30/32"), IPNetwork.Parse("10.0.0.31/32")],
        },
        Options = new HostNetworkOptions { ExternalServiceRanges = [IPNetwork.Parse("198.51.100.0/24")] },
        Interfaces =
        [
            new InterfaceWiring
            {
                Mac = SecondaryMac.ToString(), DeviceIndex = 1, NetworkCard = 0, PrimaryAddress = IPAddress.Parse("10.0.0.20"), SubnetRange = IPNetwork.Parse("10.0.0.0/24"), Mtu = 9001,
            },
        ],
    };

    private static ObservedHost Right => new()
    {
        Links = [Link(Primary, "eth0", PrimaryMac, kind: null), Link(Secondary, "ens6", SecondaryMac, kind: null), Link(Web, "eniaaaaaaaaaaa", MacAddress.Parse("02:00:00:00:00:10"), "veth")],
        Addresses = [new AddressInfo { LinkIndex = Secondary, Address = IPAddress.Parse("10.0.0.20"), PrefixLength = 24 }],
        Routes =
        [
            new RouteInfo { Family = V4, Destination = IPNetwork.Parse("10.0.0.1/32"), LinkIndex = Secondary, Table = 2, Scope = RouteScope.Link },
            new RouteInfo { Family = V4, Gateway = IPAddress.Parse("10.0.0.1"), LinkIndex = Secondary, Table = 2 },
            new RouteInfo { Family = V4, Destination = IPNetwork.Parse("10.0.0.21/32"), LinkIndex = Web, Scope = RouteScope.Link },
        ],
        Rules =
        [
            To("10.0.0.21"),
            new RuleInfo { Family = V4, Priority = 1024, Mark = 0x80, MarkMask = 0x80 },
            new RuleInfo { Family = V4, Priority = 1535, Destination = IPNetwork.Parse("198.51.100.0/24") },
            From("10.0.0.21", 2) with { Protocol = RouteProtocol.Static },
            new RuleInfo { Family = V4, Priority = 32765, Source = IPNetwork.Parse("10.0.0.20/32"), Table = 2 },
            new RuleInfo { Family = V4, Priority = 32766 },
        ],
        ReversePathFilters = new Dictionary<int, string> { [Primary] = "2", [Secondary] = "2" },
    };

    private static RuleInfo To(string pod) => new() { Family = V4, Priority = 512, Destination = IPNetwork.Parse(pod + "/32") };

    private static RuleInfo From(string pod, int table) => new() { Family = V4, Priority = 1536, Source = IPNetwork.Parse(pod + "/32"), Table = table };

    private static RuleInfo[] Without(ObservedHost host, params int[] priorities) => [.. host.Rules.Where(rule => !priorities.Contains(rule.Priority))];

    private static LinkInfo Link(int index, string name, MacAddress mac, string? kind) => new() { Index = index, Name = name, Mac = mac, Mtu = 9001, Kind = kind, Flags = LinkFlags.Up };
}
