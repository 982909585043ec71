// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes;

public sealed class ObjectWatchTests : IAsyncDisposable
{
    private readonly ManualTimeProvider _time = new();
    private readonly FakeObjectSource<string> _source = new() { Item = "a", Version = "5" };
    private readonly List<string?> _updates = [];
    private readonly List<string?> _failed = [];
    private readonly CancellationTokenSource _stop = new();
    private Task? _running;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running!.WaitAsync(TimeSpan.FromSeconds(10));
        _stop.Dispose();
    }

    [Fact]
    public void Object_is_listed_once_and_watched_from_the_version_of_the_list()
    {
        Start();
        _source.Publish("b", "6");
        _source.Publish(null, "7");
        _source.Publish("c", "8");
        Assert.Equal(["a", "b", null, "c"], _updates);
        Assert.Equal(["list n 0", "watch n 5"], _source.Calls);
        Assert.Empty(_failed);
    }

    [Fact]
    public void Watch_that_ends_in_time_continues_at_once_from_its_last_event()
    {
        Start();
        _source.Publish("b", "6");
        _source.Bookmark("90");
        _time.Advance(TimeSpan.FromMinutes(6));
        _source.End();
        Assert.Equal(["list n 0", "watch n 5", "watch n 90"], _source.Calls);
        Assert.Equal(["a", "b"], _updates);
        Assert.Equal(0, _time.PendingTimers);
        Assert.Empty(_failed);
    }

    [Fact]
    public void Watch_duration_is_random_between_five_and_ten_minutes()
    {
        Start();
        for (var round = 0; round < 20; round++)
        {
            _time.Advance(TimeSpan.FromMinutes(10));
            _source.End();
        }

        Assert.All(_source.Durations, duration => Assert.InRange(duration, TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(10)));
        Assert.True(_source.Durations.Distinct().Count() > 15);
    }

    [Fact]
    public void Watches_closed_at_once_are_retried_with_backoff()
    {
        Start();
        for (var second = 0; second < 600; second++)
        {
            if (_source.IsWatched)
                _source.End();
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.InRange(_source.Calls.Count, 20, 60);
        Assert.Equal(["a"], _updates);
    }

    [Fact]
    public void Watch_closed_after_one_event_is_followed_by_a_pause()
    {
        Start();
        for (var round = 6; round < 12; round++)
        {
            _source.Publish("b", $"{round}");
            _source.End();
            Assert.False(_source.IsWatched);
            _time.Advance(ClusterBackoff.Pauses.First);
            Assert.Equal($"watch n {round}", _source.Calls[^1]);
        }

        Assert.Empty(_failed);
    }

    [Fact]
    public void Expired_version_leads_to_a_list_of_the_latest_state()
    {
        Start();
        _source.Publish("b", "6");
        (_source.Item, _source.Version) = ("z", "900");
        _source.End(ClusterErrorKind.Expired);
        _time.Advance(ClusterBackoff.Pauses.First);
        Assert.Equal(["list n 0", "watch n 5", "list n", "watch n 900"], _source.Calls);
        Assert.Equal(["a", "b", "z"], _updates);
    }

    [Fact]
    public void Outage_changes_nothing_and_ends_with_one_update()
    {
        Start();
        _source.End(ClusterErrorKind.Unreachable);
        for (var times = 0; times < 5; times++)
            _source.Fail(ClusterErrorKind.Unreachable);
        (_source.Item, _source.Version) = ("b", "9");
        _time.Advance(ClusterBackoff.Pauses.First);
        Assert.Equal(["a"], _updates);
        _time.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal(["a", "b"], _updates);
        Assert.Equal(["list n 5", "list n", "watch n 9"], _source.Calls.Distinct().TakeLast(3));
        Assert.Equal([.. Enumerable.Repeat<string?>("Unreachable", 6), null], _failed);
    }

    [Fact]
    public void Short_outage_keeps_the_lower_bound_of_the_list()
    {
        Start();
        for (var times = 0; times < 3; times++)
            _source.Fail(ClusterErrorKind.Unreachable);
        _source.End(ClusterErrorKind.Unreachable);
        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(["list n 0", "watch n 5", .. Enumerable.Repeat("list n 5", 4), "watch n 5"], _source.Calls);
    }

    [Fact]
    public void Separate_outages_are_counted_separately()
    {
        Start();
        for (var outage = 0; outage < 4; outage++)
        {
            _source.Fail(ClusterErrorKind.Unreachable);
            _source.End(ClusterErrorKind.Unreachable);
            _time.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.DoesNotContain("list n", _source.Calls);
    }

    [Fact]
    public void Server_that_is_down_at_the_start_is_found_later()
    {
        for (var times = 0; times < 8; times++)
            _source.Fail(ClusterErrorKind.Unreachable);
        Start();
        Assert.Empty(_updates);
        _time.Advance(TimeSpan.FromMinutes(8));
        Assert.Equal(["a"], _updates);
        Assert.Equal([.. Enumerable.Repeat("list n 0", 9), "watch n 5"], _source.Calls);
        Assert.Null(_failed[^1]);
    }

    [Fact]
    public void Pause_grows_to_30_seconds()
    {
        for (var times = 0; times < 60; times++)
            _source.Fail(ClusterErrorKind.Unreachable);
        Start();
        _time.Advance(TimeSpan.FromMinutes(10));
        Assert.InRange(_source.Calls.Count, 22, 48);
    }

    [Fact]
    public void Unreadable_event_leads_to_a_list_and_not_to_an_update()
    {
        Start();
        _source.End(ClusterErrorKind.Unreadable);
        _time.Advance(ClusterBackoff.Pauses.First);
        Assert.Equal(["list n 0", "watch n 5", "list n 5", "watch n 5"], _source.Calls);
        Assert.Equal(["Unreadable", null], _failed);
    }

    [Fact]
    public void Throttled_call_is_retried_after_its_retry_after()
    {
        _source.Fail(ClusterErrorKind.Throttled, TimeSpan.FromSeconds(40));
        Start();
        _time.Advance(TimeSpan.FromSeconds(39));
        Assert.Single(_source.Calls);
        _time.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal(["list n 0", "list n 0", "watch n 5"], _source.Calls);
    }

    [Fact]
    public void Retry_after_is_limited_to_five_minutes()
    {
        _source.Fail(ClusterErrorKind.Throttled, TimeSpan.FromHours(1));
        Start();
        _time.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal(3, _source.Calls.Count);
    }

    [Fact]
    public void Watch_with_an_event_resets_the_backoff()
    {
        for (var times = 0; times < 10; times++)
            _source.Fail(ClusterErrorKind.Unreachable);
        Start();
        _time.Advance(TimeSpan.FromMinutes(20));
        _source.Publish("b", "6");
        _source.End(ClusterErrorKind.Unreachable);
        _time.Advance(ClusterBackoff.Pauses.First);
        Assert.True(_source.IsWatched);
    }

    private void Start() =>
        _running = new ObjectWatch<string>(
            _source,
            "n",
            _updates.Add,
            failure => _failed.Add(failure?.Kind.ToString()),
            _time,
            new Random(1)
        ).RunAsync(_stop.Token);
}
