// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Clouds;

/// <summary>
/// A token bucket that gives way: its rate and what was saved up are halved when the cloud says that calls come too fast, and the rate is
/// raised again in equal steps by time and by success. So many nodes that share a limit nobody told them come to share it fairly. Not
/// thread-safe; takes the time as an argument.
/// </summary>
internal sealed class TokenBucket(CallAllowance allowance, TimeSpan now)
{
    /// <summary>
    /// The rate never falls below this part of the full one: a node that is throttled forever still finds out that it is not any more.
    /// </summary>
    private const double LowestPart = 1.0 / 8;

    /// <summary>Part of the full rate that a success gives back.</summary>
    private const double SuccessStep = 1.0 / 10;

    /// <summary>From nothing to the full rate without any call.</summary>
    private static readonly TimeSpan RecoveryTime = TimeSpan.FromMinutes(5);

    /// <summary>Sums of fractions are not exact; a token short by this much is a token.</summary>
    private const double Rounding = 1e-6;

    private TimeSpan _at = now;
    private TimeSpan _slowedAt = TimeSpan.MinValue;

    public CallAllowance Allowance { get; } = allowance;
    public double Tokens { get; private set; } = allowance.Capacity;

    /// <summary>Tokens per second now.</summary>
    public double Rate { get; private set; } = allowance.PerSecond;

    /// <summary>Brings tokens and rate up to a time; one that is not later changes nothing.</summary>
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

    /// <summary>How long until there are so many, at today's rate; it may turn out shorter.</summary>
    public TimeSpan TimeUntil(double tokens) => Has(tokens) ? TimeSpan.Zero : TimeSpan.FromSeconds((tokens - Tokens) / Rate);

    /// <summary>A call that began at a time was throttled. Calls already under way when the rate was last halved say nothing new.</summary>
    public void Throttled(TimeSpan began, TimeSpan now)
    {
        if (began < _slowedAt)
            return;
        Refill(now);
        _slowedAt = now;
        Rate = Math.Max(Rate / 2, Allowance.PerSecond * LowestPart);
        Tokens /= 2;
    }

    public void Succeeded(TimeSpan began)
    {
        if (began >= _slowedAt)
            Raise(Allowance.PerSecond * SuccessStep);
    }

    private void Raise(double by) => Rate = Math.Min(Allowance.PerSecond, Rate + by);
}
