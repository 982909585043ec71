// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// What the kernel showed: rules first and links last, so that a pod that is being torn down (rules, then link) rarely looks like one whose
/// rules were flushed.
/// </summary>
internal sealed record ObservedHost
{
    /// <summary>What was asked for; of others nothing is here.</summary>
    public IReadOnlyList<AddressFamily> Families { get; init; } = NodeFamilies.Always;
    public required IReadOnlyList<RuleInfo> Rules { get; init; }

    /// <summary>Of main and of the interfaces' tables.</summary>
    public required IReadOnlyList<RouteInfo> Routes { get; init; }

    /// <summary>Of the links of secondary interfaces.</summary>
    public required IReadOnlyList<AddressInfo> Addresses { get; init; }
    public required IReadOnlyList<LinkInfo> Links { get; init; }

    /// <summary>
    /// net.ipv4.conf by link index, conf/all among them (<see cref="LinkConfiguration.All"/>); links that have no such settings are
    /// missing.
    /// </summary>
    public IReadOnlyDictionary<int, LinkConfiguration> Settings { get; init; } = new Dictionary<int, LinkConfiguration>();

    /// <summary>Null without IPv6 pods, or while the primary interface's link is not known.</summary>
    public Ipv6Settings? Ipv6 { get; init; }

    /// <summary>Pods' links that were set down (<see cref="DownLinks"/>).</summary>
    public IReadOnlySet<int> RestorableLinks { get; init; } = new HashSet<int>();

    /// <summary>Pods' links that have another MAC address than the pod knows, with that one (<see cref="PodGateways"/>).</summary>
    public IReadOnlyDictionary<int, MacAddress> GatewayMacs { get; init; } = new Dictionary<int, MacAddress>();
}

/// <summary>Kernel parameters on which IPv6 pods depend.</summary>
/// <param name="PrimaryLink">Name of the primary interface's link.</param>
/// <param name="AcceptAdvertisements">Its accept_ra; null when it has no IPv6.</param>
/// <param name="Forwards">Whether the namespace forwards.</param>
internal sealed record Ipv6Settings(string PrimaryLink, string? AcceptAdvertisements, bool Forwards);
