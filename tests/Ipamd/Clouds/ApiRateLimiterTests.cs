// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds;

public sealed class ApiRateLimiterTests
{
    private static readonly ApiBudgetOptions Options = new()
    {
        Mutate = new CallAllowance(Capacity: 4, PerSecond: 1),
        Describe = new CallAllowance(Capacity: 2, PerSecond: 1),
    };

    private readonly ManualTimeProvider _time = new();
    private readonly ApiRateLimiter _budget;
    private readonly List<string> _sent = [];

    public ApiRateLimiterTests() => _budget = new ApiRateLimiter(Options, (_, _, _) => { }, _time, new Random(1));

    [Fact]
    public async Task Calls_beyond_the_capacity_wait_for_their_tokens()
    {
        for (var call = 0; call < 4; call++)
            await SendAsync($"c{call}");
        var late = SendAsync("late");

        _time.Advance(TimeSpan.FromSeconds(0.999));
        Assert.False(late.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(0.101));

        await late.WaitAsync(Eventually.DefaultDeadline);
        Assert.Equal(["c0", "c1", "c2", "c3", "late"], _sent);
    }

    [Fact]
    public async Task Kinds_of_calls_do_not_share_tokens()
    {
        await SendAsync("a", cost: 4);

        await SendAsync("b", kind: CallKind.Describe);
        await SendAsync("c", kind: CallKind.Assign);

        Assert.Equal(["a", "b", "c"], _sent);
    }

    [Fact]
    public async Task Call_that_would_wait_too_long_is_rejected_with_the_time_of_tokens()
    {
        await SendAsync("a", cost: 4);
        var waiting = Enumerable.Range(0, 10).Select(call => SendAsync($"w{call}")).ToList();

        var refused = await Assert.ThrowsAsync<CloudException>(() => SendAsync("refused"));

        Assert.Equal((CloudErrorKind.Throttled, "LocalBudget", TimeSpan.FromSeconds(11)), (refused.Kind, refused.Code, refused.RetryAfter));
        Assert.Contains(
            "used up its budget of Mutate calls; tokens return in 11.0 s at 1 a second",
            refused.Message,
            StringComparison.Ordinal
        );
        Assert.DoesNotContain("slowed down", refused.Message, StringComparison.Ordinal);
        Assert.Equal(1, Bucket(CallKind.Mutate).PerSecond);
        for (var step = 0; step < 120; step++)
            _time.Advance(TimeSpan.FromMilliseconds(100));
        await Task.WhenAll(waiting).WaitAsync(Eventually.DefaultDeadline);
        Assert.Equal(["a", .. Enumerable.Range(0, 10).Select(call => $"w{call}")], _sent);
        Assert.Equal(0, Bucket(CallKind.Mutate).Waiting);
    }

    [Fact]
    public async Task Growth_overtakes_waiting_releases_and_cleanups()
    {
        await SendAsync("a", cost: 4);
        var cleanUp = SendAsync("clean-up", CallPriority.CleanUp);
        var release = SendAsync("release", CallPriority.Release);
        var growth = SendAsync("growth", CallPriority.Growth);
        Assert.Equal(3, Bucket(CallKind.Mutate).Waiting);

        for (var step = 0; step < 90; step++)
            _time.Advance(TimeSpan.FromMilliseconds(100));

        await Task.WhenAll(cleanUp, release, growth).WaitAsync(Eventually.DefaultDeadline);
        Assert.Equal(["a", "growth", "release", "clean-up"], _sent);
    }

    [Fact]
    public async Task Releases_leave_a_quarter_and_cleanups_half_of_the_bucket()
    {
        await SendAsync("clean-up", CallPriority.CleanUp, cost: 2);
        var cleanUp = SendAsync("more clean-up", CallPriority.CleanUp);
        await SendAsync("release", CallPriority.Release);
        var release = SendAsync("more releases", CallPriority.Release);
        Assert.False(cleanUp.IsCompleted || release.IsCompleted);

        await SendAsync("growth");

        Assert.Equal(["clean-up", "release", "growth"], _sent);
        for (var step = 0; step < 90; step++)
            _time.Advance(TimeSpan.FromMilliseconds(100));
        await Task.WhenAll(cleanUp, release).WaitAsync(Eventually.DefaultDeadline);
    }

