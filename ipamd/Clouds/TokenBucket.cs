// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Clouds;

/// <summary>
/// A token bucket that adapts: throttling by the cloud halves its rate and its tokens, and time and successes raise the rate in equal
/// steps. Nodes that share an unknown limit so come to share it fairly. Not thread-safe; takes the time as an argument.
/// </summary>
internal sealed class TokenBucket(CallAllowance allowance, TimeSpan now)
{
    /// <summary>Lowest rate, as a fraction of the full one: a node that is always throttled still detects when throttling ends.</summary>
    private const double LowestFraction = 1.0 / 8;

    /// <summary>Fraction of the full rate that a success restores.</summary>
    private const double SuccessStep = 1.0 / 10;

    /// <summary>Time from zero to the full rate without any call.</summary>
    private static readonly TimeSpan RecoveryTime = TimeSpan.FromMinutes(5);

    /// <summary>Tolerance for rounding in sums of fractions.</summary>
    private const double Rounding = 1e-6;

    private TimeSpan _at = now;
    private TimeSpan _slowedAt = TimeSpan.MinValue;

    public CallAllowance Allowance { get; } = allowance;
    public double Tokens { get; private set; } = allowance.Capacity;

    /// <summary>Tokens per second now.</summary>
    public double Rate { get; private set; } = allowance.PerSecond;

    /// <summary>Advances tokens and rate to a time; no-op when it is not later.</summary>
    public void Refill(TimeSpan now)
    {
        if (now <= _at)
            return;
        var seconds = (now - _at).TotalSeconds;
        _at = now;
        var before = Rate;
        Raise(Allowance.PerSecond * seconds / RecoveryTime.TotalSeconds);
        Tokens = Math.Min(Allowance.Capacity, Tokens + (before + Rate) / 2 * seconds);
    }

    public bool Has(double tokens) => Tokens + Rounding >= tokens;

    public void Take(double tokens) => Tokens = Math.Max(0, Tokens - tokens);

    /// <summary>Time until that many tokens are available, at the current rate; it may turn out shorter.</summary>
    public TimeSpan TimeUntil(double tokens) => Has(tokens) ? TimeSpan.Zero : TimeSpan.FromSeconds((tokens - Tokens) / Rate);

    /// <summary>Records a throttled call. Ignores calls that were in flight when the rate was last halved.</summary>
    public void Throttled(TimeSpan began, TimeSpan now)
    {
        if (began < _slowedAt)
            return;
        Refill(now);
        _slowedAt = now;
        Rate = Math.Max(Rate / 2, Allowance.PerSecond * LowestFraction);
        Tokens /= 2;
    }

    /// <summary>Records a successful call.</summary>
    public void Succeeded(TimeSpan began)
    {
        if (began >= _slowedAt)
            Raise(Allowance.PerSecond * SuccessStep);
    }

    private void Raise(double by) => Rate = Math.Min(Allowance.PerSecond, Rate + by);
}
