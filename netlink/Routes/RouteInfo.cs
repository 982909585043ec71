// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Netlink;

/// <summary>One of several next hops of a route (RTA_MULTIPATH).</summary>
/// <param name="Weight">1 to 256: its share of the flows.</param>
public sealed record NextHop(IPAddress? Gateway, int LinkIndex, int Weight = 1, bool OnLink = false);

/// <summary>
/// A route. <c>ip route show table all</c>. Its defaults are those of <c>ip route add</c>, except that the scope is never guessed.
/// </summary>
public sealed record RouteInfo
{
    public required AddressFamily Family { get; init; }

    /// <summary>Null: the default route.</summary>
    public IPNetwork? Destination { get; init; }

    /// <summary>Null: the destination is on the link itself. May be IPv6 on an IPv4 route (RTA_VIA).</summary>
    public IPAddress? Gateway { get; init; }

    /// <summary>0 where a route has none: blackhole and the like, several next hops, or a gateway that decides it.</summary>
    public int LinkIndex { get; init; }
    public int Table { get; init; } = RouteTable.Main;
    public RouteScope Scope { get; init; }
    public RouteProtocol Protocol { get; init; } = RouteProtocol.Boot;
    public RouteType Type { get; init; } = RouteType.Unicast;

    /// <summary>The lowest is taken. 0 is the kernel's choice: 0 for IPv4, 1024 for IPv6.</summary>
    public int Metric { get; init; }
    public IPAddress? PreferredSource { get; init; }

    /// <summary>The gateway is taken to be on the link although no address says so.</summary>
    public bool OnLink { get; init; }

    /// <summary>Octets; null: the link's.</summary>
    public int? Mtu { get; init; }

    /// <summary>
    /// The next hops of a route that has several; empty otherwise, and then <see cref="Gateway"/> and <see cref="LinkIndex"/> count.
    /// </summary>
    public IReadOnlyList<NextHop> NextHops { get; init; } = [];

    public bool Equals(RouteInfo? other) =>
        other is not null
        && Family == other.Family
        && Nullable.Equals(Destination, other.Destination)
        && Equals(Gateway, other.Gateway)
        && LinkIndex == other.LinkIndex
        && Table == other.Table
        && Scope == other.Scope
        && Protocol == other.Protocol
        && Type == other.Type
        && Metric == other.Metric
        && Equals(PreferredSource, other.PreferredSource)
        && OnLink == other.OnLink
        && Mtu == other.Mtu
        && NextHops.SequenceEqual(other.NextHops);

    public override int GetHashCode() => HashCode.Combine(Family, Destination, Gateway, LinkIndex, Table, Type, Metric, NextHops.Count);
}
