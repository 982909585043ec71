// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Simulation;

/// <summary>
/// A clock and a queue of work on one thread. Work runs in the order in which it became ready; when none is ready, the time advances to the
/// next timer. Deterministic. It is the true time of the model, which cannot be set; a daemon uses the clock of its
/// <see cref="DaemonRun"/>.
/// </summary>
/// <remarks>
/// Each piece of work belongs to a <see cref="DaemonRun"/> and runs under its synchronization context, so that its continuations are queued
/// here. Work from another thread means that code under test continued on the thread pool, which is not reproducible. It is rejected, and
/// reported by <see cref="RunUntil"/>.
/// </remarks>
internal sealed class VirtualTime : TimeProvider
{
    /// <summary>Timestamps per tick: seven, so that code that confuses the two fails.</summary>
    private const int TimestampsPerTick = 7;

    private readonly int _thread = Environment.CurrentManagedThreadId;
    private readonly Queue<Work> _ready = new();
    private readonly PriorityQueue<(VirtualTimer Timer, long Setting), (DateTimeOffset Due, long Order)> _timers = new();
    private readonly DateTimeOffset _start;
    private readonly long _maxSteps;
    private DateTimeOffset _now;
    private long _order;
    private Exception? _otherThread;

    /// <param name="start">The time at the beginning.</param>
    /// <param name="maxSteps">Number of steps after which the run counts as endless.</param>
    public VirtualTime(DateTimeOffset start, long maxSteps = 50_000_000)
    {
        (_start, _now, _maxSteps) = (start, start, maxSteps);
        Outside = new DaemonRun(this, "outside");
    }

    /// <summary>Owner of work that belongs to no daemon: the cloud, the pods, the test itself. Never ends.</summary>
    public DaemonRun Outside { get; }

    /// <summary>Number of pieces of work done so far.</summary>
    public long Steps { get; private set; }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond * TimestampsPerTick;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override DateTimeOffset GetUtcNow() => _now;

    public override long GetTimestamp() => (_now - _start).Ticks * TimestampsPerTick;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        Outside.CreateTimer(callback, state, dueTime, period);

    /// <summary>Runs an action later, outside of any daemon.</summary>
    public void After(TimeSpan delay, Action action) => _ = CreateTimer(_ => action(), null, delay, Timeout.InfiniteTimeSpan);

    /// <summary>
    /// Runs work until the condition holds, or until the limit, to which the clock is then set. True when the condition holds.
    /// </summary>
    /// <exception cref="VirtualTimeException">Work continued on another thread, or the run does not end.</exception>
    public bool RunUntil(Func<bool> condition, DateTimeOffset limit)
    {
        CheckThread();
        var before = SynchronizationContext.Current;
        try
        {
            while (true)
            {
                if (_otherThread is { } escape)
                    throw new VirtualTimeException("work continued on another thread than the simulation's", escape);
                if (condition())
                    return true;
                if (!TryTakeReady(out var work) && !TryTakeTimer(limit, out work))
                {
                    _now = limit > _now ? limit : _now;
                    return false;
                }

                if (++Steps > _maxSteps)
                    throw new VirtualTimeException($"more than {_maxSteps} steps: the run does not end");
                work.Owner.Run(work.Callback, work.State);
            }
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    /// <summary>Runs work for a period of virtual time.</summary>
    public void Advance(TimeSpan by) => RunUntil(static () => false, _now + by);

    /// <summary>Throws when the caller is not on the simulation's thread.</summary>
    internal void CheckThread()
    {
        if (Environment.CurrentManagedThreadId != _thread)
            throw new VirtualTimeException("called on another thread than the simulation's");
    }

    internal void Enqueue(DaemonRun owner, SendOrPostCallback callback, object? state)
    {
        if (Environment.CurrentManagedThreadId == _thread)
            _ready.Enqueue(new Work(owner, callback, state));
        // An exception here would be lost, or end the process: RunUntil throws it.
        else
            Volatile.Write(
                ref _otherThread,
                new VirtualTimeException(
                    $"posted on another thread: {callback.Method.DeclaringType}.{callback.Method.Name}, {state}\n{Environment.StackTrace}"
                )
            );
    }

    internal void Arm(VirtualTimer timer, long setting, TimeSpan dueTime) =>
        _timers.Enqueue((timer, setting), (_now + (dueTime > TimeSpan.Zero ? dueTime : TimeSpan.Zero), _order++));

    private bool TryTakeReady(out Work work)
    {
        while (_ready.TryDequeue(out work))
        {
            if (work.Owner.IsAlive)
                return true;
        }

        return false;
    }

    private bool TryTakeTimer(DateTimeOffset limit, out Work work)
    {
        while (_timers.TryPeek(out var next, out var at))
        {
            if (!next.Timer.IsArmed(next.Setting))
            {
                _timers.Dequeue();
                continue;
            }

            if (at.Due > limit)
                break;
            _timers.Dequeue();
            if (at.Due > _now)
                _now = at.Due;
            work = new Work(next.Timer.Owner, static timer => ((VirtualTimer)timer!).Fire(), next.Timer);
            return true;
        }

        work = default;
        return false;
    }

    private readonly record struct Work(DaemonRun Owner, SendOrPostCallback Callback, object? State);
}

/// <summary>A defect of the simulation, or code that breaks its rules: no finding about the daemon.</summary>
internal sealed class VirtualTimeException(string message, Exception? innerException = null) : Exception(message, innerException);
