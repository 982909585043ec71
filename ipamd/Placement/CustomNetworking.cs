// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Placement;

/// <summary>
/// Placement by AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG: pods get addresses of secondary interfaces only, created in the subnet of the node's
/// ENIConfig with its security groups. A new ENIConfig applies at once, unless its subnet is unusable for this node. In that case, or when
/// the ENIConfig is deleted, the last valid one applies to existing interfaces and no new ones are created. While none is known, no
/// interface gets new pods and none is removed: an address of the wrong subnet would be worse than a pod that waits (docs/adr/0013).
/// </summary>
/// <param name="source">Provides the ENIConfig.</param>
/// <param name="node">Its zone and network decide whether a subnet is usable.</param>
/// <param name="mayChange">False when nothing is ever created, so that no subnet has to be looked up.</param>
internal sealed class CustomNetworking(EniConfigSource source, NodeIdentity node, bool mayChange) : InterfacePlacement
{
    private readonly Lock _lock = new();
    private volatile Evaluation _evaluation = new(
        new EniConfigState.Unknown(""),
        InForce: null,
        IsChecked: false,
        Obstacle: null,
        Subnet: null
    );

    /// <summary>Result of evaluating the last ENIConfig.</summary>
    /// <param name="State">The ENIConfig's state.</param>
    /// <param name="InForce">The ENIConfig that applies to existing interfaces; null when none was ever valid.</param>
    /// <param name="IsChecked">Whether the subnet of <paramref name="State"/> has been looked up.</param>
    /// <param name="Obstacle">Why no interface is created.</param>
    /// <param name="Subnet">The subnet of new interfaces; null when unknown.</param>
    private sealed record Evaluation(
        EniConfigState State,
        EniConfigState.Present? InForce,
        bool IsChecked,
        GrowthObstacle? Obstacle,
        CloudSubnet? Subnet
    )
    {
        /// <summary>The last valid ENIConfig, as a fallback.</summary>
        public EniConfigState.Present? LastGood { get; init; }
    }

    public override bool UsesPrimary => false;

    public override bool Describes => mayChange;

    public override bool IsDescribed => Current() is not { State: EniConfigState.Present, IsChecked: false };

    public override GrowthObstacle? Obstacle => Current().Obstacle;

    /// <summary>The ENIConfig that applies to existing interfaces; null when none was ever valid.</summary>
    public EniConfigState.Present? InForce => Current().InForce;

    public override async Task DescribeAsync(ISubnetCatalog catalog, CancellationToken cancellationToken)
    {
        if (!mayChange || Current().State is not EniConfigState.Present requested)
            return;
        try
        {
            Found(requested, await catalog.FindSubnetAsync(requested.SubnetId, cancellationToken));
        }
        catch (CloudException exception)
        {
            NotDescribed(requested, exception.Message);
            throw;
        }
    }

    public override IReadOnlyList<SubnetCandidate> Candidates(IReadOnlyList<string> primaryGroups) =>
        Current() is { Obstacle: null, Subnet: { } subnet, InForce: { } config } && config.SubnetId == subnet.Id
            ? [new SubnetCandidate(subnet.Id, subnet.FreeAddresses) { SecurityGroupIds = Groups(config, primaryGroups) }]
            : [];

    public override bool IsExcluded(CloudInterface item) => item.IsPrimary || Current().InForce?.SubnetId != item.SubnetId;

    /// <summary>Interfaces of other subnets are to be removed and keep their groups.</summary>
    public override IReadOnlyList<string>? GroupsFor(CloudInterface item, CloudInterface primary) =>
        !IsExcluded(item) && Current().InForce is { } config ? Groups(config, primary.SecurityGroupIds) : null;

    private static IReadOnlyList<string> Groups(EniConfigState.Present config, IReadOnlyList<string> primaryGroups) =>
        config.SecurityGroupIds.Count > 0 ? config.SecurityGroupIds : primaryGroups;

    /// <summary>The evaluation of the current ENIConfig, which applies at once.</summary>
    private Evaluation Current()
    {
        var state = source.Current;
        var current = _evaluation;
        if (ReferenceEquals(current.State, state))
            return current;
        lock (_lock)
        {
            state = source.Current;
            if (!ReferenceEquals(_evaluation.State, state))
                _evaluation = Evaluate(state, _evaluation);
            return _evaluation;
        }
    }

    private Evaluation Evaluate(EniConfigState state, Evaluation before)
    {
        switch (state)
        {
            case EniConfigState.Present config when !mayChange:
                return new Evaluation(state, config, IsChecked: true, null, null) { LastGood = config };
            case EniConfigState.Present config when before.Subnet is { } subnet && subnet.Id == config.SubnetId:
                return new Evaluation(state, config, IsChecked: true, null, subnet) { LastGood = config };
            case EniConfigState.Present config:
                return new Evaluation(
                    state,
                    config,
                    IsChecked: false,
                    Temporary($"subnet {config.SubnetId} of ENIConfig '{config.Name}' has not been looked up yet"),
                    null
                )
                {
                    LastGood = before.LastGood,
                };
            case EniConfigState.Missing missing:
                return new Evaluation(
                    state,
                    before.LastGood,
                    IsChecked: false,
                    Permanent($"ENIConfig '{missing.Name}': {missing.Reason}"),
                    null
                )
                {
                    LastGood = before.LastGood,
                };
            case EniConfigState.Unknown unknown:
                return new Evaluation(
                    state,
                    before.LastGood,
                    IsChecked: false,
                    Temporary($"the ENIConfig of this node is not known: {unknown.Reason}"),
                    null
                )
                {
                    LastGood = before.LastGood,
                };
            default:
                throw new InvalidOperationException($"unknown state {state}");
        }
    }

    private void Found(EniConfigState.Present requested, CloudSubnet? subnet)
    {
        var what = $"subnet {requested.SubnetId} of ENIConfig '{requested.Name}'";
        var problem =
            subnet is null ? $"{what} does not exist"
            : subnet.NetworkId != node.NetworkId ? $"{what} is in {subnet.NetworkId}, and this node is in {node.NetworkId}"
            : subnet.Zone != node.Zone ? $"{what} is in zone {subnet.Zone}, and this node is in {node.Zone}"
            : null;
        Replace(
            requested,
            before =>
                problem is null
                    ? new Evaluation(requested, requested, IsChecked: true, null, subnet) { LastGood = requested }
                    : new Evaluation(requested, before.LastGood, IsChecked: true, Permanent(problem), null) { LastGood = before.LastGood }
        );
    }

    private void NotDescribed(EniConfigState.Present requested, string why) =>
        Replace(
            requested,
            before =>
                before.IsChecked
                    ? before
                    : before with
                    {
                        Obstacle = Temporary($"subnet {requested.SubnetId} of ENIConfig '{requested.Name}' could not be looked up: {why}"),
                    }
        );

    /// <summary>No-op when the ENIConfig has changed meanwhile, evaluated or not.</summary>
    private void Replace(EniConfigState.Present requested, Func<Evaluation, Evaluation> evaluate)
    {
        lock (_lock)
        {
            if (ReferenceEquals(source.Current, requested) && ReferenceEquals(_evaluation.State, requested))
                _evaluation = evaluate(_evaluation);
        }
    }

    /// <summary>An obstacle that may end at any moment, at an unknown time.</summary>
    private static GrowthObstacle Temporary(string detail) => new(GrowthObstacleKind.EniConfig, null, detail) { MayEndAnyMoment = true };

    /// <summary>An obstacle that only a person can remove.</summary>
    private static GrowthObstacle Permanent(string detail) => new(GrowthObstacleKind.EniConfig, null, detail);
}
