// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Ipamd.Tests.HostNetwork;

/// <summary>Desired against observed state, without the interfaces, which have <see cref="InterfaceDiffTests"/>.</summary>
public sealed class HostNetworkDiffTests
{
    private const AddressFamily V4 = IpFamily.V4,
        V6 = IpFamily.V6;
    private const int Primary = 2,
        Secondary = 3,
        Web = 10;
    private static readonly MacAddress PrimaryMac = MacAddress.Parse("02:00:00:00:00:01"),
        SecondaryMac = MacAddress.Parse("02:00:00:00:00:02");
    private static readonly PodEndpoint WebPod = new("aaaaaaaaaaa", IPAddress.Parse("10.0.0.21"), Egress.ByTable(2));

    public sealed class Case
    {
        private readonly string _name;

        internal Case(
            string name,
            Func<ObservedHost, ObservedHost> observed,
            string[] expected,
            Func<HostNetworkState, HostNetworkState>? declared = null
        ) => (_name, Observed, Expected, Declared) = (name, observed, expected, declared);

        internal Func<ObservedHost, ObservedHost> Observed { get; }
        internal string[] Expected { get; }
        internal Func<HostNetworkState, HostNetworkState>? Declared { get; }

        public override string ToString() => _name;
    }

    public static TheoryData<Case> Cases =>
        new()
        {
            new Case("all is right", host => host, []),
            new Case(
                "rules flushed",
                host => host with { Rules = [] },
                [
                    "ip rule add from 10.0.0.20/32 table 2 priority 32765",
                    "ip rule add from all table 254 priority 32766",
                    "ip rule add from all fwmark 0x80/0x80 table 254 priority 1024",
                    "ip rule add from all to 198.51.100.0/24 table 254 priority 1535",
                    "ip rule add from all to 10.0.0.21/32 table 254 priority 512",
                    "ip rule add from 10.0.0.21/32 table 2 priority 1536",
                ]
            ),
            new Case(
                "the pod's route is gone",
                host => host with { Routes = [.. host.Routes.Where(route => route.LinkIndex != Web)] },
                ["ip route add 10.0.0.21/32 dev if10 table 254 scope 253"]
            ),
            new Case(
                "the pod's address is routed to another link",
                host =>
                    host with
                    {
                        Routes = [.. host.Routes.Select(route => route.LinkIndex == Web ? route with { LinkIndex = 99 } : route)],
                    },
                []
            ),
            new Case(
                "the pod's link is not there yet",
                host => host with { Rules = Without(host, 512, 1536), Links = [.. host.Links.Where(link => link.Index != Web)] },
                []
            ),
            new Case(
                "the pod's link is down",
                host =>
                    host with
                    {
                        Rules = Without(host, 512, 1536),
                        Links = [.. host.Links.Select(link => link.Index == Web ? link with { Flags = LinkFlags.None } : link)],
                    },
                []
            ),
            new Case(
                "the pod's link was let go by a DEL that is not over",
                host =>
                    host with
                    {
                        Rules = Without(host, 512, 1536),
                        Routes = [.. host.Routes.Where(route => route.LinkIndex != Web)],
                        Links = [.. host.Links.Select(link => link.Index == Web ? link with { Group = LinkGroups.Released } : link)],
                    },
                []
            ),
            new Case(
                "a tap has the MAC address of the interface's hardware",
                host => host with { Rules = Without(host, 32765), Links = [.. host.Links, Link(50, "tap0", SecondaryMac, "tun")] },
                ["ip rule add from 10.0.0.20/32 table 2 priority 32765"]
            ),
            new Case(
                "the interface's link is gone",
                host => host with { Rules = Without(host, 1024), Links = [.. host.Links.Where(link => link.Index != Secondary)] },
                ["ip rule add from all fwmark 0x80/0x80 table 254 priority 1024"]
            ),
            new Case(
                "two attachments mean one link",
                host => host with { Rules = Without(host, 512, 1536) },
                [],
                state =>
                    state with
                    {
                        Inputs = state.Inputs with { Pods = [WebPod, WebPod with { Address = IPAddress.Parse("10.0.0.22") }] },
                    }
            ),
            new Case(
                "an earlier holder's rule leads to another interface",
                host => host with { Rules = [.. host.Rules, From("10.0.0.21", 3)] },
                ["ip rule delete from 10.0.0.21/32 table 3 priority 1536"]
            ),
            new Case(
                "the pod moved to the primary interface",
                host => host,
                ["ip rule delete from 10.0.0.21/32 table 2 priority 1536 protocol 4"],
                state => state with { Inputs = state.Inputs with { Pods = [WebPod with { Egress = Egress.Main }] } }
            ),
            new Case(
                "the interface of the pod is not known",
                host => host with { Rules = Without(host, 1536) },
                [],
                state => state with { Inputs = state.Inputs with { Pods = [WebPod with { Egress = null }] } }
            ),
            new Case(
                "an external service is no longer one",
                host => host,
                ["ip rule delete from all to 198.51.100.0/24 table 254 priority 1535"],
                state => state with { Options = new HostNetworkOptions() }
            ),
            new Case(
                "the kernel's rule for main is gone",
                host => host with { Rules = Without(host, 32766) },
                ["ip rule add from all table 254 priority 32766"]
            ),
            new Case(
                "a rule of another program leads everything to main",
                host => host with { Rules = [.. Without(host, 32766), new RuleInfo { Family = V4, Priority = 20000 }] },
                []
            ),
            new Case(
                "no marks",
                host => host,
                ["ip rule delete from all fwmark 0x80/0x80 table 254 priority 1024"],
                state => state with { Options = state.Options with { ExternalSnat = true, NodePorts = false } }
            ),
            new Case(
                "rules of others with our priorities",
                host =>
                    host with
                    {
                        Rules =
                        [
                            .. host.Rules,
                            new RuleInfo
                            {
                                Family = V4,
                                Priority = 1024,
                                Mark = 0x80,
                                MarkMask = 0x80,
                                Table = 77,
                            },
                            new RuleInfo
                            {
                                Family = V4,
                                Priority = 1024,
                                Mark = 0x1,
                                MarkMask = 0x1,
                            },
                            new RuleInfo
                            {
                                Family = V4,
                                Priority = 1535,
                                Destination = IPNetwork.Parse("192.0.2.0/24"),
                                InputInterface = "wg0",
                            },
                            new RuleInfo
                            {
                                Family = V4,
                                Priority = 1536,
                                Source = IPNetwork.Parse("10.0.0.21/32"),
                                Table = 3,
                                HasOtherSelectors = true,
                            },
                            new RuleInfo
                            {
                                Family = V4,
                                Priority = 1536,
                                Source = IPNetwork.Parse("10.0.0.0/24"),
                                Table = 3,
                            },
                        ],
                    },
                []
            ),
            new Case(
                "a rule with another selector is not ours",
                host =>
                    host with
                    {
                        Rules =
                        [
                            .. Without(host, 512),
                            new RuleInfo
                            {
                                Family = V4,
                                Priority = 512,
                                Destination = IPNetwork.Parse("10.0.0.21/32"),
                                InputInterface = "wg0",
                            },
                        ],
                    },
                ["ip rule add from all to 10.0.0.21/32 table 254 priority 512"]
            ),
        };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Diff_has_exactly_the_repairs(Case row)
    {
        var state = row.Declared?.Invoke(State) ?? State;
        Assert.Equal(row.Expected, Requests(HostNetworkDiff.Compute(state, row.Observed(Right))).Select(repair => repair.Description));
    }

