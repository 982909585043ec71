// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// EC2 and the instance metadata, as this node uses them: one method per call. Implemented by <see cref="Ec2"/>, by <see
/// cref="MetadataOnlyEc2"/>, and in tests and simulation by models; <see cref="AwsFactory"/> builds the ports on it. Every method bounds
/// its own time, retries only what is safe to retry, and throws <see cref="CloudException"/> for every failure.
/// </summary>
internal interface IEc2
{
    /// <summary>Returns the node's identity from the instance metadata. Constant for the life of the node.</summary>
    Task<NodeIdentity> IdentifyNodeAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Returns the result of <see cref="DescribeLimitsAsync"/> when it is known without a control-plane call; otherwise null.
    /// </summary>
    NodeLimits? KnownLimits(string nodeType) => null;

    /// <summary>Returns the interface and address limits of a node type.</summary>
    Task<NodeLimits> DescribeLimitsAsync(string nodeType, CancellationToken cancellationToken);

    /// <summary>
    /// Returns every interface attached to this node, from the control plane (one call, by attachment). Authoritative; never uses instance
    /// metadata.
    /// </summary>
    Task<IReadOnlyList<Ec2Interface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Returns the attached interfaces from the instance metadata, without a control-plane call. Only a hint: it may be late, early or
    /// incomplete. A difference from the ledger is a reason to call <see cref="DescribeAttachedInterfacesAsync"/>, never to act.
    /// </summary>
    Task<IReadOnlyList<InterfaceHint>> HintAttachedInterfacesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Returns the attached interfaces as far as the instance metadata shows them: link parameters and blocks, without tags, types and
    /// attachments. Only a hint: it may confirm earlier knowledge while the control plane does not answer.
    /// </summary>
    Task<IReadOnlyList<Ec2Interface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Returns the primary interface's security groups from the instance metadata, without a control-plane call. Only a hint (see <see
    /// cref="HintAttachedInterfacesAsync"/>).
    /// </summary>
    Task<IReadOnlyList<string>> HintSecurityGroupsAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Returns unattached interfaces with this node's tag, left by a crash between create and attach or between detach and delete.
    /// </summary>
    Task<IReadOnlyList<Ec2Interface>> DescribeUnattachedInterfacesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Returns unattached interfaces that any node's daemon created (by tag and description, of the same cluster if one is named). One
    /// describe call. They are never used, so <see cref="Ec2Interface.SubnetRange"/> is not looked up and contains the primary address
    /// only.
    /// </summary>
    Task<IReadOnlyList<Ec2Interface>> DescribeLeakCandidatesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Returns the subnets of the node's network and zone, the primary interface's included, with tags and free addresses. One describe
    /// call.
    /// </summary>
    Task<IReadOnlyList<CloudSubnet>> DescribeSubnetsAsync(CancellationToken cancellationToken);

    /// <summary>Returns a subnet in any zone and network; null when the id does not exist. One describe call.</summary>
    Task<CloudSubnet?> FindSubnetAsync(string subnetId, CancellationToken cancellationToken);

    /// <summary>Returns the address ranges of the virtual network from the instance metadata; they may grow at run time.</summary>
    Task<IReadOnlyList<IPNetwork>> DescribeNetworkRangesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Creates an unattached interface with this daemon's tags. A repeated call with the same <see
    /// cref="CreateInterfaceRequest.IdempotencyToken"/> returns the interface of the first call.
    /// </summary>
    Task<Ec2Interface> CreateInterfaceAsync(CreateInterfaceRequest request, CancellationToken cancellationToken);

    /// <summary>Attaches an interface to this node in a slot. Returns the attachment's id.</summary>
    Task<string> AttachInterfaceAsync(NetworkInterfaceId id, Slot slot, CancellationToken cancellationToken);

