// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds;

/// <summary>
/// A cloud whose control-plane calls are paid for out of an <see cref="ApiRateLimiter"/>. One call of the port is one call of the cloud as
/// a rule, and counts as one; what the implementation repeats after a lost answer, or asks once in the daemon's life, is not charged.
/// Instance metadata is free.
///
/// The priority follows from the call: what gives back is a release, what looks for leftovers of others is clean-up, all else is growth.
/// Where that is not so (a half-done addition is taken back, a leftover is deleted) the caller takes a view with <see cref="For"/>.
///
/// Creating an interface pays for attaching it and for its termination flag too: an interface is never left half-made for want of a token.
/// </summary>
internal sealed class BudgetedCloud : ICloud
{
    /// <summary>Create, attach, modify.</summary>
    private const int NewInterfaceCost = 3;

    private readonly ICloud _inner;
    private readonly ApiRateLimiter _budget;
    private readonly CallPriority? _priority;

    public BudgetedCloud(ICloud inner, ApiRateLimiter budget)
        : this(inner, budget, priority: null) { }

    private BudgetedCloud(ICloud inner, ApiRateLimiter budget, CallPriority? priority) =>
        (_inner, _budget, _priority) = (inner, budget, priority);

    /// <summary>The same cloud and budget, every call with this priority.</summary>
    public ICloud For(CallPriority priority) => new BudgetedCloud(_inner, _budget, priority);

    public Task<NodeIdentity> IdentifyNodeAsync(CancellationToken cancellationToken) => _inner.IdentifyNodeAsync(cancellationToken);

    public NodeLimits? KnownLimits(string nodeType) => _inner.KnownLimits(nodeType);

    public Task<NodeLimits> DescribeLimitsAsync(string nodeType, CancellationToken cancellationToken) =>
        _inner.KnownLimits(nodeType) is { } known
            ? Task.FromResult(known)
            : ExecuteAsync(
                "DescribeLimits",
                CallKind.Describe,
                CallPriority.Growth,
                token => _inner.DescribeLimitsAsync(nodeType, token),
                cancellationToken
            );

    public Task<IReadOnlyList<CloudInterface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        ExecuteAsync(
            "DescribeAttachedInterfaces",
            CallKind.Describe,
            CallPriority.Growth,
            _inner.DescribeAttachedInterfacesAsync,
            cancellationToken
        );

    public Task<IReadOnlyList<InterfaceHint>> HintAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        _inner.HintAttachedInterfacesAsync(cancellationToken);

