// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Ipamd.Tests.HostNetwork;

/// <summary>
/// Which of the kernel's reports request a sync: not those on what plugins add for pods, and on other programs' tables and routes.
/// </summary>
public sealed class ChangeFilterTests
{
    private const AddressFamily V4 = IpFamily.V4;
    private const int Primary = 2,
        Secondary = 3,
        Other = 9,
        Web = 10;
    private static readonly MacAddress PrimaryMac = MacAddress.Parse("02:00:00:00:00:01"),
        SecondaryMac = MacAddress.Parse("02:00:00:00:00:02"),
        WebMac = MacAddress.Parse("02:00:00:00:00:10");

    public sealed class Case
    {
        private readonly string _name;

        internal Case(string name, bool matters, RouteNotification change) => (_name, Matters, Change) = (name, matters, change);

        internal bool Matters { get; }
        internal RouteNotification Change { get; }

        public override string ToString() => _name;
    }

    public static TheoryData<Case> Cases =>
        new()
        {
            new Case("a rule to a pod goes", matters: true, Rule(RouteChange.Removed, RulePriorities.ToPod)),
            new Case("a rule to a pod comes", matters: false, Rule(RouteChange.Set, RulePriorities.ToPod)),
            new Case("the rule for marks goes", matters: true, Rule(RouteChange.Removed, RulePriorities.Mark)),
            new Case("a rule from an interface comes", matters: true, Rule(RouteChange.Set, RulePriorities.FromInterface)),
            new Case("a rule of another program is removed", matters: false, Rule(RouteChange.Removed, 100)),
            new Case("the route of a pod goes", matters: true, Route(RouteChange.Removed, "10.0.0.21/32", Web)),
            new Case("the route of an address that pods may have goes", matters: true, Route(RouteChange.Removed, "10.0.0.99/32", Web)),
            new Case("the route of a pod comes", matters: false, Route(RouteChange.Set, "10.0.0.21/32", Web)),
            new Case("a routing daemon's route goes", matters: false, Route(RouteChange.Removed, "192.0.2.0/24", Primary)),
            new Case("a routing daemon's route comes", matters: false, Route(RouteChange.Set, "192.0.2.0/24", Primary)),
            new Case("a routing daemon's route to one address goes", matters: false, Route(RouteChange.Removed, "192.0.2.1/32", Primary)),
            new Case("the subnet is routed by the secondary interface", matters: true, Route(RouteChange.Set, "10.0.0.0/24", Secondary)),
            new Case("the secondary interface's table changes", matters: true, Route(RouteChange.Set, "0.0.0.0/0", Secondary, table: 2)),
            new Case("another table changes", matters: false, Route(RouteChange.Removed, "0.0.0.0/0", Primary, table: 77)),
            new Case("an address of the host", matters: false, Route(RouteChange.Set, "172.20.0.1/32", Other, table: RouteTable.Local)),
            new Case("an interface's link changes", matters: true, Link(Secondary, SecondaryMac, up: true)),
            new Case("an interface's link comes back under another number", matters: true, Link(40, SecondaryMac, up: true)),
            new Case("a link with the primary's address", matters: true, Link(41, PrimaryMac, up: true)),
            new Case("the link of a new pod comes up", matters: false, Link(50, MacAddress.Parse("02:00:00:00:00:50"), up: true)),
            new Case("the link of a pod goes down", matters: true, Link(Web, WebMac, up: false)),
            new Case(
                "the link of a pod that a DEL let go goes down",
                matters: false,
                new RouteNotification.LinkChanged(RouteChange.Set, Link(Web, WebMac, up: false).Link with { Group = LinkGroups.Released })
            ),
            new Case(
                "the link of a pod gets another MAC address",
                matters: true,
                Link(Web, MacAddress.Parse("02:00:00:00:00:11"), up: true)
            ),
            new Case("the link of a pod is reported as it is", matters: false, Link(Web, WebMac, up: true)),
            new Case(
                "a default route comes",
                matters: true,
                new RouteNotification.RouteChanged(RouteChange.Set, new RouteInfo { Family = V4, LinkIndex = Other })
            ),
            new Case("a route on the secondary interface's link goes", matters: true, Route(RouteChange.Removed, "10.0.0.0/24", Secondary)),
            new Case("a setting of a pod's link", matters: true, new RouteNotification.ConfigurationChanged(Web)),
            new Case("an address on an interface's link", matters: true, Address(Secondary)),
            new Case("an address on another link", matters: false, Address(Other)),
            new Case("a setting of an interface's link", matters: true, new RouteNotification.ConfigurationChanged(Secondary)),
            new Case("a setting of all links", matters: true, new RouteNotification.ConfigurationChanged(-1)),
            new Case("a setting of another link", matters: false, new RouteNotification.ConfigurationChanged(Other)),
            new Case("reports were lost", matters: true, new RouteNotification.Overflow()),
        };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Report_matters_when_it_can_mean_a_drift(Case row) => Assert.Equal(row.Matters, Filter().Matters(row.Change));

