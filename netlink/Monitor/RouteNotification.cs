// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>Kinds of changes to report. Each member is the bit of an RTNLGRP_* multicast group of linux/rtnetlink.h.</summary>
[Flags]
public enum RouteMonitorGroups
{
    None = 0,

    /// <summary>RTNLGRP_LINK.</summary>
    Links = 1 << 0,

    /// <summary>RTNLGRP_NEIGH. Frequent: the kernel reports every change of a neighbour's state.</summary>
    Neighbours = 1 << 2,

    /// <summary>RTNLGRP_IPV4_IFADDR.</summary>
    Ipv4Addresses = 1 << 4,

    /// <summary>RTNLGRP_IPV4_ROUTE.</summary>
    Ipv4Routes = 1 << 6,

    /// <summary>RTNLGRP_IPV4_RULE.</summary>
    Ipv4Rules = 1 << 7,

    /// <summary>RTNLGRP_IPV6_IFADDR.</summary>
    Ipv6Addresses = 1 << 8,

    /// <summary>RTNLGRP_IPV6_ROUTE.</summary>
    Ipv6Routes = 1 << 10,

    /// <summary>RTNLGRP_IPV6_RULE.</summary>
    Ipv6Rules = 1 << 18,

    /// <summary>RTNLGRP_IPV4_NETCONF: forwarding, rp_filter and other settings under /proc/sys/net/ipv4/conf.</summary>
    Ipv4Configuration = 1 << 23,

    Addresses = Ipv4Addresses | Ipv6Addresses,
    Routes = Ipv4Routes | Ipv6Routes,
    Rules = Ipv4Rules | Ipv6Rules,
    All = Links | Neighbours | Addresses | Routes | Rules | Ipv4Configuration,
}

/// <summary>Kind of a change.</summary>
public enum RouteChange
{
    /// <summary>The object was added or changed (RTM_NEW*).</summary>
    Set,

    /// <summary>The object was removed (RTM_DEL*).</summary>
    Removed,
}

/// <summary>
/// A change that the kernel reported. The kernel does not report every change: IPv4 routes removed because their link goes down cause no
/// notification.
/// </summary>
public abstract record RouteNotification
{
    private RouteNotification() { }

    public sealed record LinkChanged(RouteChange Change, LinkInfo Link) : RouteNotification;

    public sealed record AddressChanged(RouteChange Change, AddressInfo Address) : RouteNotification;

    public sealed record RouteChanged(RouteChange Change, RouteInfo Route) : RouteNotification;

    public sealed record RuleChanged(RouteChange Change, RuleInfo Rule) : RouteNotification;

    public sealed record NeighbourChanged(RouteChange Change, NeighbourInfo Neighbour) : RouteNotification;

    /// <summary>A setting of a link changed. The message does not include the value: read it under /proc/sys/net.</summary>
    /// <param name="LinkIndex">NETCONFA_IFINDEX: -1 for conf/all, -2 for conf/default.</param>
    public sealed record ConfigurationChanged(int LinkIndex) : RouteNotification;

    /// <summary>The receive queue overflowed (ENOBUFS) and notifications were lost: resync from a dump.</summary>
    public sealed record Overflow : RouteNotification;
}