    [Fact]
    public void Two_links_with_the_MAC_address_are_named_and_not_changed()
    {
        var observed = Right with { Rules = Without(Right, 32765), Links = [.. Right.Links, Link(50, "ens7", SecondaryMac, kind: null)] };
        var repairs = HostNetworkDiff.Compute(State, observed);
        Assert.Empty(repairs.Interfaces);
        Assert.Contains("ens6, ens7", Assert.Single(repairs.Problems), StringComparison.Ordinal);
    }

    [Fact]
    public void Rule_of_an_interface_without_a_link_is_stale() =>
        Assert.Equal(
            [32765],
            HostNetworkDiff
                .Compute(State, Right with { Links = [.. Right.Links.Where(link => link.Index != Secondary)] })
                .Stale.Select(rule => rule.Priority)
        );

    [Fact]
    public void Pod_is_repaired_only_when_two_reads_show_the_drift()
    {
        var broken = HostNetworkDiff.Compute(State, Right with { Rules = Without(Right, 512) });
        var right = HostNetworkDiff.Compute(State, Right);
        Assert.Equal([WebPod], broken.Confirmed(broken).Pods.Select(item => item.Pod));
        Assert.Empty(broken.Confirmed(right).Pods);
        Assert.Empty(right.Confirmed(broken).Pods);
    }

