// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>Completes the world's pending transitions when they are due, by a timer, when no call does so.</summary>
internal sealed class TransitionTimer : IDisposable
{
    private readonly VpcWorld _world;
    private readonly TimeProvider _time;
    private readonly Action<Exception> _onError;
    private readonly ITimer _timer;

    /// <param name="world">The world; this instance sets its <see cref="VpcWorld.TransitionScheduled"/>.</param>
    /// <param name="time">The world's clock.</param>
    /// <param name="onError">Receives exceptions of the world's subscribers. The timer continues after them.</param>
    public TransitionTimer(VpcWorld world, TimeProvider time, Action<Exception> onError)
    {
        _world = world;
        _time = time;
        _onError = onError;
        _timer = time.CreateTimer(_ => OnTimer(), state: null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        lock (world.Gate)
        {
            world.TransitionScheduled = SetTimer;
            SetTimer();
        }
    }

    public void Dispose()
    {
        lock (_world.Gate)
            _world.TransitionScheduled = null;
        _timer.Dispose();
    }

    private void OnTimer()
    {
        lock (_world.Gate)
        {
            try
            {
                _world.CompleteDueTransitions();
            }
            catch (Exception exception)
            {
                _onError(exception);
            }

            SetTimer();
        }
    }

    private void SetTimer()
    {
        if (_world.NextTransitionAt is not { } next)
            return;
        var wait = next - _time.GetUtcNow();

        // Timers are rounded down to milliseconds; one more makes sure that the transition is due when the timer fires.
        _timer.Change(wait <= TimeSpan.Zero ? TimeSpan.Zero : wait + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
    }
}
