// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// Decides what to attach and what to give back. A pure function: the same snapshot gives the same plan. The targets are those of the AWS
/// VPC CNI; where we differ on purpose: waiting ADDs are demand, cooling addresses are not available, an empty pool is always too low, max
/// pods caps single addresses, not only whole steps, and what is under way is neither waited for nor asked for twice.
/// </summary>
internal static class PoolPlanner
{
    public static PoolPlan Plan(PoolSnapshot snapshot, PoolTargets targets, DateTimeOffset now)
    {
        var numbers = PoolCounts.Of(snapshot, targets, now);
        var growth = GrowthPlan.Plan(snapshot, targets, numbers, now);
        var dueAt = Refill.DueAt(snapshot, numbers, growth.Actions, now);
        DateTimeOffset? refillAt = growth.Actions.Count > 0 && dueAt > now ? dueAt : null;
        var shrinkage =
            growth.Actions.Count > 0 ? ShrinkPlan.None
            : growth.Shortage > 0 ? ShrinkPlan.MakeRoom(snapshot, targets, growth, now)
            : snapshot.Waiting.Count > 0 ? ShrinkPlan.None
            : ShrinkPlan.Plan(snapshot, targets, numbers, now);
        var supply = snapshot.Ledger.Free + numbers.Pending + growth.Added + growth.Deferred;
        var cooldownEnds = snapshot.Ledger.CooldownEnds;
        return new PoolPlan
        {
            Actions = refillAt is not null ? [] : [.. growth.Actions, .. shrinkage.Actions],
            Shortage = Math.Max(growth.Shortage, 0),
            Surplus = shrinkage.Over,
            HasSpareInterface = shrinkage.HasSpareInterface,
            SurplusReport = shrinkage.SurplusReport,
            // Without an obstacle everything that is missing is on its way.
            Unservable = growth.Obstacle is null ? [] : QueueForecast.Unservable(snapshot.Waiting, supply, cooldownEnds),
            Obstacle = growth.Obstacle,
            RefillAt = refillAt,
            ReplanAt = Earliest(
                // Then there is an address more, for those who wait or as a surplus.
                cooldownEnds.Count > 0
                    ? cooldownEnds[0]
                    : null,
                refillAt,
                growth.Shortage > 0 ? growth.Obstacle?.Until : null,
                shrinkage.ReplanAt
            ),
        };
    }

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