    [Fact]
    public async Task Throttled_call_slows_its_kind_and_later_rejections_say_so()
    {
        await Assert.ThrowsAsync<CloudException>(() => FailAsync(CloudErrorKind.Throttled));

        Assert.Equal((0.5, 1.5), (Bucket(CallKind.Mutate).PerSecond, Bucket(CallKind.Mutate).Tokens));
        Assert.Equal((1, 2), (Bucket(CallKind.Describe).PerSecond, Bucket(CallKind.Describe).Tokens));
        var refused = await Assert.ThrowsAsync<CloudException>(() => SendAsync("big", cost: 8));
        Assert.Contains("slowed down from 1 because the cloud throttled this node", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("SubnetExhausted")]
    [InlineData("Transient")]
    [InlineData("NotPermitted")]
    public async Task Other_failures_slow_nothing_down(string kind)
    {
        await Assert.ThrowsAsync<CloudException>(() => FailAsync(Enum.Parse<CloudErrorKind>(kind)));

        Assert.Equal((1, 3), (Bucket(CallKind.Mutate).PerSecond, Bucket(CallKind.Mutate).Tokens));
    }

    [Fact]
    public async Task Cancelled_call_leaves_the_queue_and_costs_nothing()
    {
        await SendAsync("a", cost: 4);
        using var cancellation = new CancellationTokenSource();
        var given = SendAsync("given up", cost: 3, cancellationToken: cancellation.Token);
        var next = SendAsync("next");

        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => given);
        for (var step = 0; step < 50; step++)
            _time.Advance(TimeSpan.FromMilliseconds(100));

        await next.WaitAsync(Eventually.DefaultDeadline);
        Assert.Equal(["a", "next"], _sent);
        Assert.Equal(4, Bucket(CallKind.Mutate).Tokens, 1e-6);
    }

    [Fact]
    public async Task Calls_are_counted_by_operation_and_outcome()
    {
        await SendAsync("Create", cost: 4);
        await SendAsync("Describe", kind: CallKind.Describe);
        await SendAsync("Describe", kind: CallKind.Describe);
        await Assert.ThrowsAsync<CloudException>(() => SendAsync("Create", cost: 11));
        await Assert.ThrowsAsync<CloudException>(() => FailAsync(CloudErrorKind.NotFound, CallKind.Assign));
        using var canceled = new CancellationTokenSource();
        await canceled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => SendAsync("Create", cancellationToken: canceled.Token));
        _budget.Access = CloudAccess.NoCalls;
        await Assert.ThrowsAsync<CloudException>(() => SendAsync("Create"));

