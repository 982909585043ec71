// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>
/// Delays the removal of rules that come back: by seconds at first, because the old daemon may end after ours has started; by growing times
/// while they are added again, because another daemon runs on the node.
/// </summary>
internal sealed class RecurrenceBackoff
{
    public static readonly Backoff Pauses = new(TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(16));

    private DateTimeOffset _last = DateTimeOffset.MinValue;
    private int _removals;

    /// <summary>The shortest time between two searches.</summary>
    public TimeSpan Pause => Pauses.Ceiling(_removals + 1);

    /// <summary>Records a removal of rules that had come back. True for the first of a series, which is logged.</summary>
    public bool Removed(DateTimeOffset now)
    {
        _last = now;
        return ++_removals == 1;
    }

    /// <summary>Records a search without result. Resets the backoff after the longest pause without recurrence.</summary>
    public void Clean(DateTimeOffset now)
    {
        if (_last == DateTimeOffset.MinValue || now - _last <= Pauses.Longest)
            return;
        (_last, _removals) = (DateTimeOffset.MinValue, 0);
    }
}
