// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>Matches the ledger's pods with links of the host, by name.</summary>
internal static class PodWirings
{
    /// <summary>
    /// The pods with exactly one matching link. Skips a link that matches two attachments (a pod that was created again before the DEL of
    /// its old sandbox), whose state is the plugin's. An attachment that was recovered from the kernel yields to one of an ADD: the link
    /// may be that of a newer sandbox of the same pod.
    /// </summary>
    public static IReadOnlyList<(PodEndpoint Pod, LinkInfo Link)> Of(HostNetworkState state, HostIndex index)
    {
        List<(PodEndpoint Pod, LinkInfo Link)> wired = [];
        var veths = index.Veths(state.Inputs.Pods.Select(pod => pod.LinkSuffix));
        var found = state
            .Inputs.Pods.Select(pod => (Pod: pod, Links: veths.GetValueOrDefault(pod.LinkSuffix, [])))
            .Where(item => item.Links.Count == 1)
            .Select(item => (item.Pod, Link: item.Links[0]));
        foreach (var sameLink in found.GroupBy(item => item.Link.Index))
        {
            (PodEndpoint Pod, LinkInfo Link)[] named = [.. sameLink.Where(item => !item.Pod.IsRecovered)];
            var candidates = named.Length > 0 ? named : [.. sameLink.Where(item => IsStillThere(item.Pod, item.Link, state, index))];
            if (candidates.GroupBy(item => item.Pod.Address.AddressFamily).All(family => !family.Skip(1).Any()))
                wired.AddRange(candidates);
        }

        return wired;
    }

    /// <summary>
    /// Whether a recovered attachment still exists: its route is the only evidence of it. A link that is down has lost its routes and is
    /// still the pod's.
    /// </summary>
    private static bool IsStillThere(PodEndpoint pod, LinkInfo link, HostNetworkState state, HostIndex index) =>
        PodLinks.IsPods(link, state.Options.VethPrefix) && (!link.IsUp || index.IsRouted(pod.Address, link.Index));
}
