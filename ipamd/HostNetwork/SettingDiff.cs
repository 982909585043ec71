// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Computes repairs of kernel parameters without which pods have no network. Others are set once, before the daemon starts
/// (<see cref="NodeSettings"/>).
/// </summary>
internal static class SettingDiff
{
    private const string Loose = "2",
        On = "1",
        AlthoughForwarding = "2";

    public static IEnumerable<SettingRepair> Compute(
        HostNetworkState state,
        ObservedHost observed,
        HostIndex index,
        IReadOnlyList<(PodEndpoint Pod, LinkInfo Link)> wired
    )
    {
        // Not before the metadata has been read: the machine may not be a node.
        if (state.Inputs.Node is not null && observed.Settings.TryGetValue(LinkConfiguration.All, out var all))
        {
            if (!all.Forwards)
                yield return new SettingRepair(IpFamily.V4, KernelSettings.AllLinks, KernelSettings.Forwarding, On);
            else
                foreach (var link in Forwarding(state, observed, index, wired))
                    yield return new SettingRepair(IpFamily.V4, link.Name, KernelSettings.Forwarding, On);
        }

        foreach (var mac in state.LooseLinks)
        {
            if (
                index.Links(mac) is [var link]
                && observed.Settings.TryGetValue(link.Index, out var setting)
                && setting.ReversePathFilter != 2
            )
                yield return new SettingRepair(IpFamily.V4, link.Name, KernelSettings.ReversePathFilter, Loose);
        }

        // First: the node has its IPv6 default route from router advertisements, and must not lose it when it begins to forward.
        if (observed.Ipv6 is not { } ipv6)
            yield break;
        if (ipv6.AcceptAdvertisements is { } accepts && accepts != AlthoughForwarding)
            yield return new SettingRepair(IpFamily.V6, ipv6.PrimaryLink, KernelSettings.AcceptAdvertisements, AlthoughForwarding);
        if (!ipv6.Forwards)
            yield return new SettingRepair(IpFamily.V6, KernelSettings.AllLinks, KernelSettings.Forwarding, On);
    }

    /// <summary>
    /// Links that must forward. The kernel checks the link by which a packet arrives: the interface's for packets to pods, the pod's for
    /// those from it.
    /// </summary>
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
