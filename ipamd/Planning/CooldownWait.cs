// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>Decides whether a pending ADD waits for an address in cooldown: only while no growth is in flight.</summary>
internal static class CooldownWait
{
    /// <param name="view">The ledger.</param>
    /// <param name="ahead">Number of pending ADDs ahead in the queue.</param>
    /// <param name="deadline">When the ADD expires.</param>
    /// <param name="obstacle">The obstacle to growth; null for none.</param>
    /// <returns>When the address that the ADD will get leaves cooldown; null when the ADD waits for something else.</returns>
    public static DateTimeOffset? EndFor(LedgerView view, int ahead, DateTimeOffset deadline, GrowthObstacle? obstacle)
    {
        if (view.Intents.Any(open => open.Intent.IsGrowth) || view.CooldownEnds.Count <= ahead)
            return null;
        var end = view.CooldownEnds[ahead];
        return end < deadline && !(obstacle?.Until < end) ? end : null;
    }
}
