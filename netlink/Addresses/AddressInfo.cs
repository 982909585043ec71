// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Netlink;

/// <summary>How far an address means something: RT_SCOPE_* of linux/rtnetlink.h.</summary>
public enum AddressScope
{
    /// <summary>RT_SCOPE_UNIVERSE; <c>ip</c> prints "global".</summary>
    Global = 0,
    Site = 200,
    Link = 253,
    Host = 254,
    Nowhere = 255,
}

/// <summary>IFA_F_* of linux/if_addr.h.</summary>
[Flags]
public enum AddressFlags
{
    None = 0,

    /// <summary>IFA_F_SECONDARY (IPv4; not the first of its subnet on the link), IFA_F_TEMPORARY (IPv6 privacy).</summary>
    Secondary = 0x01,
    NoDad = 0x02,
    Optimistic = 0x04,
    DadFailed = 0x08,
    HomeAddress = 0x10,
    Deprecated = 0x20,

    /// <summary>IPv6: duplicate address detection is not finished, nothing can be bound to the address yet.</summary>
    Tentative = 0x40,
    Permanent = 0x80,
    ManageTemporary = 0x100,

    /// <summary>IFA_F_NOPREFIXROUTE: the kernel made no route for the address's subnet.</summary>
    NoPrefixRoute = 0x200,
    MulticastAutoJoin = 0x400,
    StablePrivacy = 0x800,
}

/// <summary>An address on a link. <c>ip address show</c>.</summary>
public sealed record AddressInfo
{
    public required int LinkIndex { get; init; }

    /// <summary>
    /// The local address (IFA_LOCAL, or IFA_ADDRESS where there is only that). Equality ignores nothing: IPv6 addresses carry no scope id
    /// here.
    /// </summary>
    public required IPAddress Address { get; init; }
    public required int PrefixLength { get; init; }
    public AddressScope Scope { get; init; }
    public AddressFlags Flags { get; init; }
}
