// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>One change of what is attached to this node.</summary>
internal abstract record PoolAction
{
    private PoolAction() { }

    /// <summary>For the log.</summary>
    public string Description =>
        this switch
        {
            AssignBlocks assign => $"add {assign.Blocks.Count} blocks to {assign.Interface}",
            AddInterface add => $"add an interface with {add.Blocks.Count} blocks as device {add.DeviceIndex} in {add.SubnetId}",
            ReleaseBlocks release => $"give back {release.Blocks.Count} blocks of {release.Interface}",
            RemoveInterface remove => $"remove {remove.Interface}",
            _ => throw new InvalidOperationException($"unnamed action {GetType().Name}"),
        };

    /// <summary>Add blocks to an interface.</summary>
    internal sealed record AssignBlocks(NetworkInterfaceId Interface, string SubnetId, BlockRequest Blocks) : PoolAction;

    /// <summary>Create, attach and wire an interface that brings these blocks.</summary>
    internal sealed record AddInterface(int DeviceIndex, string SubnetId, BlockRequest Blocks) : PoolAction;

    /// <summary>Give unused blocks back.</summary>
    internal sealed record ReleaseBlocks(NetworkInterfaceId Interface, IReadOnlyList<IPNetwork> Blocks) : PoolAction;

    /// <summary>Detach and delete an unused interface.</summary>
    internal sealed record RemoveInterface(NetworkInterfaceId Interface) : PoolAction;
}

/// <summary>What the planner decided and why.</summary>
internal sealed record PoolPlan
{
    /// <summary>Independent of each other: no two concern the same interface, so they may run at the same time.</summary>
    public required IReadOnlyList<PoolAction> Actions { get; init; }

    /// <summary>Addresses missing against targets and demand.</summary>
    public required int Shortage { get; init; }

    /// <summary>Free addresses beyond the targets.</summary>
    public required int Surplus { get; init; }

    /// <summary>A whole interface is more than the targets ask for.</summary>
    public bool HasSpareInterface { get; init; }

    /// <summary>What may be released, now or later; null when nothing may.</summary>
    public SurplusReport? SurplusReport { get; init; }

    /// <summary>Waiting ADDs, by number, that nothing under way, planned or cooling can serve in time.</summary>
    public required IReadOnlyList<long> Unservable { get; init; }

    /// <summary>Why the shortage is not, or not wholly, covered by what is under way and by the actions.</summary>
    public GrowthObstacle? Obstacle { get; init; }

    /// <summary>A refill is being collected: when it is made at the latest; null when none is.</summary>
    public DateTimeOffset? RefillAt { get; init; }

    /// <summary>When time alone changes the plan; null when only an event can.</summary>
    public DateTimeOffset? ReplanAt { get; init; }
}
