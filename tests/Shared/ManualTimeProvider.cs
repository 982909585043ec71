// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Tests.Shared;

/// <summary>
/// A clock that moves only when told to. Timers fire during <see cref="Advance"/>, in the order of their due times, on the thread that
/// advances, each seeing the clock at its own due time. Timestamps count seven to a tick, so that code which takes one for the other fails.
/// </summary>
internal sealed class ManualTimeProvider : TimeProvider
{
    private const int TimestampsPerTick = 7;
    private readonly Lock _lock = new();
    private readonly List<ManualTimer> _timers = [];
    private readonly DateTimeOffset _start;
    private DateTimeOffset _now;
    private long _order;

    public ManualTimeProvider()
        : this(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero)) { }

    public ManualTimeProvider(DateTimeOffset start)
    {
        _start = start;
        _now = start;
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond * TimestampsPerTick;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    /// <summary>Timers that will fire if time goes on: what a test waits for before it advances.</summary>
    public int PendingTimers
    {
        get
        {
            lock (_lock)
                return _timers.Count;
        }
    }

    /// <summary>Time until the next timer fires; null when none is pending.</summary>
    public TimeSpan? NextDueIn
    {
        get
        {
            lock (_lock)
                return _timers.Count == 0 ? null : _timers.Min(timer => timer.Due) - _now;
        }
    }

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
            return _now;
    }

    public override long GetTimestamp()
    {
        lock (_lock)
            return (_now - _start).Ticks * TimestampsPerTick;
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Moves the clock forward, firing what falls due, including timers that the fired ones start.</summary>
    public void Advance(TimeSpan by)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        DateTimeOffset end;
        lock (_lock)
            end = _now + by;
        while (true)
        {
            ManualTimer? due;
            lock (_lock)
            {
                due = _timers.Where(timer => timer.Due <= end).OrderBy(timer => timer.Due).ThenBy(timer => timer.Order).FirstOrDefault();
                if (due is null)
                {
                    _now = end;
                    return;
                }

                if (due.Due > _now)
                    _now = due.Due;
                if (due.Period > TimeSpan.Zero)
                    due.Due += due.Period;
                else
                    _timers.Remove(due);
            }

            due.Fire();
        }
    }

    private sealed class ManualTimer(ManualTimeProvider owner, TimerCallback callback, object? state) : ITimer
    {
        public DateTimeOffset Due { get; set; }

        public TimeSpan Period { get; private set; }

        public long Order { get; private set; }

        public void Fire() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            var now = false;
            lock (owner._lock)
            {
                owner._timers.Remove(this);
                if (dueTime != Timeout.InfiniteTimeSpan)
                {
                    Due = owner._now + dueTime;
                    Period = period == Timeout.InfiniteTimeSpan ? TimeSpan.Zero : period;
                    Order = owner._order++;
                    now = dueTime <= TimeSpan.Zero && Period == TimeSpan.Zero;
                    if (!now)
                        owner._timers.Add(this);
                }
            }

            // A due time of zero means at once; not inside the caller, who may hold a lock.
            if (now)
                ThreadPool.QueueUserWorkItem(_ => Fire());
            return true;
        }

        public void Dispose()
        {
            lock (owner._lock)
                owner._timers.Remove(this);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
