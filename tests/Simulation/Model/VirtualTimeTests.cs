// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Hosting;
using Xunit;

namespace VpcCni.Simulation.Tests.Model;

public sealed class VirtualTimeTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private readonly VirtualTime _time = new(Start);

    [Fact]
    public void Timers_fire_in_order_of_due_time_and_creation()
    {
        List<string> fired = [];
        foreach (var (name, seconds) in new[] { ("late", 2.0), ("first", 1.0), ("second", 1.0) })
            _time.After(TimeSpan.FromSeconds(seconds), () => fired.Add($"{name}@{(_time.GetUtcNow() - Start).TotalSeconds}"));
        Assert.False(_time.RunUntil(() => false, Start.AddSeconds(10)));
        Assert.Equal(["first@1", "second@1", "late@2"], fired);
        Assert.Equal(Start.AddSeconds(10), _time.GetUtcNow());
    }

    [Fact]
    public void Delays_and_deadlines_take_no_real_time_on_one_thread()
    {
        HashSet<int> threads = [];
        var outcome = "";
        var daemon = new DaemonRun(_time, "daemon");
        _ = daemon.Start(async () =>
        {
            await Task.Delay(TimeSpan.FromHours(1), daemon);
            threads.Add(Environment.CurrentManagedThreadId);
            using var deadline = new CancellationTokenSource(TimeSpan.FromHours(2), daemon);
            try
            {
                await Task.Delay(TimeSpan.FromDays(1), daemon, deadline.Token);
            }
            catch (OperationCanceledException)
            {
                threads.Add(Environment.CurrentManagedThreadId);
                outcome = $"given up after {(_time.GetUtcNow() - Start).TotalHours} h";
            }

            return true;
        });
        _time.Advance(TimeSpan.FromDays(2));
        Assert.Equal("given up after 3 h", outcome);
        Assert.Equal([Environment.CurrentManagedThreadId], threads);
    }

    [Fact]
    public void Killed_daemon_run_does_nothing_more()
    {
        List<string> done = [];
        var daemon = new DaemonRun(_time, "daemon");
        _ = daemon.Start(async () =>
        {
            try
            {
                await Task.Delay(TimeSpan.FromSeconds(1), daemon);
                done.Add("before");
                await Task.Delay(TimeSpan.FromSeconds(10), daemon);
                done.Add("after");
            }
            finally
            {
                done.Add("finally");
            }

            return true;
        });
        _time.After(TimeSpan.FromSeconds(5), daemon.Kill);
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(["before"], done);
        Assert.Throws<DaemonRunEndedException>(daemon.CheckAlive);
    }

    [Fact]
    public void Work_on_another_thread_is_rejected_and_reported()
    {
        var daemon = new DaemonRun(_time, "daemon");
        var escaped = new ManualResetEventSlim();
        daemon.Post(() =>
        {
            var context = SynchronizationContext.Current!;
            new Thread(() =>
            {
                context.Post(_ => { }, null);
                escaped.Set();
            }).Start();
            Assert.True(escaped.Wait(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        });
        Assert.Throws<VirtualTimeException>(() => _time.Advance(TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public void Endless_run_is_stopped()
    {
        var time = new VirtualTime(Start, maxSteps: 1000);
        time.After(TimeSpan.Zero, Again);
        Assert.Throws<VirtualTimeException>(() => time.Advance(TimeSpan.FromSeconds(1)));

        void Again() => time.After(TimeSpan.Zero, Again);
    }

    [Fact]
    public void Wall_clock_jump_moves_neither_timers_nor_monotonic_time()
    {
        var clock = new WallClock();
        var daemon = new DaemonRun(_time, "daemon", clock);
        var monotonic = new MonotonicTime(daemon);
        var fired = false;
        using var timer = daemon.CreateTimer(_ => fired = true, null, TimeSpan.FromSeconds(5), Timeout.InfiniteTimeSpan);
        clock.Jump(TimeSpan.FromHours(-3));
        _time.Advance(TimeSpan.FromSeconds(4));
        Assert.Equal(Start.AddHours(-3).AddSeconds(4), daemon.GetUtcNow());
        Assert.Equal(Start.AddSeconds(4), monotonic.GetUtcNow());
        Assert.False(fired);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(fired);
        Assert.Equal(TimeSpan.FromSeconds(5), monotonic.GetElapsedTime(0));
    }
}
