// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// How fast repairs of one kind follow each other. At once, as long as they are an exception; when another program undoes them again and
/// again, ever slower, so that two programs that disagree do not keep a node busy.
/// </summary>
internal sealed class RepairBackoff
{
    /// <summary>What comes together is repaired together.</summary>
    public static readonly TimeSpan Debounce = TimeSpan.FromMilliseconds(100);

    public static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <summary>Repairs that may follow each other at once.</summary>
    public const int Patience = 8;

    /// <summary>Without a repair for this long, and for twice the last pause, the dispute is over.</summary>
    public static readonly TimeSpan Peace = TimeSpan.FromSeconds(5);

    private int _streak;
    private DateTimeOffset _last = DateTimeOffset.MinValue;

    /// <summary>The least time from one repair to the next.</summary>
    public TimeSpan Pause { get; private set; } = Debounce;

    /// <summary>Somebody keeps undoing the repairs.</summary>
    public bool IsDispute => _streak > Patience;

    /// <summary>When the next repair may be made; in the past without a dispute.</summary>
    public DateTimeOffset NotBefore => IsDispute ? _last + Pause : DateTimeOffset.MinValue;

    /// <summary>True when this repair turned a series of them into a dispute.</summary>
    public bool Repaired(DateTimeOffset now)
    {
        _streak = _last + Quiet >= now ? _streak + 1 : 1;
        _last = now;
        var pause = Debounce * Math.Pow(2, Math.Clamp(_streak - Patience, 0, 16));
        Pause = pause < LongestPause ? pause : LongestPause;
        return _streak == Patience + 1;
    }

    /// <summary>A look that found everything right. True when that ends a dispute.</summary>
    public bool Right(DateTimeOffset now)
    {
        if (_last + Quiet >= now)
            return false;
        var ended = IsDispute;
        (_streak, Pause) = (0, Debounce);
        return ended;
    }

    private TimeSpan Quiet => Pause * 2 > Peace ? Pause * 2 : Peace;
}
