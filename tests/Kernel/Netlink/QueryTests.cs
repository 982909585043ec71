// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Kernel.Tests.Netlink;

/// <summary>Compares the queries of the library with `ip -j` in a namespace that `ip` has set up.</summary>
public sealed class QueryTests : IDisposable
{
    private const AddressFamily V4 = IpFamily.V4;
    private const AddressFamily V6 = IpFamily.V6;

    private readonly NetworkNamespace _ns;
    private readonly NetworkNamespace _peer;
    private readonly RouteNetlink _netlink;

    public QueryTests()
    {
        Iproute.Need();
        _ns = NetworkNamespace.CreateAnonymous();
        _peer = NetworkNamespace.CreateAnonymous();
        _netlink = _ns.OpenRouteNetlink();
        string path = $"/proc/{Environment.ProcessId}/fd/{_peer.Handle.DangerousGetHandle()}";
        _ns.IpBatch(
            "",
            [
                $"link add eni0 mtu 9001 address 02:00:00:00:00:01 type veth peer name eth0 netns {path}",
                "link add br0 address 02:00:00:00:00:03 type bridge",
                "link add v0 address 02:00:00:00:00:04 type veth peer name p0 address 02:00:00:00:00:05",
                "link set v0 master br0",
                "link set eni0 addrgenmode none",
                "link set lo up",
                "link set eni0 up",
                "link set v0 up",
                "link property add dev eni0 altname a-very-long-alternative-name",
                "addr add 10.0.0.2/24 dev eni0",
                "addr add 10.0.0.3/32 dev eni0 scope link noprefixroute",
                "addr add fd00::2/64 dev eni0 nodad",
                "addr add 10.5.0.1/24 dev v0",
                "route add 10.1.0.0/16 via 10.0.0.1",
                "route add default via 10.0.0.1 dev eni0 table 2 proto static",
                "route add 10.1.0.5 dev eni0 table 1000 metric 5 mtu 1300 src 10.0.0.2",
                "route add fd01::/64 via fd00::9 table 1000",
                "route add 10.7.0.0/16 nexthop via 10.0.0.3 dev eni0 weight 2 nexthop via 10.0.0.4 dev eni0",
                "route add prohibit 10.9.0.0/16",
                "rule add from 10.0.0.0/24 lookup 2 pref 1536",
                "rule add fwmark 0x80/0x80 iif v0 oif eni0 lookup 1000 pref 1024 protocol static",
                "rule add uidrange 0-5 lookup 7 pref 8",
                "rule add lookup main suppress_prefixlength 0 pref 9",
                "rule add not to 10.5.0.0/16 prohibit pref 10",
                "neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eni0 nud permanent",
                "neigh add proxy 10.0.0.77 dev eni0",
                "neigh add fd00::9 lladdr 02:00:00:00:00:09 dev eni0 nud permanent",
            ]
        );
    }

    [Fact]
    public void FindNamespaceId_returns_the_id_of_the_links()
    {
        using var other = NetworkNamespace.CreateAnonymous();
        Assert.NotNull(_netlink.FindLink("eni0")!.PeerNamespaceId);
        Assert.Equal(_netlink.FindLink("eni0")!.PeerNamespaceId, _netlink.FindNamespaceId(_peer));
        Assert.Null(_netlink.FindNamespaceId(other));
    }

