// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace VpcCni.Netlink.Wire;

/// <summary>struct nlmsghdr, linux/netlink.h. Netlink integers are in host byte order.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MessageHeader
{
    public const int Size = 16;

    public uint Length; // nlmsg_len, this header included
    public ushort Type; // nlmsg_type
    public ushort Flags; // nlmsg_flags
    public uint Sequence; // nlmsg_seq
    public uint PortId; // nlmsg_pid
}

/// <summary>struct nlattr: the header of an attribute.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct AttributeHeader
{
    public const int Size = 4;

    public ushort Length; // nla_len, this header included, the padding to 4 octets after the value excluded
    public ushort Type; // nla_type
}

/// <summary>struct rtgenmsg, linux/rtnetlink.h, with its padding: the header of messages that specify at most a family.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GeneralHeader
{
    public const int Size = 4;

    public byte Family; // rtgen_family
    public byte Padding1;
    public ushort Padding2;
}

/// <summary>struct ifinfomsg, linux/rtnetlink.h: the header of link messages.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LinkHeader
{
    public const int Size = 16;

    public byte Family; // ifi_family
    public byte Padding; // __ifi_pad
    public ushort DeviceType; // ifi_type, ARPHRD_*
    public int Index; // ifi_index
    public uint Flags; // ifi_flags, IFF_*
    public uint Change; // ifi_change: mask of the flags to change
}

/// <summary>struct ifaddrmsg, linux/if_addr.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct AddressHeader
{
    public const int Size = 8;

    public byte Family; // ifa_family
    public byte PrefixLength; // ifa_prefixlen
    public byte Flags; // ifa_flags, the low eight of IFA_FLAGS
    public byte Scope; // ifa_scope
    public int Index; // ifa_index
}

/// <summary>struct rtmsg, linux/rtnetlink.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RouteHeader
{
    public const int Size = 12;

    public byte Family; // rtm_family
    public byte DestinationLength; // rtm_dst_len, bits
    public byte SourceLength; // rtm_src_len, bits
    public byte Tos; // rtm_tos
    public byte Table; // rtm_table; tables above 255 go into RTA_TABLE
    public byte Protocol; // rtm_protocol
    public byte Scope; // rtm_scope
    public byte Type; // rtm_type
    public uint Flags; // rtm_flags
}

/// <summary>struct rtnexthop, linux/rtnetlink.h: a hop of RTA_MULTIPATH, followed by its attributes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NextHopHeader
{
    public const int Size = 8;

    public ushort Length; // rtnh_len, this header and the attributes included
    public byte Flags; // rtnh_flags
    public byte Hops; // rtnh_hops: weight - 1
    public int Index; // rtnh_ifindex
}

/// <summary>struct fib_rule_hdr, linux/fib_rules.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RuleHeader
{
    public const int Size = 12;

    public byte Family; // family
    public byte DestinationLength; // dst_len, bits
    public byte SourceLength; // src_len, bits
    public byte Tos; // tos
    public byte Table; // table; tables above 255 go into FRA_TABLE
    public byte Reserved1; // res1
    public byte Reserved2; // res2
    public byte Action; // action, FR_ACT_*
    public uint Flags; // flags, FIB_RULE_*
}

/// <summary>struct ndmsg, linux/neighbour.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NeighbourHeader
{
    public const int Size = 12;

    public byte Family; // ndm_family
    public byte Padding1; // ndm_pad1
    public ushort Padding2; // ndm_pad2
    public int Index; // ndm_ifindex
    public ushort State; // ndm_state, NUD_*
    public byte Flags; // ndm_flags, NTF_*
    public byte Type; // ndm_type
}
