// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>
/// How soon rules that come back are removed again: at first within seconds, since the old daemon may end after ours has started; ever
/// later while somebody goes on putting them back, which then is no leftover but a second network, and cannot be removed.
/// </summary>
internal sealed class RecurrenceBackoff
{
    public static readonly TimeSpan Shortest = TimeSpan.FromSeconds(5);
    public static readonly TimeSpan Longest = TimeSpan.FromMinutes(16);

    private DateTimeOffset _last = DateTimeOffset.MinValue;
    private bool _isSaid;

    /// <summary>The least time between two looks for them.</summary>
    public TimeSpan Pause { get; private set; } = Shortest;

    /// <summary>They were there again, and are removed. True when that is to be said: once for all that follow each other.</summary>
    public bool Removed(DateTimeOffset now)
    {
        _last = now;
        Pause = Pause * 2 < Longest ? Pause * 2 : Longest;
        return !_isSaid && (_isSaid = true);
    }

    /// <summary>They were not there. That they stay away is believed when they have for as long as they are ever let be.</summary>
    public void Clean(DateTimeOffset now)
    {
        if (_last == DateTimeOffset.MinValue || now - _last <= Longest)
            return;
        (_last, Pause, _isSaid) = (DateTimeOffset.MinValue, Shortest, false);
    }
}
