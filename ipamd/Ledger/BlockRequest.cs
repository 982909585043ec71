// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Ledger;

/// <summary>Kind of an address block.</summary>
internal enum BlockKind
{
    /// <summary>A single IPv4 address, /32.</summary>
    Ipv4Address,

    /// <summary>An IPv4 prefix, /28 (AWS prefix delegation).</summary>
    Ipv4Prefix,

    /// <summary>A single IPv6 address, /128.</summary>
    Ipv6Address,

    /// <summary>An IPv6 prefix, /80.</summary>
    Ipv6Prefix,
}

/// <summary>A number of blocks of one kind.</summary>
internal readonly record struct BlockRequest(BlockKind Kind, int Count);
