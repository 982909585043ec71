// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>How source ports of translated connections are chosen (nftables, "NAT statements").</summary>
internal enum SnatPorts
{
    /// <summary>The kernel keeps the port where it can.</summary>
    Kept,

    /// <summary>nft <c>random</c>: from a hash of the connection's addresses.</summary>
    HashRandom,

    /// <summary>
    /// nft <c>fully-random</c>: from a pseudo random generator, so that pods that connect to one server at once do not race for the same
    /// port.
    /// </summary>
    FullyRandom,
}

/// <summary>The operator's settings of the host's network.</summary>
internal sealed record HostNetworkOptions
{
    /// <summary>AWS_VPC_K8S_CNI_EXTERNALSNAT: a NAT gateway outside of the node translates; pods keep their addresses everywhere.</summary>
    public bool ExternalSnat { get; init; }

    /// <summary>AWS_VPC_K8S_CNI_RANDOMIZESNAT.</summary>
    public SnatPorts SnatPorts { get; init; } = SnatPorts.FullyRandom;

    /// <summary>AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS: reached as in the VPC itself, by the pod's interface and with its address.</summary>
    public IReadOnlyList<IPNetwork> ExcludedRanges { get; init; } = [];

    /// <summary>AWS_EXTERNAL_SERVICE_CIDRS: reached through the primary interface.</summary>
    public IReadOnlyList<IPNetwork> ExternalServiceRanges { get; init; } = [];

    /// <summary>
    /// AWS_VPC_CNI_NODE_PORT_SUPPORT: what came in by the primary interface for an address of the node, and was forwarded to a pod, is
    /// answered by the primary interface.
    /// </summary>
    public bool NodePorts { get; init; } = true;

    /// <summary>AWS_VPC_K8S_CNI_CONNMARK: one bit or more of connection and packet marks; no other program may use them.</summary>
    public uint ConnectionMark { get; init; } = 0x80;

    /// <summary>AWS_VPC_K8S_CNI_VETHPREFIX: how the names of the hosts' ends of pods' links begin.</summary>
    public string VethPrefix { get; init; } = "eni";

    /// <summary>
    /// ENABLE_V4_EGRESS on a node whose pods have no IPv4 address: what they send from a node-local address is translated (<see
    /// cref="Datapath.NodeLocalAddresses"/>).
    /// </summary>
    public bool Ipv4Egress { get; init; }

    /// <summary>ENABLE_V6_EGRESS on a node whose pods have no IPv6 address.</summary>
    public bool Ipv6Egress { get; init; }

    /// <summary>
    /// Whether pods may have IPv6 addresses of secondary interfaces, so that IPv6 node ports need <see cref="NodePorts"/>, too.
    /// </summary>
    public bool HasIpv6OnSecondary { get; init; }

    /// <summary>Whether IPv6 packets are marked.</summary>
    public bool UsesIpv6Mark => NodePorts && HasIpv6OnSecondary;

    /// <summary>Whether any packet is marked, so that the rule for marks is needed.</summary>
    public bool UsesMark => NodePorts || !ExternalSnat;
}
