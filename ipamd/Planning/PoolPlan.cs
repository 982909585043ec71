// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>The planner's decisions and their reasons.</summary>
internal sealed record PoolPlan
{
    /// <summary>The changes. No two concern the same interface, so they may run concurrently.</summary>
    public required IReadOnlyList<PoolChange> Changes { get; init; }

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

    /// <summary>Why pending and planned changes do not cover the shortage; null when they do.</summary>
    public GrowthObstacle? Obstacle { get; init; }

    /// <summary>When the refill being collected is made at the latest; null when none is.</summary>
    public DateTimeOffset? RefillAt { get; init; }

    /// <summary>When time alone changes the plan; null when only an event can.</summary>
    public DateTimeOffset? ReplanAt { get; init; }
}
