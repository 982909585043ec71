// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Simulation;

/// <summary>
/// One run of a daemon in virtual time, from its start to its end: its clock, and the owner of all its work. When it is killed, queued
/// continuations and timers are dropped, and its ports throw (<see cref="CheckAlive"/>).
/// </summary>
/// <param name="time">The true time.</param>
/// <param name="name">For traces.</param>
/// <param name="wallClock">The machine's wall clock, which may be set; null for the true time.</param>
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

    /// <summary>Ends the run as kill -9 does: none of its work runs any more.</summary>
    public void Kill()
    {
        time.CheckThread();
        IsAlive = false;
    }

    /// <summary>Queues work of this run, after the work that is ready now.</summary>
    public void Post(Action action) => Enqueue(static work => ((Action)work!)(), action);

    /// <summary>Starts work of this run and returns its task, which never completes when the run ends first.</summary>
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

    /// <summary>For ports: checks that the caller is on the simulation's thread and that its run has not ended.</summary>
    /// <exception cref="DaemonRunEndedException">
    /// The run has ended, and the caller's stack is being unwound.
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

    /// <summary>Queues continuations to the run that awaits.</summary>
    private sealed class Context : SynchronizationContext
    {
        public DaemonRun? Owner { get; set; }

        public override void Post(SendOrPostCallback d, object? state) => Owner!.Enqueue(d, state);

        public override void Send(SendOrPostCallback d, object? state) =>
            throw new VirtualTimeException("a synchronous call into the simulation would never return");

        public override SynchronizationContext CreateCopy() => this;
    }
}

/// <summary>Work of a daemon run that has ended used a port.</summary>
internal sealed class DaemonRunEndedException(string name) : Exception($"{name} has ended");

/// <summary>The wall clock of a machine: the true time and an offset.</summary>
internal sealed class WallClock
{
    public TimeSpan Offset { get; private set; }

    /// <summary>Sets the clock forward or back; does not affect timestamps and timers.</summary>
    public void Jump(TimeSpan by) => Offset += by;
}

/// <summary>
/// A timer in virtual time. Setting it again, disposing it, or the end of its run cancels the earlier setting.
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
