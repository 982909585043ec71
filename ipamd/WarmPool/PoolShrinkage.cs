// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.WarmPool;

/// <summary>
/// What to give back: first what does not fit the mode or the subnets any more, then whole interfaces, then blocks. Never anything that is in use or cools, never while somebody waits, and not more often
/// than every <see cref="PoolLimits.ReleaseInterval"/>.
/// </summary>
internal sealed record PoolShrinkage(IReadOnlyList<PoolAction> Actions, int Over, DateTimeOffset? ReplanAt)
{
    public static readonly PoolShrinkage None = new([], 0, null);

    /// <summary>A whole interface is more than the targets ask for.</summary>
    public bool HasSpareInterface { get; init; }

    /// <summary>
    /// What takes the place of blocks that the pool is short of when every interface is full or of no use: an unused interface in a subnet that is not for pods, free single addresses where prefixes would fit,
    /// and prefixes left over where single addresses would. Also while somebody waits, who would wait for ever otherwise.
    /// </summary>
    public static PoolShrinkage Trade(PoolSnapshot snapshot, PoolTargets targets, PoolGrowth growth, DateTimeOffset now)
    {
        if (snapshot.MayNotRelease || growth.Obstacle is null) return None;
        var idle = Idle(snapshot);
        // What the mode does not count is of no use to it, whatever stands against growth.
        if (ReleaseAll(idle, (_, block) => !PoolNumbers.Counts(block, targets)) is { Count: > 0 } uncounted) return WhenDue(snapshot, uncounted, over: 0, now);
        var isLimit = growth.Obstacle is { Kind: GrowthObstacleKind.InterfaceLimit, Until: null } && snapshot.Obstacles.Everything is null;
        // Nor is an interface that nobody may use, and in whose place another one may be made.
        if (idle.Where(item => item is { IsExcluded: true, IsPrimary: false, MayCarryOrphans: false } && IsUnused(item)).MinBy(item => item.SeenAt) is { } excluded)
        {
            var ripeAt = RipeAt(excluded, snapshot);
            return isLimit || ripeAt <= now ? WhenDue(snapshot, [new PoolAction.RemoveInterface(excluded.Id)], over: 0, now) : new PoolShrinkage([], 0, ripeAt);
        }

        if (!isLimit) return None;
        var blocks = (growth.Shortage - growth.Added - growth.Deferred + targets.BlockSize - 1) / targets.BlockSize;
        var kind = targets.UsesPrefixes ? BlockKind.Ipv4Prefix : BlockKind.Ipv4Address;
        var traded = idle.Where(item => item.IsUsable && snapshot.Obstacles.Against(item.SubnetId, kind, isNew: false) is null)
            .Select(item => new PoolAction.ReleaseBlocks(item.Id, [.. item.Blocks.Where(block => block.IsUnused && block.IsSingle == targets.UsesPrefixes).Select(block => block.Range).Take(blocks)]))
            .MaxBy(action => action.Blocks.Count);
        return traded is { Blocks.Count: > 0 } ? WhenDue(snapshot, [traded], over: 0, now) : None;
    }

    /// <summary>At once, or when releases are allowed again.</summary>
    private static PoolShrinkage WhenDue(PoolSnapshot snapshot, IReadOnlyList<PoolAction> actions, int over, DateTimeOffset now)
        => now < snapshot.MayReleaseAt ? new PoolShrinkage([], over, snapshot.MayReleaseAt) : new PoolShrinkage(actions, over, null);

    public static PoolShrinkage Plan(PoolSnapshot snapshot, PoolTargets targets, PoolNumbers numbers, DateTimeOffset now)
    {
        var over = Math.Max(OverOf(snapshot, targets, numbers), 0);
        if (snapshot.MayNotRelease) return new PoolShrinkage([], over, null);
        var wanted = Wanted(snapshot, targets, numbers, Idle(snapshot), over, now, out var ripeAt, out var hasSpareInterface);
        var shrinkage = wanted.Count == 0 ? new PoolShrinkage([], over, ripeAt) : WhenDue(snapshot, wanted, over, now);
        return shrinkage with { HasSpareInterface = hasSpareInterface };
    }

    /// <summary>Interfaces that pods are on or could be, and that nothing is being done to.</summary>
    private static InterfaceView[] Idle(PoolSnapshot snapshot)
    {
        var busy = snapshot.Ledger.Intents.Select(open => open.Intent.Concerned).ToHashSet();
        return [.. snapshot.Ledger.Interfaces.Where(item => item is { CarriesPods: true, IsDraining: false } && !busy.Contains(item.Id))];
    }

    /// <summary>Free addresses beyond the targets.</summary>
    private static int OverOf(PoolSnapshot snapshot, PoolTargets targets, PoolNumbers numbers)
    {
        if (targets.UsesAddressTargets) return Math.Min(numbers.Free - Math.Max(targets.WarmIpTarget, 1), numbers.Total - targets.MinimumIpTarget);
        // With a target of 0 one address is kept all the same, as growth wants it: else the two would take turns for ever.
        var warm = targets.UsesPrefixes ? targets.WarmPrefixTarget * PoolTargets.PrefixSize : targets.WarmEniTarget * snapshot.Capacity.BlocksPerInterface;
        return numbers.Free - Math.Max(warm, 1);
    }

