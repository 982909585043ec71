// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Which links of the host can be a pod's: a veth with the name that both plugins give it, whose peer is in another network namespace.
/// A route to any other link (a cilium_host, an ENI to which DHCP routes its server) keeps its address from pods, but nobody makes
/// rules and routes for it.
/// </summary>
internal static class PodLinks
{
    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789abcdef");

    /// <summary>Hexadecimal digits after the prefix, with both plugins.</summary>
    public const int SuffixLength = 11;

    public static bool IsPods(LinkInfo link, string prefix) => WhyNot(link, prefix) is null;

    /// <summary>Half a sentence; null when it can be a pod's.</summary>
    public static string? WhyNot(LinkInfo? link, string prefix) =>
        link is null ? "the link went away"
        : link.Kind != "veth" ? "it is not a veth"
        : !IsNamed(link.Name, prefix) ? $"its name is not {prefix} and {SuffixLength} hexadecimal digits"
        : link.PeerNamespaceId is null ? "its peer is in no other network namespace"
        : null;

    private static bool IsNamed(string name, string prefix) =>
        name.Length == prefix.Length + SuffixLength
        && name.StartsWith(prefix, StringComparison.Ordinal)
        && name.AsSpan(prefix.Length).IndexOfAnyExcept(Digits) < 0;
}
