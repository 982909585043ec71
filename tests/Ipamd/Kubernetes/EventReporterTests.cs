// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes;

public sealed class EventReporterTests : IAsyncDisposable
{
    private readonly ManualTimeProvider _time = new();
    private readonly FakeClusterWriter _cluster = new();
    private readonly List<string?> _failed = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly EventReporter _reporter;
    private readonly Task _running;
    private readonly DateTimeOffset _start;

    public EventReporterTests()
    {
        _start = _time.GetUtcNow();
        _reporter = new EventReporter(
            _cluster,
            "node-1",
            () => "node-uid",
            failure => _failed.Add(failure?.Kind.ToString()),
            _time,
            new Random(1)
        );
        _running = _reporter.RunAsync(_stop.Token);
        for (var number = 0; number < 400; number++)
            _cluster.Pods[Pod(number)] = new PodFacts($"uid-{number}", "node-1");
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _running.WaitAsync(TimeSpan.FromSeconds(10)));
        _stop.Dispose();
    }

    [Fact]
    public async Task First_failure_of_a_pod_is_written_at_once_with_its_uid()
    {
        Fail(1);
        await EventsAsync(1);
        var item = _cluster.Events.Values.Single();
        Assert.Equal(
            new EventRecord(item.Name, new EventSubject("default", "pod-1"), "uid-1", "SubnetExhausted", "because", 1, _start, _start),
            item
        );
        Assert.Matches(@"^pod-1\.[0-9a-f]{16}$", item.Name);
    }

    [Fact]
    public async Task Repeated_failure_is_counted_and_written_after_30_then_60_seconds()
    {
        Fail(1);
        await EventsAsync(1);
        for (var second = 0; second < 29; second++)
        {
            Fail(1);
            await AdvanceAsync(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(1, _cluster.Events.Values.Single().Count);
        await AdvanceAsync(TimeSpan.FromSeconds(1));
        await Eventually.TrueAsync(() =>
            _cluster.Events.Values.Single() is { Count: 30 } item && item.Last == _start + TimeSpan.FromSeconds(28)
        );
        Fail(1);
        await AdvanceAsync(TimeSpan.FromSeconds(59));
        Assert.Equal(30, _cluster.Events.Values.Single().Count);
        await AdvanceAsync(TimeSpan.FromSeconds(1));
        await Eventually.TrueAsync(() => _cluster.Events.Values.Single().Count == 31);
    }

    [Fact]
    public async Task Burst_of_failures_is_written_within_the_budget()
    {
        for (var number = 0; number < 100; number++)
            Fail(number);
        await EventsAsync(25);
        await AdvanceAsync(TimeSpan.FromSeconds(10));
        await EventsAsync(26);
        for (var times = 0; times < 10; times++)
            await AdvanceAsync(TimeSpan.FromSeconds(10));
        await EventsAsync(36);
    }

    [Fact]
    public async Task New_pod_of_the_same_name_gets_a_new_event()
    {
        Fail(1);
        await EventsAsync(1);
        _cluster.Pods[Pod(1)] = new PodFacts("other", "node-1");
        Fail(1);
        await AdvanceAsync(TimeSpan.FromSeconds(30));
        await EventsAsync(2);
        Assert.Equal(["other", "uid-1"], _cluster.Events.Values.Select(item => item.Uid).Order());
    }

    [Fact]
    public async Task Event_that_the_cluster_dropped_is_created_again()
    {
        Fail(1);
        await EventsAsync(1);
        _cluster.Events.Clear();
        Fail(1);
        await AdvanceAsync(TimeSpan.FromSeconds(30));
        await EventsAsync(1);
        Assert.Equal(2, _cluster.Events.Values.Single().Count);
    }

    [Fact]
    public async Task Unavailable_server_gets_the_count_when_it_returns()
    {
        for (var times = 0; times < 6; times++)
            _cluster.Fail(ClusterErrorKind.Unreachable);
        Fail(1);
        await Eventually.TrueAsync(() => _cluster.Calls == 1);
        for (var times = 0; times < 5; times++)
            Fail(1);
        await Eventually.TrueAsync(async () =>
        {
            if (_cluster.Events.Count == 0)
                await AdvanceAsync(TimeSpan.FromMinutes(1));
            return _cluster.Events.Count == 1;
        });
        Assert.Equal(6, _cluster.Events.Values.Single().Count);
        await Eventually.TrueAsync(() => _failed.Count == 7);
        Assert.Equal([.. Enumerable.Repeat<string?>("Unreachable", 6), null], _failed);
    }

    [Fact]
    public async Task Rejected_event_is_dropped_and_the_next_one_is_written()
    {
        _cluster.Pods.Remove(Pod(0));
        Fail(0);
        await Eventually.TrueAsync(() => _cluster.Calls == 1);
        _cluster.Fail(ClusterErrorKind.NotPermitted);
        Fail(1);
        await Eventually.TrueAsync(() => _failed.Contains("NotPermitted"));
        Fail(2);
        await EventsAsync(1);
        Assert.Equal("pod-2", _cluster.Events.Values.Single().Subject.Name);
        Assert.Null(_failed[^1]);
    }

    [Fact]
    public async Task Dropped_event_does_not_clear_a_missing_permission()
    {
        _cluster.Pods.Remove(Pod(2));
        Fail(1);
        await EventsAsync(1);
        _cluster.Fail(ClusterErrorKind.NotPermitted);
        Fail(3);
        await Eventually.TrueAsync(() => _failed.Contains("NotPermitted"));
        Fail(2);
        await Eventually.TrueAsync(() => _cluster.Calls == 4);
        Fail(4);
        await EventsAsync(2);
        await Eventually.TrueAsync(() => _failed.Count == 3);
        Assert.Equal([null, "NotPermitted", null], _failed);
    }

    [Fact]
    public async Task Dropped_event_clears_an_outage()
    {
        _cluster.Fail(ClusterErrorKind.Unreachable);
        Fail(1);
        await Eventually.TrueAsync(() => _failed.Count == 1);
        _cluster.Pods.Remove(Pod(1));
        await AdvanceAsync(TimeSpan.FromSeconds(2));
        await Eventually.TrueAsync(() => _failed.Count == 2);
        Assert.Equal(["Unreachable", null], _failed);
    }

    [Fact]
    public async Task Namespace_whose_events_fail_does_not_delay_the_others()
    {
        _cluster.Broken.Add("broken");
        for (var number = 0; number < 5; number++)
            FailIn("broken", number);
        await Eventually.TrueAsync(() => _cluster.Rejected == 1);
        for (var number = 1; number <= 10; number++)
        {
            Fail(number);
            _reporter.Record(new PoolEvent.CheckpointWritten(_time.GetUtcNow(), TimeSpan.Zero, "disk full"));
        }

        for (var seconds = 0; seconds < 30; seconds++)
            await AdvanceAsync(TimeSpan.FromSeconds(1));
        await EventsAsync(11);
        Assert.DoesNotContain(null, _failed);
    }

    [Fact]
    public async Task Event_of_the_node_has_its_uid()
    {
        _reporter.Record(new PoolEvent.CheckpointWritten(_time.GetUtcNow(), TimeSpan.Zero, "disk full"));
        await EventsAsync(1);
        var item = _cluster.Events.Values.Single();
        Assert.Equal((true, "node-uid", "CheckpointNotWritten"), (item.Subject.IsNode, item.Uid, item.Reason));
    }

    private static PodReference Pod(int number) => new("default", $"pod-{number}");

    private void FailIn(string @namespace, int number)
    {
        var pod = new PodReference(@namespace, $"pod-{number}");
        _cluster.Pods[pod] = new PodFacts($"uid-{number}", "node-1");
        Fail(pod);
    }

    private void Fail(int pod) => Fail(Pod(pod));

    private void Fail(PodReference pod) =>
        _reporter.Record(
            new PoolEvent.AddFailed(
                _time.GetUtcNow(),
                new AttachmentKey("net", "c", "eth0"),
                pod,
                AddFailureKind.NoAddress,
                GrowthObstacleKind.SubnetExhausted,
                "because",
                TimeSpan.Zero
            )
        );

    /// <summary>Waits until the reporter waits on the clock, so that it sees the next advance.</summary>
    private async Task AdvanceAsync(TimeSpan by)
    {
        await Eventually.TrueAsync(() => _time.PendingTimers > 0);
        _time.Advance(by);
    }

    private Task EventsAsync(int count) => Eventually.TrueAsync(() => _cluster.Events.Count == count, what: $"{count} events");
}
