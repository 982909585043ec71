// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Netlink;

/// <summary>A next hop of a multipath route (RTA_MULTIPATH).</summary>
/// <param name="Weight">Relative share of the flows, 1 to 256.</param>
public sealed record NextHop(IPAddress? Gateway, int LinkIndex, int Weight = 1, bool OnLink = false);

/// <summary>
/// A route (<c>ip route show table all</c>). Its defaults are those of <c>ip route add</c>, except that the scope is never derived.
/// </summary>
public sealed record RouteInfo
{
    public required AddressFamily Family { get; init; }

    /// <summary>Null for the default route.</summary>
    public IPNetwork? Destination { get; init; }

    /// <summary>Null if the destination is on the link. May be IPv6 for an IPv4 route (RTA_VIA).</summary>
    public IPAddress? Gateway { get; init; }

    /// <summary>
    /// Index of the outgoing link; 0 for routes without one (blackhole and similar types, multipath) or to let the kernel derive it from
    /// the gateway.
    /// </summary>
    public int LinkIndex { get; init; }
    public int Table { get; init; } = RouteTable.Main;
    public RouteScope Scope { get; init; }
    public RouteProtocol Protocol { get; init; } = RouteProtocol.Boot;
    public RouteType Type { get; init; } = RouteType.Unicast;

    /// <summary>The route with the lowest metric is used. 0 selects the kernel's default: 0 for IPv4, 1024 for IPv6.</summary>
    public int Metric { get; init; }
    public IPAddress? PreferredSource { get; init; }

    /// <summary>RTNH_F_ONLINK: treats the gateway as on the link although no address of the link covers it.</summary>
    public bool OnLink { get; init; }

    /// <summary>In octets; that of the link if null.</summary>
    public int? Mtu { get; init; }

    /// <summary>
    /// Next hops of a multipath route; empty for other routes, which use <see cref="Gateway"/> and <see cref="LinkIndex"/>.
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
