// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Lab.ModelParts;

/// <summary>Arithmetic on IPv4 addresses and ranges.</summary>
public static class Ipv4
{
    public static uint Number(IPAddress address)
    {
        Span<byte> octets = stackalloc byte[4];
        if (!address.TryWriteBytes(octets, out var written) || written != 4)
            throw new ArgumentException($"not an IPv4 address: {address}", nameof(address));
        return BinaryPrimitives.ReadUInt32BigEndian(octets);
    }

    public static IPAddress Address(uint number)
    {
        Span<byte> octets = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(octets, number);
        return new IPAddress(octets);
    }

    /// <summary>Number of addresses of a range.</summary>
    public static long Size(IPNetwork range) => 1L << (32 - range.PrefixLength);

    public static bool Overlap(IPNetwork one, IPNetwork other) => one.Contains(other.BaseAddress) || other.Contains(one.BaseAddress);

    public static bool Within(IPNetwork inner, IPNetwork outer) =>
        inner.PrefixLength >= outer.PrefixLength && outer.Contains(inner.BaseAddress);

    /// <summary>Parses an IPv4 range without host bits, or a single address as a /32; null if it is neither.</summary>
    public static IPNetwork? Parse(string text)
    {
        // Parsing clears host bits, so the address must be the one that was written.
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        return
            IPNetwork.TryParse(slash < 0 ? text + "/32" : text, out var range)
            && range.BaseAddress.AddressFamily == AddressFamily.InterNetwork
            && text.AsSpan(0, slash < 0 ? text.Length : slash).SequenceEqual(range.BaseAddress.ToString())
            ? range
            : null;
    }
}
