// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Simulation;

/// <summary>
/// A clock and everything that happens by it, on one thread. What is ready runs in the order in which it became ready; when nothing is,
/// time jumps to the next timer. The same events give the same run, always. It is the true time of the model: nobody can set it; a daemon
/// sees it through its <see cref="DaemonRun"/>.
/// </summary>
/// <remarks>
/// Each piece of work belongs to an incarnation and runs under its synchronization context, so that whatever it awaits comes back here.
/// Work that arrives from another thread is an escape: code under test went to the thread pool, and the run would not be reproducible. It
/// is refused and reported by <see cref="RunUntil"/>.
/// </remarks>
internal sealed class VirtualTime : TimeProvider
{
    /// <summary>Timestamps per tick: seven, so that code which takes one for the other fails.</summary>
    private const int TimestampsPerTick = 7;

    private readonly int _thread = Environment.CurrentManagedThreadId;
    private readonly Queue<Work> _ready = new();
    private readonly PriorityQueue<(VirtualTimer Timer, long Setting), (DateTimeOffset Due, long Order)> _timers = new();
    private readonly DateTimeOffset _start;
    private readonly long _maxSteps;
    private DateTimeOffset _now;
    private long _order;
    private Exception? _escape;

    /// <param name="start">The time at the beginning.</param>
    /// <param name="maxSteps">A run that takes more is taken for one that does not end.</param>
    public VirtualTime(DateTimeOffset start, long maxSteps = 50_000_000)
    {
        (_start, _now, _maxSteps) = (start, start, maxSteps);
        Outside = new DaemonRun(this, "outside");
    }

    /// <summary>Owner of everything that belongs to no daemon: the cloud, the pods, the test itself. Never dies.</summary>
    public DaemonRun Outside { get; }

    /// <summary>Pieces of work done so far.</summary>
    public long Steps { get; private set; }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond * TimestampsPerTick;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override DateTimeOffset GetUtcNow() => _now;

    public override long GetTimestamp() => (_now - _start).Ticks * TimestampsPerTick;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        Outside.CreateTimer(callback, state, dueTime, period);

    /// <summary>Runs something later, outside of any daemon.</summary>
    public void After(TimeSpan delay, Action action) => _ = CreateTimer(_ => action(), null, delay, Timeout.InfiniteTimeSpan);

    /// <summary>
    /// Works until the condition holds or the limit is reached, whichever comes first; the clock then stands at the limit. True when the
    /// condition holds.
    /// </summary>
    /// <exception cref="VirtualTimeException">Work escaped to another thread, or the run does not end.</exception>
    public bool RunUntil(Func<bool> condition, DateTimeOffset limit)
    {
        CheckThread();
        var before = SynchronizationContext.Current;
        try
        {
            while (true)
            {
                if (_escape is { } escape)
                    throw new VirtualTimeException("work left the one thread of the simulation", escape);
                if (condition())
                    return true;
                if (!TryTakeReady(out var work) && !TryTakeTimer(limit, out work))
                {
                    _now = limit > _now ? limit : _now;
                    return false;
                }

                if (++Steps > _maxSteps)
                    throw new VirtualTimeException($"more than {_maxSteps} steps: something goes round in circles");
                work.Owner.Run(work.Callback, work.State);
            }
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    /// <summary>Lets this much time pass.</summary>
    public void Advance(TimeSpan by) => RunUntil(static () => false, _now + by);

    /// <summary>Throws when the caller is on another thread than the one that all of this runs on.</summary>
    internal void CheckThread()
    {
        if (Environment.CurrentManagedThreadId != _thread)
            throw new VirtualTimeException("called on another thread than the simulation's");
    }

    internal void Enqueue(DaemonRun owner, SendOrPostCallback callback, object? state)
    {
        if (Environment.CurrentManagedThreadId == _thread)
            _ready.Enqueue(new Work(owner, callback, state));
        // Thrown here it would be lost, or end the process: the simulation's thread reports it.
        else
            Volatile.Write(
                ref _escape,
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

/// <summary>The simulation itself is at fault, or the code under it broke its rules: not a finding about the pool.</summary>
internal sealed class VirtualTimeException(string message, Exception? innerException = null) : Exception(message, innerException);
