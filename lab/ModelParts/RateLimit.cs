// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.ModelParts;

/// <summary>
/// Limits the calls of each kind with a token bucket: the rate per second, and a burst of one second's calls, at least one. Without a rate,
/// the default, it limits nothing. Not thread-safe.
/// </summary>
public sealed class RateLimit<TKind>
    where TKind : struct, Enum
{
    private readonly Dictionary<TKind, (double Tokens, DateTimeOffset At)> _buckets = [];

    /// <summary>Calls per second; null for no limit.</summary>
    public double? PerSecond { get; private set; }

    /// <exception cref="ArgumentOutOfRangeException">The rate is not above 0.</exception>
    public void Set(double? perSecond)
    {
        if (perSecond is { } rate && !(rate > 0))
            throw new ArgumentOutOfRangeException(nameof(perSecond), rate, "expected a rate above 0");
        PerSecond = perSecond;
        _buckets.Clear();
    }

    /// <summary>Takes a call; false if the limit is exceeded.</summary>
    public bool TryTake(TKind kind, DateTimeOffset now)
    {
        if (PerSecond is not { } rate)
            return true;
        var capacity = Math.Max(1, rate);
        var (tokens, at) = _buckets.GetValueOrDefault(kind, (capacity, now));
        tokens = Math.Min(capacity, tokens + Math.Max(0, (now - at).TotalSeconds) * rate);
        var isTaken = tokens >= 1;
        _buckets[kind] = (isTaken ? tokens - 1 : tokens, now);
        return isTaken;
    }

    /// <summary>Time from the last call of a kind until the next one is accepted.</summary>
    public TimeSpan RetryAfter(TKind kind) =>
        PerSecond is { } rate && _buckets.TryGetValue(kind, out var bucket) && bucket.Tokens < 1
            ? TimeSpan.FromSeconds((1 - bucket.Tokens) / rate)
            : TimeSpan.Zero;
}
