// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Ledger;

/// <summary>The address families of this node's pods: every interface of a pod has one address of each.</summary>
/// <param name="Lead">
/// The family whose addresses targets and limits count. The interfaces and blocks are planned for it; in dual stack each interface has as
/// many addresses of the other family.
/// </param>
/// <param name="Other">The other family in dual stack; null otherwise.</param>
internal sealed record PodFamilies(AddressFamily Lead, AddressFamily? Other = null)
{
    public static readonly PodFamilies Ipv4 = new(IpFamily.V4);
    public static readonly PodFamilies Ipv6 = new(IpFamily.V6);
    public static readonly PodFamilies Dual = new(IpFamily.V4, IpFamily.V6);

    /// <summary>One or two, the lead first.</summary>
    public IReadOnlyList<AddressFamily> All { get; } = Other is { } other ? [Lead, other] : [Lead];

    public bool Contains(AddressFamily family) => family == Lead || family == Other;

    /// <summary>For people: <c>IPv4</c>, <c>IPv6</c> or <c>IPv4 and IPv6</c>.</summary>
    public override string ToString() => string.Join(" and ", All.Select(IpFamily.Name));
}
