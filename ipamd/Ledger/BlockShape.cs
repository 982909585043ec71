// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Ledger;

/// <summary>
/// The shape of an address block: a CIDR range that the cloud routes to one interface. A single address is /32 or /128; a prefix is any
/// shorter length that the cloud assigns. An IPv4 prefix has no network or broadcast address, since nothing answers ARP inside it.
/// </summary>
/// <param name="Family">IPv4 or IPv6.</param>
/// <param name="PrefixLength">In bits.</param>
internal readonly record struct BlockShape(AddressFamily Family, int PrefixLength)
{
    /// <summary>Most addresses that are counted in one block. An IPv6 /80 has 2^48, of which a node uses at most a few hundred.</summary>
    public const int MaxSize = 1 << 16;

    /// <summary>The shape of a single address.</summary>
    public static BlockShape Single(AddressFamily family) => new(family, IpFamily.Bits(family));

    /// <summary>The shape of a block.</summary>
    public static BlockShape Of(IPNetwork block) => new(IpFamily.Of(block), block.PrefixLength);

    /// <summary>Number of addresses of a block, at most <see cref="MaxSize"/>.</summary>
    public static int SizeOf(IPNetwork block) => Of(block).Size;

    public bool IsSingle => PrefixLength == IpFamily.Bits(Family);

    /// <summary>Number of addresses that pods can have, at most <see cref="MaxSize"/>.</summary>
    public int Size => IpFamily.Bits(Family) - PrefixLength is var hostBits && hostBits >= 17 ? MaxSize : (1 << hostBits) - FirstOffset;

    /// <summary>
    /// Offset of the first such address. In an IPv6 prefix the base is the subnet-router anycast address (RFC 4291, section 2.6.1) and is
    /// left out; an IPv4 prefix is used from its base.
    /// </summary>
    public int FirstOffset => Family == IpFamily.V6 && !IsSingle ? 1 : 0;

    /// <summary>Number of blocks that carry this many addresses.</summary>
    public int CountFor(int addresses) => addresses <= 0 ? 0 : ((addresses - 1) / Size) + 1;

    /// <summary>For people: <c>IPv4 address</c>, <c>/28 prefix</c>, <c>IPv6 address</c> or <c>/80 prefix</c>.</summary>
    public override string ToString() => IsSingle ? $"{IpFamily.Name(Family)} address" : $"/{PrefixLength} prefix";
}
