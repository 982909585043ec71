// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Netlink;

/// <summary>Scope in which an address is valid: RT_SCOPE_* of linux/rtnetlink.h.</summary>
public enum AddressScope
{
    /// <summary>RT_SCOPE_UNIVERSE; <c>ip</c> prints "global".</summary>
    Global = 0,
    Site = 200,
    Link = 253,
    Host = 254,
    Nowhere = 255,
}

/// <summary>Flags of an address: IFA_F_* of linux/if_addr.h.</summary>
[Flags]
public enum AddressFlags
{
    None = 0,

    /// <summary>
    /// IFA_F_SECONDARY (IPv4: not the first address of its subnet on the link) or IFA_F_TEMPORARY (IPv6 privacy extensions).
    /// </summary>
    Secondary = 0x01,
    NoDad = 0x02,
    Optimistic = 0x04,
    DadFailed = 0x08,
    HomeAddress = 0x10,
    Deprecated = 0x20,

    /// <summary>IFA_F_TENTATIVE (IPv6): duplicate address detection is in progress; binding to the address fails.</summary>
    Tentative = 0x40,
    Permanent = 0x80,
    ManageTemporary = 0x100,

    /// <summary>IFA_F_NOPREFIXROUTE: the kernel adds no route for the subnet of the address.</summary>
    NoPrefixRoute = 0x200,
    MulticastAutoJoin = 0x400,
    StablePrivacy = 0x800,
}

/// <summary>An address of a link, as RTM_NEWADDR reports it (<c>ip address show</c>).</summary>
public sealed record AddressInfo
{
    public required int LinkIndex { get; init; }

    /// <summary>
    /// The local address: IFA_LOCAL, or IFA_ADDRESS where the kernel sends no IFA_LOCAL. IPv6 addresses have no scope id, so equality
    /// compares the octets.
    /// </summary>
    public required IPAddress Address { get; init; }
    public required int PrefixLength { get; init; }
    public AddressScope Scope { get; init; }
    public AddressFlags Flags { get; init; }
}