    [Fact]
    public void Reverse_path_filter_of_every_ENI_is_loose()
    {
        var observed = Right with
        {
            Settings = Configured(new(LinkConfiguration.All, true, 0), new(Primary, true, 0), new(Secondary, true, 1), new(Web, true, 1)),
        };
        Assert.Equal(
            [new SettingRepair(IpFamily.V4, "ens6", "rp_filter", "2"), new SettingRepair(IpFamily.V4, "eth0", "rp_filter", "2")],
            HostNetworkDiff.Compute(State, observed).Settings.OrderBy(item => item.Link)
        );
    }

    /// <summary>
    /// An IPv6 pod on the primary ENI leaves by main: it has a rule to it, and none from it. Nothing of IPv6 is translated.
    /// </summary>
    [Fact]
    public void IPv6_pod_of_the_primary_ENI_gets_its_rule_and_its_route()
    {
        var state = WithPods(WebPod with { Address = IPAddress.Parse("2001:db8::21"), Egress = Egress.Main });
        var observed = Right with { Families = state.Families, Rules = [.. Right.Rules, new RuleInfo { Family = V6, Priority = 32766 }] };
        Assert.Equal(
            [
                "ip -6 route add 2001:db8::21/128 dev if10 table 254 scope 253",
                "ip -6 rule add from all to 2001:db8::21/128 table 254 priority 512",
            ],
            HostNetworkDiff.Compute(state, observed).Pods.SelectMany(pod => pod.Requests).Select(repair => repair.Description)
        );
    }

    [Fact]
    public void Pod_with_both_families_leaves_by_its_ENI_in_both()
    {
        var state = WithPods(WebPod, WebPod with { Address = IPAddress.Parse("2001:db8::21") });
        var observed = Right with { Families = state.Families };
        var repairs = HostNetworkDiff.Compute(state, observed);
        Assert.Equal(
            [
                "ip -6 route add 2001:db8::21/128 dev if10 table 254 scope 253",
                "ip -6 rule add from all to 2001:db8::21/128 table 254 priority 512",
                "ip -6 rule add from 2001:db8::21/128 table 2 priority 1536",
            ],
            repairs.Pods.SelectMany(pod => pod.Requests).Select(repair => repair.Description)
        );
        Assert.Equal(
            [
                "ip -6 route replace fe80:ec2::1/128 dev if3 table 2 scope 253",
                "ip -6 route replace default via fe80:ec2::1 dev if3 table 2",
            ],
            repairs.Interfaces.SelectMany(item => item.Requests).Select(repair => repair.Description)
        );
        // The mark is that of node ports.
        Assert.Equal(
            ["ip -6 rule add from all table 254 priority 32766", "ip -6 rule add from all fwmark 0x80/0x80 table 254 priority 1024"],
            repairs.Node.Select(repair => repair.Description)
        );
    }

