// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// Who of those who wait can be served in time: by what is free, under way or planned, else by an address that leaves cooldown before its
/// deadline. First come, first served.
/// </summary>
internal static class QueueForecast
{
    /// <summary>The numbers of those for whom waiting is useless.</summary>
    /// <param name="waiting">In the order of their arrival.</param>
    /// <param name="supply">Addresses that are free or will be added.</param>
    /// <param name="cooldownEnds">Soonest first.</param>
    public static IReadOnlyList<long> Unservable(IReadOnlyList<PendingAdd> waiting, int supply, IReadOnlyList<DateTimeOffset> cooldownEnds)
    {
        List<long> hopeless = [];
        var cooled = 0;
        foreach (var waiter in waiting.Skip(Math.Max(supply, 0)))
        {
            if (cooled < cooldownEnds.Count && cooldownEnds[cooled] < waiter.Deadline)
                cooled++;
            else
                hopeless.Add(waiter.Number);
        }

        return hopeless;
    }
}
