// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>Builds the ports on EC2.</summary>
/// <param name="Ec2">EC2, without budget.</param>
/// <param name="ManageUntagged">MANAGE_UNTAGGED_ENI: also manage interfaces that someone else attached.</param>
internal sealed record AwsFactory(IEc2 Ec2, bool ManageUntagged) : ICloudFactory
{
    public CloudPorts Create(CloudDependencies dependencies)
    {
        var ec2 = new BudgetedEc2(Ec2, dependencies.Budget);
        var interfaces = new AttachedInterfaces(ec2, ManageUntagged);
        var cloud = new AwsCloud(ec2, interfaces);
        return new CloudPorts(
            cloud,
            cloud,
            new InterfaceProvisioner(
                ec2,
                interfaces,
                new LeakedInterfaces(
                    ec2,
                    ec2.For(CallPriority.CleanUp),
                    dependencies.Time,
                    dependencies.Random,
                    dependencies.Loggers.CreateLogger<LeakedInterfaces>()
                ),
                dependencies.Time,
                dependencies.Loggers.CreateLogger<InterfaceProvisioner>()
            ),
            cloud,
            cloud
        );
    }
}

/// <summary>The ports whose methods take at most one call of EC2 or some reads of the metadata.</summary>
internal sealed class AwsCloud(IEc2 ec2, AttachedInterfaces interfaces) : INodeCloud, IBlockProvider, ISecurityGroups, ISubnetCatalog
{
    public Task<NodeIdentity> IdentifyNodeAsync(CancellationToken cancellationToken) => ec2.IdentifyNodeAsync(cancellationToken);

    public NodeLimits? KnownLimits(string nodeType) => ec2.KnownLimits(nodeType);

    public Task<NodeLimits> DescribeLimitsAsync(string nodeType, CancellationToken cancellationToken) =>
        ec2.DescribeLimitsAsync(nodeType, cancellationToken);

    public BlockShape? PrefixOf(AddressFamily family) => family == IpFamily.V6 ? Ec2Limits.Ipv6Prefix : Ec2Limits.Ipv4Prefix;

    public Task<IReadOnlyList<CloudInterface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        interfaces.DescribeAsync(cancellationToken);

    public Task<IReadOnlyList<InterfaceHint>> HintAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        ec2.HintAttachedInterfacesAsync(cancellationToken);

    public Task<IReadOnlyList<CloudInterface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken) =>
        interfaces.ReadMetadataAsync(cancellationToken);

    public Task<IReadOnlyList<IPNetwork>> DescribeNetworkRangesAsync(CancellationToken cancellationToken) =>
        ec2.DescribeNetworkRangesAsync(cancellationToken);

    public Task<IReadOnlyList<IPNetwork>> AssignBlocksAsync(
        NetworkInterfaceId id,
        BlockRequest request,
        ChangeProgress progress,
        CancellationToken cancellationToken
    ) => ec2.AssignBlocksAsync(id, request, cancellationToken);

    public Task UnassignBlocksAsync(
        NetworkInterfaceId id,
        IReadOnlyList<IPNetwork> blocks,
        ChangeProgress progress,
        CancellationToken cancellationToken
    ) => ec2.UnassignBlocksAsync(id, blocks, cancellationToken);

    public Task<IReadOnlyList<string>> HintSecurityGroupsAsync(CancellationToken cancellationToken) =>
        ec2.HintSecurityGroupsAsync(cancellationToken);

    public Task SetSecurityGroupsAsync(
        NetworkInterfaceId id,
        IReadOnlyList<string> securityGroupIds,
        CancellationToken cancellationToken
    ) => ec2.SetSecurityGroupsAsync(id, securityGroupIds, cancellationToken);

    public Task<IReadOnlyList<CloudSubnet>> DescribeSubnetsAsync(CancellationToken cancellationToken) =>
        ec2.DescribeSubnetsAsync(cancellationToken);

    public Task<CloudSubnet?> FindSubnetAsync(string subnetId, CancellationToken cancellationToken) =>
        ec2.FindSubnetAsync(subnetId, cancellationToken);
}
