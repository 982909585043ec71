// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// The instance metadata alone (ENABLE_IMDS_ONLY_MODE), for nodes that may not or cannot reach EC2 and whose interfaces
/// and addresses someone else provides. Creates no EC2 client. The attached interfaces are those of the metadata, without tags; nothing is
/// created, changed, released or cleaned up, and every attempt fails with <see cref="CloudErrorKind.Disabled"/>.
/// </summary>
internal sealed class MetadataOnlyEc2 : IEc2, IDisposable
{
    public const string Option = "ENABLE_IMDS_ONLY_MODE";

    /// <summary>This daemon's code for a call that the mode rejects.</summary>
    public const string RefusedCode = "MetadataOnly";

    private readonly ImdsClient _imds;
    private readonly InstanceMetadata _metadata;
    private readonly InterfaceMetadata _interfaces;
    private NodeIdentity? _identity;

    /// <param name="options">How to reach the service.</param>
    /// <param name="time">Clock for deadlines, pauses and token expiry.</param>
    /// <param name="random">Source of jitter.</param>
    /// <param name="onAttempt">Called after every request.</param>
    public MetadataOnlyEc2(ImdsOptions options, TimeProvider time, Random random, Action<CloudAttempt> onAttempt)
    {
        _imds = new ImdsClient(options, time, random, onAttempt);
        _metadata = new InstanceMetadata(_imds, options.RequiresIpv6);
        _interfaces = new InterfaceMetadata(_imds, time);
    }

    public async Task<NodeIdentity> IdentifyNodeAsync(CancellationToken cancellationToken) =>
        _identity ??= await _metadata.ReadIdentityAsync(cancellationToken);

    public NodeLimits? KnownLimits(string nodeType) => InstanceTypeTable.Find(nodeType)?.Limits;

    public Task<NodeLimits> DescribeLimitsAsync(string nodeType, CancellationToken cancellationToken) =>
        KnownLimits(nodeType) is { } known
            ? Task.FromResult(known)
            : Task.FromException<NodeLimits>(
                new CloudException(
                    CloudErrorKind.Disabled,
                    "DescribeLimits",
                    RefusedCode,
                    $"the limits of {nodeType} are not in this version's table, and {Option}=true forbids calling EC2 for them; use a "
                        + $"version that knows the type, or set {Option}=false"
                )
            );

    public async Task<IReadOnlyList<Ec2Interface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        await _interfaces.ReadAllAsync(await IdentifyNodeAsync(cancellationToken), cancellationToken);

    public Task<IReadOnlyList<Ec2Interface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken) =>
        DescribeAttachedInterfacesAsync(cancellationToken);

    public async Task<IReadOnlyList<InterfaceHint>> HintAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        await _interfaces.ReadHintsAsync(await IdentifyNodeAsync(cancellationToken), cancellationToken);

    public async Task<IReadOnlyList<string>> HintSecurityGroupsAsync(CancellationToken cancellationToken) =>
        await _metadata.ReadSecurityGroupsAsync((await IdentifyNodeAsync(cancellationToken)).PrimaryMac, cancellationToken);

    /// <summary>Returns none: this mode creates none, and could not describe them.</summary>
    public Task<IReadOnlyList<Ec2Interface>> DescribeUnattachedInterfacesAsync(CancellationToken cancellationToken) =>
        None<Ec2Interface>(cancellationToken);

    public Task<IReadOnlyList<Ec2Interface>> DescribeLeakCandidatesAsync(CancellationToken cancellationToken) =>
        None<Ec2Interface>(cancellationToken);

    public Task<IReadOnlyList<CloudSubnet>> DescribeSubnetsAsync(CancellationToken cancellationToken) =>
        None<CloudSubnet>(cancellationToken);

    public Task<CloudSubnet?> FindSubnetAsync(string subnetId, CancellationToken cancellationToken) => Reject<CloudSubnet?>("FindSubnet");

    public async Task<IReadOnlyList<IPNetwork>> DescribeNetworkRangesAsync(CancellationToken cancellationToken) =>
        await _metadata.ReadNetworkRangesAsync((await IdentifyNodeAsync(cancellationToken)).PrimaryMac, cancellationToken);

    public Task<Ec2Interface> CreateInterfaceAsync(CreateInterfaceRequest request, CancellationToken cancellationToken) =>
        Reject<Ec2Interface>("CreateInterface");

    public Task<string> AttachInterfaceAsync(NetworkInterfaceId id, Slot slot, CancellationToken cancellationToken) =>
        Reject<string>("AttachInterface");

    public Task SetDeleteOnTerminationAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken) =>
        Reject<bool>("SetDeleteOnTermination");

    public Task SetSecurityGroupsAsync(
        NetworkInterfaceId id,
        IReadOnlyList<string> securityGroupIds,
        CancellationToken cancellationToken
    ) => Reject<bool>("SetSecurityGroups");

    public Task DetachInterfaceAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken) =>
        Reject<bool>("DetachInterface");

    public Task DeleteInterfaceAsync(NetworkInterfaceId id, CancellationToken cancellationToken) => Reject<bool>("DeleteInterface");

    public Task<IReadOnlyList<IPNetwork>> AssignBlocksAsync(
        NetworkInterfaceId id,
        BlockRequest request,
        CancellationToken cancellationToken
    ) => Reject<IReadOnlyList<IPNetwork>>("AssignBlocks");

    public Task UnassignBlocksAsync(NetworkInterfaceId id, IReadOnlyList<IPNetwork> blocks, CancellationToken cancellationToken) =>
        Reject<bool>("UnassignBlocks");

    public Task TagInterfaceAsync(NetworkInterfaceId id, DateTimeOffset? createdAt, CancellationToken cancellationToken) =>
        Reject<bool>("TagInterface");

    public void Dispose() => _imds.Dispose();

    private static Task<IReadOnlyList<T>> None<T>(CancellationToken cancellationToken) =>
        cancellationToken.IsCancellationRequested
            ? Task.FromCanceled<IReadOnlyList<T>>(cancellationToken)
            : Task.FromResult<IReadOnlyList<T>>([]);

    private static Task<T> Reject<T>(string operation) =>
        Task.FromException<T>(
            new CloudException(
                CloudErrorKind.Disabled,
                operation,
                RefusedCode,
                $"{Option}=true: this daemon never calls EC2; the provider of the node's interfaces has to do this, or set {Option}=false"
            )
        );
}
