// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Placement;

/// <summary>
/// Placement by the subnets' tags, as in the AWS VPC CNI: <c>kubernetes.io/role/cni</c> marks a subnet for pods (<c>0</c>: not for pods),
/// <c>cni.networking.k8s.aws/cluster/NAME</c> reserves it for clusters.
/// </summary>
/// <param name="discover">ENABLE_SUBNET_DISCOVERY; without it new interfaces are created in the primary interface's subnet.</param>
/// <param name="clusterName">CLUSTER_NAME; null when unknown.</param>
/// <param name="primarySubnet">The primary interface's subnet.</param>
internal sealed class Subnets(bool discover, string? clusterName, string primarySubnet) : InterfacePlacement
{
    public const string RoleTag = "kubernetes.io/role/cni";
    public const string ClusterTagPrefix = "cni.networking.k8s.aws/cluster/";

    private volatile IReadOnlyList<CloudSubnet> _described = [];

    public override bool UsesPrimary => true;

    public override bool Describes => discover;

    /// <summary>A node without permission to describe subnets uses its own subnet, as with the reference.</summary>
    public override bool IsDescribed => true;

    public override GrowthObstacle? Obstacle =>
        Candidates().Length > 0
            ? null
            : new(
                GrowthObstacleKind.NoSubnet,
                null,
                $"{primarySubnet}, the node's own subnet, is tagged {RoleTag}=0, and no other subnet of the zone is tagged "
                    + $"{RoleTag}=1 for this cluster"
            );

    public override async Task DescribeAsync(ISubnetCatalog catalog, CancellationToken cancellationToken) =>
        _described = await catalog.DescribeSubnetsAsync(cancellationToken);

    /// <summary>
    /// Most free addresses first; new interfaces have the groups of the primary one. Falls back to the primary interface's subnet when no
    /// subnet qualifies and that one is not described: it exists, and no tag excludes it.
    /// </summary>
    public override IReadOnlyList<SubnetCandidate> Candidates(IReadOnlyList<string> primaryGroups) =>
        [.. Candidates().Select(subnet => subnet with { SecurityGroupIds = primaryGroups })];

    private SubnetCandidate[] Candidates()
    {
        if (!discover)
            return [new SubnetCandidate(primarySubnet, _described.FirstOrDefault(subnet => subnet.Id == primarySubnet)?.FreeAddresses)];
        var described = _described;
        SubnetCandidate[] candidates =
        [
            .. described
                .Where(subnet => IsForPods(subnet.Tags, subnet.Id == primarySubnet, clusterName))
                .OrderByDescending(subnet => subnet.FreeAddresses)
                .ThenBy(subnet => subnet.Id, StringComparer.Ordinal)
                .Select(subnet => new SubnetCandidate(subnet.Id, subnet.FreeAddresses)),
        ];
        return candidates.Length > 0 || described.Any(subnet => subnet.Id == primarySubnet)
            ? candidates
            : [new SubnetCandidate(primarySubnet, null)];
    }

    /// <summary>Whether the interface's subnet is tagged as not for pods. Applies even when the node has no other subnet.</summary>
    public override bool IsExcluded(CloudInterface item) =>
        discover
        && _described.FirstOrDefault(subnet => subnet.Id == item.SubnetId) is { } subnet
        && subnet.Tags.TryGetValue(RoleTag, out var role)
        && role == "0";

    public override IReadOnlyList<string>? GroupsFor(CloudInterface item, CloudInterface primary) => primary.SecurityGroupIds;

    /// <summary>Whether the tags permit pods: the primary interface's subnet unless tagged otherwise; any other must be tagged.</summary>
    internal static bool IsForPods(IReadOnlyDictionary<string, string> tags, bool isPrimary, string? clusterName)
    {
        var role = tags.GetValueOrDefault(RoleTag);
        if (role == "0" || (role is null && !isPrimary))
            return false;
        return isPrimary
            || !tags.Keys.Any(key => key.StartsWith(ClusterTagPrefix, StringComparison.Ordinal))
            || tags.ContainsKey(ClusterTagPrefix + clusterName);
    }
}
