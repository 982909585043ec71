// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Ipamd.Ledger;

/// <summary>
/// Arithmetic on address blocks. A block is a CIDR range that the cloud routes to one interface: a single address (/32, /128) or a prefix
/// (/28, /80). All addresses of a block are usable; a prefix has no network or broadcast address, since nothing answers ARP inside it.
/// </summary>
internal static class AddressBlocks
{
    /// <summary>
    /// Most addresses that the ledger counts in one block. An IPv6 /80 has 2^48, of which a node uses at most a few hundred.
    /// </summary>
    public const int MaxCountedPerBlock = 1 << 16;

    public static IPNetwork Single(IPAddress address) => new(address, address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128);

    /// <summary>
    /// The prefix that contains an address: a /28, or an IPv6 /80 (EC2 User Guide, "Prefix delegation for Amazon EC2 network interfaces").
    /// </summary>
    public static IPNetwork PrefixOf(IPAddress address)
    {
        var (length, bits) = address.AddressFamily == AddressFamily.InterNetwork ? (28, 32) : (80, 128);
        var number = ToNumber(address) >> (bits - length) << (bits - length);
        return new IPNetwork(FromNumber(number, address.AddressFamily), length);
    }

    public static bool IsSingle(IPNetwork block) =>
        block.PrefixLength == (block.BaseAddress.AddressFamily == AddressFamily.InterNetwork ? 32 : 128);

    /// <summary>Number of addresses, at most <see cref="MaxCountedPerBlock"/>.</summary>
    public static int Count(IPNetwork block)
    {
        var bits = (block.BaseAddress.AddressFamily == AddressFamily.InterNetwork ? 32 : 128) - block.PrefixLength;
        return bits >= 16 ? MaxCountedPerBlock : 1 << bits;
    }

    /// <summary>The address at an offset from the base; 0 is the base itself.</summary>
    public static IPAddress AddressAt(IPNetwork block, int offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(offset, Count(block));
        return FromNumber(ToNumber(block.BaseAddress) + (ulong)offset, block.BaseAddress.AddressFamily);
    }

    /// <summary>Total order: IPv4 before IPv6, then by number. Makes every choice of the ledger deterministic.</summary>
    public static int Compare(IPAddress a, IPAddress b) =>
        a.AddressFamily != b.AddressFamily ? (a.AddressFamily == AddressFamily.InterNetwork ? -1 : 1) : ToNumber(a).CompareTo(ToNumber(b));

    private static UInt128 ToNumber(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var length);
        UInt128 number = 0;
        foreach (var octet in bytes[..length])
            number = (number << 8) | octet;
        return number;
    }

    private static IPAddress FromNumber(UInt128 number, AddressFamily family)
    {
        Span<byte> bytes = stackalloc byte[family == AddressFamily.InterNetwork ? 4 : 16];
        for (var index = bytes.Length - 1; index >= 0; index--)
        {
            bytes[index] = (byte)(number & 0xff);
            number >>= 8;
        }

        return new IPAddress(bytes);
    }
}
