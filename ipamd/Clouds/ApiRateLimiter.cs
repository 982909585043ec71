// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Clouds;

/// <summary>One control-plane call, as the rate limiter sees it.</summary>
/// <param name="Operation">Name for counters and errors.</param>
/// <param name="Kind">Selects the bucket.</param>
/// <param name="Priority">Order among waiting calls.</param>
/// <param name="Cost">Tokens; 0 for a call that an earlier one paid for.</param>
internal readonly record struct BudgetedCall(string Operation, CallKind Kind, CallPriority Priority, int Cost);

/// <summary>A bucket at one moment, for metrics and status.</summary>
/// <param name="Kind">The kind of its calls.</param>
/// <param name="Tokens">Available tokens.</param>
/// <param name="PerSecond">Current rate.</param>
/// <param name="Allowance">Capacity, and rate without throttling.</param>
/// <param name="Waiting">Number of calls waiting for tokens.</param>
internal sealed record BucketView(CallKind Kind, double Tokens, double PerSecond, CallAllowance Allowance, int Waiting);

/// <summary>
/// Number of calls of one operation with one outcome: <c>Ok</c>, <c>Canceled</c>, <c>LocalBudget</c>, or the name of a <see
/// cref="CloudErrorKind"/>.
/// </summary>
internal sealed record CallCount(string Operation, string Outcome, long Count);

/// <summary>A growth call that waits for tokens.</summary>
/// <param name="Kind">Its kind.</param>
/// <param name="TokensIn">Time until it has its tokens, at the current rate.</param>
/// <param name="PerSecond">Current rate.</param>
/// <param name="Allowance">Rate without throttling.</param>
internal sealed record BudgetWait(CallKind Kind, TimeSpan TokensIn, double PerSecond, CallAllowance Allowance)
{
    /// <summary>A phrase for people, whose subject is the call.</summary>
    public string Sentence =>
        $"waits for this node's budget of {Kind} calls: {ApiRateLimiter.TokensReturn(TokensIn, PerSecond, Allowance)}";
}

/// <summary>The rate limiter's state at one moment.</summary>
internal sealed record BudgetView(CloudAccess Access, IReadOnlyList<BucketView> Buckets, IReadOnlyList<CallCount> Calls);

/// <summary>
/// Limits this node's control-plane calls by a token bucket per kind and by the level of access. A call waits behind calls of the same or a
/// higher priority, never behind lower ones. A call that would wait longer than <see cref="ApiBudgetOptions.MaxWait"/> is rejected at once,
/// so the queue is bounded. Only throttling by the cloud slows a bucket down, not local rejections. Thread-safe. Waits on the injected
/// clock only and resumes on the caller's context.
/// </summary>
internal sealed class ApiRateLimiter
{
    /// <summary>Code of a call rejected for lack of tokens; nothing was sent.</summary>
    public const string LocalBudgetCode = "LocalBudget";

    /// <summary>Code of a call rejected by the level of access; nothing was sent.</summary>
    public const string CloudAccessCode = "CloudAccess";

    /// <summary>Longest sleep of a waiting call: calls ahead may be cancelled, and rate and level of access may change.</summary>
    private static readonly TimeSpan LongestSleep = TimeSpan.FromSeconds(1);

    private const string Ok = "Ok";
    private const string Canceled = "Canceled";

    private readonly ApiBudgetOptions _options;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly Action<string, CloudErrorKind?, TimeSpan> _answered;
    private readonly long _started;
    private readonly Lock _lock = new();
    private readonly Dictionary<CallKind, TokenBucket> _buckets;
    private readonly List<WaitingCall> _waiting = [];
    private readonly Dictionary<(string Operation, string Outcome), long> _calls = [];
    private CloudAccess _access;

    /// <param name="options">Rates and bursts.</param>
    /// <param name="answered">
    /// Called after every answered call with its operation, its failure (null for success) and its duration, outside the lock.
    /// </param>
    /// <param name="time">Clock of the rates.</param>
    /// <param name="random">Source of jitter.</param>
    public ApiRateLimiter(ApiBudgetOptions options, Action<string, CloudErrorKind?, TimeSpan> answered, TimeProvider time, Random random)
    {
        (_options, _answered, _time, _random, _started) = (options, answered, time, random, time.GetTimestamp());
        _buckets = Enum.GetValues<CallKind>().ToDictionary(kind => kind, kind => new TokenBucket(AllowanceOf(kind), TimeSpan.Zero));
    }