    [Fact]
    public void Link_of_a_pod_with_both_families_is_repaired_once()
    {
        var state = WithPods(WebPod, WebPod with { Address = IPAddress.Parse("2001:db8::21") });
        var down = Right with
        {
            Links = [.. Right.Links.Select(link => link.Index == Web ? link with { Flags = LinkFlags.None } : link)],
            RestorableLinks = new HashSet<int> { Web },
        };
        var repairs = HostNetworkDiff.Compute(state, down).Pods.SelectMany(pod => pod.Requests);
        Assert.Single(repairs, repair => repair.Kind == RepairKind.PodLink);
    }

    /// <summary>In this order: a node that forwards ignores the router advertisements that its default route comes from.</summary>
    [Fact]
    public void Node_with_IPv6_pods_accepts_advertisements_before_it_forwards()
    {
        var observed = Right with { Ipv6 = new Ipv6Settings("eth0", "1", Forwards: false) };
        Assert.Equal(
            ["sysctl -w net.ipv6.conf.eth0.accept_ra=2", "sysctl -w net.ipv6.conf.all.forwarding=1"],
            HostNetworkDiff.Compute(State, observed).Settings.Select(setting => setting.ToString())
        );
        observed = Right with { Ipv6 = new Ipv6Settings("eth0", "2", Forwards: true) };
        Assert.Empty(HostNetworkDiff.Compute(State, observed).Settings);
    }

    private static HostNetworkState WithPods(params PodEndpoint[] pods) => State with { Inputs = State.Inputs with { Pods = pods } };

    [Theory]
    [InlineData(LinkConfiguration.All, "sysctl -w net.ipv4.conf.all.forwarding=1")]
    [InlineData(Primary, "sysctl -w net.ipv4.conf.eth0.forwarding=1")]
    [InlineData(Secondary, "sysctl -w net.ipv4.conf.ens6.forwarding=1")]
    [InlineData(Web, "sysctl -w net.ipv4.conf.eniaaaaaaaaaaa.forwarding=1")]
    [InlineData(99, null)]
    public void Node_forwards_by_the_links_of_pods_and_ENIs(int link, string? expected)
    {
        var observed = Right with
        {
            Settings = new Dictionary<int, LinkConfiguration>(Right.Settings) { [link] = new(link, Forwards: false, ReversePathFilter: 2) },
        };
        var repairs = HostNetworkDiff.Compute(State, observed).Settings.Select(setting => setting.ToString());
        Assert.Equal(expected is null ? [] : [expected], repairs);
    }

    [Fact]
    public void Link_that_was_set_down_or_got_another_MAC_address_is_repaired()
    {
        var down = Right with
        {
            Links = [.. Right.Links.Select(link => link.Index == Web ? link with { Flags = LinkFlags.None } : link)],
            Routes = [.. Right.Routes.Where(route => route.LinkIndex != Web)],
            RestorableLinks = new HashSet<int> { Web },
        };
        Assert.Equal(
            ["ip link set if10 up", "ip route add 10.0.0.21/32 dev if10 table 254 scope 253"],
            Requests(HostNetworkDiff.Compute(State, down)).Select(repair => repair.Description)
        );
        var other = Right with { GatewayMacs = new Dictionary<int, MacAddress> { [Web] = MacAddress.Parse("02:00:00:00:00:99") } };
        Assert.Equal(
            ["ip link set if10 address 02:00:00:00:00:99"],
            Requests(HostNetworkDiff.Compute(State, other)).Select(repair => repair.Description)
        );
    }

