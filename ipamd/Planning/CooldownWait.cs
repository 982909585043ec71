// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>Which pending ADD waits for a cooldown: when nothing is under way that brings an address sooner.</summary>
internal static class CooldownWait
{
    /// <param name="view">The ledger.</param>
    /// <param name="ahead">Pending ADDs that came before.</param>
    /// <param name="deadline">When the ADD gives up.</param>
    /// <param name="obstacle">What stands against growth; null for nothing.</param>
    /// <returns>When the address that it gets leaves cooldown; null when it waits for something else.</returns>
    public static DateTimeOffset? EndFor(LedgerView view, int ahead, DateTimeOffset deadline, GrowthObstacle? obstacle)
    {
        if (view.Intents.Any(open => open.Intent.IsGrowth) || view.CooldownEnds.Count <= ahead)
            return null;
        var end = view.CooldownEnds[ahead];
        return end < deadline && !(obstacle?.Until < end) ? end : null;
    }
}
