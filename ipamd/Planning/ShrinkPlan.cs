// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// Plans what to release: first blocks and interfaces that do not fit the mode or the subnets, then whole interfaces, then blocks. Never
/// releases anything in use or in cooldown, never while an ADD is pending, and at most every <see cref="PoolLimits.ReleaseInterval"/>.
/// </summary>
internal sealed record ShrinkPlan(IReadOnlyList<PoolChange> Changes, int Surplus, DateTimeOffset? ReplanAt)
{
    /// <summary>What exceeds the targets and is still attached; null when nothing does.</summary>
    public SurplusReport? SurplusReport { get; init; }

    public static readonly ShrinkPlan None = new([], 0, null);

    /// <summary>Whether the targets are met without one whole interface.</summary>
    public bool HasSpareInterface { get; init; }

    /// <summary>
    /// Releases what occupies the slots that the missing blocks need when every interface is full or unusable: an unused interface in an
    /// excluded subnet, free single addresses in prefix mode, or leftover prefixes without it. Applies also while ADDs are pending, which
    /// otherwise could never be served.
    /// </summary>
    public static ShrinkPlan MakeRoom(PoolSnapshot snapshot, PoolTargets targets, GrowthPlan growth, DateTimeOffset now)
    {
        if (snapshot.ReleaseObstacle is not null || growth.Obstacle is null)
            return None;
        var idle = Idle(snapshot);
        // Blocks that the mode does not count are useless to it, whatever prevents growth.
        if (ReleaseAll(idle, (_, block) => IsUncounted(block, snapshot.Capacity.Lead.Shape)) is { Count: > 0 } uncounted)
            return WhenDue(snapshot, uncounted, surplus: 0, now);
        var isLimit = growth.Obstacle is { Kind: GrowthObstacleKind.InterfaceLimit, Until: null } && snapshot.Obstacles.Everything is null;
        // An excluded interface is unusable, too, and a new one may take its slot.
        if (
            idle.Where(item => item is { IsExcluded: true, IsPrimary: false, MayHoldOrphans: false } && IsUnused(item))
                .MinBy(item => item.FirstSeenAt) is
            { } excluded
        )
        {
            var removableAt = new Retention(snapshot).RemovableAt(excluded);
            return isLimit || removableAt <= now
                ? WhenDue(snapshot, [Remove(excluded)], surplus: 0, now)
                : new ShrinkPlan([], 0, removableAt);
        }

        if (!isLimit)
            return None;
        var shape = snapshot.Capacity.Lead.Shape;
        var blocks = shape.CountFor(growth.Shortage - growth.Added - growth.Deferred);
        var release = idle.Where(item =>
                item.IsUsable
                && (item.IsPrimary || !snapshot.Capacity.HasOneBlockForAll)
                && snapshot.Obstacles.ObstacleFor(item.SubnetId, shape, isNew: false) is null
            )
            .Select(item => new PoolChange.ReleaseBlocks(
                item.Id,
                [
                    .. item
                        .Blocks.Where(block => block.IsUnused && block.Family == shape.Family && block.IsSingle != shape.IsSingle)
                        .Select(block => block.Range)
                        .Take(blocks),
                ]
            ))
            .MaxBy(change => change.Blocks.Count);
        return release is { Blocks.Count: > 0 } ? WhenDue(snapshot, [release], surplus: 0, now) : None;
    }

    /// <summary>Acts at once, or when releases are allowed again.</summary>
    private static ShrinkPlan WhenDue(PoolSnapshot snapshot, IReadOnlyList<PoolChange> changes, int surplus, DateTimeOffset now) =>
        now < snapshot.MayReleaseAt ? new ShrinkPlan([], surplus, snapshot.MayReleaseAt) : new ShrinkPlan(changes, surplus, null);

