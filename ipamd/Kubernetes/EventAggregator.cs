// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>An event that is due.</summary>
/// <param name="Subject">With <paramref name="Reason"/>, the key of its series.</param>
/// <param name="WrittenAs">Name of its event object, if the cluster has one.</param>
/// <param name="WrittenUid">UID of the subject in that event object.</param>
internal sealed record PendingEvent(
    EventSubject Subject,
    string Reason,
    string Message,
    int Count,
    DateTimeOffset First,
    DateTimeOffset Last,
    string? WrittenAs,
    string WrittenUid
);

/// <summary>
/// Decides which events to write, and when. Occurrences with the same reason and subject are one event with a count. It is written at once,
/// again after 30 s, and then at growing intervals. A token bucket limits the writes of the node. A series that fails comes after the
/// others, is retried at growing intervals, and is dropped after an hour. Keeps the latest <see cref="MaxSeries"/> series. Thread-safe; no
/// I/O.
/// </summary>
internal sealed class EventAggregator
{
    public const int MaxSeries = 256;

    /// <summary>
    /// Size of the token bucket, and time per token. client-go's recorder allows 25 events, and then one per object every five minutes.
    /// </summary>
    private const int Burst = 25;

    private static readonly TimeSpan Refill = TimeSpan.FromSeconds(10);

    /// <summary>Shortest times between two writes of the same event; they grow with each write.</summary>
    private static readonly Backoff Intervals = new(TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(10));

    /// <summary>Clusters drop events after an hour by default; a later occurrence is a new event.</summary>
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    /// <summary>Pauses after failures.</summary>
    private static readonly Backoff Retries = new(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1));

    /// <summary>Maximum message length, in characters; events.k8s.io allows 1 KiB.</summary>
    private const int LongestMessage = 1000;

    private readonly Lock _lock = new();
    private readonly Dictionary<(EventSubject, string), Series> _series = [];
    private double _tokens = Burst;
    private DateTimeOffset _refilledAt = DateTimeOffset.MinValue;

    /// <summary>Number of series that were dropped before they were written.</summary>
    public long Dropped { get; private set; }

    /// <summary>Whether the last attempt to write some series failed.</summary>
    public bool IsFailing
    {
        get
        {
            lock (_lock)
                return _series.Values.Any(series => series.Failures > 0);
        }
    }

    public void Record(Occurrence happened, DateTimeOffset now)
    {
        var message = happened.Message.Length <= LongestMessage ? happened.Message : happened.Message[..LongestMessage];
        lock (_lock)
        {
            var key = (happened.Subject, happened.Reason);
            if (_series.TryGetValue(key, out var known) && now - known.Last <= Lifetime)
            {
                known.Count++;
                (known.Last, known.Message) = (now, message);
                return;
            }

            if (known is null && _series.Count >= MaxSeries)
                MakeRoom_NeedsLock();
            _series[key] = new Series
            {
                Message = message,
                Count = 1,
                First = now,
                Last = now,
                DueAt = now,
            };
        }
    }

    /// <summary>
    /// Returns the next event: fewest failures first, then earliest due. Returns null if none is due; <paramref name="wait"/> is then the
    /// time until one is, or null if there is none.
    /// </summary>
    public PendingEvent? Next(DateTimeOffset now, out TimeSpan? wait)
    {
        lock (_lock)
        {
            wait = null;
            var open = _series.Where(pair => pair.Value.Count > pair.Value.WrittenCount).ToArray();
            if (open.Length == 0)
                return null;
            var due = open.Where(pair => pair.Value.DueAt <= now).ToArray();
            var ((subject, reason), next) =
                due.Length > 0 ? due.MinBy(pair => (pair.Value.Failures, pair.Value.DueAt)) : open.MinBy(pair => pair.Value.DueAt);
            Refill_NeedsLock(now);
            var allowedAt = _tokens >= 1 ? now : now + (Refill * (1 - _tokens));
            var at = next.DueAt > allowedAt ? next.DueAt : allowedAt;
            if (at > now)
            {
                wait = at - now;
                return null;
            }

            _tokens--;
            return new PendingEvent(subject, reason, next.Message, next.Count, next.First, next.Last, next.WrittenAs, next.WrittenUid);
        }
    }

    /// <summary>Records that the event was written.</summary>
    public void Written(PendingEvent item, string name, string uid, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (!_series.TryGetValue((item.Subject, item.Reason), out var series))
                return;
            (series.WrittenAs, series.WrittenUid, series.WrittenCount) = (name, uid, item.Count);
            (series.Failures, series.FailingSince) = (0, null);
            series.DueAt = now + Intervals.Ceiling(++series.Writes);
        }
    }

    /// <summary>Records a failure that may be temporary.</summary>
    public void Failed(PendingEvent item, DateTimeOffset now)
    {
        lock (_lock)
        {
            var key = (item.Subject, item.Reason);
            if (!_series.TryGetValue(key, out var series))
                return;
            series.FailingSince ??= now;
            if (now - series.FailingSince >= Lifetime)
            {
                Dropped++;
                _series.Remove(key);
                return;
            }

            series.DueAt = now + Retries.Ceiling(++series.Failures);
        }
    }

    /// <summary>Drops an event: its subject is gone, or the cluster rejects it.</summary>
    public void Forget(PendingEvent item)
    {
        lock (_lock)
            _series.Remove((item.Subject, item.Reason));
    }

    private void Refill_NeedsLock(DateTimeOffset now)
    {
        if (_refilledAt > DateTimeOffset.MinValue && now > _refilledAt)
            _tokens = Math.Min(Burst, _tokens + ((now - _refilledAt) / Refill));
        _refilledAt = now;
    }

    private void MakeRoom_NeedsLock()
    {
        var (key, oldest) = _series.MinBy(pair => pair.Value.Last);
        if (oldest.Count > oldest.WrittenCount)
            Dropped++;
        _series.Remove(key);
    }

    private sealed class Series
    {
        public required string Message { get; set; }
        public required int Count { get; set; }
        public required DateTimeOffset First { get; init; }
        public required DateTimeOffset Last { get; set; }
        public required DateTimeOffset DueAt { get; set; }
        public int Writes { get; set; }

        /// <summary><see cref="Count"/> at the last write.</summary>
        public int WrittenCount { get; set; }

        /// <summary>Consecutive failures.</summary>
        public int Failures { get; set; }

        public DateTimeOffset? FailingSince { get; set; }

        public string? WrittenAs { get; set; }
        public string WrittenUid { get; set; } = "";
    }
}
