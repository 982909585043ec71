// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds;

/// <summary>
/// What the pool needs of a cloud: this node's network interfaces and the address blocks on them. A block is a single address (/32, /128)
/// or a prefix (/28, /80), always an <see cref="IPNetwork"/>. Implemented by <c>Aws</c> and, in tests, by a fake over a model. Every method
/// has a deadline of its own inside the implementation, retries only what is safe to retry, and throws <see cref="CloudException"/> for
/// every answer that is not success and for every failure to get one.
/// </summary>
internal interface ICloud
{
    /// <summary>Who and where this node is, from the instance metadata. Constant for the life of the node.</summary>
    Task<NodeIdentity> IdentifyNodeAsync(CancellationToken cancellationToken);

    /// <summary>
    /// What <see cref="DescribeLimitsAsync"/> would answer, where that is known without a control-plane call; null where it must be asked.
    /// </summary>
    NodeLimits? KnownLimits(string nodeType) => null;

    /// <summary>How many interfaces and addresses a node of this type can carry.</summary>
    Task<NodeLimits> DescribeLimitsAsync(string nodeType, CancellationToken cancellationToken);

    /// <summary>
    /// The truth: every interface attached to this node, as the control plane sees it (one call, by attachment). Instance metadata is never
    /// consulted.
    /// </summary>
    Task<IReadOnlyList<CloudInterface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// What the instance metadata shows of the interfaces attached to this node: no control-plane call, and no truth either. It may be
    /// late, early or incomplete; a difference to the ledger is a reason to ask for the truth, never one to act.
    /// </summary>
    Task<IReadOnlyList<InterfaceHint>> HintAttachedInterfacesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// The attached interfaces as far as the instance metadata shows them: what they are wired with and their blocks, without tags, types
    /// and attachments. No truth either: it may confirm what was known before, while the control plane does not answer.
    /// </summary>
    Task<IReadOnlyList<CloudInterface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// The security groups of the primary interface as the instance metadata shows them: no control-plane call, and no truth either (see
    /// <see cref="HintAttachedInterfacesAsync"/>).
    /// </summary>
    Task<IReadOnlyList<string>> HintSecurityGroupsAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Interfaces with this node's tag that are attached to nothing: what a crash between create and attach, or detach and delete, leaves.
    /// </summary>
    Task<IReadOnlyList<CloudInterface>> DescribeUnattachedInterfacesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Interfaces that any node's daemon created (by tag and description, of the same cluster where one is named) and that are attached to
    /// nothing now. One describe; nobody will wire these, so <see cref="CloudInterface.SubnetRange"/> is not looked up and is the primary
    /// address alone.
    /// </summary>
    Task<IReadOnlyList<CloudInterface>> DescribeLeakCandidatesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// The subnets of the node's network and zone, the primary interface's among them, with their tags and free addresses. One describe.
    /// </summary>
    Task<IReadOnlyList<CloudSubnet>> DescribeSubnetsAsync(CancellationToken cancellationToken);

    /// <summary>A subnet wherever it is, in another zone or network, too; null when there is none of that id. One describe.</summary>
    Task<CloudSubnet?> FindSubnetAsync(string subnetId, CancellationToken cancellationToken);

    /// <summary>The address ranges of the virtual network now; they may grow at run time. From the instance metadata.</summary>
    Task<IReadOnlyList<IPNetwork>> DescribeNetworkRangesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Creates an interface, tagged as ours, not attached. Repeating a call with the same
    /// <see cref="CreateInterfaceRequest.IdempotencyToken"/> returns the interface that the first one created.
    /// </summary>
    Task<CloudInterface> CreateInterfaceAsync(CreateInterfaceRequest request, CancellationToken cancellationToken);

    /// <summary>Attaches it to this node at a device index. Returns the attachment's id.</summary>
    Task<string> AttachInterfaceAsync(NetworkInterfaceId id, int deviceIndex, CancellationToken cancellationToken);

    /// <summary>Makes the cloud delete the interface together with the node, so that a node that dies leaks nothing.</summary>
    Task SetDeleteOnTerminationAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken);

    /// <summary>Replaces the interface's security groups by these. Repeating it changes nothing.</summary>
    Task SetSecurityGroupsAsync(NetworkInterfaceId id, IReadOnlyList<string> securityGroupIds, CancellationToken cancellationToken);

    /// <summary>Starts the detachment; the interface can be deleted when it is described as available.</summary>
    Task DetachInterfaceAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken);

    /// <summary>Deletes a detached interface. One that no longer exists counts as deleted.</summary>
    Task DeleteInterfaceAsync(NetworkInterfaceId id, CancellationToken cancellationToken);

    /// <summary>Adds blocks to an interface and returns exactly the blocks that were added. All or nothing.</summary>
    Task<IReadOnlyList<IPNetwork>> AssignBlocksAsync(NetworkInterfaceId id, BlockRequest request, CancellationToken cancellationToken);

    /// <summary>Takes blocks from an interface. Blocks that it no longer has count as taken.</summary>
    Task UnassignBlocksAsync(NetworkInterfaceId id, IReadOnlyList<IPNetwork> blocks, CancellationToken cancellationToken);

    /// <summary>
    /// Adds our tags to an interface that lacks some of them; or, with a time, its creation tag and nothing else, since it may be another
    /// node's.
    /// </summary>
    Task TagInterfaceAsync(NetworkInterfaceId id, DateTimeOffset? createdAt, CancellationToken cancellationToken);
}

