// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>Numbers of the routing tables that the kernel knows by name (RT_TABLE_* of linux/rtnetlink.h).</summary>
public static class RouteTable
{
    public const int Unspecified = 0;
    public const int Default = 253;
    public const int Main = 254;

    /// <summary>Addresses of this host; kept by the kernel.</summary>
    public const int Local = 255;
}

/// <summary>RT_SCOPE_* of linux/rtnetlink.h: how far the destination is. IPv6 ignores it and always reports <see cref="Global"/>.</summary>
public enum RouteScope
{
    /// <summary>RT_SCOPE_UNIVERSE; behind a gateway.</summary>
    Global = 0,
    Site = 200,

    /// <summary>Directly on the link: what <c>ip</c> picks for unicast routes without a gateway.</summary>
    Link = 253,
    Host = 254,

    /// <summary>In a removal: any scope.</summary>
    Nowhere = 255,
}

/// <summary>
/// RTPROT_* of linux/rtnetlink.h: who put a route or rule there. Other numbers are other programs (see /etc/iproute2/rt_protos).
/// </summary>
public enum RouteProtocol
{
    Unspecified = 0,
    Redirect = 1,
    Kernel = 2,

    /// <summary>What <c>ip</c> writes if it is not told otherwise.</summary>
    Boot = 3,
    Static = 4,
    RouterAdvertisement = 9,
    Dhcp = 16,
}

/// <summary>RTN_* of linux/rtnetlink.h.</summary>
public enum RouteType
{
    /// <summary>In a removal: any type.</summary>
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
