// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>
/// Kind of a call, which selects EC2's token bucket for it (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html).
/// </summary>
public enum CallKind
{
    /// <summary>A Describe call with ids, filters or paging.</summary>
    NonMutating,

    /// <summary>A Describe call without ids, filters and paging.</summary>
    UnfilteredNonMutating,
    Mutating,
}

/// <summary>Limits of a token bucket.</summary>
/// <param name="Capacity">Maximum number of tokens, and thus of calls in a burst.</param>
/// <param name="RefillPerSecond">Tokens added per second, and thus the sustained rate of calls.</param>
public sealed record RateLimit(double Capacity, double RefillPerSecond);

/// <summary>Throttles requests with a token bucket for each kind of call. Without limits, the default, it throttles nothing.</summary>
public sealed class Throttle
{
    private readonly Dictionary<CallKind, Bucket> _buckets = [];

    /// <summary>EC2's defaults for an account and region.</summary>
    public static IReadOnlyDictionary<CallKind, RateLimit> Ec2Defaults { get; } =
        new Dictionary<CallKind, RateLimit>
        {
            [CallKind.NonMutating] = new(Capacity: 100, RefillPerSecond: 20),
            [CallKind.UnfilteredNonMutating] = new(Capacity: 50, RefillPerSecond: 10),
            [CallKind.Mutating] = new(Capacity: 50, RefillPerSecond: 5),
        };

    /// <summary>The same rate for every kind, with a burst of one second's calls (at least one).</summary>
    public static IReadOnlyDictionary<CallKind, RateLimit> Uniform(double perSecond) =>
        Enum.GetValues<CallKind>().ToDictionary(kind => kind, _ => new RateLimit(Math.Max(1, perSecond), perSecond));

    /// <summary>Replaces all limits; buckets start full. Null or empty disables throttling.</summary>
    public void SetLimits(IReadOnlyDictionary<CallKind, RateLimit>? limits)
    {
        _buckets.Clear();
        foreach (var (kind, limit) in limits ?? new Dictionary<CallKind, RateLimit>())
        {
            if (!(limit.Capacity >= 1) || !(limit.RefillPerSecond > 0))
                throw new ArgumentException(
                    $"the limit for {kind} is {limit}; capacity must be at least 1 and the refill above 0",
                    nameof(limits)
                );
            _buckets[kind] = new Bucket(limit) { Tokens = limit.Capacity };
        }
    }

    internal bool TryTake(CallKind kind, DateTimeOffset now)
    {
        if (!_buckets.TryGetValue(kind, out var bucket))
            return true;
        if (bucket.At is { } at && now > at)
            bucket.Tokens = Math.Min(bucket.Limit.Capacity, bucket.Tokens + (now - at).TotalSeconds * bucket.Limit.RefillPerSecond);
        bucket.At = now;
        if (bucket.Tokens < 1)
            return false;
        bucket.Tokens--;
        return true;
    }

    private sealed class Bucket(RateLimit limit)
    {
        public RateLimit Limit { get; } = limit;
        public double Tokens { get; set; }
        public DateTimeOffset? At { get; set; }
    }
}
