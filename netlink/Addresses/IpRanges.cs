// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Netlink;

/// <summary>Arithmetic of addresses and CIDR ranges of either family.</summary>
public static class IpRanges
{
    /// <summary>The address as a range of one: /32 or /128.</summary>
    public static IPNetwork Single(IPAddress address) => new(address, IpFamily.Bits(address.AddressFamily));

    /// <summary>Whether the range is a single address.</summary>
    public static bool IsSingle(IPNetwork range) => range.PrefixLength == IpFamily.Bits(IpFamily.Of(range));

    /// <summary>Whether the two ranges have an address in common: CIDR ranges overlap only when one contains the other.</summary>
    public static bool Overlap(IPNetwork a, IPNetwork b) => a.Contains(b.BaseAddress) || b.Contains(a.BaseAddress);

    /// <summary>The range of this length that contains the address.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative or longer than the address.</exception>
    public static IPNetwork Containing(IPAddress address, int prefixLength)
    {
        var bits = IpFamily.Bits(address.AddressFamily);
        ArgumentOutOfRangeException.ThrowIfNegative(prefixLength);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(prefixLength, bits);
        var hostBits = bits - prefixLength;
        // A shift by 128 is a shift by 0.
        var network = hostBits == 128 ? UInt128.Zero : ToNumber(address) >> hostBits << hostBits;
        return new IPNetwork(ToAddress(network, address.AddressFamily), prefixLength);
    }

    /// <summary>The address at an offset from the base; 0 is the base itself.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The offset is outside the range.</exception>
    public static IPAddress AddressAt(IPNetwork range, int offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        var hostBits = IpFamily.Bits(IpFamily.Of(range)) - range.PrefixLength;
        if (hostBits < 31)
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(offset, 1 << hostBits);
        return ToAddress(ToNumber(range.BaseAddress) + (ulong)offset, IpFamily.Of(range));
    }

    /// <summary>Total order: IPv4 before IPv6, then by number.</summary>
    public static int Compare(IPAddress a, IPAddress b) =>
        a.AddressFamily != b.AddressFamily
            ? IpFamily.Bits(a.AddressFamily).CompareTo(IpFamily.Bits(b.AddressFamily))
            : ToNumber(a).CompareTo(ToNumber(b));

    private static UInt128 ToNumber(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var length);
        UInt128 number = 0;
        foreach (var octet in bytes[..length])
            number = (number << 8) | octet;
        return number;
    }

    private static IPAddress ToAddress(UInt128 number, AddressFamily family)
    {
        Span<byte> bytes = stackalloc byte[IpFamily.Bits(family) / 8];
        for (var index = bytes.Length - 1; index >= 0; index--)
        {
            bytes[index] = (byte)(number & 0xff);
            number >>= 8;
        }

        return new IPAddress(bytes);
    }
}
