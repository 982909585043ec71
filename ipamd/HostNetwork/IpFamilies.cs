// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>The address families of the host's network. Everything that exists once for each family is a loop over them.</summary>
internal static class IpFamilies
{
    /// <summary>Both, in the order in which they are read and repaired.</summary>
    public static IReadOnlyList<AddressFamily> All { get; } = [AddressFamily.InterNetwork, AddressFamily.InterNetworkV6];

    /// <summary>The family of the node's own address and of all its system services: kept on every node.</summary>
    public static IReadOnlyList<AddressFamily> Always { get; } = [AddressFamily.InterNetwork];

    /// <summary>Name of the family's folder below /proc/sys/net.</summary>
    public static string SettingsFolder(AddressFamily family) => family == AddressFamily.InterNetworkV6 ? "ipv6" : "ipv4";

    /// <summary>The <c>ip</c> command for the family.</summary>
    public static string Command(AddressFamily family) => family == AddressFamily.InterNetworkV6 ? "ip -6" : "ip";
}
