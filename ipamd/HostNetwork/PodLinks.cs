// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Which links of the host can be a pod's: a veth with the name that both plugins give it, whose peer is in another network namespace.
/// A route to any other link (a cilium_host, an ENI to which DHCP routes its server) keeps its address from pods, but nobody makes
/// rules and routes for it.
/// </summary>
internal static class PodLinks
{
    public static bool IsPods(LinkInfo link, string prefix) => WhyNot(link, prefix) is null;

    /// <summary>Half a sentence; null when it can be a pod's.</summary>
    public static string? WhyNot(LinkInfo? link, string prefix) =>
        link is null ? "the link went away"
        : link.Kind != "veth" ? "it is not a veth"
        : !PodLinkNames.IsHost(link.Name, prefix) ? $"its name is not {prefix} and {PodLinkNames.HashLength} hexadecimal digits"
        : link.PeerNamespaceId is null ? "its peer is in no other network namespace"
        : null;
}
