// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Computes the repairs from the observed state to the desired one. Pure. Rules and routes that do not have the shape of ours, or of the
/// AWS VPC CNI's, are never repaired or removed.
/// </summary>
internal static class HostNetworkDiff
{
    public static HostRepairs Compute(HostNetworkState state, ObservedHost observed)
    {
        var index = new HostIndex(observed);
        return Compute(state, observed, index, PodWirings.Of(state, index));
    }

    /// <param name="state">The desired state.</param>
    /// <param name="observed">The observed state.</param>
    /// <param name="index">Index of the observed state.</param>
    /// <param name="wired">The pods and their links.</param>
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
                problems.Add($"interface {wiring.Mac} ({wiring.Slot}) is not kept: {Names(links)} all have its MAC address");
            // Its addresses and routes went with the link, and its rule leads to an empty table. It is wired again when the link returns.
            else if (links.Count == 0)
                stale.AddRange(RuleDiff.FromInterface(wiring, index));
            else if (InterfaceDiff.Compute(wiring, index.Of(wiring, links[0]), state.FamiliesOf(wiring)) is { Count: > 0 } requests)
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
        // A pod has one link and an address for each family.
        HashSet<int> links = [];
        foreach (var (pod, link) in wired)
        {
            // Otherwise the plugin is configuring it.
            if (!link.IsUp && !observed.RestorableLinks.Contains(link.Index))
                continue;
            Repair[] requests =
            [
                .. links.Add(link.Index) ? Link(link, observed) : [],
                .. pod.IsRecovered && link.IsUp ? [] : Route(pod, link, index),
                .. RuleDiff.Pod(pod, index),
                .. pod.IsRecovered ? [] : OtherRoutes(pod, link, state, held, index),
            ];
            if (requests.Length > 0)
                yield return new PodRepairs(pod, link.Index, requests);
        }
    }

    /// <summary>Repairs of the link, before those of routes: a link that is down accepts none.</summary>
    private static IEnumerable<Repair> Link(LinkInfo link, ObservedHost observed)
    {
        if (observed.GatewayMacs.TryGetValue(link.Index, out var mac))
            yield return new Repair(RepairKind.PodLink, new HostChange.SetMac(link.Index, mac).Tolerating(Errno.ENODEV));
        if (!link.IsUp)
            yield return new Repair(RepairKind.PodLink, new HostChange.SetUp(link.Index).Tolerating(Errno.ENODEV));
    }

    /// <summary>
    /// Routes that an earlier sandbox of the pod left on a link of the same name: no pod has the address, and the route would keep it from
    /// the pool.
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
                && IpRanges.IsSingle(destination)
                && !held.Contains(destination.BaseAddress)
                && state.Inputs.PodRanges.Any(range => range.Contains(destination.BaseAddress))
            )
            .Select(route => new Repair(RepairKind.Leftover, new HostChange.RemoveRoute(route).Tolerating(Errno.ESRCH, Errno.ENODEV)));

    /// <summary>Adds the host route where no route leads to the address: an existing one, by whatever link, is the plugin's.</summary>
    private static IEnumerable<Repair> Route(PodEndpoint pod, LinkInfo link, HostIndex index)
    {
        if (index.IsRouted(pod.Address))
            yield break;
        var wanted = PodPath.HostRoute(pod.Address, link.Index);
        // The pod may be deleted meanwhile, and its link set down or removed.
        yield return new Repair(RepairKind.Route, new HostChange.AddRoute(wanted).Tolerating(Errno.EEXIST, Errno.ENODEV, Errno.ENETDOWN));
    }
}
