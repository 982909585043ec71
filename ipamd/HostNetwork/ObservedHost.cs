// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// The observed state. Rules are read first and links last, so that a pod whose teardown has begun (rules, then link) rarely looks like one
/// whose rules were flushed.
/// </summary>
internal sealed record ObservedHost
{
    /// <summary>The families that were read.</summary>
    public IReadOnlyList<AddressFamily> Families { get; init; } = NodeFamilies.Always;
    public required IReadOnlyList<RuleInfo> Rules { get; init; }

    /// <summary>Routes of main and of the interfaces' tables.</summary>
    public required IReadOnlyList<RouteInfo> Routes { get; init; }

    /// <summary>Addresses of the links of secondary interfaces.</summary>
    public required IReadOnlyList<AddressInfo> Addresses { get; init; }
    public required IReadOnlyList<LinkInfo> Links { get; init; }

    /// <summary>
    /// net.ipv4.conf by link index, with conf/all (<see cref="LinkConfiguration.All"/>). Links without such settings are missing.
    /// </summary>
    public IReadOnlyDictionary<int, LinkConfiguration> Settings { get; init; } = new Dictionary<int, LinkConfiguration>();

    /// <summary>Null without IPv6 pods, or while the primary interface's link is not known.</summary>
    public Ipv6Settings? Ipv6 { get; init; }

    /// <summary>Indexes of pods' links that were set down (<see cref="DownLinks"/>).</summary>
    public IReadOnlySet<int> RestorableLinks { get; init; } = new HashSet<int>();

    /// <summary>By link index: MAC addresses that pods' links must get (<see cref="PodGateways"/>).</summary>
    public IReadOnlyDictionary<int, MacAddress> GatewayMacs { get; init; } = new Dictionary<int, MacAddress>();
}

/// <summary>Kernel parameters on which IPv6 pods depend.</summary>
/// <param name="PrimaryLink">Name of the primary interface's link.</param>
/// <param name="AcceptAdvertisements">Its accept_ra; null when it has no IPv6.</param>
/// <param name="Forwards">Whether the namespace forwards.</param>
internal sealed record Ipv6Settings(string PrimaryLink, string? AcceptAdvertisements, bool Forwards);
