// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>What must be against what is. Pure; nothing to do gives nothing. Whatever is not known by its shape as ours or the reference's is left alone.</summary>
internal static class HostNetworkDiff
{
    public static HostRepairs Compute(HostNetworkState state, ObservedHost observed)
    {
        var index = new HostIndex(observed);
        List<InterfaceRepairs> interfaces = [];
        List<string> problems = [];
        List<RuleInfo> stale = [];
        foreach (var wiring in state.Interfaces)
        {
            var links = index.Links(MacAddress.Parse(wiring.Mac));
            if (links.Count > 1) problems.Add($"interface {wiring.Mac} (device {wiring.DeviceIndex}) is not kept: {Names(links)} all have its MAC address");
            // Without its link nothing of it can be, and its rule leads to an empty table; it is wired again when it comes back.
            else if (links.Count == 0) stale.AddRange(RuleDiff.FromInterface(wiring, index));
            else if (InterfaceDiff.Compute(wiring, index.Of(wiring, links[0])) is { Count: > 0 } requests) interfaces.Add(new InterfaceRepairs(wiring, requests));
        }

        return new HostRepairs
        {
            Interfaces = interfaces,
            Node = [.. RuleDiff.Node(state, index)],
            Pods = [.. Pods(state.Inputs.Pods, index)],
            Settings = [.. Settings(state, observed, index)],
            Stale = [.. stale, .. RuleDiff.Stale(state, observed.Rules, index)],
            Problems = problems,
        };
    }

    public static string Names(IEnumerable<LinkInfo> links) => string.Join(", ", links.Select(link => link.Name).Order(StringComparer.Ordinal));

    private static IEnumerable<PodRepairs> Pods(IReadOnlyList<PodEndpoint> pods, HostIndex index)
    {
        foreach (var (pod, link) in Wired(pods, index))
        {
            Repair[] requests = [.. Route(pod, link, index), .. RuleDiff.Pod(pod, index)];
            if (requests.Length > 0) yield return new PodRepairs(pod, link.Index, requests);
        }
    }

    /// <summary>
    /// Pods with a link that is up. Before that, their wiring is the plugin's business. A link that two attachments could mean (a pod that was created again before the DEL of its old sandbox came) is
    /// left to the plugin as well.
    /// </summary>
    private static IEnumerable<(PodEndpoint Pod, LinkInfo Link)> Wired(IReadOnlyList<PodEndpoint> pods, HostIndex index)
    {
        var veths = index.Veths(pods.Select(pod => pod.LinkSuffix));
        foreach (var sameLink in pods.GroupBy(pod => pod.LinkSuffix, StringComparer.Ordinal))
        {
            if (!veths.TryGetValue(sameLink.Key, out var found) || found is not [{ IsUp: true } link]) continue;
            if (sameLink.Skip(1).Any() && sameLink.GroupBy(pod => pod.Address.AddressFamily).Any(family => family.Count() > 1)) continue;
            foreach (var pod in sameLink) yield return (pod, link);
        }
    }

    /// <summary>Only where no route leads to the address: one that does, by whatever link, is the plugin's.</summary>
    private static IEnumerable<Repair> Route(PodEndpoint pod, LinkInfo link, HostIndex index)
    {
        if (index.IsRouted(pod.Address)) yield break;
        var wanted = new RouteInfo { Family = pod.Address.AddressFamily, Destination = HostNetworkState.Host(pod.Address), LinkIndex = link.Index, Scope = RouteScope.Link };
        // The link may go down or away at any time: its pod is being deleted.
        yield return new Repair(RepairKind.Route, RouteRequests.Add(wanted).Tolerating(Errno.EEXIST, Errno.ENODEV, Errno.ENETDOWN));
    }

    private static IEnumerable<SettingRepair> Settings(HostNetworkState state, ObservedHost observed, HostIndex index)
    {
        const string loose = "2";
        foreach (var mac in state.LooseLinks)
        {
            if (index.Links(mac) is [var link] && observed.ReversePathFilters.TryGetValue(link.Index, out var value) && value != loose)
                yield return new SettingRepair(link.Name, KernelSettings.ReversePathFilter, loose);
        }
    }
}