    [Fact]
    public void Recovered_attachment_without_its_route_is_not_repaired()
    {
        var state = State with
        {
            Inputs = State.Inputs with { Pods = [WebPod with { LinkSuffix = "eniaaaaaaaaaaa", IsRecovered = true }] },
        };
        Assert.Empty(
            Requests(
                HostNetworkDiff.Compute(
                    state,
                    Right with
                    {
                        Rules = Without(Right, 512, 1536),
                        Routes = [.. Right.Routes.Where(route => route.LinkIndex != Web)],
                    }
                )
            )
        );
        // The route is the evidence of the pod.
        Assert.Equal(2, Requests(HostNetworkDiff.Compute(state, Right with { Rules = Without(Right, 512, 1536) })).Count());
        // A link that is no pod's gets nothing, whatever an earlier daemon recorded.
        var foreign = Right with
        {
            Rules = Without(Right, 512, 1536),
            Links = [.. Right.Links.Select(link => link.Index == Web ? link with { PeerNamespaceId = null } : link)],
        };
        Assert.Empty(Requests(HostNetworkDiff.Compute(state, foreign)));
    }

    [Fact]
    public void Recovered_attachment_yields_to_the_ADD_of_its_link()
    {
        var old = IPAddress.Parse("10.0.0.30");
        var route = new RouteInfo
        {
            Family = V4,
            Destination = IpRanges.Single(old),
            LinkIndex = Web,
            Scope = RouteScope.Link,
        };
        var recovered = WebPod with { LinkSuffix = "eniaaaaaaaaaaa", Address = old, IsRecovered = true };
        var both = State with { Inputs = State.Inputs with { Pods = [WebPod, recovered] } };
        Assert.Empty(Requests(HostNetworkDiff.Compute(both, Right)));
        Assert.Empty(Requests(HostNetworkDiff.Compute(both, Right with { Routes = [.. Right.Routes, route] })));
        // No attachment has it any more.
        var left = Assert.Single(Requests(HostNetworkDiff.Compute(State, Right with { Routes = [.. Right.Routes, route] })));
        Assert.Equal(
            (RepairKind.Leftover, "ip route delete 10.0.0.30/32 dev if10 table 254 scope 253"),
            (left.Kind, left.Description.Replace(" protocol 3", "", StringComparison.Ordinal))
        );
    }

    [Theory]
    [InlineData(Secondary, 50, true)]
    [InlineData(Secondary, 200, false)]
    [InlineData(Web, 50, false)]
    public void Preferred_default_route_by_a_secondary_ENI_is_a_problem(int link, int metric, bool isProblem)
    {
        RouteInfo Default(int index, int value) =>
            new()
            {
                Family = V4,
                Gateway = IPAddress.Parse("10.0.0.1"),
                LinkIndex = index,
                Metric = value,
            };
        var problems = HostNetworkDiff
            .Compute(State, Right with { Routes = [.. Right.Routes, Default(Primary, 100), Default(link, metric)] })
            .Problems;
        Assert.Equal(isProblem, problems.Count == 1);
        if (isProblem)
            Assert.Contains("ip route del default dev ens6 metric 50", problems[0], StringComparison.Ordinal);
    }

    [Fact]
    public void Link_is_set_up_when_it_has_been_up_or_down_for_long()
    {
        var links = new DownLinks();
        var start = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var down = Link(Web, "eniaaaaaaaaaaa", SecondaryMac, "veth") with { Flags = LinkFlags.None };
        Assert.Equal([Web], links.Restorable([down], _ => true, start));
        Assert.Empty(new DownLinks().Restorable([down with { Group = LinkGroups.Released }], _ => true, start));
        links = new DownLinks();
        Assert.Empty(links.Restorable([down], _ => false, start));
        Assert.Equal(start.AddSeconds(10), links.Due);
        Assert.Equal([Web], links.Restorable([down], _ => false, start.AddSeconds(10)));
        Assert.Null(links.Due);
    }

