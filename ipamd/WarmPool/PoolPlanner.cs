// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.WarmPool;

/// <summary>
/// Decides what to attach and what to give back. A pure function: the same snapshot gives the same plan. The targets are those of the AWS VPC CNI; where we differ on
/// purpose: waiting ADDs are demand, cooling addresses are not available, an empty pool is always too low, and max pods caps single addresses, not only whole steps.
/// </summary>
/// <remarks>
/// Symbols as in the reference's documentation: T addresses attached, A assigned, C cooling, W warm, M minimum, E warm interfaces, N addresses per interface.
/// </remarks>
internal static class PoolPlanner
{
    public static PoolPlan Plan(PoolSnapshot snapshot, PoolTargets targets, DateTimeOffset now)
    {
        var usable = snapshot.Ledger.Interfaces.Where(item => item.CarriesPods && !item.IsDraining).ToArray();
        var total = usable.Sum(Attached);
        var assigned = usable.Sum(item => item.Assigned);
        var cooling = usable.Sum(item => item.Cooling);
        var soon = snapshot.Ledger.CooldownEnds.Count(end => end <= now + PoolLimits.GrowthHorizon);
        var available = total - assigned - cooling + Math.Min(soon, cooling) - snapshot.Waiting;
        var growth = Grow(snapshot, targets, usable, total, available);
        var waitingForCooldown = snapshot.Waiting > 0 || growth.Short > 0;
        var shrink = growth.Short > 0 || snapshot.Waiting > 0 ? Shrinkage.None : Shrink(snapshot, targets, usable, now);
        var served = Math.Max(total - assigned - cooling, 0) + growth.Added + cooling;
        return new PoolPlan
        {
            Actions = [.. growth.Actions, .. shrink.Actions],
            Short = growth.Short,
            Over = shrink.Over,
            Hopeless = Math.Max(snapshot.Waiting - served, 0),
            Obstacle = growth.Obstacle,
            ReplanAt = Earliest(
                waitingForCooldown && snapshot.Ledger.CooldownEnds.Count > 0 ? snapshot.Ledger.CooldownEnds[0] : null,
                growth.Short > 0 ? snapshot.Obstacle?.Until : null,
                shrink.ReplanAt),
        };
    }

    private static Growth Grow(PoolSnapshot snapshot, PoolTargets targets, IReadOnlyList<InterfaceView> usable, int total, int available)
    {
        var capacity = snapshot.Capacity;
        var perInterface = capacity.BlocksPerInterface;
        var shortage = targets.UsesAddressTargets
            // An empty pool counts as too low even where W is 0: the next pod would have to wait for the cloud.
            ? Math.Max(Math.Max(targets.WarmIpTarget, 1) - available, targets.MinimumIpTarget - total)
            : Math.Max(targets.WarmEniTarget * perInterface, 1) - available;
        if (shortage <= 0) return new Growth([], 0, 0, null);
        if (snapshot.Obstacle is { } obstacle) return new Growth([], shortage, 0, obstacle);

        // The targets alone never exceed what the node can run; more than that is not worth an obstacle unless somebody waits.
        var room = Math.Max(capacity.MaxPods - total, 0);
        var actions = new List<PoolAction>();
        var added = 0;

        int Take(int slots)
        {
            // In interface mode whole interfaces are filled, as in the reference; with address targets just what is missing is added.
            var wanted = targets.UsesAddressTargets ? shortage - added : slots;
            var count = Math.Min(Math.Min(wanted, slots), room - added);
            added += Math.Max(count, 0);
            return count;
        }

        foreach (var item in usable)
        {
            if (added >= shortage) break;
            if (Take(perInterface - item.Blocks.Count) is var count and > 0)
                actions.Add(new PoolAction.AssignBlocks(item.Id, new BlockRequest(BlockKind.Ipv4Address, count)));
        }

        var used = snapshot.Ledger.Interfaces.Where(item => item.NetworkCard == 0).Select(item => item.DeviceIndex).ToHashSet();
        var interfaces = snapshot.Ledger.Interfaces.Count;
        for (var index = 1; added < shortage && interfaces < capacity.MaxInterfaces; index++)
        {
            if (used.Contains(index)) continue;
            if (Take(perInterface) is not (var count and > 0)) break;
            actions.Add(new PoolAction.AddInterface(index, new BlockRequest(BlockKind.Ipv4Address, count)));
            interfaces++;
        }

        var why = added >= shortage ? null
            : added >= room ? new GrowthObstacle(GrowthObstacleKind.MaxPods, null, $"the node runs at most {capacity.MaxPods} pods and has {total} addresses attached")
            : new GrowthObstacle(GrowthObstacleKind.InterfaceLimit, null, $"all {capacity.MaxInterfaces} interfaces of this node are attached and carry {perInterface} addresses each");
        return new Growth(actions, shortage, added, why);
    }

