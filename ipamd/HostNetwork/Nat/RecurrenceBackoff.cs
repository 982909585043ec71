// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>
/// Delays the removal of rules that come back: by seconds at first, because the old daemon may end after ours has started; by growing times
/// while they are added again, because another daemon runs on the node.
/// </summary>
internal sealed class RecurrenceBackoff
{
    public static readonly TimeSpan Shortest = TimeSpan.FromSeconds(5);
    public static readonly TimeSpan Longest = TimeSpan.FromMinutes(16);

    private DateTimeOffset _last = DateTimeOffset.MinValue;
    private bool _isLogged;

    /// <summary>The shortest time between two searches.</summary>
    public TimeSpan Pause { get; private set; } = Shortest;

    /// <summary>Records a removal of rules that had come back. True for the first of a series, which is logged.</summary>
    public bool Removed(DateTimeOffset now)
    {
        _last = now;
        Pause = Pause * 2 < Longest ? Pause * 2 : Longest;
        return !_isLogged && (_isLogged = true);
    }

    /// <summary>Records a search without result. Resets the backoff after <see cref="Longest"/> without recurrence.</summary>
    public void Clean(DateTimeOffset now)
    {
        if (_last == DateTimeOffset.MinValue || now - _last <= Longest)
            return;
        (_last, Pause, _isLogged) = (DateTimeOffset.MinValue, Shortest, false);
    }
}
