// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Delays repairs of one kind that another program keeps undoing. Repairs are made at once as long as they are an exception, and
/// ever less often in a dispute, so that two programs that disagree do not keep a node busy. Not thread-safe.
/// </summary>
internal sealed class RepairBackoff
{
    /// <summary>Changes that come together are repaired together.</summary>
    public static readonly TimeSpan Debounce = TimeSpan.FromMilliseconds(100);

    /// <summary>Pauses between the repairs of a dispute.</summary>
    public static readonly Backoff Pauses = new(Debounce, TimeSpan.FromSeconds(30));

    /// <summary>Number of repairs in a row that are made without a growing pause.</summary>
    public const int Patience = 8;

    /// <summary>Ends a series, and a dispute, when nothing was repaired for this long and for twice the last pause.</summary>
    public static readonly TimeSpan CalmAfter = TimeSpan.FromSeconds(5);

    private int _streak;
    private DateTimeOffset _last = DateTimeOffset.MinValue;
    private bool _wasRight = true;

    /// <summary>The shortest time from one repair to the next.</summary>
    public TimeSpan Pause { get; private set; } = Debounce;

    /// <summary>Whether another program keeps undoing the repairs.</summary>
    public bool IsDispute => _streak > Patience;

    /// <summary>When the next repair may be made; in the past without a dispute.</summary>
    public DateTimeOffset NotBefore => IsDispute ? _last + Pause : DateTimeOffset.MinValue;

    /// <summary>
    /// Records a repair. It continues the series of the previous one unless a sync found that one in place: a sync that fails finds
    /// nothing, and the time that it takes must not end a dispute.
    /// </summary>
    /// <returns>True when this repair turned a series into a dispute.</returns>
    public bool Repaired(DateTimeOffset now)
    {
        _streak = _last + Quiet >= now || !_wasRight ? _streak + 1 : 1;
        (_last, _wasRight) = (now, false);
        Pause = Pauses.Ceiling(Math.Max(_streak - Patience, 0) + 1);
        return _streak == Patience + 1;
    }

    /// <summary>Records a sync that found nothing to repair.</summary>
    /// <returns>True when it ends a dispute.</returns>
    public bool Right(DateTimeOffset now)
    {
        _wasRight = true;
        if (_last + Quiet >= now)
            return false;
        var ended = IsDispute;
        (_streak, Pause) = (0, Debounce);
        return ended;
    }

    private TimeSpan Quiet => Pause * 2 > CalmAfter ? Pause * 2 : CalmAfter;
}
