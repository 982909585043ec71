// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// The observed state, indexed for lookups: a full node has hundreds of pods, rules and links, and a sync must not compare each with
/// each.
/// </summary>
internal sealed class HostIndex
{
    private readonly ObservedHost _observed;
    private readonly Dictionary<(int Priority, IPNetwork Host), List<RuleInfo>> _rules = [];
    private readonly HashSet<IPAddress> _routed = [];
    private readonly HashSet<(IPAddress Address, int LinkIndex)> _routedTo = [];
    private readonly Dictionary<int, List<RouteInfo>> _mainByLink = [];
    private readonly Dictionary<int, List<RouteInfo>> _byTable = [];

    public HostIndex(ObservedHost observed)
    {
        _observed = observed;
        HashSet<AddressFamily> withMain = [];
        foreach (var rule in observed.Rules)
        {
            if (RuleDiff.IsMain(rule))
                withMain.Add(rule.Family);
            if (rule.Priority is RulePriorities.Mark or RulePriorities.ExternalService)
                NodeRules.Add(rule);
            else if ((rule.Priority == RulePriorities.ToPod ? rule.Destination : rule.Source) is { } host)
                Append(_rules, (rule.Priority, host), rule);
        }

        foreach (var route in observed.Routes)
        {
            if (route.Table != RouteTables.Main)
            {
                Append(_byTable, route.Table, route);
                continue;
            }

            Append(_mainByLink, route.LinkIndex, route);
            if (route.Destination is not { } destination || !IpRanges.IsSingle(destination))
                continue;
            _routed.Add(destination.BaseAddress);
            _routedTo.Add((destination.BaseAddress, route.LinkIndex));
        }

        FamiliesWithoutMain = [.. observed.Families.Where(family => !withMain.Contains(family))];
    }

    /// <summary>Observed families of which no rule, whoever's, leads all traffic to main.</summary>
    public IReadOnlyList<AddressFamily> FamiliesWithoutMain { get; }

    /// <summary>Rules with the priorities of those that belong to no pod and no interface.</summary>
    public List<RuleInfo> NodeRules { get; } = [];

    /// <summary>Rules of an address: to it at the priority of to-pod rules, from it at the others.</summary>
    public IReadOnlyList<RuleInfo> Rules(int priority, IPNetwork host) => _rules.TryGetValue((priority, host), out var found) ? found : [];

    /// <summary>Whether main has a route to exactly this address.</summary>
    public bool IsRouted(IPAddress address) => _routed.Contains(address);

    /// <summary>Whether main has a route to exactly this address by this link.</summary>
    public bool IsRouted(IPAddress address, int linkIndex) => _routedTo.Contains((address, linkIndex));

    /// <summary>Routes of main that leave by this link.</summary>
    public IReadOnlyList<RouteInfo> MainRoutes(int linkIndex) => _mainByLink.TryGetValue(linkIndex, out var routes) ? routes : [];

    /// <summary>The links with a MAC address: none, one, or several that are equally good (<see cref="LinkLookup"/>).</summary>
    public IReadOnlyList<LinkInfo> Links(MacAddress mac) => LinkLookup.Of(mac, _observed.Links);

    public InterfaceState Of(InterfaceWiring wiring, LinkInfo link) =>
        new()
        {
            Link = link,
            Addresses = [.. _observed.Addresses.Where(address => address.LinkIndex == link.Index)],
            Routes = [.. _byTable.GetValueOrDefault(wiring.RouteTable, []), .. _mainByLink.GetValueOrDefault(link.Index, [])],
            Rules = Rules(RulePriorities.FromInterface, IpRanges.Single(wiring.PrimaryAddress)),
        };

    /// <summary>
    /// The veths by the ends of their names, for the lengths of the given suffixes. Without released ones: they are up, and their
    /// attachment is in the ledger, until the daemon has completed the DEL.
    /// </summary>
    public IReadOnlyDictionary<string, List<LinkInfo>> Veths(IEnumerable<string> suffixes)
    {
        int[] lengths = [.. suffixes.Select(suffix => suffix.Length).Distinct()];
        Dictionary<string, List<LinkInfo>> found = new(StringComparer.Ordinal);
        foreach (var link in _observed.Links.Where(link => link.Kind == "veth" && link.Group != LinkGroups.Released))
        {
            foreach (var length in lengths)
            {
                if (length <= link.Name.Length)
                    Append(found, link.Name[^length..], link);
            }
        }

        return found;
    }

    private static void Append<TKey, TItem>(Dictionary<TKey, List<TItem>> lists, TKey key, TItem item)
        where TKey : notnull
    {
        if (lists.TryGetValue(key, out var list))
            list.Add(item);
        else
            lists[key] = [item];
    }
}