    /// <summary>Sets the interface to be deleted with the instance, so that a terminated node leaks nothing.</summary>
    Task SetDeleteOnTerminationAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken);

    /// <summary>Replaces the interface's security groups. Idempotent.</summary>
    Task SetSecurityGroupsAsync(NetworkInterfaceId id, IReadOnlyList<string> securityGroupIds, CancellationToken cancellationToken);

    /// <summary>Starts the detachment; the interface can be deleted when it is described as available.</summary>
    Task DetachInterfaceAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken);

    /// <summary>Deletes a detached interface. Succeeds when it no longer exists.</summary>
    Task DeleteInterfaceAsync(NetworkInterfaceId id, CancellationToken cancellationToken);

    /// <summary>Adds blocks to an interface and returns exactly the added blocks. All or nothing.</summary>
    Task<IReadOnlyList<IPNetwork>> AssignBlocksAsync(NetworkInterfaceId id, BlockRequest request, CancellationToken cancellationToken);

    /// <summary>Removes blocks from an interface. Succeeds for blocks that it no longer has.</summary>
    Task UnassignBlocksAsync(NetworkInterfaceId id, IReadOnlyList<IPNetwork> blocks, CancellationToken cancellationToken);

    /// <summary>
    /// Adds this daemon's tags to an interface that lacks some; or, with a time, only the creation tag, since the interface may be another
    /// node's.
    /// </summary>
    Task TagInterfaceAsync(NetworkInterfaceId id, DateTimeOffset? createdAt, CancellationToken cancellationToken);
}

/// <summary>The parameters of a new interface.</summary>
/// <param name="IdempotencyToken">At most 64 ASCII characters (EC2 ClientToken).</param>
/// <param name="RequestedAt">
/// When the intent was recorded; becomes the creation tag. Part of the request because a repeated call must be identical, also after a
/// restart.
/// </param>
/// <param name="SubnetId">The interface's subnet; must be in the node's zone.</param>
/// <param name="SecurityGroupIds">Usually those of the primary interface.</param>
/// <param name="Blocks">Blocks to create it with, besides its primary address: at most one request of each family.</param>
internal sealed record CreateInterfaceRequest(
    string IdempotencyToken,
    DateTimeOffset RequestedAt,
    string SubnetId,
    IReadOnlyList<string> SecurityGroupIds,
    IReadOnlyList<BlockRequest> Blocks
);

/// <summary>State of an interface in EC2.</summary>
internal enum Ec2InterfaceState
{
    Available,
    Attaching,
    InUse,
    Detaching,
}

/// <summary>One interface, as the control plane describes it.</summary>
internal sealed record Ec2Interface
{
    public required NetworkInterfaceId Id { get; init; }

    /// <summary>MAC address, lower-case with colons.</summary>
    public required string Mac { get; init; }
    public required string SubnetId { get; init; }

    /// <summary>The subnet's range of the primary address's family; the gateway is its base + 1.</summary>
    public required IPNetwork SubnetRange { get; init; }

    /// <summary>Primary address; <see cref="IPAddress.Any"/> for an interface without addresses (<c>efa-only</c>).</summary>
    public required IPAddress PrimaryAddress { get; init; }

    /// <summary>All blocks without the node's own addresses, in the order of the answer.</summary>
    public required IReadOnlyList<IPNetwork> Blocks { get; init; }
    public required IReadOnlyList<string> SecurityGroupIds { get; init; }
    public required IReadOnlyDictionary<string, string> Tags { get; init; }
    public required Ec2InterfaceState State { get; init; }

    /// <summary>The attachment's id; null when unattached.</summary>
    public string? AttachmentId { get; init; }

    /// <summary>Its slot; null when unattached. The primary interface has the primary slot, whatever index the cloud gives it.</summary>
    public Slot? Slot { get; init; }
    public bool IsPrimary => Slot is { IsPrimary: true };
    public bool DeleteOnTermination { get; init; }
    public string Description { get; init; } = "";

    /// <summary>
    /// <c>interface</c>, <c>trunk</c>, <c>branch</c>, <c>efa</c> or <c>efa-only</c>; only the first carries pod addresses.
    /// </summary>
    public string InterfaceType { get; init; } = "interface";
}
