// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;

namespace VpcCni.Ipamd.Events;

/// <summary>
/// Wakes the pool's loop when something changed. Raises before the loop runs count as one, so that a storm of events costs one plan.
/// Thread-safe.
/// </summary>
internal sealed class PoolSignal
{
    private readonly Lock _lock = new();
    private TaskCompletionSource? _completion;
    private bool _raised;

    public void Raise()
    {
        TaskCompletionSource? completion;
        lock (_lock)
        {
            _raised = true;
            completion = _completion;
        }

        completion?.TrySetResult();
    }

    /// <summary>Returns when raised since the last return, or after <paramref name="limit"/>. One caller at a time.</summary>
    public async Task WaitAsync(TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        // The loop continues on another thread: an ADD that raises the signal must not run the plan itself. Awaits the task directly,
        // because Task.WaitAsync would add a turn on the thread pool.
        var completion = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            Debug.Assert(_completion is null, "only one loop may wait");
            if (_raised)
            {
                _raised = false;
                return;
            }

            _completion = completion;
        }

        try
        {
            await using var timer = time.CreateTimer(
                static state => ((TaskCompletionSource)state!).TrySetResult(),
                completion,
                limit,
                Timeout.InfiniteTimeSpan
            );
            using var registration = cancellationToken.Register(() => completion.TrySetCanceled(cancellationToken));
            await completion.Task;
        }
        finally
        {
            lock (_lock)
                (_completion, _raised) = (null, false);
        }
    }
}
