// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// The custom routes of the router's subnets. Each subnet with routes has a table, which a policy rule for each of its links selects before
/// the main table. In it, the ranges that the cloud routes itself are <c>throw</c> routes, so that the longest prefix decides between a
/// custom route and the cloud's own. Used by one thread.
/// </summary>
internal sealed class RouterRoutes(RouteNetlink netlink, int loopback, bool hasIpv6)
{
    /// <summary>Number of the first table; the kernel reserves those up to 255.</summary>
    private const int FirstTable = 1000;

    /// <summary>Priority of the rules: after the local table (0), before the main table (32766).</summary>
    private const int RulePriority = 1000;

    /// <summary>The link of packets that the router itself sends, such as replies of the metadata service and the Kubernetes API.</summary>
    private const string OwnPackets = "lo";

    private readonly Dictionary<IPNetwork, int> _tables = [];
    private int? _sharedTable;
    private HashSet<RouteInfo> _routes = [];
    private HashSet<RuleInfo> _rules = [];

    /// <summary>Makes the kernel's routes and rules those of a state.</summary>
    /// <param name="routes">The custom routes; of two for the same subnet and destination, the last one counts.</param>
    /// <param name="links">The attached interfaces, by id.</param>
    /// <param name="systemRanges">What the cloud routes itself: the VPC's ranges and the on-premises networks.</param>
    public void Apply(
        IReadOnlyList<FabricRoute> routes,
        IReadOnlyDictionary<string, InterfaceLink> links,
        IReadOnlyList<IPNetwork> systemRanges
    )
    {
        Dictionary<(int Table, IPNetwork Destination), RouteInfo> desired = [];
        foreach (var route in routes.Where(route => hasIpv6 || !FabricAddresses.IsIpv6(route.Destination)))
            desired[(TableOf(route.Subnet), route.Destination)] = Kernel(route, TableOf(route.Subnet), links);
        var tables = desired.Keys.Select(key => key.Table).ToHashSet();
        foreach (var table in tables)
        {
            foreach (var range in systemRanges.Where(range => hasIpv6 || !FabricAddresses.IsIpv6(range)))
                desired.TryAdd((table, range), Throw(range, table));
        }

        HashSet<RouteInfo> desiredRoutes = [.. desired.Values];
        HashSet<RuleInfo> desiredRules = [.. links.Values.SelectMany(link => Rules(link, tables)), .. tables.SelectMany(OwnRules)];
        List<NetlinkRequest> requests =
        [
            .. _rules.Except(desiredRules).Select(rule => RuleRequests.Remove(rule).Tolerating(Errno.ENOENT)),
            // The kernel has already removed the routes of a deleted link.
            .. _routes.Except(desiredRoutes).Select(route => RouteRequests.Remove(route).Tolerating(Errno.ESRCH)),
            .. desiredRoutes.Except(_routes).Select(RouteRequests.Replace),
            .. desiredRules.Except(_rules).Select(rule => RuleRequests.Add(rule).Tolerating(Errno.EEXIST)),
        ];
        if (requests.Count > 0)
            netlink.Execute(requests);
        (_routes, _rules) = (desiredRoutes, desiredRules);
    }

    private int TableOf(IPNetwork? subnet)
    {
        if (subnet is not { } range)
            return _sharedTable ??= NextTable();
        if (!_tables.TryGetValue(range, out var table))
            _tables[range] = table = NextTable();
        return table;
    }

    private int NextTable() => FirstTable + _tables.Count + (_sharedTable is null ? 0 : 1);

    private RouteInfo Kernel(FabricRoute route, int table, IReadOnlyDictionary<string, InterfaceLink> links)
    {
        if (
            route.InterfaceId is { } id
            && links.TryGetValue(id, out var link)
            && link.Delivers(route.Destination)
            && link.RouteThrough(route.Destination, table) is { } through
        )
            return through;
        // A route to lo makes the firewall drop and count; the kernel rejects such routes in IPv6.
        var isIpv6 = FabricAddresses.IsIpv6(route.Destination);
        return new RouteInfo
        {
            Family = route.Destination.BaseAddress.AddressFamily,
            Destination = Selector(route.Destination),
            LinkIndex = isIpv6 ? 0 : loopback,
            Table = table,
            Scope = isIpv6 ? RouteScope.Global : RouteScope.Link,
            Protocol = RouteProtocol.Static,
            Type = isIpv6 ? RouteType.Blackhole : RouteType.Unicast,
        };
    }

    /// <summary>A destination as the kernel has it: null for the default route.</summary>
    internal static IPNetwork? Selector(IPNetwork destination) => destination.PrefixLength == 0 ? null : destination;

    private static RouteInfo Throw(IPNetwork range, int table) =>
        new()
        {
            Family = range.BaseAddress.AddressFamily,
            Destination = range,
            Table = table,
            Protocol = RouteProtocol.Static,
            Type = RouteType.Throw,
        };

    private IEnumerable<RuleInfo> Rules(InterfaceLink link, HashSet<int> tables)
    {
        foreach (var subnet in link.Nic.Ipv6Subnet is { } ipv6 ? [link.Nic.Subnet, ipv6] : (IPNetwork[])[link.Nic.Subnet])
        {
            if (_tables.TryGetValue(subnet, out var own) && tables.Contains(own))
            {
                foreach (var rule in Lookup(link.Name, own))
                    yield return rule;
            }
        }

        if (_sharedTable is { } shared && tables.Contains(shared))
        {
            foreach (var rule in Lookup(link.Name, shared))
                yield return rule;
        }
    }

    private IEnumerable<RuleInfo> OwnRules(int table) => Lookup(OwnPackets, table);

    private IEnumerable<RuleInfo> Lookup(string link, int table)
    {
        foreach (var family in hasIpv6 ? [IpFamily.V4, IpFamily.V6] : (AddressFamily[])[IpFamily.V4])
        {
            yield return new RuleInfo
            {
                Family = family,
                Priority = RulePriority,
                InputInterface = link,
                Table = table,
                Protocol = RouteProtocol.Static,
            };
        }
    }
}