    [Fact]
    public void Report_before_the_first_sync_matters() =>
        Assert.True(new ChangeFilter(new WiredInterfaces()).Matters(Route(RouteChange.Set, "192.0.2.0/24", Primary)));

    [Fact]
    public void Link_that_comes_up_again_matters()
    {
        var filter = Filter();
        Assert.True(filter.Matters(Link(Web, WebMac, up: false)));
        Assert.True(filter.Matters(Link(Web, WebMac, up: true)));
        Assert.False(filter.Matters(Link(Web, WebMac, up: true)));
    }

    [Fact]
    public void Sync_older_than_a_report_does_not_hide_that_the_link_comes_back()
    {
        var filter = Filter();
        filter.Matters(Link(Web, WebMac, up: false));
        filter.Synced(State, Observed, Wired);
        Assert.True(filter.Matters(Link(Web, WebMac, up: true)));
    }

    [Fact]
    public void Link_that_came_up_since_the_last_sync_is_known()
    {
        var filter = Filter();
        Assert.False(filter.Matters(Link(50, null, up: false)));
        Assert.False(filter.Matters(Link(50, null, up: true)));
        Assert.True(filter.Matters(Link(50, null, up: false)));
        Assert.True(filter.Matters(Link(50, null, up: true)));
    }

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
                Pods = [new PodEndpoint("aaaaaaaaaaa", IPAddress.Parse("10.0.0.21"), Egress.ByTable(2))],
                PodRanges = [IPNetwork.Parse("10.0.0.0/25")],
            },
            Options = new HostNetworkOptions(),
            Interfaces = [Wiring],
        };

    private static InterfaceWiring Wiring =>
        new()
        {
            Mac = SecondaryMac.ToString(),
            Slot = new Slot(0, 1),
            PrimaryAddress = IPAddress.Parse("10.0.0.20"),
            SubnetRange = IPNetwork.Parse("10.0.0.0/24"),
            Mtu = 9001,
        };

    private static ObservedHost Observed =>
        new()
        {
            Rules = [],
            Routes = [],
            Addresses = [],
            Links = [Link(Web, WebMac, up: true).Link],
        };

    private static (PodEndpoint Pod, LinkInfo Link)[] Wired => [(State.Inputs.Pods[0], Observed.Links[0])];

    private static ChangeFilter Filter()
    {
        var wired = new WiredInterfaces();
        wired.Add(Wiring, Secondary);
        wired.Add(
            Wiring with
            {
                Mac = PrimaryMac.ToString(),
                Slot = new Slot(0, 0),
                PrimaryAddress = IPAddress.Parse("10.0.0.10"),
            },
            Primary
        );
        var filter = new ChangeFilter(wired);
        filter.Synced(State, Observed, Wired);
        return filter;
    }

    private static RouteNotification.RuleChanged Rule(RouteChange change, int priority) =>
        new(change, new RuleInfo { Family = V4, Priority = priority });

    private static RouteNotification.RouteChanged Route(RouteChange change, string destination, int link, int table = RouteTables.Main) =>
        new(
            change,
            new RouteInfo
            {
                Family = V4,
                Destination = IPNetwork.Parse(destination),
                LinkIndex = link,
                Table = table,
            }
        );

    private static RouteNotification.LinkChanged Link(int index, MacAddress? mac, bool up) =>
        new(
            RouteChange.Set,
            new LinkInfo
            {
                Index = index,
                Name = $"l{index}",
                Mac = mac,
                Kind = "veth",
                Flags = up ? LinkFlags.Up : LinkFlags.None,
            }
        );

    private static RouteNotification.AddressChanged Address(int link) =>
        new(
            RouteChange.Set,
            new AddressInfo
            {
                LinkIndex = link,
                Address = IPAddress.Parse("192.0.2.1"),
                PrefixLength = 32,
            }
        );
}
