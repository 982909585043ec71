// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Placement;

/// <summary>
/// Decides where new interfaces are created and with which security groups, and which existing ones get no new pods: by the subnets' tags
/// (<see cref="Subnets"/>) or by the cluster's configuration (<see cref="CustomNetworking"/>). Read on every plan; thread-safe.
/// </summary>
internal abstract class InterfacePlacement
{
    /// <summary>Whether pods may use addresses of the primary interface.</summary>
    public abstract bool UsesPrimary { get; }

    /// <summary>Whether the decisions depend on descriptions of subnets.</summary>
    public abstract bool Describes { get; }

    /// <summary>False while growth waits for a missing description.</summary>
    public abstract bool IsDescribed { get; }

    /// <summary>Why no interface can be created; null when <see cref="Candidates"/> says where one can.</summary>
    public abstract GrowthObstacle? Obstacle { get; }

    /// <summary>Describes the subnets that the decisions depend on.</summary>
    /// <exception cref="CloudException">The cloud did not answer; decisions keep their last basis.</exception>
    public abstract Task DescribeAsync(ISubnetCatalog catalog, CancellationToken cancellationToken);

    /// <summary>Subnets for new interfaces, best first, with the security groups of an interface in each.</summary>
    /// <param name="primaryGroups">The primary interface's groups; empty before the first observation.</param>
    public abstract IReadOnlyList<SubnetCandidate> Candidates(IReadOnlyList<string> primaryGroups);

    /// <summary>Whether the interface gets no new pods.</summary>
    public abstract bool IsExcluded(CloudInterface item);

    /// <summary>Desired security groups of an interface with pods; null when undefined.</summary>
    public abstract IReadOnlyList<string>? GroupsFor(CloudInterface item, CloudInterface primary);
}
