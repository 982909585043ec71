// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Timing;

/// <summary>
/// Growing pauses between attempts that fail in a row: each failure doubles the pause, up to the longest. A share of it may be random, so
/// that the nodes of a cluster that failed together do not retry together. Has no state: the caller counts the failures.
/// </summary>
internal readonly record struct Backoff
{
    /// <param name="first">Pause after the first failure; positive.</param>
    /// <param name="longest">Upper bound of every pause; at least <paramref name="first"/>.</param>
    /// <param name="randomShare">
    /// Share of each pause that is random, 0 to 1. At 0 pauses are fixed; at 0.5 none is shorter than half its <see cref="Ceiling"/>; at 1
    /// (full jitter) a retry may come at once.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of its bounds.</exception>
    public Backoff(TimeSpan first, TimeSpan longest, double randomShare = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(first, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(longest, first);
        if (randomShare is not (>= 0 and <= 1))
            throw new ArgumentOutOfRangeException(nameof(randomShare), randomShare, "expected a share between 0 and 1");
        (First, Longest, RandomShare) = (first, longest, randomShare);
    }

    public TimeSpan First { get; }

    public TimeSpan Longest { get; }

    public double RandomShare { get; }

    /// <summary>Returns the longest possible pause; the pause itself when nothing of it is random.</summary>
    /// <param name="failures">Failures in a row, any number. After none, the pause is zero.</param>
    public TimeSpan Ceiling(int failures)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(failures);
        if (failures == 0)
            return TimeSpan.Zero;
        // ScaleB yields infinity where the doubled pause is out of range, and no count of failures is wrong.
        var ticks = Math.ScaleB(First.Ticks, failures - 1);
        return ticks < Longest.Ticks ? TimeSpan.FromTicks((long)ticks) : Longest;
    }

    /// <summary>Returns a pause between <see cref="Ceiling"/> less its random share, and <see cref="Ceiling"/>.</summary>
    /// <param name="failures">See <see cref="Ceiling"/>.</param>
    /// <param name="random">Source of randomness; thread-safe if it is shared.</param>
    public TimeSpan Pause(int failures, Random random)
    {
        var ceiling = Ceiling(failures);
        return Jitter.Between(ceiling * (1 - RandomShare), ceiling, random);
    }
}
