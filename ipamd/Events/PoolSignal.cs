// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;

namespace VpcCni.Ipamd.Events;

/// <summary>
/// "Something changed": wakes the pool's loop at once. Any number of raises before the loop looks count as one, so that a storm of events
/// costs one plan.
/// </summary>
internal sealed class PoolSignal
{
    private readonly Lock _lock = new();
    private TaskCompletionSource? _waiter;
    private bool _raised;

    public void Raise()
    {
        TaskCompletionSource? waiter;
        lock (_lock)
        {
            _raised = true;
            waiter = _waiter;
        }

        waiter?.TrySetResult();
    }

    /// <summary>Returns when raised since the last return, or when <paramref name="limit"/> has passed. One caller at a time.</summary>
    public async Task WaitAsync(TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        // The loop goes on elsewhere: an ADD that raises the signal must not run the pool's plan on its own thread. Awaited itself, not
        // through WaitAsync, which would add a turn on the thread pool.
        var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            Debug.Assert(_waiter is null, "one loop waits");
            if (_raised)
            {
                _raised = false;
                return;
            }

            _waiter = waiter;
        }

        try
        {
            await using var timer = time.CreateTimer(
                static state => ((TaskCompletionSource)state!).TrySetResult(),
                waiter,
                limit,
                Timeout.InfiniteTimeSpan
            );
            using var registration = cancellationToken.Register(() => waiter.TrySetCanceled(cancellationToken));
            await waiter.Task;
        }
        finally
        {
            lock (_lock)
                (_waiter, _raised) = (null, false);
        }
    }
}
