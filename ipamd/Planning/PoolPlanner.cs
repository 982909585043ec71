// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// Decides what to attach and what to release. Pure: the same snapshot gives the same plan. The targets are those of the AWS VPC CNI.
/// Deliberate differences: pending ADDs are demand, cooling addresses are not available, an empty pool is always too low, max pods caps
/// single addresses as well as whole steps, and pending changes count as supply.
/// </summary>
internal static class PoolPlanner
{
    public static PoolPlan Plan(PoolSnapshot snapshot, PoolTargets targets, DateTimeOffset now)
    {
        var counts = PoolCounts.Of(snapshot, now);
        var growth = GrowthPlan.Plan(snapshot, targets, counts, now);
        var pairing = PairingPlan.Plan(snapshot, counts, growth.Changes, now);
        var dueAt = Refill.DueAt(snapshot, counts, growth.Changes, now);
        DateTimeOffset? refillAt = growth.Changes.Count > 0 && dueAt > now ? dueAt : null;
        var shrink =
            growth.Changes.Count + pairing.Changes.Count > 0 ? ShrinkPlan.None
            : growth.Shortage > 0 ? ShrinkPlan.MakeRoom(snapshot, targets, growth, now)
            : snapshot.Waiting.Count > 0 ? ShrinkPlan.None
            : ShrinkPlan.Plan(snapshot, targets, counts, now);
        // A pod needs an address of each family.
        var supply = Math.Min(FreeOfLead(snapshot) + counts.Pending + growth.Added + growth.Deferred, pairing.Supply);
        var obstacle = growth.Obstacle ?? pairing.Obstacle;
        var cooldownEnds = snapshot.Ledger.CooldownEnds;
        return new PoolPlan
        {
            Changes = [.. refillAt is null ? growth.Changes : [], .. pairing.Changes, .. refillAt is null ? shrink.Changes : []],
            Shortage = Math.Max(growth.Shortage, 0),
            Surplus = shrink.Surplus,
            HasSpareInterface = shrink.HasSpareInterface,
            SurplusReport = shrink.SurplusReport,
            // Without an obstacle, pending and planned changes cover the whole shortage.
            Unservable = obstacle is null ? [] : QueueForecast.Unservable(snapshot.Waiting, supply, cooldownEnds),
            Obstacle = obstacle,
            RefillAt = refillAt,
            ReplanAt = Earliest(
                // One more address is free then, for a pending ADD or as surplus.
                cooldownEnds.Count > 0
                    ? cooldownEnds[0]
                    : null,
                refillAt,
                growth.Shortage > 0 ? growth.Obstacle?.Until : null,
                pairing.Obstacle?.Until,
                shrink.ReplanAt
            ),
        };
    }

    private static int FreeOfLead(PoolSnapshot snapshot) =>
        snapshot.Ledger.Interfaces.Sum(item => item.FreeOf(snapshot.Capacity.Lead.Shape.Family));

    private static DateTimeOffset? Earliest(params ReadOnlySpan<DateTimeOffset?> times)
    {
        DateTimeOffset? earliest = null;
        foreach (var time in times)
        {
            if (time is not null && (earliest is null || time < earliest))
                earliest = time;
        }

        return earliest;
    }
}