        Assert.Equal(
            [
                new("Create", "Canceled", 1),
                new("Create", "Disabled", 1),
                new("Create", "LocalBudget", 1),
                new("Create", "Ok", 1),
                new("Describe", "Ok", 2),
                new("Failing", "NotFound", 1),
            ],
            _budget.View().Calls
        );
    }

    [Theory]
    [InlineData("Full", "")]
    [InlineData("NoReleases", "Release CleanUp")]
    [InlineData("NoCalls", "Growth Release CleanUp")]
    public async Task Level_of_access_rejects_calls_with_the_option_to_change(string level, string refused)
    {
        _budget.Access = Enum.Parse<CloudAccess>(level);
        foreach (var priority in Enum.GetValues<CallPriority>())
        {
            var call = SendAsync(priority.ToString(), priority, CallKind.Describe, cost: 0);
            if (!refused.Contains(priority.ToString(), StringComparison.Ordinal))
            {
                await call;
                continue;
            }

            var failure = await Assert.ThrowsAsync<CloudException>(() => call);
            Assert.Equal((CloudErrorKind.Disabled, "CloudAccess"), (failure.Kind, failure.Code));
            Assert.Contains($"VPCCNI_CLOUD_ACCESS={CloudAccessText.Of(_budget.Access)} rejects", failure.Message, StringComparison.Ordinal);
            Assert.EndsWith("set VPCCNI_CLOUD_ACCESS=full to allow it again", failure.Message, StringComparison.Ordinal);
        }

        Assert.Equal(Enum.GetNames<CallPriority>().Where(name => !refused.Contains(name, StringComparison.Ordinal)), _sent);
    }

    [Fact]
    public async Task Call_that_waits_when_the_level_changes_is_rejected()
    {
        await SendAsync("a", cost: 4);
        var waiting = SendAsync("waiting");

        _budget.Access = CloudAccess.NoCalls;
        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(
            CloudErrorKind.Disabled,
            (await Assert.ThrowsAsync<CloudException>(() => waiting.WaitAsync(Eventually.DefaultDeadline))).Kind
        );
        _budget.Access = CloudAccess.Full;
        await SendAsync("b");
        Assert.Equal(["a", "b"], _sent);
    }

    [Theory]
    [InlineData("full", "Full")]
    [InlineData(" No-Releases ", "NoReleases")]
    [InlineData("no-calls", "NoCalls")]
    public void Levels_are_parsed_as_operators_write_them(string text, string expected)
    {
        Assert.True(CloudAccessText.TryParse(text, out var access));
        Assert.Equal(Enum.Parse<CloudAccess>(expected), access);
    }

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("NoReleases")]
    public void Other_text_is_no_level(string text) => Assert.False(CloudAccessText.TryParse(text, out _));

    [Fact]
    public void Same_seed_on_one_thread_gives_the_same_times()
    {
        var first = RunOnOneThread(seed: 7);

        Assert.Equal(first, RunOnOneThread(seed: 7));
        Assert.NotEqual(first, RunOnOneThread(seed: 8));
        Assert.Equal(12, first.Count);
    }

    /// <summary>Twelve calls of mixed priority with tokens for four, in virtual time; returns when each was sent.</summary>
    private static List<string> RunOnOneThread(int seed)
    {
        var before = SynchronizationContext.Current;
        var context = new QueueContext();
        SynchronizationContext.SetSynchronizationContext(context);
        try
        {
            var time = new ManualTimeProvider();
            var budget = new ApiRateLimiter(Options, (_, _, _) => { }, time, new Random(seed));
            var thread = Environment.CurrentManagedThreadId;
            var sent = new List<string>();
            var calls = Enumerable
                .Range(0, 12)
                .Select(number =>
                    budget.ExecuteAsync(
                        new BudgetedCall(
                            $"c{number}",
                            CallKind.Mutate,
                            number % 4 == 3 ? CallPriority.Release : CallPriority.Growth,
                            Cost: 1
                        ),
                        _ =>
                        {
                            Assert.Equal(thread, Environment.CurrentManagedThreadId);
                            sent.Add($"{time.GetUtcNow():O} c{number}");
                            return Task.FromResult(number);
                        },
                        default
                    )
                )
                .ToList();
            for (var step = 0; step < 2_000 && !calls.TrueForAll(call => call.IsCompleted); step++)
            {
                context.Drain();
                time.Advance(TimeSpan.FromMilliseconds(10));
            }

            context.Drain();
            Assert.All(calls, call => Assert.True(call.IsCompletedSuccessfully));
            return sent;
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    private Task<int> SendAsync(
        string name,
        CallPriority priority = CallPriority.Growth,
        CallKind kind = CallKind.Mutate,
        int cost = 1,
        CancellationToken cancellationToken = default
    ) =>
        _budget.ExecuteAsync(
            new BudgetedCall(name, kind, priority, cost),
            _ =>
            {
                lock (_sent)
                    _sent.Add(name);
                return Task.FromResult(0);
            },
            cancellationToken
        );

    private Task<int> FailAsync(CloudErrorKind error, CallKind kind = CallKind.Mutate) =>
        _budget.ExecuteAsync<int>(
            new BudgetedCall("Failing", kind, CallPriority.Growth, 1),
            _ => throw new CloudException(error, "Failing", error.ToString(), "made to fail"),
            default
        );

    private BucketView Bucket(CallKind kind) => _budget.View().Buckets.Single(bucket => bucket.Kind == kind);

    private sealed class QueueContext : SynchronizationContext
    {
        private readonly Queue<(SendOrPostCallback Callback, object? State)> _posted = new();

        public override void Post(SendOrPostCallback d, object? state) => _posted.Enqueue((d, state));

        public void Drain()
        {
            while (_posted.TryDequeue(out var posted))
                posted.Callback(posted.State);
        }
    }
}
