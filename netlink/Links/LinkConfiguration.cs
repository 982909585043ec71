// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>Settings of a link under /proc/sys/net/ipv4/conf, as RTM_NEWNETCONF reports them.</summary>
/// <param name="LinkIndex">Index of the link; <see cref="All"/> for conf/all, -2 for conf/default.</param>
/// <param name="Forwards">forwarding: the host forwards packets that arrive on the link. In conf/all it is net.ipv4.ip_forward.</param>
/// <param name="ReversePathFilter">rp_filter: 0 off, 1 strict, 2 loose (RFC 3704).</param>
public sealed record LinkConfiguration(int LinkIndex, bool Forwards, int ReversePathFilter)
{
    /// <summary>Index of conf/all: NETCONFA_IFINDEX_ALL of linux/netconf.h.</summary>
    public const int All = -1;
}