    /// <summary>Level of access; applies to every call that has not been sent, waiting ones included.</summary>
    public CloudAccess Access
    {
        get
        {
            lock (_lock)
                return _access;
        }
        set
        {
            lock (_lock)
                _access = value;
        }
    }

    public BudgetView View()
    {
        lock (_lock)
        {
            var now = Now();
            foreach (var bucket in _buckets.Values)
                bucket.Refill(now);
            return new BudgetView(
                _access,
                [
                    .. _buckets
                        .OrderBy(pair => pair.Key)
                        .Select(pair => new BucketView(
                            pair.Key,
                            pair.Value.Tokens,
                            pair.Value.Rate,
                            pair.Value.Allowance,
                            _waiting.Count(entry => entry.Call.Kind == pair.Key)
                        )),
                ],
                [
                    .. _calls
                        .Select(pair => new CallCount(pair.Key.Operation, pair.Key.Outcome, pair.Value))
                        .OrderBy(call => call.Operation, StringComparer.Ordinal)
                        .ThenBy(call => call.Outcome, StringComparer.Ordinal),
                ]
            );
        }
    }

    /// <summary>The growth call that has waited longest for tokens; null when none waits.</summary>
    public BudgetWait? GrowthWait()
    {
        lock (_lock)
        {
            var first = _waiting.Find(entry => entry.Call is { Priority: CallPriority.Growth, Kind: CallKind.Mutate or CallKind.Assign });
            if (first is null)
                return null;
            var bucket = _buckets[first.Call.Kind];
            bucket.Refill(Now());
            var tokensIn = bucket.TimeUntil(first.Call.Cost + TokensAhead_NeedsLock(first.Call, first));
            return new BudgetWait(first.Call.Kind, tokensIn, bucket.Rate, bucket.Allowance);
        }
    }

    /// <summary>Describes for people when tokens return, and why not sooner.</summary>
    internal static string TokensReturn(TimeSpan pause, double rate, CallAllowance allowance) =>
        $"tokens return in {pause.TotalSeconds:0.0} s at {rate:0.###} a second"
        + (rate < allowance.PerSecond ? $", slowed down from {allowance.PerSecond:0.###} because the cloud throttled this node" : "");

    /// <summary>Runs a call when it has its tokens, and adapts the rate to its outcome.</summary>
    /// <exception cref="CloudException">The call's own failure. Or <see cref="CloudErrorKind.Throttled"/> with <see
    /// cref="LocalBudgetCode"/>, or <see cref="CloudErrorKind.Disabled"/>: then nothing was sent.</exception>
    public async Task<T> ExecuteAsync<T>(BudgetedCall call, Func<CancellationToken, Task<T>> run, CancellationToken cancellationToken)
    {
        try
        {
            await WaitForTokensAsync(call, cancellationToken);
        }
        catch (CloudException exception)
        {
            Count(call, exception.Kind == CloudErrorKind.Throttled ? LocalBudgetCode : exception.Kind.ToString());
            throw;
        }
        catch (OperationCanceledException)
        {
            Count(call, Canceled);
            throw;
        }

        var began = Now();
        try
        {
            var result = await run(cancellationToken);
            Finish(call, Ok, began, failure: null);
            return result;
        }
        catch (CloudException exception)
        {
            Finish(call, exception.Kind.ToString(), began, exception.Kind);
            throw;
        }
        catch (OperationCanceledException)
        {
            Count(call, Canceled);
            throw;
        }
    }

    private async Task WaitForTokensAsync(BudgetedCall call, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var deadline = Now() + _options.MaxWait;
        WaitingCall? entry = null;
        try
        {
            while (true)
            {
                TimeSpan pause;
                lock (_lock)
                {
                    RejectByAccess_NeedsLock(call);
                    if (call.Cost == 0)
                        return;
                    var now = Now();
                    var bucket = _buckets[call.Kind];
                    bucket.Refill(now);
                    var needed = call.Cost + ReserveOf(call) + TokensAhead_NeedsLock(call, entry);
                    if (bucket.Has(needed))
                    {
                        bucket.Take(call.Cost);
                        return;
                    }

                    // Rounded up to whole milliseconds, the resolution of timers: waking too early would be a wasted round.
                    pause = TimeSpan.FromMilliseconds(Math.Ceiling(bucket.TimeUntil(needed).TotalMilliseconds));
                    if (now + pause > deadline)
                        throw Exhausted(call, bucket, pause);
                    if (entry is null)
                        _waiting.Add(entry = new WaitingCall(call));
                    var jittered =
                        (pause < LongestSleep ? pause : LongestSleep) + Jitter.Between(TimeSpan.Zero, _options.MaxJitter, _random);
                    pause = now + jittered < deadline ? jittered : deadline - now;
                }

                await Task.Delay(pause, _time, cancellationToken);
            }
        }
        finally
        {
            if (entry is not null)
            {
                lock (_lock)
                    _waiting.Remove(entry);
            }
        }
    }

