// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd.WarmPool;

/// <summary>
/// "Something changed": wakes the pool's loop at once. Any number of raises before the loop looks count as one, so that a storm of events costs one plan.
/// </summary>
internal sealed class PoolSignal
{
    private readonly Lock _lock = new();

    // The loop goes on elsewhere: an ADD that raises the signal must not run the pool's plan on its own thread.
    private TaskCompletionSource _raised = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Raise()
    {
        lock (_lock) _raised.TrySetResult();
    }

    /// <summary>Returns when raised since the last return, or when <paramref name="limit"/> has passed.</summary>
    public async Task WaitAsync(TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        Task raised;
        lock (_lock) raised = _raised.Task;
        try
        {
            await raised.WaitAsync(limit, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            return;
        }

        lock (_lock) _raised = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
