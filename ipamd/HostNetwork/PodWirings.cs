// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>Which link of the host is whose: the pods that the daemon knows, each with the link that its name leads to.</summary>
internal static class PodWirings
{
    /// <summary>
    /// A link that two attachments could mean (a pod that was created again before the DEL of its old sandbox came) is left to the
    /// plugin. One that was recovered from the kernel gives way to one that an ADD named: its link may be that of a newer sandbox
    /// of the same pod.
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
    /// Of an attachment that was recovered from the kernel, the route is the only evidence: nothing is made for it once that is
    /// gone. A link that is down has lost its routes with that, and is still the pod's.
    /// </summary>
    private static bool IsStillThere(PodEndpoint pod, LinkInfo link, HostNetworkState state, HostIndex index) =>
        PodLinks.IsPods(link, state.Options.VethPrefix) && (!link.IsUp || index.IsRouted(pod.Address, link.Index));
}
