// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// What must be against what is. Pure; nothing to do gives nothing. Whatever is not known by its shape as ours or the reference's is left
/// alone.
/// </summary>
internal static class HostNetworkDiff
{
    public static HostRepairs Compute(HostNetworkState state, ObservedHost observed)
    {
        var index = new HostIndex(observed);
        return Compute(state, observed, index, PodWirings.Of(state, index));
    }

    /// <param name="state">What must be.</param>
    /// <param name="observed">What is.</param>
    /// <param name="index">Of its links, rules and routes.</param>
    /// <param name="wired">Which link is which pod's.</param>
    public static HostRepairs Compute(
        HostNetworkState state,
        ObservedHost observed,
        HostIndex index,
        IReadOnlyList<(PodEndpoint Pod, LinkInfo Link)> wired
    )
    {
        List<InterfaceRepairs> interfaces = [];
        List<string> problems = [];
        List<RuleInfo> stale = [];
        foreach (var wiring in state.Interfaces)
        {
            var links = index.Links(MacAddress.Parse(wiring.Mac));
            if (links.Count > 1)
                problems.Add($"interface {wiring.Mac} (device {wiring.DeviceIndex}) is not kept: {Names(links)} all have its MAC address");
            // Without its link nothing of it can be, and its rule leads to an empty table; it is wired again when it comes back.
            else if (links.Count == 0)
                stale.AddRange(RuleDiff.FromInterface(wiring, index));
            else if (InterfaceDiff.Compute(wiring, index.Of(wiring, links[0])) is { Count: > 0 } requests)
                interfaces.Add(new InterfaceRepairs(wiring, requests));
        }

        return new HostRepairs
        {
            Interfaces = interfaces,
            Node = [.. RuleDiff.Node(state, index)],
            Pods = [.. Pods(state, observed, index, wired)],
            Settings = [.. SettingDiff.Compute(state, observed, index, wired)],
            Stale = [.. stale, .. RuleDiff.Stale(state, observed.Rules, index)],
            Problems = [.. problems, .. DefaultRoutes.Problems(state, observed, index)],
        };
    }

    public static string Names(IEnumerable<LinkInfo> links) =>
        string.Join(", ", links.Select(link => link.Name).Order(StringComparer.Ordinal));

    private static IEnumerable<PodRepairs> Pods(
        HostNetworkState state,
        ObservedHost observed,
        HostIndex index,
        IReadOnlyList<(PodEndpoint Pod, LinkInfo Link)> wired
    )
    {
        var held = state.Inputs.Pods.Select(pod => pod.Address).ToHashSet();
        foreach (var (pod, link) in wired)
        {
            // One that is down for another reason is being wired by the plugin.
            if (!link.IsUp && !observed.RestorableLinks.Contains(link.Index))
                continue;
            Repair[] requests =
            [
                .. Link(link, observed),
                .. pod.IsRecovered && link.IsUp ? [] : Route(pod, link, index),
                .. RuleDiff.Pod(pod, index),
                .. pod.IsRecovered ? [] : OtherRoutes(pod, link, state, held, index),
            ];
            if (requests.Length > 0)
                yield return new PodRepairs(pod, link.Index, requests);
        }
    }

    /// <summary>First, since a link that is down takes no route.</summary>
    private static IEnumerable<Repair> Link(LinkInfo link, ObservedHost observed)
    {
        if (observed.GatewayMacs.TryGetValue(link.Index, out var mac))
            yield return new Repair(RepairKind.PodLink, new HostChange.SetMac(link.Index, mac).Tolerating(Errno.ENODEV));
        if (!link.IsUp)
            yield return new Repair(RepairKind.PodLink, new HostChange.SetUp(link.Index).Tolerating(Errno.ENODEV));
    }

    /// <summary>
    /// What an earlier sandbox of the pod had, whose link had the same name: no pod holds it, and it would keep its address from the pool.
    /// </summary>
    private static IEnumerable<Repair> OtherRoutes(
        PodEndpoint pod,
        LinkInfo link,
        HostNetworkState state,
        HashSet<IPAddress> held,
        HostIndex index
    ) =>
        index
            .MainRoutes(link.Index)
            .Where(route =>
                route is { Family: var family, Type: RouteType.Unicast, Destination: { } destination }
                && family == pod.Address.AddressFamily
                && PodPath.IsHost(destination)
                && !held.Contains(destination.BaseAddress)
                && state.Inputs.PodRanges.Any(range => range.Contains(destination.BaseAddress))
            )
            .Select(route => new Repair(RepairKind.Leftover, new HostChange.RemoveRoute(route).Tolerating(Errno.ESRCH, Errno.ENODEV)));

    /// <summary>Only where no route leads to the address: one that does, by whatever link, is the plugin's.</summary>
    private static IEnumerable<Repair> Route(PodEndpoint pod, LinkInfo link, HostIndex index)
    {
        if (index.IsRouted(pod.Address))
            yield break;
        var wanted = PodPath.HostRoute(pod.Address, link.Index);
        // The link may go down or away at any time: its pod is being deleted.
        yield return new Repair(RepairKind.Route, new HostChange.AddRoute(wanted).Tolerating(Errno.EEXIST, Errno.ENODEV, Errno.ENETDOWN));
    }
}