    public static ShrinkPlan Plan(PoolSnapshot snapshot, PoolTargets targets, PoolCounts counts, DateTimeOffset now)
    {
        var surplus = Math.Max(SurplusOf(snapshot, targets, counts), 0);
        var plan = new SurplusPlan(snapshot, targets, counts, Idle(snapshot), surplus, now);
        var shrink =
            snapshot.ReleaseObstacle is not null ? new ShrinkPlan([], surplus, null)
            : plan.Changes.Count == 0 ? new ShrinkPlan([], surplus, plan.NextAt)
            : WhenDue(snapshot, plan.Changes, surplus, now);
        return shrink with { HasSpareInterface = plan.HasSpareInterface, SurplusReport = Describe(snapshot, plan, now) };
    }

    /// <summary>Reports the surplus and why it is still attached.</summary>
    private static SurplusReport? Describe(PoolSnapshot snapshot, SurplusPlan surplus, DateTimeOffset now)
    {
        if (surplus.Addresses == 0 && surplus.Interfaces == 0)
            return null;
        if (snapshot.ReleaseObstacle is { } obstacle)
            return new SurplusReport(surplus.Addresses, surplus.Interfaces, obstacle, null);
        if (snapshot.Ledger.Intents.Any(open => !open.Intent.IsGrowth))
            return new SurplusReport(surplus.Addresses, surplus.Interfaces, "released step by step, one step is in progress", null);
        if (surplus.Changes.Count == 0)
            return new SurplusReport(surplus.Addresses, surplus.Interfaces, surplus.Why, surplus.NextAt);
        return now < snapshot.MayReleaseAt
            ? new SurplusReport(surplus.Addresses, surplus.Interfaces, "released step by step", snapshot.MayReleaseAt)
            : new SurplusReport(surplus.Addresses, surplus.Interfaces, "being released", now);
    }

    /// <summary>Interfaces that carry pods or could, and have no open intent.</summary>
    private static InterfaceView[] Idle(PoolSnapshot snapshot)
    {
        var busy = snapshot.Ledger.Intents.Select(open => open.Intent.InterfaceId).ToHashSet();
        return [.. snapshot.Ledger.Interfaces.Where(item => item is { CarriesPods: true, IsDraining: false } && !busy.Contains(item.Id))];
    }

    /// <summary>Number of free addresses beyond the targets.</summary>
    private static int SurplusOf(PoolSnapshot snapshot, PoolTargets targets, PoolCounts counts)
    {
        if (snapshot.Capacity.HasOneBlockForAll)
            return counts.Free - 1;
        if (targets.UsesAddressTargets)
            return Math.Min(counts.Free - Math.Max(targets.WarmIpTarget, 1), counts.Total - targets.MinimumIpTarget);
        // With a target of 0 one address is kept, as growth wants it; otherwise growth and release would alternate.
        var lead = snapshot.Capacity.Lead;
        var warm = lead.Shape.IsSingle ? targets.WarmEniTarget * lead.BlocksPerInterface : targets.WarmPrefixTarget * lead.Shape.Size;
        return counts.Free - Math.Max(warm, 1);
    }

    internal static PoolChange.RemoveInterface Remove(InterfaceView item) => new(item.Id, item.Slot, item.PrimaryAddress);

    /// <summary>Releases every unused block that matches.</summary>
    internal static List<PoolChange> ReleaseAll(InterfaceView[] idle, Func<InterfaceView, BlockView, bool> mayRelease)
    {
        List<PoolChange> changes = [];
        foreach (var item in idle)
        {
            IPNetwork[] blocks = [.. item.Blocks.Where(block => block.IsUnused && mayRelease(item, block)).Select(block => block.Range)];
            if (blocks.Length > 0)
                changes.Add(new PoolChange.ReleaseBlocks(item.Id, blocks));
        }

        return changes;
    }

    /// <summary>
    /// Whether a block of the lead family is of a shape that the pool does not use. Blocks of a family that pods have no address of are
    /// someone else's.
    /// </summary>
    internal static bool IsUncounted(BlockView block, BlockShape lead) => block.Family == lead.Family && !PoolCounts.Counts(block, lead);

    internal static bool IsUnused(InterfaceView item) => item.Blocks.All(block => block.IsUnused);
}
