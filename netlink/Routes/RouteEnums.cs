// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>Routing tables that the kernel defines (RT_TABLE_* of linux/rtnetlink.h).</summary>
public static class RouteTable
{
    public const int Unspecified = 0;
    public const int Default = 253;
    public const int Main = 254;

    /// <summary>Routes to the addresses of this host; maintained by the kernel.</summary>
    public const int Local = 255;
}

/// <summary>
/// Distance to the destination: RT_SCOPE_* of linux/rtnetlink.h. IPv6 ignores it and always reports <see cref="Global"/>.
/// </summary>
public enum RouteScope
{
    /// <summary>RT_SCOPE_UNIVERSE: behind a gateway.</summary>
    Global = 0,
    Site = 200,

    /// <summary>On the link: the default of <c>ip</c> for unicast routes without a gateway.</summary>
    Link = 253,
    Host = 254,

    /// <summary>RT_SCOPE_NOWHERE: matches any scope in a removal.</summary>
    Nowhere = 255,
}

/// <summary>
/// Originator of a route or rule: RTPROT_* of linux/rtnetlink.h. Other numbers belong to other programs (/etc/iproute2/rt_protos).
/// </summary>
public enum RouteProtocol
{
    Unspecified = 0,
    Redirect = 1,
    Kernel = 2,

    /// <summary>The default of <c>ip</c>.</summary>
    Boot = 3,
    Static = 4,
    RouterAdvertisement = 9,
    Dhcp = 16,
}

/// <summary>Type of a route: RTN_* of linux/rtnetlink.h.</summary>
public enum RouteType
{
    /// <summary>Matches any type in a removal.</summary>
    Unspecified = 0,
    Unicast = 1,
    Local = 2,
    Broadcast = 3,
    Anycast = 4,
    Multicast = 5,
    Blackhole = 6,
    Unreachable = 7,
    Prohibit = 8,
    Throw = 9,
    Nat = 10,
}
