// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Selects the kernel's reports that can mean a drift of the desired state. Ignores what plugins add for pods, and other programs' tables
/// and routes: a routing daemon may report without end. Thread-safe.
/// </summary>
internal sealed class ChangeFilter(WiredInterfaces interfaces)
{
    private readonly LinkFlaps _flaps = new();

    /// <summary>Null until the first sync: then every report matters.</summary>
    private volatile Scope? _scope;

    public void Synced(HostNetworkState state, ObservedHost observed, IReadOnlyList<(PodEndpoint Pod, LinkInfo Link)> wired)
    {
        _scope = new Scope(
            state.Inputs.PodRanges,
            [.. state.Inputs.Pods.Select(pod => pod.Address)],
            [.. state.LooseLinks],
            [.. wired.Select(item => item.Link.Index)]
        );
        _flaps.Synced(observed.Links);
    }

    /// <summary>Whether the link is, or was, up.</summary>
    public bool HasBeenUp(int linkIndex) => _flaps.HasBeenUp(linkIndex);

    public bool Matters(RouteNotification change)
    {
        // Also before the first sync, to record which links were up.
        var isOther = change is RouteNotification.LinkChanged flapped && _flaps.Concerns(flapped) && flapped.Link.Kind == "veth";
        if (_scope is not { } scope)
            return true;
        return change switch
        {
            RouteNotification.RuleChanged { Rule.Priority: RulePriorities.FromInterface } => true,
            RouteNotification.RuleChanged rule => rule.Change == RouteChange.Removed && IsOurs(rule.Rule.Priority),
            RouteNotification.RouteChanged { Route.Table: RouteTables.Main } route => InMain(route, scope),
            RouteNotification.RouteChanged route => interfaces.HasTable(route.Route.Table),
            RouteNotification.LinkChanged link => isOther
                || interfaces.HasLink(link.Link)
                || (link.Link.Mac is { } mac && scope.Links.Contains(mac)),
            RouteNotification.AddressChanged address => interfaces.HasLink(address.Address.LinkIndex),
            // Negative: "all" and "default".
            RouteNotification.ConfigurationChanged setting => setting.LinkIndex < 0
                || interfaces.HasLink(setting.LinkIndex)
                || scope.PodLinks.Contains(setting.LinkIndex),
            _ => true,
        };
    }

    /// <summary>
    /// Whether a change of main matters: a pod's route that is removed, any route by a secondary interface's link, which has none of its
    /// own there, and default routes.
    /// </summary>
    private bool InMain(RouteNotification.RouteChanged change, Scope scope)
    {
        var route = change.Route;
        if (route.Destination is null || interfaces.HasSecondaryLink(route.LinkIndex))
            return true;
        if (change.Change == RouteChange.Set)
            return false;
        return route.Destination is { BaseAddress: var address } destination
            && destination == IpRanges.Single(address)
            && (scope.Pods.Contains(address) || scope.PodRanges.Any(range => range.Contains(address)));
    }

    private static bool IsOurs(int priority) =>
        priority
            is RulePriorities.ToPod
                or RulePriorities.Mark
                or RulePriorities.ExternalService
                or RulePriorities.FromPod
                or RulePriorities.Main;

    private sealed record Scope(
        IReadOnlyList<IPNetwork> PodRanges,
        HashSet<IPAddress> Pods,
        HashSet<MacAddress> Links,
        HashSet<int> PodLinks
    );
}
