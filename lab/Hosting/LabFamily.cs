// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Hosting;

/// <summary>
/// Address family of a lab's pods, as of an EKS cluster. Nodes have IPv4 addresses with every family, and reach the lab's APIs with them.
/// </summary>
internal enum LabFamily
{
    /// <summary>The VPC has no IPv6 range.</summary>
    Ipv4,

    /// <summary>Pods have addresses of the node's /80 prefixes.</summary>
    Ipv6,

    /// <summary>Pods have an address of each family.</summary>
    Dual,
}
