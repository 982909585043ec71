// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Kernel parameters without which pods have no network, whoever changes them at run time. What else a node needs is set once, before
/// the daemon starts (<see cref="NodeSettings"/>).
/// </summary>
internal static class SettingDiff
{
    private const string Loose = "2",
        On = "1";

    public static IEnumerable<SettingRepair> Compute(
        HostNetworkState state,
        ObservedHost observed,
        HostIndex index,
        IReadOnlyList<(PodEndpoint Pod, LinkInfo Link)> wired
    )
    {
        // Not before there is something to forward: a machine whose metadata has not answered is not known to be a node.
        if (state.Inputs.Node is not null && observed.Settings.TryGetValue(LinkConfiguration.All, out var all))
        {
            if (!all.Forwards)
                yield return new SettingRepair(Link: null, KernelSettings.IpForward, On);
            else
                foreach (var link in Forwarding(state, observed, index, wired))
                    yield return new SettingRepair(link.Name, KernelSettings.Forwarding, On);
        }

        foreach (var mac in state.LooseLinks)
        {
            if (
                index.Links(mac) is [var link]
                && observed.Settings.TryGetValue(link.Index, out var setting)
                && setting.ReversePathFilter != 2
            )
                yield return new SettingRepair(link.Name, KernelSettings.ReversePathFilter, Loose);
        }
    }

    /// <summary>The kernel asks the link by which a packet arrives: an ENI's for what pods get, a pod's for what it sends.</summary>
    private static IEnumerable<LinkInfo> Forwarding(
        HostNetworkState state,
        ObservedHost observed,
        HostIndex index,
        IReadOnlyList<(PodEndpoint Pod, LinkInfo Link)> wired
    ) =>
        state
            .LooseLinks.Select(index.Links)
            .Where(links => links.Count == 1)
            .Select(links => links[0])
            .Concat(wired.Select(item => item.Link))
            .DistinctBy(link => link.Index)
            .Where(link => observed.Settings.TryGetValue(link.Index, out var setting) && !setting.Forwards);
}