    public Task<IReadOnlyList<CloudInterface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken) =>
        _inner.ReadMetadataInterfacesAsync(cancellationToken);

    public Task<IReadOnlyList<string>> HintSecurityGroupsAsync(CancellationToken cancellationToken) =>
        _inner.HintSecurityGroupsAsync(cancellationToken);

    public Task<IReadOnlyList<CloudInterface>> DescribeUnattachedInterfacesAsync(CancellationToken cancellationToken) =>
        ExecuteAsync(
            "DescribeUnattachedInterfaces",
            CallKind.Describe,
            CallPriority.Growth,
            _inner.DescribeUnattachedInterfacesAsync,
            cancellationToken
        );

    public Task<IReadOnlyList<CloudInterface>> DescribeLeakCandidatesAsync(CancellationToken cancellationToken) =>
        ExecuteAsync(
            "DescribeLeakCandidates",
            CallKind.Describe,
            CallPriority.CleanUp,
            _inner.DescribeLeakCandidatesAsync,
            cancellationToken
        );

    public Task<IReadOnlyList<CloudSubnet>> DescribeSubnetsAsync(CancellationToken cancellationToken) =>
        ExecuteAsync("DescribeSubnets", CallKind.Describe, CallPriority.Growth, _inner.DescribeSubnetsAsync, cancellationToken);

    public Task<CloudSubnet?> FindSubnetAsync(string subnetId, CancellationToken cancellationToken) =>
        ExecuteAsync(
            "FindSubnet",
            CallKind.Describe,
            CallPriority.Growth,
            token => _inner.FindSubnetAsync(subnetId, token),
            cancellationToken
        );

    public Task<IReadOnlyList<IPNetwork>> DescribeNetworkRangesAsync(CancellationToken cancellationToken) =>
        _inner.DescribeNetworkRangesAsync(cancellationToken);

    public Task<CloudInterface> CreateInterfaceAsync(CreateInterfaceRequest request, CancellationToken cancellationToken) =>
        ExecuteAsync(
            "CreateInterface",
            CallKind.Mutate,
            CallPriority.Growth,
            token => _inner.CreateInterfaceAsync(request, token),
            cancellationToken,
            NewInterfaceCost
        );

    public Task<string> AttachInterfaceAsync(NetworkInterfaceId id, int deviceIndex, CancellationToken cancellationToken) =>
        ExecuteAsync(
            "AttachInterface",
            CallKind.Mutate,
            CallPriority.Growth,
            token => _inner.AttachInterfaceAsync(id, deviceIndex, token),
            cancellationToken,
            cost: 0
        );

    public Task SetDeleteOnTerminationAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken) =>
        ExecuteAsync(
            "SetDeleteOnTermination",
            CallKind.Mutate,
            CallPriority.Growth,
            token => _inner.SetDeleteOnTerminationAsync(id, attachmentId, token),
            cancellationToken,
            cost: 0
        );

    public Task SetSecurityGroupsAsync(
        NetworkInterfaceId id,
        IReadOnlyList<string> securityGroupIds,
        CancellationToken cancellationToken
    ) =>
        ExecuteAsync(
            "SetSecurityGroups",
            CallKind.Mutate,
            CallPriority.Growth,
            token => _inner.SetSecurityGroupsAsync(id, securityGroupIds, token),
            cancellationToken
        );

    public Task DetachInterfaceAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken) =>
        ExecuteAsync(
            "DetachInterface",
            CallKind.Mutate,
            CallPriority.Release,
            token => _inner.DetachInterfaceAsync(id, attachmentId, token),
            cancellationToken
        );

    public Task DeleteInterfaceAsync(NetworkInterfaceId id, CancellationToken cancellationToken) =>
        ExecuteAsync(
            "DeleteInterface",
            CallKind.Mutate,
            CallPriority.Release,
            token => _inner.DeleteInterfaceAsync(id, token),
            cancellationToken
        );

    public Task<IReadOnlyList<IPNetwork>> AssignBlocksAsync(
        NetworkInterfaceId id,
        BlockRequest request,
        CancellationToken cancellationToken
    ) =>
        ExecuteAsync(
            "AssignBlocks",
            CallKind.Assign,
            CallPriority.Growth,
            token => _inner.AssignBlocksAsync(id, request, token),
            cancellationToken
        );

    public Task UnassignBlocksAsync(NetworkInterfaceId id, IReadOnlyList<IPNetwork> blocks, CancellationToken cancellationToken) =>
        ExecuteAsync(
            "UnassignBlocks",
            CallKind.Assign,
            CallPriority.Release,
            token => _inner.UnassignBlocksAsync(id, blocks, token),
            cancellationToken
        );

    public Task TagInterfaceAsync(NetworkInterfaceId id, DateTimeOffset? createdAt, CancellationToken cancellationToken) =>
        ExecuteAsync(
            "TagInterface",
            CallKind.Mutate,
            CallPriority.Growth,
            token => _inner.TagInterfaceAsync(id, createdAt, token),
            cancellationToken
        );

    private Task<T> ExecuteAsync<T>(
        string operation,
        CallKind kind,
        CallPriority usual,
        Func<CancellationToken, Task<T>> run,
        CancellationToken cancellationToken,
        int cost = 1
    ) => _budget.ExecuteAsync(new BudgetedCall(operation, kind, _priority ?? usual, cost), run, cancellationToken);

    private Task<bool> ExecuteAsync(
        string operation,
        CallKind kind,
        CallPriority usual,
        Func<CancellationToken, Task> run,
        CancellationToken cancellationToken,
        int cost = 1
    ) =>
        ExecuteAsync<bool>(
            operation,
            kind,
            usual,
            async token =>
            {
                await run(token);
                return true;
            },
            cancellationToken,
            cost
        );
}
