// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>What must be against what is. Pure; nothing to do gives nothing. Whatever is not known by its shape as ours or the reference's is left alone.</summary>
internal static class HostNetworkDiff
{
    public static HostRepairs Compute(HostNetworkState state, ObservedHost observed)
    {
        List<Repair> requests = [];
        foreach (var wiring in state.Interfaces)
        {
            // Without its link nothing of it can be; it is wired when it comes back.
            if (observed.Find(MacAddress.Parse(wiring.Mac)) is { } link) requests.AddRange(InterfaceDiff.Compute(wiring, Of(wiring, link, observed)));
        }

        requests.AddRange(RuleDiff.Node(state, observed.Rules));
        List<(PodEndpoint, int)> repaired = [];
        foreach (var (pod, link) in Wired(state.Inputs.Pods, observed.Links))
        {
            Repair[] ofPod = [.. Route(pod, link, observed.Routes), .. RuleDiff.Pod(pod, observed.Rules)];
            if (ofPod.Length == 0) continue;
            requests.AddRange(ofPod);
            repaired.Add((pod, link.Index));
        }

        return new HostRepairs { Requests = requests, Settings = [.. Settings(state, observed)], Pods = repaired, Stale = RuleDiff.Stale(state, observed) };
    }

    /// <summary>
    /// Pods with a link that is up. Before that, their wiring is the plugin's business. A link that two attachments could mean (a pod that was created again before the DEL of its old sandbox came) is
    /// left to the plugin as well.
    /// </summary>
    private static IEnumerable<(PodEndpoint Pod, LinkInfo Link)> Wired(IReadOnlyList<PodEndpoint> pods, IReadOnlyList<LinkInfo> links)
    {
        foreach (var sameLink in pods.GroupBy(pod => pod.LinkSuffix, StringComparer.Ordinal))
        {
            LinkInfo[] found = [.. links.Where(link => link.Kind == "veth" && link.Name.EndsWith(sameLink.Key, StringComparison.Ordinal))];
            PodEndpoint[] ofLink = [.. sameLink];
            var oneOfEachFamily = ofLink.GroupBy(pod => pod.Address.AddressFamily).All(family => family.Count() == 1);
            if (found is not [{ IsUp: true } link] || !oneOfEachFamily) continue;
            foreach (var pod in ofLink) yield return (pod, link);
        }
    }

    /// <summary>Only where no route leads to the address: one that does, by whatever link, is the plugin's.</summary>
    private static IEnumerable<Repair> Route(PodEndpoint pod, LinkInfo link, IReadOnlyList<RouteInfo> routes)
    {
        var destination = HostNetworkState.Host(pod.Address);
        if (routes.Any(route => route.Table == RouteTables.Main && route.Destination == destination)) yield break;
        var wanted = new RouteInfo { Family = pod.Address.AddressFamily, Destination = destination, LinkIndex = link.Index, Scope = RouteScope.Link };
        // The link may go down or away at any time: its pod is being deleted.
        yield return new Repair(RepairKind.Route, RouteRequests.Add(wanted).Tolerating(Errno.EEXIST, Errno.ENODEV, Errno.ENETDOWN));
    }

    private static IEnumerable<SettingRepair> Settings(HostNetworkState state, ObservedHost observed)
    {
        const string loose = "2";
        foreach (var mac in state.LooseLinks)
        {
            if (observed.Find(mac) is { } link && observed.ReversePathFilters.TryGetValue(link.Index, out var value) && value != loose)
                yield return new SettingRepair(link.Name, KernelSettings.ReversePathFilter, loose);
        }
    }

    private static InterfaceState Of(InterfaceWiring wiring, LinkInfo link, ObservedHost observed) => new()
    {
        Link = link,
        Addresses = [.. observed.Addresses.Where(address => address.LinkIndex == link.Index)],
        Routes = [.. observed.Routes.Where(route => route.Table == wiring.RouteTable || (route.Table == RouteTables.Main && route.LinkIndex == link.Index))],
        Rules = observed.Rules,
    };
}
