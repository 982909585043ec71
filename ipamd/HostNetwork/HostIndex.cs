// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// What the kernel showed, by what it is looked up with: a full node has hundreds of pods, rules and links, and a look must not compare
/// each with each.
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
        foreach (var rule in observed.Rules)
        {
            HasMain |= RuleDiff.IsMain(rule);
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
            if (route.Destination is not { } destination || !PodPath.IsHost(destination))
                continue;
            _routed.Add(destination.BaseAddress);
            _routedTo.Add((destination.BaseAddress, route.LinkIndex));
        }
    }

    /// <summary>A rule, whoever's, leads all IPv4 traffic to main.</summary>
    public bool HasMain { get; }

    /// <summary>With the priorities of rules that belong to no pod and no interface.</summary>
    public List<RuleInfo> NodeRules { get; } = [];

    /// <summary>To this pod at its priority; from this address at the others.</summary>
    public IReadOnlyList<RuleInfo> Rules(int priority, IPNetwork host) => _rules.TryGetValue((priority, host), out var found) ? found : [];

    /// <summary>Main has a route to exactly this address.</summary>
    public bool IsRouted(IPAddress address) => _routed.Contains(address);

    /// <summary>Main has a route to exactly this address by this link.</summary>
    public bool IsRouted(IPAddress address, int linkIndex) => _routedTo.Contains((address, linkIndex));

    /// <summary>Routes of main that leave by this link.</summary>
    public IReadOnlyList<RouteInfo> MainRoutes(int linkIndex) => _mainByLink.TryGetValue(linkIndex, out var routes) ? routes : [];

    /// <summary>The links that a MAC address can mean: none, one, or several that are equally good.</summary>
    public IReadOnlyList<LinkInfo> Links(MacAddress mac) => LinkLookup.Of(mac, _observed.Links);

    public InterfaceState Of(InterfaceWiring wiring, LinkInfo link) =>
        new()
        {
            Link = link,
            Addresses = [.. _observed.Addresses.Where(address => address.LinkIndex == link.Index)],
            Routes = [.. _byTable.GetValueOrDefault(wiring.RouteTable, []), .. _mainByLink.GetValueOrDefault(link.Index, [])],
            Rules = Rules(RulePriorities.FromInterface, PodPath.Host(wiring.PrimaryAddress)),
        };

    /// <summary>
    /// The veths by the ends of their names, as long as those asked for. Not those that a DEL has let go: they are up, and held, until the
    /// daemon has done the rest.
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
