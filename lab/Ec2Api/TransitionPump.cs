// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>Lets the world's changes happen at their time even when nobody calls: one timer, set to the next of them.</summary>
internal sealed class TransitionPump : IDisposable
{
    private readonly VpcWorld _world;
    private readonly TimeProvider _time;
    private readonly Action<Exception> _onError;
    private readonly ITimer _timer;

    /// <param name="world">Its <see cref="VpcWorld.TransitionScheduled"/> is ours from now on.</param>
    /// <param name="time">The world's clock.</param>
    /// <param name="onError">Told of a subscriber that threw; the pump goes on.</param>
    public TransitionPump(VpcWorld world, TimeProvider time, Action<Exception> onError)
    {
        _world = world;
        _time = time;
        _onError = onError;
        _timer = time.CreateTimer(_ => Pump(), state: null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
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

    private void Pump()
    {
        lock (_world.Gate)
        {
            try
            {
                _world.Settle();
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

        // Timers are rounded down to milliseconds: one more, so that the time has come when it fires.
        _timer.Change(wait <= TimeSpan.Zero ? TimeSpan.Zero : wait + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
    }
}