    private static List<PoolAction> Wanted(
        PoolSnapshot snapshot, PoolTargets targets, PoolNumbers numbers, InterfaceView[] idle, int over, DateTimeOffset now, out DateTimeOffset? ripeAt, out bool hasSpareInterface)
    {
        (ripeAt, hasSpareInterface) = (null, false);
        if (Misfits(targets, numbers, idle, over) is { Count: > 0 } misfits) return misfits;
        var removable = snapshot.IsUnschedulable ? [] : idle.Where(item => !item.IsPrimary && !item.MayCarryOrphans && IsUnused(item) && (item.IsExcluded || IsSpare(item, targets, numbers, over))).ToArray();
        hasSpareInterface = removable.Any(item => !item.IsExcluded && item.Total > 0);
        // One interface at a time: each costs two calls and some seconds, and demand may return meanwhile.
        var ripe = removable.Where(item => RipeAt(item, snapshot) <= now).OrderByDescending(item => item.DeviceIndex).FirstOrDefault();
        if (ripe is not null) return [new PoolAction.RemoveInterface(ripe.Id)];
        // What will go with an interface does not go block by block before.
        if (removable.Length > 0)
        {
            ripeAt = removable.Min(item => RipeAt(item, snapshot));
            over -= removable.Where(item => !item.IsExcluded).Select(item => item.Total).DefaultIfEmpty().Max();
        }

        var others = idle.Where(item => item.IsUsable && !removable.Contains(item));
        // Without address targets and prefixes nothing but whole interfaces is given back, as in the reference.
        if (targets.UsesAddressTargets) return Release(others, over, block => PoolNumbers.Counts(block, targets), now, ref ripeAt);
        if (!targets.UsesPrefixes) return [];
        var spare = (numbers.FreePrefixes - targets.WarmPrefixTarget) * PoolTargets.PrefixSize;
        return Release(others, Math.Min(spare, over), block => !block.IsSingle, now, ref ripeAt);
    }

    /// <summary>One that is only kept warm is needed, too, as long as the targets ask for it.</summary>
    private static DateTimeOffset RipeAt(InterfaceView item, PoolSnapshot snapshot)
        => item.IsExcluded ? item.SeenAt + PoolLimits.MinimumInterfaceAge
            : (item.Total > 0 && snapshot.NeededAt > item.UnheldSince ? snapshot.NeededAt : item.UnheldSince) + PoolLimits.IdleInterface;

    /// <summary>Unused blocks that the mode does not count, those of an interface whose subnet is excluded, and stand-ins that are no longer needed.</summary>
    private static List<PoolAction> Misfits(PoolTargets targets, PoolNumbers numbers, InterfaceView[] idle, int over)
    {
        // Stand-ins go when whole prefixes alone are enough.
        var surplusSingles = targets.UsesPrefixes && numbers.FreeSingles <= over && (targets.UsesAddressTargets || numbers.Free - numbers.FreeSingles >= Math.Max(targets.WarmPrefixTarget, 1) * PoolTargets.PrefixSize);
        return ReleaseAll(idle, (item, block) => (item.IsExcluded && item.IsPrimary) || !PoolNumbers.Counts(block, targets) || (surplusSingles && block.IsSingle));
    }

    /// <summary>Every unused block of a kind.</summary>
    private static List<PoolAction> ReleaseAll(InterfaceView[] idle, Func<InterfaceView, BlockView, bool> mayGo)
    {
        List<PoolAction> actions = [];
        foreach (var item in idle)
        {
            IPNetwork[] blocks = [.. item.Blocks.Where(block => block.IsUnused && mayGo(item, block)).Select(block => block.Range)];
            if (blocks.Length > 0) actions.Add(new PoolAction.ReleaseBlocks(item.Id, blocks));
        }

        return actions;
    }

    private static bool IsUnused(InterfaceView item) => item.Blocks.All(block => block.IsUnused);

    /// <summary>The others are enough without it. One that brings nothing is spare: what the pool is short of is put on it long before it is taken for idle.</summary>
    private static bool IsSpare(InterfaceView item, PoolTargets targets, PoolNumbers numbers, int over)
    {
        var addresses = item.Blocks.Sum(block => block.Capacity);
        if (addresses == 0) return true;
        if (addresses > over) return false;
        return targets.UsesAddressTargets || !targets.UsesPrefixes || numbers.FreePrefixes - item.Blocks.Count(block => !block.IsSingle) >= targets.WarmPrefixTarget;
    }

    /// <summary>
    /// Emptiest interface first, so that it may become removable; highest address first, since the ledger hands out the lowest. Only what nobody has held for a while; the first that is not yet of that age tells
    /// when to look again.
    /// </summary>
    private static List<PoolAction> Release(IEnumerable<InterfaceView> interfaces, int over, Func<BlockView, bool> mayGo, DateTimeOffset now, ref DateTimeOffset? ripeAt)
    {
        var actions = new List<PoolAction>();
        foreach (var item in interfaces.OrderBy(item => item.Assigned + item.Cooling).ThenByDescending(item => item.DeviceIndex))
        {
            List<IPNetwork> blocks = [];
            foreach (var block in item.Blocks.Reverse().Where(block => block.IsUnused && mayGo(block)))
            {
                if (block.Capacity > over) continue;
                var at = block.UnheldSince + PoolLimits.IdleBlock;
                if (at > now)
                {
                    if (ripeAt is null || at < ripeAt) ripeAt = at;
                    continue;
                }

                blocks.Add(block.Range);
                over -= block.Capacity;
            }

            if (blocks.Count > 0) actions.Add(new PoolAction.ReleaseBlocks(item.Id, blocks));
        }

        return actions;
    }
}
