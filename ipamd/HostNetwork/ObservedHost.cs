// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>What the kernel showed: rules first and links last, so that a pod that is being torn down (rules, then link) never looks like one whose rules were flushed.</summary>
internal sealed record ObservedHost
{
    public required IReadOnlyList<RuleInfo> Rules { get; init; }
    public required IReadOnlyList<RouteInfo> Routes { get; init; }
    public required IReadOnlyList<AddressInfo> Addresses { get; init; }
    public required IReadOnlyList<LinkInfo> Links { get; init; }

    /// <summary>net.ipv4.conf.LINK.rp_filter by link index; links that have no such setting are missing.</summary>
    public required IReadOnlyDictionary<int, string> ReversePathFilters { get; init; }

    /// <summary>The link with this MAC address; null when there is none, or several claim it. The owner of an address that stacked links share is what they are stacked on.</summary>
    public LinkInfo? Find(MacAddress mac)
    {
        LinkInfo[] found = [.. Links.Where(link => link.Mac == mac && link.ParentIndex is null && link.Kind is not ("bridge" or "bond" or "team"))];
        return found.Length == 1 ? found[0] : null;
    }
}