    /// <summary>Tokens of the calls ahead: those of a higher priority, and earlier ones of the same.</summary>
    private int TokensAhead_NeedsLock(BudgetedCall call, WaitingCall? self)
    {
        var ahead = 0;
        var earlier = true;
        foreach (var other in _waiting)
        {
            if (ReferenceEquals(other, self))
                earlier = false;
            else if (
                other.Call.Kind == call.Kind
                && (other.Call.Priority < call.Priority || (other.Call.Priority == call.Priority && earlier))
            )
                ahead += other.Call.Cost;
        }

        return ahead;
    }

    private double ReserveOf(BudgetedCall call) =>
        call.Priority switch
        {
            CallPriority.Growth => 0,
            CallPriority.Release => AllowanceOf(call.Kind).Capacity / 4,
            CallPriority.CleanUp => AllowanceOf(call.Kind).Capacity / 2,
            _ => throw new ArgumentOutOfRangeException(nameof(call), call.Priority, "unknown priority"),
        };

    private CallAllowance AllowanceOf(CallKind kind) =>
        kind switch
        {
            CallKind.Describe => _options.Describe,
            CallKind.Mutate => _options.Mutate,
            CallKind.Assign => _options.Assign,
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown kind of call"),
        };

    private void RejectByAccess_NeedsLock(BudgetedCall call)
    {
        var rejection = _access switch
        {
            CloudAccess.Full => null,
            CloudAccess.NoReleases when call.Priority == CallPriority.Growth => null,
            CloudAccess.NoReleases => "rejects all releases and cleanups",
            CloudAccess.NoCalls => "rejects every call to the cloud's control plane",
            _ => throw new InvalidOperationException($"unknown level {_access}"),
        };
        if (rejection is null)
            return;
        throw new CloudException(
            CloudErrorKind.Disabled,
            call.Operation,
            CloudAccessCode,
            $"{CloudAccessText.Option}={CloudAccessText.Of(_access)} {rejection}; set "
                + $"{CloudAccessText.Option}={CloudAccessText.Of(CloudAccess.Full)} to allow it again"
        );
    }

    private static CloudException Exhausted(BudgetedCall call, TokenBucket bucket, TimeSpan pause) =>
        new(
            CloudErrorKind.Throttled,
            call.Operation,
            LocalBudgetCode,
            $"this node has used up its budget of {call.Kind} calls; {TokensReturn(pause, bucket.Rate, bucket.Allowance)}"
        )
        {
            RetryAfter = pause,
        };

    private void Finish(BudgetedCall call, string outcome, TimeSpan began, CloudErrorKind? failure)
    {
        lock (_lock)
        {
            if (failure is null)
                _buckets[call.Kind].Succeeded(began);
            else if (failure == CloudErrorKind.Throttled)
                _buckets[call.Kind].Throttled(began, Now());
            Count_NeedsLock(call, outcome);
        }

        _answered(call.Operation, failure, Now() - began);
    }

    private void Count(BudgetedCall call, string outcome)
    {
        lock (_lock)
            Count_NeedsLock(call, outcome);
    }

    private void Count_NeedsLock(BudgetedCall call, string outcome) =>
        _calls[(call.Operation, outcome)] = _calls.GetValueOrDefault((call.Operation, outcome)) + 1;

    /// <summary>Time since construction; independent of the wall clock.</summary>
    private TimeSpan Now() => _time.GetElapsedTime(_started);

    /// <summary>A waiting call. A class, so that two equal calls are distinct.</summary>
    private sealed class WaitingCall(BudgetedCall call)
    {
        public BudgetedCall Call { get; } = call;
    }
}