    private static Shrinkage Shrink(PoolSnapshot snapshot, PoolTargets targets, IReadOnlyList<InterfaceView> usable, DateTimeOffset now)
    {
        var total = usable.Sum(Attached);
        var free = usable.Sum(item => item.Free);
        var over = targets.UsesAddressTargets
            ? Math.Max(Math.Min(free - Math.Max(targets.WarmIpTarget, 1), total - targets.MinimumIpTarget), 0)
            // Whole interfaces only: nothing is given back before one more interface's worth than the target is free.
            // With a target of 0 one address is kept all the same, as growth wants it: else the two would take turns for ever.
            : Math.Max(free - Math.Max(targets.WarmEniTarget * snapshot.Capacity.BlocksPerInterface, 1), 0);
        if (over == 0 || snapshot.Obstacle?.Kind == GrowthObstacleKind.ProvisioningDisabled) return new Shrinkage([], over, null);

        var removable = usable.Where(item => !item.IsPrimary && item.Assigned + item.Cooling == 0 && Attached(item) <= over).ToArray();
        if (removable.Length == 0 && !targets.UsesAddressTargets) return new Shrinkage([], over, null);
        if (snapshot.LastReleaseAt + PoolLimits.ReleaseInterval is var next && now < next) return new Shrinkage([], over, next);

        // One interface at a time: each costs two calls and some seconds, and demand may return meanwhile.
        var ripe = removable.Where(item => item.SeenAt + PoolLimits.MinimumInterfaceAge <= now).OrderByDescending(item => item.DeviceIndex).FirstOrDefault();
        if (ripe is not null) return new Shrinkage([new PoolAction.RemoveInterface(ripe.Id)], over, null);
        if (removable.Length > 0) return new Shrinkage([], over, removable.Min(item => item.SeenAt) + PoolLimits.MinimumInterfaceAge);
        return new Shrinkage(ReleaseFrom(usable, over), over, null);
    }

    /// <summary>Emptiest interface first, so that it may become removable; highest address first, since the ledger hands out the lowest.</summary>
    private static List<PoolAction> ReleaseFrom(IReadOnlyList<InterfaceView> usable, int over)
    {
        var actions = new List<PoolAction>();
        foreach (var item in usable.OrderBy(item => item.Assigned + item.Cooling).ThenByDescending(item => item.DeviceIndex))
        {
            List<IPNetwork> blocks = [];
            foreach (var block in item.Blocks.Reverse().Where(block => block.IsUnused && !block.IsReleasing))
            {
                if (block.Capacity > over) continue;
                blocks.Add(block.Range);
                over -= block.Capacity;
            }

            if (blocks.Count > 0) actions.Add(new PoolAction.ReleaseBlocks(item.Id, blocks));
        }

        return actions;
    }

    /// <summary>Addresses of an interface that are not on their way back.</summary>
    private static int Attached(InterfaceView item) => item.Blocks.Where(block => !block.IsReleasing).Sum(block => block.Capacity);

    private static DateTimeOffset? Earliest(params ReadOnlySpan<DateTimeOffset?> times)
    {
        DateTimeOffset? earliest = null;
        foreach (var time in times)
        {
            if (time is not null && (earliest is null || time < earliest)) earliest = time;
        }

        return earliest;
    }

    private sealed record Growth(IReadOnlyList<PoolAction> Actions, int Short, int Added, GrowthObstacle? Obstacle);

    private sealed record Shrinkage(IReadOnlyList<PoolAction> Actions, int Over, DateTimeOffset? ReplanAt)
    {
        public static readonly Shrinkage None = new([], 0, null);
    }
}
