// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Clouds;

/// <summary>One control-plane call as the budget sees it.</summary>
/// <param name="Operation">Name for counters and errors.</param>
/// <param name="Kind">The bucket.</param>
/// <param name="Priority">Its place in the line.</param>
/// <param name="Cost">Tokens; 0 for a call that an earlier one has paid for.</param>
internal readonly record struct BudgetedCall(string Operation, CallKind Kind, CallPriority Priority, int Cost);

/// <summary>A bucket at one moment, for metrics and status.</summary>
/// <param name="Kind">Whose.</param>
/// <param name="Tokens">Left.</param>
/// <param name="PerSecond">The rate now.</param>
/// <param name="Allowance">When full, and the rate when nothing was throttled.</param>
/// <param name="Waiting">Calls waiting for tokens.</param>
internal sealed record BucketView(CallKind Kind, double Tokens, double PerSecond, CallAllowance Allowance, int Waiting);

/// <summary>
/// Calls of one operation with one outcome: <c>Ok</c>, <c>Canceled</c>, <c>LocalBudget</c>, or the name of a <see cref="CloudErrorKind"/>.
/// </summary>
internal sealed record CallCount(string Operation, string Outcome, long Count);

/// <summary>A call of growth that waits for tokens.</summary>
/// <param name="Kind">The bucket.</param>
/// <param name="TokensIn">When it has its tokens, at today's rate.</param>
/// <param name="PerSecond">Today's rate.</param>
/// <param name="Allowance">The rate when nothing was throttled.</param>
internal sealed record BudgetWait(CallKind Kind, TimeSpan TokensIn, double PerSecond, CallAllowance Allowance)
{
    /// <summary>For a person; the subject is the call.</summary>
    public string Sentence =>
        $"waits for this node's budget of {Kind} calls: {ApiRateLimiter.TokensReturn(TokensIn, PerSecond, Allowance)}";
}

/// <summary>The budget at one moment.</summary>
internal sealed record BudgetView(CloudAccess Access, IReadOnlyList<BucketView> Buckets, IReadOnlyList<CallCount> Calls);

/// <summary>
/// What this node may spend on the control plane: token buckets for each kind of call, and the level of access. A call waits for its tokens
/// behind those of its own or a higher priority and never behind lower ones; if it would wait longer than
/// <see cref="ApiBudgetOptions.MaxWait"/> it is refused at once, so nothing queues without end. Refusals of ours never slow the buckets
/// down; the cloud's do. Thread-safe. Waits by the injected clock only and resumes on the caller's context.
/// </summary>
internal sealed class ApiRateLimiter
{
    /// <summary>Code of a call refused for want of tokens; nothing was sent.</summary>
    public const string LocalBudgetCode = "LocalBudget";

    /// <summary>Code of a call refused by the level of access; nothing was sent.</summary>
    public const string CloudAccessCode = "CloudAccess";

    /// <summary>
    /// The longest sleep of a call that waits: those ahead may give up, the rate may recover, the level of access may change.
    /// </summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);

    private const string Ok = "Ok";
    private const string Canceled = "Canceled";

    private readonly ApiBudgetOptions _options;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly long _started;
    private readonly Lock _lock = new();
    private readonly Dictionary<CallKind, TokenBucket> _buckets;
    private readonly List<Waiter> _waiting = [];
    private readonly Dictionary<(string Operation, string Outcome), long> _calls = [];
    private CloudAccess _access;

    public ApiRateLimiter(ApiBudgetOptions options, TimeProvider time, Random random)
    {
        (_options, _time, _random, _started) = (options, time, random, time.GetTimestamp());
        _buckets = Enum.GetValues<CallKind>().ToDictionary(kind => kind, kind => new TokenBucket(AllowanceOf(kind), TimeSpan.Zero));
    }

    /// <summary>Takes effect for every call that has not been sent, those that wait included.</summary>
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

    /// <summary>
    /// Told of every call that was answered: its operation, why it failed (null for success), and how long it took. Not under the budget's
    /// lock.
    /// </summary>
    public Action<string, CloudErrorKind?, TimeSpan>? Answered { get; set; }

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
                            _waiting.Count(waiter => waiter.Call.Kind == pair.Key)
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

    /// <summary>The call of growth that has waited longest for tokens; null when none waits.</summary>
    public BudgetWait? GrowthWait()
    {
        lock (_lock)
        {
            var first = _waiting.Find(waiter => waiter.Call is { Priority: CallPriority.Growth, Kind: CallKind.Mutate or CallKind.Assign });
            if (first is null)
                return null;
            var bucket = _buckets[first.Call.Kind];
            bucket.Refill(Now());
            var tokensIn = bucket.TimeUntil(first.Call.Cost + TokensAhead_NeedsLock(first.Call, first));
            return new BudgetWait(first.Call.Kind, tokensIn, bucket.Rate, bucket.Allowance);
        }
    }

