// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// Forecasts which pending ADDs can be served in time: by free, pending or planned addresses, or by one that leaves cooldown before the
/// deadline. First come, first served.
/// </summary>
internal static class QueueForecast
{
    /// <summary>Returns the tickets of the ADDs that cannot be served in time.</summary>
    /// <param name="waiting">The pending ADDs, in order of arrival.</param>
    /// <param name="supply">Number of addresses that are free or will be added.</param>
    /// <param name="cooldownEnds">Ends of cooldowns, earliest first.</param>
    public static IReadOnlyList<long> Unservable(IReadOnlyList<PendingAdd> waiting, int supply, IReadOnlyList<DateTimeOffset> cooldownEnds)
    {
        List<long> unservable = [];
        var cooled = 0;
        foreach (var pending in waiting.Skip(Math.Max(supply, 0)))
        {
            if (cooled < cooldownEnds.Count && cooldownEnds[cooled] < pending.Deadline)
                cooled++;
            else
                unservable.Add(pending.Number);
        }

        return unservable;
    }
}