    [Fact]
    public void Link_gets_the_MAC_address_of_its_pod_or_else_its_first_one()
    {
        var (right, wrong) = (MacAddress.Parse("0a:00:00:00:00:01"), MacAddress.Parse("0a:00:00:00:00:02"));
        LinkInfo Web(MacAddress mac) => Link(HostNetworkDiffTests.Web, "eniaaaaaaaaaaa", mac, "veth");
        MacAddress? inside = right;
        var gateways = new PodGateways((_, _) => inside);
        IReadOnlyDictionary<int, MacAddress> Different(PodGateways all, LinkInfo link, string path = "/run/netns/web") =>
            all.Different([(WebPod with { NetnsPath = path }, link)], [link, Link(Secondary, "ens6", SecondaryMac, kind: null)]);
        Assert.Empty(Different(gateways, Web(right)));
        Assert.Equal(right, Assert.Single(Different(gateways, Web(wrong))).Value);
        // The address in the pod is ignored when another link has it.
        inside = SecondaryMac;
        Assert.Equal(right, Assert.Single(Different(gateways, Web(wrong))).Value);
        // The namespace is not visible.
        var blind = new PodGateways((_, _) => null);
        Assert.Empty(Different(blind, Web(right), path: ""));
        Assert.Equal(right, Assert.Single(Different(blind, Web(wrong), path: "")).Value);
    }

    [Fact]
    public void Only_rules_of_a_released_address_are_stale()
    {
        RuleInfo[] gone = [To("10.0.0.30"), From("10.0.0.30", 2)];
        RuleInfo[] others =
        [
            To("192.0.2.1"),
            From("10.0.0.30", 77),
            To("10.0.0.31"),
            new RuleInfo
            {
                Family = V4,
                Priority = 512,
                Destination = IPNetwork.Parse("10.0.0.30/32"),
                Table = 77,
            },
        ];
        var routed = new RouteInfo
        {
            Family = V4,
            Destination = IPNetwork.Parse("10.0.0.31/32"),
            LinkIndex = 50,
        };
        var observed = Right with { Rules = [.. Right.Rules, .. gone, .. others], Routes = [.. Right.Routes, routed] };
        Assert.Equal(gone, HostNetworkDiff.Compute(State, observed).Stale);
    }

