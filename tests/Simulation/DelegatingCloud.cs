// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Startup;

namespace VpcCni.Simulation.Tests;

/// <summary>Forwards every call, as a base for wrappers that observe or change one.</summary>
internal abstract class DelegatingCloud(IEc2 inner) : IEc2
{
    protected IEc2 Inner => inner;

    public Task<NodeIdentity> IdentifyNodeAsync(CancellationToken cancellationToken) => inner.IdentifyNodeAsync(cancellationToken);

    public NodeLimits? KnownLimits(string nodeType) => inner.KnownLimits(nodeType);

    public Task<NodeLimits> DescribeLimitsAsync(string nodeType, CancellationToken cancellationToken) =>
        inner.DescribeLimitsAsync(nodeType, cancellationToken);

    public virtual Task<IReadOnlyList<Ec2Interface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        inner.DescribeAttachedInterfacesAsync(cancellationToken);

    public Task<IReadOnlyList<InterfaceHint>> HintAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        inner.HintAttachedInterfacesAsync(cancellationToken);

    public virtual Task<IReadOnlyList<Ec2Interface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken) =>
        inner.ReadMetadataInterfacesAsync(cancellationToken);

    public Task<IReadOnlyList<string>> HintSecurityGroupsAsync(CancellationToken cancellationToken) =>
        inner.HintSecurityGroupsAsync(cancellationToken);

    public virtual Task<IReadOnlyList<Ec2Interface>> DescribeUnattachedInterfacesAsync(CancellationToken cancellationToken) =>
        inner.DescribeUnattachedInterfacesAsync(cancellationToken);

    public Task<IReadOnlyList<Ec2Interface>> DescribeLeakCandidatesAsync(CancellationToken cancellationToken) =>
        inner.DescribeLeakCandidatesAsync(cancellationToken);

    public Task<IReadOnlyList<CloudSubnet>> DescribeSubnetsAsync(CancellationToken cancellationToken) =>
        inner.DescribeSubnetsAsync(cancellationToken);

    public virtual Task<CloudSubnet?> FindSubnetAsync(string subnetId, CancellationToken cancellationToken) =>
        inner.FindSubnetAsync(subnetId, cancellationToken);

    public Task<IReadOnlyList<IPNetwork>> DescribeNetworkRangesAsync(CancellationToken cancellationToken) =>
        inner.DescribeNetworkRangesAsync(cancellationToken);

    public virtual Task<Ec2Interface> CreateInterfaceAsync(CreateInterfaceRequest request, CancellationToken cancellationToken) =>
        inner.CreateInterfaceAsync(request, cancellationToken);

    public Task<string> AttachInterfaceAsync(NetworkInterfaceId id, Slot slot, CancellationToken cancellationToken) =>
        inner.AttachInterfaceAsync(id, slot, cancellationToken);

    public virtual Task SetDeleteOnTerminationAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken) =>
        inner.SetDeleteOnTerminationAsync(id, attachmentId, cancellationToken);

    public virtual Task SetSecurityGroupsAsync(
        NetworkInterfaceId id,
        IReadOnlyList<string> securityGroupIds,
        CancellationToken cancellationToken
    ) => inner.SetSecurityGroupsAsync(id, securityGroupIds, cancellationToken);

    public Task DetachInterfaceAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken) =>
        inner.DetachInterfaceAsync(id, attachmentId, cancellationToken);

    public virtual Task DeleteInterfaceAsync(NetworkInterfaceId id, CancellationToken cancellationToken) =>
        inner.DeleteInterfaceAsync(id, cancellationToken);

    public virtual Task<IReadOnlyList<IPNetwork>> AssignBlocksAsync(
        NetworkInterfaceId id,
        BlockRequest request,
        CancellationToken cancellationToken
    ) => inner.AssignBlocksAsync(id, request, cancellationToken);

    public virtual Task UnassignBlocksAsync(NetworkInterfaceId id, IReadOnlyList<IPNetwork> blocks, CancellationToken cancellationToken) =>
        inner.UnassignBlocksAsync(id, blocks, cancellationToken);

    public Task TagInterfaceAsync(NetworkInterfaceId id, DateTimeOffset? createdAt, CancellationToken cancellationToken) =>
        inner.TagInterfaceAsync(id, createdAt, cancellationToken);
}

/// <summary>Changes to a daemon's EC2.</summary>
internal static class Ec2Ports
{
    /// <summary>The same ports with a wrapper around EC2.</summary>
    public static PoolPorts WithEc2(this PoolPorts ports, Func<IEc2, IEc2> wrap)
    {
        var factory = (AwsFactory)ports.Cloud;
        return ports with { Cloud = factory with { Ec2 = wrap(factory.Ec2) } };
    }
}
