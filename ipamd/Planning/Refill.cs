// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// Collects refills into few calls. A shortage that no pending ADD waits for is covered once ADDs pause; while they keep arriving, one call
/// also adds what the next moments will use. When the pool would run empty meanwhile, the shortage is covered at once. New interfaces are
/// not collected: each takes seconds and the same calls, whatever it carries.
/// </summary>
internal static class Refill
{
    /// <summary>When the shortage may be covered; not later than <paramref name="now"/> when that is at once.</summary>
    public static DateTimeOffset DueAt(PoolSnapshot snapshot, PoolCounts counts, IReadOnlyList<PoolChange> changes, DateTimeOffset now)
    {
        var recent = snapshot.Ledger.RecentAssignments;
        if (snapshot.Waiting.Count > 0 || recent.Count == 0 || !changes.All(change => change is PoolChange.AssignBlocks))
            return now;
        // Another burst like the last one would empty the pool.
        if (counts.Available < Count(recent, now))
            return now;
        var pausedAt = recent[^1] + PoolLimits.RefillPause;
        var latest = (snapshot.ShortageSince ?? now) + PoolLimits.LongestRefillWait;
        return pausedAt < latest ? pausedAt : latest;
    }

    /// <summary>
    /// Number of addresses to assign beyond the shortage; 0 while ADDs pause. Applies to address targets only, where a call may add a
    /// single address: prefixes and whole interfaces already run ahead by their size. Also 0 when a subnet is, or may be, nearly exhausted.
    /// </summary>
    public static int Ahead(PoolSnapshot snapshot, PoolTargets targets, DateTimeOffset now)
    {
        var recent = snapshot.Ledger.RecentAssignments;
        if (!targets.UsesAddressTargets || !snapshot.Capacity.Lead.Shape.IsSingle || snapshot.IsUnschedulable)
            return 0;
        if (snapshot.Subnets.Any(subnet => subnet.IsNearlyExhausted || subnet.FreeAddresses is null))
            return 0;
        if (recent.Count == 0 || now - recent[^1] >= PoolLimits.RefillPause)
            return 0;
        return Count(recent, now) is var count and > 1 ? Math.Min(count, PoolLimits.MaxAhead) : 0;
    }

    private static int Count(IReadOnlyList<DateTimeOffset> recent, DateTimeOffset now) =>
        recent.Count(at => now - at < PoolLimits.RefillWindow);
}