/// <summary>Everything that a new interface is created with.</summary>
/// <param name="IdempotencyToken">At most 64 ASCII characters (EC2 ClientToken).</param>
/// <param name="RequestedAt">
/// When the intent was recorded; becomes the creation tag. Part of the request because a repeated call must be the same call, byte for
/// byte, also after a restart.
/// </param>
/// <param name="SubnetId">Where; must be in the node's zone.</param>
/// <param name="SecurityGroupIds">Usually those of the primary interface.</param>
/// <param name="Blocks">Blocks to create it with, besides its primary address.</param>
internal sealed record CreateInterfaceRequest(
    string IdempotencyToken,
    DateTimeOffset RequestedAt,
    string SubnetId,
    IReadOnlyList<string> SecurityGroupIds,
    BlockRequest Blocks
);

/// <summary>What the instance metadata says of this node.</summary>
internal sealed record NodeIdentity
{
    public required string NodeId { get; init; }
    public required string NodeType { get; init; }
    public required string Region { get; init; }
    public required string Zone { get; init; }
    public required string NetworkId { get; init; }
    public required IPAddress PrimaryAddress { get; init; }
    public required string PrimaryMac { get; init; }
    public required NetworkInterfaceId PrimaryInterface { get; init; }
    public required string PrimarySubnetId { get; init; }
}

/// <summary>What a node type can carry.</summary>
/// <param name="MaxInterfaces">Interfaces on the first network card, the primary one included; other cards carry no pods.</param>
/// <param name="Ipv4AddressesPerInterface">The primary address included; blocks of an interface are at most one less.</param>
/// <param name="Ipv6AddressesPerInterface">Zero where the type has no IPv6.</param>
/// <param name="SupportsPrefixes">Nitro or bare metal: prefix delegation works.</param>
internal sealed record NodeLimits(int MaxInterfaces, int Ipv4AddressesPerInterface, int Ipv6AddressesPerInterface, bool SupportsPrefixes);

/// <summary>An interface as the instance metadata shows it.</summary>
/// <param name="Id">The interface.</param>
/// <param name="Blocks">As <see cref="CloudInterface.Blocks"/>, without the primary address; in any order.</param>
internal sealed record InterfaceHint(NetworkInterfaceId Id, IReadOnlyList<IPNetwork> Blocks);

/// <summary>A subnet.</summary>
/// <param name="Id">The subnet.</param>
/// <param name="NetworkId">The virtual network that it is in.</param>
/// <param name="Zone">The zone that it is in.</param>
/// <param name="Range">Its IPv4 range.</param>
/// <param name="FreeAddresses">IPv4 addresses that nobody holds; says nothing of how many aligned prefixes they make.</param>
/// <param name="Tags">All of its tags.</param>
internal sealed record CloudSubnet(
    string Id,
    string NetworkId,
    string Zone,
    IPNetwork Range,
    int FreeAddresses,
    IReadOnlyDictionary<string, string> Tags
);

/// <summary>State of an interface in the cloud.</summary>
internal enum CloudInterfaceState
{
    Available,
    Attaching,
    InUse,
    Detaching,
}

/// <summary>One interface as the control plane describes it.</summary>
internal sealed record CloudInterface
{
    public required NetworkInterfaceId Id { get; init; }

    /// <summary>Lower-case, colon-separated.</summary>
    public required string Mac { get; init; }
    public required string SubnetId { get; init; }

    /// <summary>The subnet's range of the family of the primary address; the gateway is its base + 1.</summary>
    public required IPNetwork SubnetRange { get; init; }

    /// <summary><see cref="IPAddress.Any"/> of an interface that has no address at all (<c>efa-only</c>).</summary>
    public required IPAddress PrimaryAddress { get; init; }

    /// <summary>All blocks without the primary address, in the order of the answer.</summary>
    public required IReadOnlyList<IPNetwork> Blocks { get; init; }
    public required IReadOnlyList<string> SecurityGroupIds { get; init; }
    public required IReadOnlyDictionary<string, string> Tags { get; init; }
    public required CloudInterfaceState State { get; init; }

    /// <summary>Null when attached to nothing.</summary>
    public string? AttachmentId { get; init; }

    /// <summary>On card 0, 0 is the primary interface, whatever index the cloud has for it; null when attached to nothing.</summary>
    public int? DeviceIndex { get; init; }
    public int NetworkCard { get; init; }
    public bool DeleteOnTermination { get; init; }
    public string Description { get; init; } = "";

    /// <summary>
    /// <c>interface</c>, <c>trunk</c>, <c>branch</c>, <c>efa</c>, <c>efa-only</c>: only the first carries pod addresses of ours.
    /// </summary>
    public string InterfaceType { get; init; } = "interface";
}