    [Fact]
    public void Configurations_equal_the_files_of_proc()
    {
        _ns.Run(() =>
        {
            File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "1");
            File.WriteAllText("/proc/sys/net/ipv4/conf/v0/forwarding", "0");
            File.WriteAllText("/proc/sys/net/ipv4/conf/v0/rp_filter", "2");
        });
        var settings = _netlink.GetConfigurations(V4).ToDictionary(item => item.LinkIndex);
        Assert.True(settings[LinkConfiguration.All].Forwards);
        var (v0, eni0) = (_netlink.FindLink("v0")!.Index, _netlink.FindLink("eni0")!.Index);
        Assert.Equal(new LinkConfiguration(v0, Forwards: false, ReversePathFilter: 2), settings[v0]);
        Assert.True(settings[eni0].Forwards);
    }

    public void Dispose()
    {
        _netlink?.Dispose();
        _ns?.Dispose();
        _peer?.Dispose();
    }

    [Fact]
    public void Links_equal_those_of_ip()
    {
        var shown = _ns.IpJson("-d link show");
        Assert.Equal(
            shown.Select(link =>
                (
                    link!.Int("ifindex"),
                    link!.Text("ifname"),
                    link!.Text("address"),
                    link!.Int("mtu"),
                    link!["flags"]!.AsArray().Any(flag => flag!.GetValue<string>() == "UP"),
                    link!["linkinfo"]?.Text("info_kind"),
                    link!.Text("master")
                )
            ),
            _netlink
                .GetLinks()
                .Select(link =>
                    (
                        link.Index,
                        (string?)link.Name,
                        link.Mac?.ToString(),
                        link.Mtu,
                        link.IsUp,
                        link.Kind,
                        link.MasterIndex is { } master ? _netlink.FindLink(master)!.Name : null
                    )
                )
        );
    }

    [Fact]
    public void Veth_has_the_index_of_its_peer_in_any_namespace()
    {
        var here = _netlink.FindLink("v0")!;
        Assert.Equal((_netlink.FindLink("p0")!.Index, (int?)null), (here.PeerIndex!.Value, here.PeerNamespaceId));
        var away = _netlink.FindLink("eni0")!;
        using var inside = _peer.OpenRouteNetlink();
        Assert.Equal(inside.FindLink("eth0")!.Index, away.PeerIndex);
        Assert.Equal(_ns.IpJson("link show dev eni0")[0]!.Int("link_netnsid"), away.PeerNamespaceId);
    }

    [Fact]
    public void Links_are_found_by_name_alternative_name_index_and_mac()
    {
        var link = _netlink.FindLink("eni0")!;
        Assert.Equal(link, _netlink.FindLink("a-very-long-alternative-name"));
        Assert.Equal(link, _netlink.FindLink(link.Index));
        Assert.Equal(link, _netlink.FindLinkByMac(MacAddress.Parse("02:00:00:00:00:01")));
        Assert.Null(_netlink.FindLink("none"));
        Assert.Null(_netlink.FindLink("a-very-long-name-that-nothing-has"));
        Assert.Null(_netlink.FindLink(4711));
        Assert.Null(_netlink.FindLinkByMac(MacAddress.Parse("02:ff:00:00:00:01")));
    }

    [Fact]
    public void Addresses_equal_those_of_ip_with_and_without_filters()
    {
        foreach (var (family, option) in ((AddressFamily, string)[])[(AddressFamily.Unspecified, ""), (V4, "-4 "), (V6, "-6 ")])
        {
            Assert.Equal(Shown(option + "addr show"), Read(_netlink.GetAddresses(family)));
            int index = _netlink.FindLink("eni0")!.Index;
            Assert.Equal(Shown(option + "addr show dev eni0"), Read(_netlink.GetAddresses(family, index)));
        }

        Assert.Equal(Errno.ENODEV, Assert.Throws<NetlinkException>(() => _netlink.GetAddresses(V4, 4711)).Errno);

        string[] Shown(string view) =>
            [
                .. _ns.IpJson(view)
                    .SelectMany(link =>
                        link!["addr_info"]!
                            .AsArray()
                            .Select(address =>
                                $"{link!.Int("ifindex")} {address!.Text("local")}/{address!.Int("prefixlen")} "
                                + $"{address!.Text("scope")} {address!["noprefixroute"] is not null}"
                            )
                    )
                    .Order(StringComparer.Ordinal),
            ];
        static string[] Read(IEnumerable<AddressInfo> addresses) =>
            [
                .. addresses
                    .Select(address =>
                        $"{address.LinkIndex} {address.Address}/{address.PrefixLength} {address.Scope.ToString().ToLowerInvariant()} "
                        + $"{address.Flags.HasFlag(AddressFlags.NoPrefixRoute)}"
                    )
                    .Order(StringComparer.Ordinal),
            ];
    }

    [Theory]
    [InlineData(V4, null)]
    [InlineData(V4, 2)]
    [InlineData(V4, 254)]
    [InlineData(V4, 255)]
    [InlineData(V4, 1000)]
    [InlineData(V6, null)]
    [InlineData(V6, 255)]
    [InlineData(V6, 1000)]
    public void Routes_equal_those_of_ip_of_all_tables_and_of_one(AddressFamily family, int? table)
    {
        string view = $"-N {(family == V4 ? "-4" : "-6")} route show table {table?.ToString() ?? "all"}";
        var shown = _ns.IpJson(view)
            .Select(route =>
            {
                string destination = route!.Text("dst")!;
                if (destination != "default" && !destination.Contains('/', StringComparison.Ordinal))
                    destination += family == V4 ? "/32" : "/128";
                string hops = route!["nexthops"] is { } nodes
                    ? string.Join(',', nodes.AsArray().Select(hop => $"{hop!.Text("gateway")}*{hop!.Int("weight")}"))
                    : "";
                return $"{destination} via {route!.Text("gateway")} dev {route!.Text("dev")} table "
                    + $"{route!.Text("table") ?? table?.ToString() ?? "254"} type {route!.Text("type") ?? "1"} proto "
                    + $"{route!.Text("protocol") ?? "3"} "
                    + $"scope {route!.Text("scope") ?? "0"} src {route!.Text("prefsrc")} metric "
                    + $"{route!["metric"]?.GetValue<int>() ?? 0} mtu {route!["metrics"]?[0]!["mtu"]} {hops}";
            });
        var read = _netlink
            .GetRoutes(family, table)
            .Select(route =>
                $"{route.Destination?.ToString() ?? "default"} via {route.Gateway} dev "
                + $"{(route.LinkIndex == 0 ? null : _netlink.FindLink(route.LinkIndex)!.Name)} table {route.Table} type "
                + $"{(int)route.Type} proto {(int)route.Protocol} "
                + $"scope {(int)route.Scope} src {route.PreferredSource} metric {route.Metric} mtu {route.Mtu} "
                + $"{string.Join(',', route.NextHops.Select(hop => $"{hop.Gateway}*{hop.Weight}"))}"
            );
        Assert.Equal(shown.Order(StringComparer.Ordinal), read.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Table_without_routes_is_empty()
    {
        Assert.Empty(_netlink.GetRoutes(V4, 77));
        Assert.Empty(_netlink.GetRoutes(V6, 77777));
    }

    [Fact]
    public void Rules_equal_those_of_ip_and_other_selectors_are_flagged()
    {
        var shown = _ns.IpJson("-N rule show")
            .Select(rule =>
                $"{rule!.Int("priority")} not {rule!.AsObject().ContainsKey("not")} from {Network(rule!, "src")} to "
                + $"{Network(rule!, "dst")} mark {rule!.Hex("fwmark")}/{rule!.Hex("fwmask")} iif {rule!.Text("iif")} oif "
                + $"{rule!.Text("oif")} "
                + $"table {rule!.Text("table") ?? "0"} proto {rule!.Text("protocol") ?? "0"} other "
                + $"{rule!["uid_start"] is not null || rule!["suppress_prefixlen"] is not null}"
            );
        var read = _netlink
            .GetRules(V4)
            .Select(rule =>
                $"{rule.Priority} not {rule.Invert} from {rule.Source?.ToString() ?? "all"} to "
                + $"{rule.Destination?.ToString() ?? "all"} mark {rule.Mark}/{rule.MarkMask} iif {rule.InputInterface} oif "
                + $"{rule.OutputInterface} "
                // `ip` does not print the protocol of rules that the kernel added.
                + $"table {rule.Table} proto {(rule.Protocol == RouteProtocol.Kernel ? 0 : (int)rule.Protocol)} other "
                + $"{rule.HasOtherSelectors}"
            );
        Assert.Equal(shown, read);

        static string Network(System.Text.Json.Nodes.JsonNode rule, string name) =>
            rule.Text(name) is { } address and not "all" ? $"{address}/{rule[name + "len"]?.GetValue<int>() ?? 32}" : "all";
    }

    [Fact]
    public void Neighbours_equal_those_of_ip_and_proxies_are_queried_apart()
    {
        int index = _netlink.FindLink("eni0")!.Index;
        var permanent = new NeighbourInfo
        {
            LinkIndex = index,
            Address = IPAddress.Parse("10.0.0.9"),
            Mac = MacAddress.Parse("02:00:00:00:00:09"),
        };
        Assert.Equal([permanent], _netlink.GetNeighbours(V4, index));
        Assert.Contains(permanent with { Address = IPAddress.Parse("fd00::9") }, _netlink.GetNeighbours(AddressFamily.Unspecified));
        Assert.Empty(_netlink.GetNeighbours(V4, _netlink.FindLink("p0")!.Index));
        Assert.Equal(
            [
                new NeighbourInfo
                {
                    LinkIndex = index,
                    Address = IPAddress.Parse("10.0.0.77"),
                    State = NeighbourState.None,
                    Proxy = true,
                },
            ],
            _netlink.GetNeighbours(V4, proxies: true)
        );
    }

    [Fact]
    public void Every_object_can_be_removed_by_the_value_read()
    {
        foreach (var family in (AddressFamily[])[V4, V6])
        {
            var rules = _netlink.GetRules(family).Where(rule => !rule.HasOtherSelectors).ToArray();
            _netlink.Execute([.. rules.Select(RuleRequests.Remove)]);
            Assert.All(_netlink.GetRules(family), rule => Assert.True(rule.HasOtherSelectors));
            var routes = _netlink.GetRoutes(family).Where(route => route.Table != RouteTable.Local).ToArray();
            Assert.NotEmpty(routes);
            _netlink.Execute([.. routes.Select(RouteRequests.Remove)]);
            Assert.DoesNotContain(_netlink.GetRoutes(family), route => route.Table != RouteTable.Local);
            _netlink.Execute([
                .. _netlink
                    .GetAddresses(family)
                    .Select(address => AddressRequests.Remove(address.LinkIndex, address.Address, address.PrefixLength)),
            ]);
            Assert.Empty(_netlink.GetAddresses(family));
            _netlink.Execute([
                .. _netlink
                    .GetNeighbours(family)
                    .Where(neighbour => neighbour.State == NeighbourState.Permanent)
                    .Select(NeighbourRequests.Remove),
            ]);
            Assert.DoesNotContain(_netlink.GetNeighbours(family), neighbour => neighbour.State == NeighbourState.Permanent);
        }
    }
}