    [Fact]
    public void Stale_rule_expires_when_it_was_stale_at_every_sync()
    {
        var rules = new StaleRules();
        var (start, rule) = (new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), To("10.0.0.30"));
        Assert.Empty(rules.SelectExpired([rule], start));
        Assert.Empty(rules.SelectExpired([rule], start.AddSeconds(9)));
        Assert.Empty(rules.SelectExpired([], start.AddSeconds(10)));
        Assert.Empty(rules.SelectExpired([rule], start.AddSeconds(11)));
        Assert.Equal([rule], rules.SelectExpired([rule], start.AddSeconds(21)));
    }

    [Fact]
    public void Rule_that_was_restored_while_its_pod_ended_expires_soon()
    {
        var rules = new StaleRules();
        var (start, rule) = (new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), To("10.0.0.30"));
        Assert.Null(rules.Due);
        rules.Repaired([IPAddress.Parse("10.0.0.30")], start);
        Assert.Empty(rules.SelectExpired([rule, To("10.0.0.31")], start));
        Assert.Equal(start.AddSeconds(1), rules.Due);
        Assert.Equal([rule], rules.SelectExpired([rule, To("10.0.0.31")], start.AddSeconds(1)));
        Assert.Equal(start.AddSeconds(10), rules.Due);
    }

    private static IEnumerable<Repair> Requests(HostRepairs repairs) =>
        [.. repairs.Interfaces.SelectMany(item => item.Requests), .. repairs.Node, .. repairs.Pods.SelectMany(item => item.Requests)];

    private static HostNetworkState State =>
        new()
        {
            Inputs = new HostNetworkInputs
            {
                Node = new NodeFacts
                {
                    PrimaryAddress = IPAddress.Parse("10.0.0.10"),
                    PrimaryMac = PrimaryMac,
                    VpcRanges = [IPNetwork.Parse("10.0.0.0/16")],
                },
                Pods = [WebPod],
                PodRanges = [IPNetwork.Parse("10.0.0.21/32"), IPNetwork.Parse("10.0.0.30/32"), IPNetwork.Parse("10.0.0.31/32")],
            },
            Options = new HostNetworkOptions { ExternalServiceRanges = [IPNetwork.Parse("198.51.100.0/24")] },
            Interfaces =
            [
                new InterfaceWiring
                {
                    Mac = SecondaryMac.ToString(),
                    Slot = new Slot(0, 1),
                    PrimaryAddress = IPAddress.Parse("10.0.0.20"),
                    SubnetRange = IPNetwork.Parse("10.0.0.0/24"),
                    Mtu = 9001,
                },
            ],
        };

    private static ObservedHost Right =>
        new()
        {
            Links =
            [
                Link(Primary, "eth0", PrimaryMac, kind: null),
                Link(Secondary, "ens6", SecondaryMac, kind: null),
                Link(Web, "eniaaaaaaaaaaa", MacAddress.Parse("02:00:00:00:00:10"), "veth"),
            ],
            Addresses =
            [
                new AddressInfo
                {
                    LinkIndex = Secondary,
                    Address = IPAddress.Parse("10.0.0.20"),
                    PrefixLength = 24,
                },
            ],
            Routes =
            [
                new RouteInfo
                {
                    Family = V4,
                    Destination = IPNetwork.Parse("10.0.0.1/32"),
                    LinkIndex = Secondary,
                    Table = 2,
                    Scope = RouteScope.Link,
                },
                new RouteInfo
                {
                    Family = V4,
                    Gateway = IPAddress.Parse("10.0.0.1"),
                    LinkIndex = Secondary,
                    Table = 2,
                },
                new RouteInfo
                {
                    Family = V4,
                    Destination = IPNetwork.Parse("10.0.0.21/32"),
                    LinkIndex = Web,
                    Scope = RouteScope.Link,
                },
            ],
            Rules =
            [
                To("10.0.0.21"),
                new RuleInfo
                {
                    Family = V4,
                    Priority = 1024,
                    Mark = 0x80,
                    MarkMask = 0x80,
                },
                new RuleInfo
                {
                    Family = V4,
                    Priority = 1535,
                    Destination = IPNetwork.Parse("198.51.100.0/24"),
                },
                From("10.0.0.21", 2) with
                {
                    Protocol = RouteProtocol.Static,
                },
                new RuleInfo
                {
                    Family = V4,
                    Priority = 32765,
                    Source = IPNetwork.Parse("10.0.0.20/32"),
                    Table = 2,
                },
                new RuleInfo { Family = V4, Priority = 32766 },
            ],
            Settings = Configured(new(LinkConfiguration.All, true, 0), new(Primary, true, 2), new(Secondary, true, 2), new(Web, true, 0)),
        };

    private static Dictionary<int, LinkConfiguration> Configured(params LinkConfiguration[] settings) =>
        settings.ToDictionary(setting => setting.LinkIndex);

    private static RuleInfo To(string pod) =>
        new()
        {
            Family = V4,
            Priority = 512,
            Destination = IPNetwork.Parse(pod + "/32"),
        };

    private static RuleInfo From(string pod, int table) =>
        new()
        {
            Family = V4,
            Priority = 1536,
            Source = IPNetwork.Parse(pod + "/32"),
            Table = table,
        };

    private static RuleInfo[] Without(ObservedHost host, params int[] priorities) =>
        [.. host.Rules.Where(rule => !priorities.Contains(rule.Priority))];

    private static LinkInfo Link(int index, string name, MacAddress mac, string? kind) =>
        new()
        {
            Index = index,
            Name = name,
            Mac = mac,
            Mtu = 9001,
            Kind = kind,
            Flags = LinkFlags.Up,
            PeerNamespaceId = kind == "veth" ? index : null,
        };
}