    /// <summary>When tokens return and why not sooner, for a person.</summary>
    internal static string TokensReturn(TimeSpan pause, double rate, CallAllowance allowance) =>
        $"tokens return in {pause.TotalSeconds:0.0} s at {rate:0.###} a second"
        + (rate < allowance.PerSecond ? $", slowed down from {allowance.PerSecond:0.###} because the cloud throttled this node" : "");

    /// <summary>Runs a call when it has its tokens, and learns from its outcome.</summary>
    /// <exception cref="CloudException">
    /// The call's own; or <see cref="CloudErrorKind.Throttled"/> with <see cref="LocalBudgetCode"/>, or
    /// <see cref="CloudErrorKind.Disabled"/>: then nothing was sent.
    /// </exception>
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
            Ended(call, Ok, began, failure: null);
            return result;
        }
        catch (CloudException exception)
        {
            Ended(call, exception.Kind.ToString(), began, exception.Kind);
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
        Waiter? waiter = null;
        try
        {
            while (true)
            {
                TimeSpan pause;
                lock (_lock)
                {
                    RefuseByAccess_NeedsLock(call);
                    if (call.Cost == 0)
                        return;
                    var now = Now();
                    var bucket = _buckets[call.Kind];
                    bucket.Refill(now);
                    var needed = call.Cost + ReserveOf(call) + TokensAhead_NeedsLock(call, waiter);
                    if (bucket.Has(needed))
                    {
                        bucket.Take(call.Cost);
                        return;
                    }

                    // Whole milliseconds, upwards: the clock's timers know nothing finer, and waking too early is a round for nothing.
                    pause = TimeSpan.FromMilliseconds(Math.Ceiling(bucket.TimeUntil(needed).TotalMilliseconds));
                    if (now + pause > deadline)
                        throw Exhausted(call, bucket, pause);
                    if (waiter is null)
                        _waiting.Add(waiter = new Waiter(call));
                    var jittered = (pause < LookAgain ? pause : LookAgain) + Jitter();
                    pause = now + jittered < deadline ? jittered : deadline - now;
                }

                await Task.Delay(pause, _time, cancellationToken);
            }
        }
        finally
        {
            if (waiter is not null)
            {
                lock (_lock)
                    _waiting.Remove(waiter);
            }
        }
    }

    /// <summary>What others take first: everything of a higher priority that waits, and what of the same came earlier.</summary>
    private int TokensAhead_NeedsLock(BudgetedCall call, Waiter? self)
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
            _ => throw new ArgumentOutOfRangeException(nameof(call), call.Priority, "unnamed priority"),
        };

    private CallAllowance AllowanceOf(CallKind kind) =>
        kind switch
        {
            CallKind.Describe => _options.Describe,
            CallKind.Mutate => _options.Mutate,
            CallKind.Assign => _options.Assign,
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "unnamed kind of call"),
        };

    private void RefuseByAccess_NeedsLock(BudgetedCall call)
    {
        var refused = _access switch
        {
            CloudAccess.Full => null,
            CloudAccess.NoReleases when call.Priority == CallPriority.Growth => null,
            CloudAccess.NoReleases => "refuses everything that gives back or cleans up",
            CloudAccess.NoCalls => "refuses every call to the cloud's control plane",
            _ => throw new InvalidOperationException($"unnamed level {_access}"),
        };
        if (refused is null)
            return;
        throw new CloudException(
            CloudErrorKind.Disabled,
            call.Operation,
            CloudAccessCode,
            $"{CloudAccessText.Option}={CloudAccessText.Of(_access)} {refused}; set "
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

    private void Ended(BudgetedCall call, string outcome, TimeSpan began, CloudErrorKind? failure)
    {
        lock (_lock)
        {
            if (failure is null)
                _buckets[call.Kind].Succeeded(began);
            else if (failure == CloudErrorKind.Throttled)
                _buckets[call.Kind].Throttled(began, Now());
            Count_NeedsLock(call, outcome);
        }

        Answered?.Invoke(call.Operation, failure, Now() - began);
    }

    private void Count(BudgetedCall call, string outcome)
    {
        lock (_lock)
            Count_NeedsLock(call, outcome);
    }

    private void Count_NeedsLock(BudgetedCall call, string outcome) =>
        _calls[(call.Operation, outcome)] = _calls.GetValueOrDefault((call.Operation, outcome)) + 1;

    /// <summary>The source of chance is shared with others, who lock it too.</summary>
    private TimeSpan Jitter()
    {
        lock (_random)
            return _options.MaxJitter * _random.NextDouble();
    }

    /// <summary>Since the budget was made; immune to changes of the wall clock.</summary>
    private TimeSpan Now() => _time.GetElapsedTime(_started);

    /// <summary>A place in the line; two calls that look the same have two.</summary>
    private sealed class Waiter(BudgetedCall call)
    {
        public BudgetedCall Call { get; } = call;
    }
}
