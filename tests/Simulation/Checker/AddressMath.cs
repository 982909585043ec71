// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;

namespace VpcCni.Simulation.Tests.Checker;

/// <summary>Addresses and ranges of both families, written apart from the daemon's.</summary>
internal static class AddressMath
{
    /// <summary>Number of addresses of an IPv4 prefix, a /28.</summary>
    public const int Ipv4PrefixSize = 16;

    /// <summary>Stands for the 2^48 addresses of an IPv6 prefix, a /80: more than any node uses.</summary>
    public const int Ipv6PrefixSize = 1 << 16;

    private const int Ipv6PrefixLength = 80;

    public static bool IsIpv6(IPAddress address) => address.AddressFamily == IpFamily.V6;

    public static int Bits(AddressFamily family) => family == IpFamily.V6 ? 128 : 32;

    public static IPNetwork Single(IPAddress address) => new(address, Bits(address.AddressFamily));

    public static bool IsSingle(IPNetwork range) => range.PrefixLength == Bits(range.BaseAddress.AddressFamily);

    /// <summary>The /80 around an IPv6 address.</summary>
    public static IPNetwork Ipv6PrefixOf(IPAddress address)
    {
        var bytes = address.GetAddressBytes();
        Array.Clear(bytes, Ipv6PrefixLength / 8, bytes.Length - (Ipv6PrefixLength / 8));
        return new IPNetwork(new IPAddress(bytes), Ipv6PrefixLength);
    }

    public static bool Overlap(IPNetwork a, IPNetwork b) => a.Contains(b.BaseAddress) || b.Contains(a.BaseAddress);

    /// <summary>The addresses of IPv4 ranges one by one; ranges of IPv6 as they are, since a prefix has too many.</summary>
    public static IEnumerable<IPNetwork> Units(IPNetwork range) =>
        range.BaseAddress.AddressFamily == IpFamily.V6
            ? [range]
            : Enumerable.Range(0, 1 << (32 - range.PrefixLength)).Select(number => Single(Offset(range.BaseAddress, number)));

    /// <summary>An IPv4 address some places further.</summary>
    public static IPAddress Offset(IPAddress address, int offset)
    {
        Span<byte> bytes = stackalloc byte[4];
        address.TryWriteBytes(bytes, out _);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(
            bytes,
            System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(bytes) + (uint)offset
        );
        return new IPAddress(bytes);
    }

    /// <summary>An interface's IPv6 addresses that are not the node's own.</summary>
    public static IEnumerable<IPAddress> PodIpv6Addresses(NetworkInterface eni) =>
        eni.Ipv6Addresses.Where(address => !address.Equals(eni.PrimaryIpv6Address));

    /// <summary>An interface's blocks that pods may have addresses of.</summary>
    public static IEnumerable<IPNetwork> Blocks(NetworkInterface eni) =>
        [.. eni.SecondaryAddresses.Select(Single), .. eni.Ipv4Prefixes, .. PodIpv6Addresses(eni).Select(Single), .. eni.Ipv6Prefixes];

    /// <summary>Whether packets to the address arrive by the interface, and it is not the node's own.</summary>
    public static bool Carries(NetworkInterface eni, IPAddress address)
    {
        if (IsIpv6(address))
        {
            return (eni.Ipv6Addresses.Contains(address) && !address.Equals(eni.PrimaryIpv6Address))
                || eni.Ipv6Prefixes.Any(prefix => prefix.Contains(address));
        }

        if (eni.SecondaryAddresses.Contains(address))
            return true;
        foreach (var prefix in eni.Ipv4Prefixes)
        {
            if (prefix.Contains(address))
                return true;
        }

        return false;
    }
}
