// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Placement;

/// <summary>
/// Where new interfaces are made and with which security groups, and which of those that are there get no new pods. Either as the subnets'
/// tags say (<see cref="Subnets"/>), or as the cluster's configuration says (<see cref="CustomNetworking"/>). Read on every plan; safe for
/// several threads.
/// </summary>
internal abstract class InterfacePlacement
{
    /// <summary>Pods may have addresses of the primary interface.</summary>
    public abstract bool UsesPrimary { get; }

    /// <summary>Whether describing subnets is of any use.</summary>
    public abstract bool Describes { get; }

    /// <summary>False: a description is missing that growth waits for.</summary>
    public abstract bool IsDescribed { get; }

    /// <summary>Why no interface can be made anywhere; null when <see cref="Candidates"/> says where.</summary>
    public abstract GrowthObstacle? Obstacle { get; }

    /// <summary>Asks the cloud what the decisions depend on.</summary>
    /// <exception cref="CloudException">The cloud did not answer; decisions rest on what was known.</exception>
    public abstract Task DescribeAsync(ICloud cloud, CancellationToken cancellationToken);

    /// <summary>Subnets for new interfaces, the best one first.</summary>
    public abstract IReadOnlyList<SubnetCandidate> Candidates();

    /// <summary>It gets no new pods.</summary>
    public abstract bool IsExcluded(CloudInterface item);

    /// <summary>The groups of a new interface; null when none is made in that subnet any more.</summary>
    public abstract IReadOnlyList<string>? GroupsForNew(string subnetId, CloudInterface primary);

    /// <summary>The groups that an interface with pods shall have; null when nobody says.</summary>
    public abstract IReadOnlyList<string>? GroupsFor(CloudInterface item, CloudInterface primary);
}
