// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Hosting;

/// <summary>Completes what is due in a model by a timer, when no call does so.</summary>
internal sealed class DueTimer : IDisposable
{
    private readonly Lock _gate;
    private readonly Func<DateTimeOffset?> _next;
    private readonly Action<DateTimeOffset> _advance;
    private readonly TimeProvider _time;
    private readonly Action<Exception> _onError;
    private readonly ITimer _timer;

    /// <param name="gate">The model's lock, which the timer holds around both functions.</param>
    /// <param name="next">When something is due next; null for never.</param>
    /// <param name="advance">Completes what is due.</param>
    /// <param name="onError">Receives what <paramref name="advance"/> throws. The timer continues after it.</param>
    public DueTimer(Lock gate, Func<DateTimeOffset?> next, Action<DateTimeOffset> advance, TimeProvider time, Action<Exception> onError)
    {
        (_gate, _next, _advance, _time, _onError) = (gate, next, advance, time, onError);
        _timer = time.CreateTimer(_ => OnTimer(), state: null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Sets the timer to the next time. The caller holds the gate.</summary>
    public void Set()
    {
        if (_next() is not { } next)
            return;
        var wait = next - _time.GetUtcNow();
        // Timers are rounded down to milliseconds; one more makes sure that it is due when the timer fires.
        _timer.Change(wait <= TimeSpan.Zero ? TimeSpan.Zero : wait + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
    }

    public void Dispose() => _timer.Dispose();

    private void OnTimer()
    {
        lock (_gate)
        {
            try
            {
                _advance(_time.GetUtcNow());
            }
            catch (Exception exception)
            {
                _onError(exception);
            }

            Set();
        }
    }
}
