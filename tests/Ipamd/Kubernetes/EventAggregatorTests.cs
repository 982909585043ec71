// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Kubernetes;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes;

public sealed class EventAggregatorTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private readonly EventAggregator _book = new();

    [Fact]
    public void Empty_aggregator_has_no_event()
    {
        Assert.Null(_book.Next(Start, out var wait));
        Assert.Null(wait);
    }

    [Fact]
    public void Full_aggregator_drops_the_oldest_series_and_counts_it()
    {
        for (var number = 0; number < EventAggregator.MaxSeries + 44; number++)
            _book.Record(About(number), Start + TimeSpan.FromSeconds(number));
        Assert.Equal(44, _book.Dropped);
        Assert.Equal("pod-44", _book.Next(Start + TimeSpan.FromHours(1), out _)?.Subject.Name);
    }

    [Fact]
    public void Interval_grows_to_ten_minutes()
    {
        List<double> waits = [];
        var now = Start;
        for (var times = 0; times < 8; times++)
        {
            _book.Record(About(1), now);
            var began = now;
            PendingEvent? item;
            while ((item = _book.Next(now, out var wait)) is null)
                now += wait!.Value;
            waits.Add((now - began).TotalSeconds);
            _book.Written(item, "name", "uid", now);
        }

        Assert.Equal([0, 30, 60, 120, 240, 480, 600, 600], waits);
    }

    [Fact]
    public void Occurrence_after_an_hour_is_a_new_event()
    {
        _book.Record(About(1), Start);
        _book.Written(_book.Next(Start, out _)!, "name", "uid", Start);
        _book.Record(About(1), Start + TimeSpan.FromMinutes(61));
        var item = _book.Next(Start + TimeSpan.FromMinutes(61), out _);
        Assert.Equal((1, null, Start + TimeSpan.FromMinutes(61)), (item?.Count, item?.WrittenAs, item?.First));
    }

    [Fact]
    public void Long_message_is_truncated()
    {
        _book.Record(new Occurrence(new EventSubject("default", "p"), "R", new string('x', 100_000)), Start);
        Assert.Equal(1000, _book.Next(Start, out _)?.Message.Length);
    }

    [Fact]
    public void Occurrence_during_a_write_is_written_later()
    {
        _book.Record(About(1), Start);
        var item = _book.Next(Start, out _)!;
        _book.Record(About(1), Start);
        _book.Written(item, "name", "uid", Start);
        Assert.Equal(
            (2, "name", "uid"),
            _book.Next(Start + TimeSpan.FromSeconds(30), out _) is { } again ? (again.Count, again.WrittenAs, again.WrittenUid) : default
        );
    }

    [Fact]
    public void Series_with_fewer_failures_comes_first()
    {
        _book.Record(About(1), Start);
        _book.Failed(_book.Next(Start, out _)!, Start);
        _book.Record(About(2), Start + TimeSpan.FromMinutes(10));
        Assert.Equal("pod-2", _book.Next(Start + TimeSpan.FromMinutes(10), out _)?.Subject.Name);
        Assert.True(_book.IsFailing);
    }

    [Fact]
    public void Failing_series_backs_off_and_is_dropped_after_an_hour()
    {
        _book.Record(About(1), Start);
        List<double> waits = [];
        var (now, tried) = (Start, Start);
        while (true)
        {
            if (_book.Next(now, out var wait) is { } item)
            {
                waits.Add((now - tried).TotalSeconds);
                tried = now;
                _book.Failed(item, now);
            }
            else if (wait is { } pause)
            {
                now += pause;
            }
            else
            {
                break;
            }
        }

        Assert.Equal([0, 1, 2, 4, 8, 16, 32, 60, 60], waits.Take(9));
        Assert.InRange(waits.Count, 60, 70);
        Assert.Equal((TimeSpan.FromHours(1), 1), (TimeSpan.FromMinutes(Math.Floor((tried - Start).TotalMinutes)), _book.Dropped));
        Assert.False(_book.IsFailing);
    }

    [Fact]
    public void Successful_write_resets_the_failures()
    {
        _book.Record(About(1), Start);
        _book.Failed(_book.Next(Start, out _)!, Start);
        _book.Written(_book.Next(Start + TimeSpan.FromSeconds(1), out _)!, "name", "uid", Start + TimeSpan.FromSeconds(1));
        Assert.False(_book.IsFailing);
        _book.Record(About(1), Start + TimeSpan.FromMinutes(59));
        _book.Failed(_book.Next(Start + TimeSpan.FromMinutes(59), out _)!, Start + TimeSpan.FromMinutes(59));
        _book.Record(About(1), Start + TimeSpan.FromMinutes(62));
        Assert.Equal(3, _book.Next(Start + TimeSpan.FromMinutes(62), out _)?.Count);
    }

    private static Occurrence About(int pod) => new(new EventSubject("default", $"pod-{pod}"), "Reason", "message");
}
