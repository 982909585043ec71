// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>One change of the interfaces and blocks attached to this node.</summary>
internal abstract record PoolAction
{
    private PoolAction() { }

    /// <summary>Text for the log.</summary>
    public string Description =>
        this switch
        {
            AssignBlocks assign => $"add {assign.Blocks.Count} blocks to {assign.Interface}",
            AddInterface add => $"add an interface with {add.Blocks.Sum(request => request.Count)} blocks as {add.Slot} in {add.SubnetId}",
            ReleaseBlocks release => $"release {release.Blocks.Count} blocks of {release.Interface}",
            RemoveInterface remove => $"remove {remove.Interface}",
            _ => throw new InvalidOperationException($"unnamed action {GetType().Name}"),
        };

    /// <summary>Adds blocks to an interface.</summary>
    internal sealed record AssignBlocks(NetworkInterfaceId Interface, string SubnetId, BlockRequest Blocks) : PoolAction;

    /// <summary>
    /// Creates and attaches an interface with these blocks, at most one request of each family, and configures its link.
    /// </summary>
    internal sealed record AddInterface(Slot Slot, string SubnetId, IReadOnlyList<BlockRequest> Blocks) : PoolAction;

    /// <summary>Releases unused blocks.</summary>
    internal sealed record ReleaseBlocks(NetworkInterfaceId Interface, IReadOnlyList<IPNetwork> Blocks) : PoolAction;

    /// <summary>Detaches and deletes an unused interface.</summary>
    internal sealed record RemoveInterface(NetworkInterfaceId Interface) : PoolAction;
}

/// <summary>The planner's decisions and their reasons.</summary>
internal sealed record PoolPlan
{
    /// <summary>The actions. No two concern the same interface, so they may run concurrently.</summary>
    public required IReadOnlyList<PoolAction> Actions { get; init; }

    /// <summary>Number of addresses missing for targets and demand.</summary>
    public required int Shortage { get; init; }

    /// <summary>Number of free addresses beyond the targets.</summary>
    public required int Surplus { get; init; }

    /// <summary>Whether the targets are met without one whole interface.</summary>
    public bool HasSpareInterface { get; init; }

    /// <summary>What may be released, now or later; null when nothing may.</summary>
    public SurplusReport? SurplusReport { get; init; }

    /// <summary>Numbers of the pending ADDs that no free, pending, planned or cooling address can serve in time.</summary>
    public required IReadOnlyList<long> Unservable { get; init; }

    /// <summary>Why pending changes and actions do not cover the shortage; null when they do.</summary>
    public GrowthObstacle? Obstacle { get; init; }

    /// <summary>When the refill being collected is made at the latest; null when none is.</summary>
    public DateTimeOffset? RefillAt { get; init; }

    /// <summary>When time alone changes the plan; null when only an event can.</summary>
    public DateTimeOffset? ReplanAt { get; init; }
}
