// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Ledger;

/// <summary>What the cloud lets a node of this type carry.</summary>
/// <param name="MaxInterfaces">Interfaces on the first network card, the primary one included; other cards carry no pods.</param>
/// <param name="Ipv4">Limits of IPv4.</param>
/// <param name="Ipv6">Limits of IPv6.</param>
internal sealed record NodeLimits(int MaxInterfaces, FamilyLimits Ipv4, FamilyLimits Ipv6)
{
    public FamilyLimits Of(AddressFamily family) => family == IpFamily.V6 ? Ipv6 : Ipv4;
}

/// <summary>Limits of one address family.</summary>
/// <param name="AddressesPerInterface">
/// Addresses per interface, the node's own included; a prefix takes the place of one. 0 when the type does not have the family.
/// </param>
/// <param name="Prefix">The shape of a prefix; null when the type has none.</param>
internal readonly record struct FamilyLimits(int AddressesPerInterface, BlockShape? Prefix)
{
    /// <summary>Most blocks on one interface. An interface may have one address of the node itself.</summary>
    public int BlocksPerInterface => Math.Max(AddressesPerInterface - 1, 0);
}
