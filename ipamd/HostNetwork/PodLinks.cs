// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Decides which links of the host can be a pod's: veths with the name that both plugins use, whose peer is in another network namespace. A
/// route to another link (cilium_host, or an interface with a host route of DHCP) reserves its address, but gets no rules.
/// </summary>
internal static class PodLinks
{
    public static bool IsPods(LinkInfo link, string prefix) => Mismatch(link, prefix) is null;

    /// <summary>Why the link cannot be a pod's, half a sentence; null when it can.</summary>
    public static string? Mismatch(LinkInfo? link, string prefix) =>
        link is null ? "the link went away"
        : link.Kind != "veth" ? "it is not a veth"
        : !PodLinkNames.IsHost(link.Name, prefix) ? $"its name is not {prefix} and {PodLinkNames.HashLength} hexadecimal digits"
        : link.PeerNamespaceId is null ? "its peer is in no other network namespace"
        : null;
}
