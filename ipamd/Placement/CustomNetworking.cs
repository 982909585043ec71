// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Placement;

/// <summary>
/// AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG: pods get addresses of secondary interfaces only, made in the subnet of the node's ENIConfig and with
/// its security groups. An ENIConfig counts from the moment it is told, unless its subnet turns out to be of no use to this node; then, and
/// when it is gone, the last good one counts for the interfaces that are there, and no new ones are made. As long as none is known no
/// interface gets a new pod, and none is given back: an address of the wrong subnet would be worse than a pod that waits (docs/adr/0013).
/// </summary>
/// <param name="source">Tells the ENIConfig.</param>
/// <param name="node">Its zone and network decide whether a subnet is of use.</param>
/// <param name="mayChange">False: nothing is ever made, so no subnet needs to be looked at.</param>
internal sealed class CustomNetworking(EniConfigSource source, NodeIdentity node, bool mayChange) : InterfacePlacement
{
    private readonly Lock _lock = new();
    private volatile Judgement _judgement = new(
        new EniConfigState.Unknown(""),
        InForce: null,
        IsChecked: false,
        Obstacle: null,
        Subnet: null
    );

    /// <summary>What has been found out about what was told last.</summary>
    /// <param name="State">What was told.</param>
    /// <param name="InForce">The ENIConfig that counts for interfaces that are there; null when none was ever good.</param>
    /// <param name="IsChecked">The subnet of <paramref name="State"/> has been looked at.</param>
    /// <param name="Obstacle">Why no interface is made.</param>
    /// <param name="Subnet">Where interfaces are made; null where that is not known.</param>
    private sealed record Judgement(
        EniConfigState State,
        EniConfigState.Present? InForce,
        bool IsChecked,
        GrowthObstacle? Obstacle,
        CloudSubnet? Subnet
    )
    {
        /// <summary>The last that was good, to fall back on.</summary>
        public EniConfigState.Present? LastGood { get; init; }
    }

    public override bool UsesPrimary => false;

    public override bool Describes => mayChange;

    public override bool IsDescribed => Now() is not { State: EniConfigState.Present, IsChecked: false };

    public override GrowthObstacle? Obstacle => Now().Obstacle;

    /// <summary>The ENIConfig that counts for interfaces that are there; null when none was ever good.</summary>
    public EniConfigState.Present? InForce => Now().InForce;

    public override async Task DescribeAsync(ICloud cloud, CancellationToken cancellationToken)
    {
        if (!mayChange || Now().State is not EniConfigState.Present asked)
            return;
        try
        {
            Found(asked, await cloud.FindSubnetAsync(asked.SubnetId, cancellationToken));
        }
        catch (CloudException exception)
        {
            NotDescribed(asked, exception.Message);
            throw;
        }
    }

    public override IReadOnlyList<SubnetCandidate> Candidates() =>
        Now() is { Obstacle: null, Subnet: { } subnet } ? [new SubnetCandidate(subnet.Id, subnet.FreeAddresses)] : [];

    public override bool IsExcluded(CloudInterface item) =>
        item is { DeviceIndex: 0, NetworkCard: 0 } || Now().InForce?.SubnetId != item.SubnetId;

    public override IReadOnlyList<string>? GroupsForNew(string subnetId, CloudInterface primary) =>
        Now() is { Obstacle: null, InForce: { } config } && config.SubnetId == subnetId ? Groups(config, primary) : null;

    /// <summary>Interfaces of other subnets are on their way out and keep what they have.</summary>
    public override IReadOnlyList<string>? GroupsFor(CloudInterface item, CloudInterface primary) =>
        !IsExcluded(item) && Now().InForce is { } config ? Groups(config, primary) : null;

    private static IReadOnlyList<string> Groups(EniConfigState.Present config, CloudInterface primary) =>
        config.SecurityGroupIds.Count > 0 ? config.SecurityGroupIds : primary.SecurityGroupIds;

    /// <summary>The judgement on what is told now. A new ENIConfig counts at once.</summary>
    private Judgement Now()
    {
        var told = source.Current;
        var judged = _judgement;
        if (ReferenceEquals(judged.State, told))
            return judged;
        lock (_lock)
        {
            told = source.Current;
            if (!ReferenceEquals(_judgement.State, told))
                _judgement = FirstSight(told, _judgement);
            return _judgement;
        }
    }

    private Judgement FirstSight(EniConfigState told, Judgement before)
    {
        switch (told)
        {
            case EniConfigState.Present config when !mayChange:
                return new Judgement(told, config, IsChecked: true, null, null) { LastGood = config };
            case EniConfigState.Present config when before.Subnet is { } subnet && subnet.Id == config.SubnetId:
                return new Judgement(told, config, IsChecked: true, null, subnet) { LastGood = config };
            case EniConfigState.Present config:
                return new Judgement(
                    told,
                    config,
                    IsChecked: false,
                    Waits($"subnet {config.SubnetId} of ENIConfig '{config.Name}' has not been looked up yet"),
                    null
                )
                {
                    LastGood = before.LastGood,
                };
            case EniConfigState.Missing missing:
                return new Judgement(told, before.LastGood, IsChecked: false, Stands($"ENIConfig '{missing.Name}': {missing.Reason}"), null)
                {
                    LastGood = before.LastGood,
                };
            case EniConfigState.Unknown unknown:
                return new Judgement(
                    told,
                    before.LastGood,
                    IsChecked: false,
                    Waits($"the ENIConfig of this node is not known: {unknown.Reason}"),
                    null
                )
                {
                    LastGood = before.LastGood,
                };
            default:
                throw new InvalidOperationException($"unnamed state {told}");
        }
    }

    private void Found(EniConfigState.Present asked, CloudSubnet? subnet)
    {
        var what = $"subnet {asked.SubnetId} of ENIConfig '{asked.Name}'";
        var problem =
            subnet is null ? $"{what} does not exist"
            : subnet.NetworkId != node.NetworkId ? $"{what} is in {subnet.NetworkId}, and this node is in {node.NetworkId}"
            : subnet.Zone != node.Zone ? $"{what} is in zone {subnet.Zone}, and this node is in {node.Zone}"
            : null;
        Replace(
            asked,
            before =>
                problem is null
                    ? new Judgement(asked, asked, IsChecked: true, null, subnet) { LastGood = asked }
                    : new Judgement(asked, before.LastGood, IsChecked: true, Stands(problem), null) { LastGood = before.LastGood }
        );
    }

    private void NotDescribed(EniConfigState.Present asked, string why) =>
        Replace(
            asked,
            before =>
                before.IsChecked
                    ? before
                    : before with
                    {
                        Obstacle = Waits($"subnet {asked.SubnetId} of ENIConfig '{asked.Name}' could not be looked up: {why}"),
                    }
        );

    /// <summary>Nothing when something else has been told meanwhile, whether anybody has looked at that yet or not.</summary>
    private void Replace(EniConfigState.Present asked, Func<Judgement, Judgement> judge)
    {
        lock (_lock)
        {
            if (ReferenceEquals(source.Current, asked) && ReferenceEquals(_judgement.State, asked))
                _judgement = judge(_judgement);
        }
    }

    /// <summary>Nobody knows when it ends, and it may be in a moment.</summary>
    private static GrowthObstacle Waits(string detail) => new(GrowthObstacleKind.EniConfig, null, detail) { MayEndAnyMoment = true };

    /// <summary>A person has to act.</summary>
    private static GrowthObstacle Stands(string detail) => new(GrowthObstacleKind.EniConfig, null, detail);
}
