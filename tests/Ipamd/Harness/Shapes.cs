// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Tests;

/// <summary>The block shapes of EC2.</summary>
internal static class Shapes
{
    public static readonly BlockShape Ipv4Address = BlockShape.Single(IpFamily.V4);
    public static readonly BlockShape Ipv4Prefix = new(IpFamily.V4, 28);
    public static readonly BlockShape Ipv6Address = BlockShape.Single(IpFamily.V6);
    public static readonly BlockShape Ipv6Prefix = new(IpFamily.V6, 80);

    /// <summary>The shape by the name of its member here.</summary>
    public static BlockShape Of(string name) =>
        name switch
        {
            nameof(Ipv4Address) => Ipv4Address,
            nameof(Ipv4Prefix) => Ipv4Prefix,
            nameof(Ipv6Address) => Ipv6Address,
            nameof(Ipv6Prefix) => Ipv6Prefix,
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, "unknown shape"),
        };
}
