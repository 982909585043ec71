// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds;

/// <summary>
/// This node in its cloud: who it is, what it can carry, and what is attached to it. A block is a single address (/32, /128) or a prefix,
/// always an <see cref="IPNetwork"/>. Every method of this and the other ports bounds its own time, retries only what is safe to retry, and
/// throws <see cref="CloudException"/> for every failure.
/// </summary>
internal interface INodeCloud
{
    /// <summary>Returns the node's identity from the instance metadata. Constant for the life of the node.</summary>
    Task<NodeIdentity> IdentifyNodeAsync(CancellationToken cancellationToken);

    /// <summary>Returns the result of <see cref="DescribeLimitsAsync"/> when it is known without a call; otherwise null.</summary>
    NodeLimits? KnownLimits(string nodeType);

    /// <summary>Returns the interface and address limits of a node type.</summary>
    Task<NodeLimits> DescribeLimitsAsync(string nodeType, CancellationToken cancellationToken);

    /// <summary>The prefix that the cloud assigns of this family, where the node type allows any; null for none.</summary>
    BlockShape? PrefixOf(AddressFamily family);

    /// <summary>
    /// Returns every interface attached to this node, from the control plane. Authoritative; never uses instance metadata.
    /// </summary>
    Task<IReadOnlyList<CloudInterface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Returns the attached interfaces from the instance metadata, without a control-plane call. Only a hint: it may be late, early or
    /// incomplete. A difference from the ledger is a reason to call <see cref="DescribeAttachedInterfacesAsync"/>, never to act.
    /// </summary>
    Task<IReadOnlyList<InterfaceHint>> HintAttachedInterfacesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Returns the attached interfaces as far as the instance metadata shows them: link parameters and blocks. Only a hint: it may confirm
    /// earlier knowledge while the control plane does not answer.
    /// </summary>
    Task<IReadOnlyList<CloudInterface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken);

    /// <summary>Returns the address ranges of the virtual network from the instance metadata; they may grow at run time.</summary>
    Task<IReadOnlyList<IPNetwork>> DescribeNetworkRangesAsync(CancellationToken cancellationToken);
}

/// <summary>The node's identity in the instance metadata.</summary>
internal sealed record NodeIdentity
{
    public required string NodeId { get; init; }
    public required string NodeType { get; init; }
    public required string Region { get; init; }
    public required string Zone { get; init; }
    public required string NetworkId { get; init; }
    public required IPAddress PrimaryAddress { get; init; }

    /// <summary>The node's own IPv6 address, which no pod gets; null when it has none.</summary>
    public IPAddress? Ipv6Address { get; init; }
    public required string PrimaryMac { get; init; }
    public required NetworkInterfaceId PrimaryInterface { get; init; }
    public required string PrimarySubnetId { get; init; }
}

/// <summary>An interface in the instance metadata.</summary>
/// <param name="Id">The interface.</param>
/// <param name="Blocks">As <see cref="CloudInterface.Blocks"/>, without the primary address; in any order.</param>
internal sealed record InterfaceHint(NetworkInterfaceId Id, IReadOnlyList<IPNetwork> Blocks);

/// <summary>An attached interface.</summary>
internal sealed record CloudInterface
{
    public required NetworkInterfaceId Id { get; init; }

    /// <summary>MAC address, lower-case with colons.</summary>
    public required string Mac { get; init; }
    public required string SubnetId { get; init; }

    /// <summary>The subnet's range of the primary address's family; the gateway is its base + 1.</summary>
    public required IPNetwork SubnetRange { get; init; }

    /// <summary>Primary address; <see cref="IPAddress.Any"/> for an interface without addresses.</summary>
    public required IPAddress PrimaryAddress { get; init; }

    /// <summary>All blocks without the node's own addresses, in the order of the answer.</summary>
    public required IReadOnlyList<IPNetwork> Blocks { get; init; }

    /// <summary>Empty where the cloud has none per interface.</summary>
    public required IReadOnlyList<string> SecurityGroupIds { get; init; }

    /// <summary>The primary interface has the primary slot, whatever index the cloud gives it.</summary>
    public required Slot Slot { get; init; }
    public bool IsPrimary => Slot.IsPrimary;

    /// <summary>Whether this daemon manages the interface, and its kind has addresses for pods.</summary>
    public bool CarriesPods { get; init; }

    /// <summary>Whether someone detaches it.</summary>
    public bool IsDetaching { get; init; }

    /// <summary>
    /// Whether an addition left something out that later use depends on; <see cref="IInterfaceProvisioner.RepairAsync"/> does it.
    /// </summary>
    public bool IsIncomplete { get; init; }
}
