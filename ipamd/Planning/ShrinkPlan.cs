// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// What to give back: first what does not fit the mode or the subnets any more, then whole interfaces, then blocks. Never anything that is
/// in use or cools, never while somebody waits, and not more often than every <see cref="PoolLimits.ReleaseInterval"/>.
/// </summary>
internal sealed record ShrinkPlan(IReadOnlyList<PoolAction> Actions, int Over, DateTimeOffset? ReplanAt)
{
    /// <summary>What is more than the targets ask for and still there; null when nothing is.</summary>
    public SurplusReport? SurplusReport { get; init; }

    public static readonly ShrinkPlan None = new([], 0, null);

    /// <summary>A whole interface is more than the targets ask for.</summary>
    public bool HasSpareInterface { get; init; }

    /// <summary>
    /// What takes the place of blocks that the pool is short of when every interface is full or of no use: an unused interface in a subnet
    /// that is not for pods, free single addresses where prefixes would fit, and prefixes left over where single addresses would. Also
    /// while somebody waits, who would wait for ever otherwise.
    /// </summary>
    public static ShrinkPlan MakeRoom(PoolSnapshot snapshot, PoolTargets targets, GrowthPlan growth, DateTimeOffset now)
    {
        if (snapshot.ReleaseObstacle is not null || growth.Obstacle is null)
            return None;
        var idle = Idle(snapshot);
        // What the mode does not count is of no use to it, whatever stands against growth.
        if (ReleaseAll(idle, (_, block) => !PoolCounts.Counts(block, targets)) is { Count: > 0 } uncounted)
            return WhenDue(snapshot, uncounted, over: 0, now);
        var isLimit = growth.Obstacle is { Kind: GrowthObstacleKind.InterfaceLimit, Until: null } && snapshot.Obstacles.Everything is null;
        // Nor is an interface that nobody may use, and in whose place another one may be made.
        if (
            idle.Where(item => item is { IsExcluded: true, IsPrimary: false, MayHoldOrphans: false } && IsUnused(item))
                .MinBy(item => item.SeenAt) is
            { } excluded
        )
        {
            var ripeAt = new Retention(snapshot).GoesAt(excluded);
            return isLimit || ripeAt <= now
                ? WhenDue(snapshot, [new PoolAction.RemoveInterface(excluded.Id)], over: 0, now)
                : new ShrinkPlan([], 0, ripeAt);
        }

        if (!isLimit)
            return None;
        var blocks = (growth.Shortage - growth.Added - growth.Deferred + targets.BlockSize - 1) / targets.BlockSize;
        var kind = targets.UsesPrefixes ? BlockKind.Ipv4Prefix : BlockKind.Ipv4Address;
        var traded = idle.Where(item => item.IsUsable && snapshot.Obstacles.Against(item.SubnetId, kind, isNew: false) is null)
            .Select(item => new PoolAction.ReleaseBlocks(
                item.Id,
                [
                    .. item
                        .Blocks.Where(block => block.IsUnused && block.IsSingle == targets.UsesPrefixes)
                        .Select(block => block.Range)
                        .Take(blocks),
                ]
            ))
            .MaxBy(action => action.Blocks.Count);
        return traded is { Blocks.Count: > 0 } ? WhenDue(snapshot, [traded], over: 0, now) : None;
    }

    /// <summary>At once, or when releases are allowed again.</summary>
    private static ShrinkPlan WhenDue(PoolSnapshot snapshot, IReadOnlyList<PoolAction> actions, int over, DateTimeOffset now) =>
        now < snapshot.MayReleaseAt ? new ShrinkPlan([], over, snapshot.MayReleaseAt) : new ShrinkPlan(actions, over, null);

    public static ShrinkPlan Plan(PoolSnapshot snapshot, PoolTargets targets, PoolCounts numbers, DateTimeOffset now)
    {
        var over = Math.Max(OverOf(snapshot, targets, numbers), 0);
        var surplus = new SurplusPlan(snapshot, targets, numbers, Idle(snapshot), over, now);
        var shrinkage =
            snapshot.ReleaseObstacle is not null ? new ShrinkPlan([], over, null)
            : surplus.Actions.Count == 0 ? new ShrinkPlan([], over, surplus.NextAt)
            : WhenDue(snapshot, surplus.Actions, over, now);
        return shrinkage with { HasSpareInterface = surplus.HasSpareInterface, SurplusReport = Describe(snapshot, surplus, now) };
    }

    /// <summary>The sentence after the numbers: why it is still there.</summary>
    private static SurplusReport? Describe(PoolSnapshot snapshot, SurplusPlan surplus, DateTimeOffset now)
    {
        if (surplus.Addresses == 0 && surplus.Interfaces == 0)
            return null;
        if (snapshot.ReleaseObstacle is { } obstacle)
            return new SurplusReport(surplus.Addresses, surplus.Interfaces, obstacle, null);
        if (snapshot.Ledger.Intents.Any(open => !open.Intent.IsGrowth))
            return new SurplusReport(surplus.Addresses, surplus.Interfaces, "released step by step, one step is under way", null);
        if (surplus.Actions.Count == 0)
            return new SurplusReport(surplus.Addresses, surplus.Interfaces, surplus.Why, surplus.NextAt);
        return now < snapshot.MayReleaseAt
            ? new SurplusReport(surplus.Addresses, surplus.Interfaces, "released step by step", snapshot.MayReleaseAt)
            : new SurplusReport(surplus.Addresses, surplus.Interfaces, "being released", now);
    }

    /// <summary>Interfaces that pods are on or could be, and that nothing is being done to.</summary>
    private static InterfaceView[] Idle(PoolSnapshot snapshot)
    {
        var busy = snapshot.Ledger.Intents.Select(open => open.Intent.InterfaceId).ToHashSet();
        return [.. snapshot.Ledger.Interfaces.Where(item => item is { CarriesPods: true, IsDraining: false } && !busy.Contains(item.Id))];
    }

    /// <summary>Free addresses beyond the targets.</summary>
    private static int OverOf(PoolSnapshot snapshot, PoolTargets targets, PoolCounts numbers)
    {
        if (targets.UsesAddressTargets)
            return Math.Min(numbers.Free - Math.Max(targets.WarmIpTarget, 1), numbers.Total - targets.MinimumIpTarget);
        // With a target of 0 one address is kept all the same, as growth wants it: else the two would take turns for ever.
        var warm = targets.UsesPrefixes
            ? targets.WarmPrefixTarget * PoolTargets.PrefixSize
            : targets.WarmEniTarget * snapshot.Capacity.BlocksPerInterface;
        return numbers.Free - Math.Max(warm, 1);
    }

    /// <summary>Every unused block of a kind.</summary>
    internal static List<PoolAction> ReleaseAll(InterfaceView[] idle, Func<InterfaceView, BlockView, bool> mayGo)
    {
        List<PoolAction> actions = [];
        foreach (var item in idle)
        {
            IPNetwork[] blocks = [.. item.Blocks.Where(block => block.IsUnused && mayGo(item, block)).Select(block => block.Range)];
            if (blocks.Length > 0)
                actions.Add(new PoolAction.ReleaseBlocks(item.Id, blocks));
        }

        return actions;
    }

    internal static bool IsUnused(InterfaceView item) => item.Blocks.All(block => block.IsUnused);
}
