// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Netlink.Wire;

/// <summary>
/// Converts address families between .NET, which uses the numbers of Windows, and Linux. Computes the networks of prefixes.
/// </summary>
internal static class Family
{
    public const byte AF_UNSPEC = 0;
    public const byte AF_INET = 2;
    public const byte AF_INET6 = 10;

    public static byte ToWire(AddressFamily family) =>
        family switch
        {
            AddressFamily.Unspecified => AF_UNSPEC,
            IpFamily.V4 => AF_INET,
            IpFamily.V6 => AF_INET6,
            _ => throw new ArgumentException(
                $"address family {family}; expected InterNetwork, InterNetworkV6 or, in a query, Unspecified",
                nameof(family)
            ),
        };

    /// <summary>Returns false for families without IP addresses (bridge, multicast routing).</summary>
    public static bool TryFromWire(byte family, out AddressFamily result)
    {
        result = family switch
        {
            AF_INET => IpFamily.V4,
            AF_INET6 => IpFamily.V6,
            _ => AddressFamily.Unspecified,
        };
        return result != AddressFamily.Unspecified;
    }

    /// <summary>
    /// Returns the network of an address. Drops host bits, which the kernel keeps in rules and <see cref="IPNetwork"/> rejects.
    /// </summary>
    public static IPNetwork Network(IPAddress address, int prefixLength)
    {
        Span<byte> octets = stackalloc byte[16];
        if (!address.TryWriteBytes(octets, out int length) || prefixLength > length * 8)
            throw new MalformedMessageException($"{address}/{prefixLength}: the prefix is longer than the address");
        octets = octets[..length];
        for (int bit = prefixLength; bit < length * 8; bit++)
            octets[bit >> 3] &= (byte)~(0x80 >> (bit & 7));
        return new IPNetwork(new IPAddress(octets), prefixLength);
    }

    public static void Require(AddressFamily expected, IPAddress? address, string what)
    {
        if (address is not null && address.AddressFamily != expected)
            throw new ArgumentException($"{what} {address} is not of family {expected}");
    }
}
