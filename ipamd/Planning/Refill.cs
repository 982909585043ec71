// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// Collects refills into few calls. A shortage that no pending ADD waits for is covered once ADDs pause, and while they
/// keep coming one call also brings what the next moments will use. Where the pool would run empty meanwhile, the shortage is covered at
/// once. A new interface takes seconds and the same calls whatever it brings: it is not collected.
/// </summary>
internal static class Refill
{
    /// <summary>When the shortage may be covered; not later than now where it may be at once.</summary>
    public static DateTimeOffset DueAt(PoolSnapshot snapshot, PoolCounts numbers, IReadOnlyList<PoolAction> actions, DateTimeOffset now)
    {
        var recent = snapshot.Ledger.RecentAssignments;
        if (snapshot.Waiting.Count > 0 || recent.Count == 0 || !actions.All(action => action is PoolAction.AssignBlocks))
            return now;
        // As many ADDs again as in the last moments would find nothing.
        if (numbers.Available < Count(recent, now))
            return now;
        var pausedAt = recent[^1] + PoolLimits.RefillPause;
        var latest = (snapshot.ShortSince ?? now) + PoolLimits.LongestRefillWait;
        return pausedAt < latest ? pausedAt : latest;
    }

    /// <summary>
    /// Addresses to assign beyond the shortage; 0 while no ADDs keep coming. Only with address targets, where a call may bring a single
    /// address: prefixes and whole interfaces are ahead by their size. Nor where a subnet is short of addresses, or may be.
    /// </summary>
    public static int Ahead(PoolSnapshot snapshot, PoolTargets targets, DateTimeOffset now)
    {
        var recent = snapshot.Ledger.RecentAssignments;
        if (!targets.UsesAddressTargets || targets.UsesPrefixes || snapshot.IsUnschedulable)
            return 0;
        if (snapshot.Subnets.Any(subnet => subnet.IsShort || subnet.FreeAddresses is null))
            return 0;
        if (recent.Count == 0 || now - recent[^1] >= PoolLimits.RefillPause)
            return 0;
        return Count(recent, now) is var count and > 1 ? Math.Min(count, PoolLimits.MostAhead) : 0;
    }

    private static int Count(IReadOnlyList<DateTimeOffset> recent, DateTimeOffset now) =>
        recent.Count(at => now - at < PoolLimits.RefillWindow);
}
