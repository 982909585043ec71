// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Netlink;

/// <summary>The two IP address families, under their names in the field, and their arithmetic.</summary>
public static class IpFamily
{
    public const AddressFamily V4 = AddressFamily.InterNetwork;
    public const AddressFamily V6 = AddressFamily.InterNetworkV6;

    /// <summary>Both, IPv4 first.</summary>
    public static IReadOnlyList<AddressFamily> All { get; } = [V4, V6];

    /// <summary>Number of bits of an address: 32 or 128.</summary>
    public static int Bits(AddressFamily family) =>
        family switch
        {
            V4 => 32,
            V6 => 128,
            _ => throw new ArgumentOutOfRangeException(nameof(family), family, "expected IPv4 or IPv6"),
        };

    /// <summary>The unspecified address: 0.0.0.0 or ::.</summary>
    public static IPAddress Any(AddressFamily family) => family == V6 ? IPAddress.IPv6Any : IPAddress.Any;

    /// <summary>The name that people read: <c>IPv4</c> or <c>IPv6</c>.</summary>
    public static string Name(AddressFamily family) => family == V6 ? "IPv6" : "IPv4";

    /// <summary>The <c>ip</c> command of the family, for messages.</summary>
    public static string Command(AddressFamily family) => family == V6 ? "ip -6" : "ip";

    /// <summary>Name of the family's folder below /proc/sys/net.</summary>
    public static string SettingsFolder(AddressFamily family) => family == V6 ? "ipv6" : "ipv4";

    /// <summary>The family of a range's addresses.</summary>
    public static AddressFamily Of(IPNetwork range) => range.BaseAddress.AddressFamily;
}
