// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Clouds.Aws.InstanceTypes;

/// <summary>EC2's limits of an instance type as the port's limits.</summary>
internal static class Ec2Limits
{
    /// <summary>The prefixes of EC2 (EC2 User Guide, "Prefix delegation for Amazon EC2 network interfaces").</summary>
    public static readonly BlockShape Ipv4Prefix = new(IpFamily.V4, 28);
    public static readonly BlockShape Ipv6Prefix = new(IpFamily.V6, 80);

    /// <param name="maxInterfaces">Interfaces on the first network card.</param>
    /// <param name="ipv4PerInterface">IPv4 addresses per interface, the primary address included.</param>
    /// <param name="ipv6PerInterface">IPv6 addresses per interface; 0 when the type has no IPv6.</param>
    /// <param name="hasPrefixes">Whether the type has prefix delegation: Nitro or bare metal.</param>
    public static NodeLimits Of(int maxInterfaces, int ipv4PerInterface, int ipv6PerInterface, bool hasPrefixes) =>
        new(
            maxInterfaces,
            new FamilyLimits(ipv4PerInterface, hasPrefixes ? Ipv4Prefix : null),
            new FamilyLimits(ipv6PerInterface, hasPrefixes && ipv6PerInterface > 0 ? Ipv6Prefix : null)
        );
}
