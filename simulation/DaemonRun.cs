// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Simulation;

/// <summary>
/// One life of a daemon in virtual time: its view of the clock, and the owner of all of its work. When it is killed, whatever it was about
/// to do never happens: queued continuations and timers are dropped, and the ports that it was given refuse it (<see cref="CheckAlive"/>).
/// </summary>
/// <param name="time">The true time.</param>
/// <param name="name">For traces.</param>
/// <param name="wallClock">The machine's wall clock, which may be set; null for one that is right.</param>
internal sealed class DaemonRun(VirtualTime time, string name, WallClock? wallClock = null) : TimeProvider
{
    private readonly Context _context = new();

    public string Name { get; } = name;

    public bool IsAlive { get; private set; } = true;

    public VirtualTime Time => time;

    public override long TimestampFrequency => time.TimestampFrequency;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override DateTimeOffset GetUtcNow() => time.GetUtcNow() + (wallClock?.Offset ?? TimeSpan.Zero);

    public override long GetTimestamp() => time.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        time.CheckThread();
        var timer = new VirtualTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>As by kill -9: nothing of it runs any more.</summary>
    public void Kill()
    {
        time.CheckThread();
        IsAlive = false;
    }

    /// <summary>Runs something of this incarnation as soon as the work before it is done.</summary>
    public void Post(Action action) => Enqueue(static work => ((Action)work!)(), action);

    /// <summary>Starts something of this incarnation and returns its task, which never ends if the incarnation dies first.</summary>
    public Task<T> Start<T>(Func<Task<T>> body)
    {
        var result = new TaskCompletionSource<T>();
        Post(() => _ = CompleteAsync());
        return result.Task;

        async Task CompleteAsync()
        {
            try
            {
                var value = await body();
                if (IsAlive)
                    result.SetResult(value);
            }
            catch (Exception exception)
            {
                if (IsAlive)
                    result.SetException(exception);
            }
        }
    }

    /// <summary>For ports: on the simulation's thread, and of a living daemon.</summary>
    /// <exception cref="DaemonRunEndedException">
    /// The run has ended: the caller is the rest of a stack that is being unwound.
    /// </exception>
    public void CheckAlive()
    {
        time.CheckThread();
        if (!IsAlive)
            throw new DaemonRunEndedException(Name);
    }

    internal void Enqueue(SendOrPostCallback callback, object? state) => time.Enqueue(this, callback, state);

    internal void Run(SendOrPostCallback callback, object? state)
    {
        if (!IsAlive)
            return;
        _context.Owner ??= this;
        SynchronizationContext.SetSynchronizationContext(_context);
        try
        {
            callback(state);
        }
        catch (DaemonRunEndedException) when (!IsAlive)
        {
            // The stack of the ended run is unwound.
        }
    }

    /// <summary>Brings continuations back to the run that awaits.</summary>
    private sealed class Context : SynchronizationContext
    {
        public DaemonRun? Owner { get; set; }

        public override void Post(SendOrPostCallback d, object? state) => Owner!.Enqueue(d, state);

        public override void Send(SendOrPostCallback d, object? state) =>
            throw new VirtualTimeException("a synchronous call into the simulation would never return");

        public override SynchronizationContext CreateCopy() => this;
    }
}

/// <summary>Code of a daemon run that has ended tries to act.</summary>
internal sealed class DaemonRunEndedException(string name) : Exception($"{name} is dead");

/// <summary>The wall clock of a machine: the true time and the error that somebody set.</summary>
internal sealed class WallClock
{
    public TimeSpan Offset { get; private set; }

    /// <summary>Sets the clock forward, or back; timestamps and timers do not notice.</summary>
    public void Jump(TimeSpan by) => Offset += by;
}

/// <summary>
/// A timer in virtual time. Setting it again or disposing of it makes its earlier setting void; so does the death of its owner.
/// </summary>
internal sealed class VirtualTimer(DaemonRun owner, TimerCallback callback, object? state) : ITimer
{
    private TimeSpan _period = Timeout.InfiniteTimeSpan;
    private long _setting;
    private bool _armed;

    public DaemonRun Owner => owner;

    public bool IsArmed(long setting) => _armed && _setting == setting && owner.IsAlive;

    public bool Change(TimeSpan dueTime, TimeSpan period)
    {
        owner.Time.CheckThread();
        _setting++;
        _armed = dueTime != Timeout.InfiniteTimeSpan;
        _period = period;
        if (_armed)
            owner.Time.Arm(this, _setting, dueTime);
        return true;
    }

    public void Fire()
    {
        // A period of zero means once, as for the system's timers.
        if (_period > TimeSpan.Zero)
            owner.Time.Arm(this, _setting, _period);
        else
            _armed = false;
        callback(state);
    }

    public void Dispose() => _armed = false;

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }
}
