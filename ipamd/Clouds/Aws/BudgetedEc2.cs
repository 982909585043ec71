// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// Charges the control-plane calls of EC2 to an <see cref="ApiRateLimiter"/>. One method counts as one call of EC2;
/// repetitions after a lost answer and calls made once per daemon run are not charged. Instance metadata is free.
/// <para>The priority follows from the call: releases have <see cref="CallPriority.Release"/>, searches for leaked interfaces <see
/// cref="CallPriority.CleanUp"/>, all others <see cref="CallPriority.Growth"/>. Where that is wrong (undoing an addition, deleting a leaked
/// interface) the caller uses a view from <see cref="For"/>.</para>
/// <para>Creating an interface also pays for attaching it and for its termination flag: an interface is never left incomplete for lack of a
/// token.</para>
/// </summary>
internal sealed class BudgetedEc2 : IEc2
{
    /// <summary>Create, attach, modify.</summary>
    private const int NewInterfaceCost = 3;

    private readonly IEc2 _inner;
    private readonly ApiRateLimiter _budget;
    private readonly CallPriority? _priority;

    public BudgetedEc2(IEc2 inner, ApiRateLimiter budget)
        : this(inner, budget, priority: null) { }

    private BudgetedEc2(IEc2 inner, ApiRateLimiter budget, CallPriority? priority) =>
        (_inner, _budget, _priority) = (inner, budget, priority);

    /// <summary>The same cloud and rate limiter with this priority for every call.</summary>
    public IEc2 For(CallPriority priority) => new BudgetedEc2(_inner, _budget, priority);

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

    public Task<IReadOnlyList<Ec2Interface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        ExecuteAsync(
            "DescribeAttachedInterfaces",
            CallKind.Describe,
            CallPriority.Growth,
            _inner.DescribeAttachedInterfacesAsync,
            cancellationToken
        );

    public Task<IReadOnlyList<InterfaceHint>> HintAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        _inner.HintAttachedInterfacesAsync(cancellationToken);

    public Task<IReadOnlyList<Ec2Interface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken) =>
        _inner.ReadMetadataInterfacesAsync(cancellationToken);

    public Task<IReadOnlyList<string>> HintSecurityGroupsAsync(CancellationToken cancellationToken) =>
        _inner.HintSecurityGroupsAsync(cancellationToken);

    public Task<IReadOnlyList<Ec2Interface>> DescribeUnattachedInterfacesAsync(CancellationToken cancellationToken) =>
        ExecuteAsync(
            "DescribeUnattachedInterfaces",
            CallKind.Describe,
            CallPriority.Growth,
            _inner.DescribeUnattachedInterfacesAsync,
            cancellationToken
        );

    public Task<IReadOnlyList<Ec2Interface>> DescribeLeakCandidatesAsync(CancellationToken cancellationToken) =>
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

    public Task<Ec2Interface> CreateInterfaceAsync(CreateInterfaceRequest request, CancellationToken cancellationToken) =>
        ExecuteAsync(
            "CreateInterface",
            CallKind.Mutate,
            CallPriority.Growth,
            token => _inner.CreateInterfaceAsync(request, token),
            cancellationToken,
            NewInterfaceCost
        );

    public Task<string> AttachInterfaceAsync(NetworkInterfaceId id, Slot slot, CancellationToken cancellationToken) =>
        ExecuteAsync(
            "AttachInterface",
            CallKind.Mutate,
            CallPriority.Growth,
            token => _inner.AttachInterfaceAsync(id, slot, token),
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
