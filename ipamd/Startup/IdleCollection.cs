// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;

namespace VpcCni.Ipamd.Startup;

/// <summary>
/// Runs a garbage collection when the node is quiet after a burst of pods. During the burst the heap grows by some ten megabytes, and an
/// idle daemon gives the collector no occasion to shrink it.
/// </summary>
/// <param name="collect">Runs the collection, which stops the process for some milliseconds.</param>
/// <param name="time">Clock for the pauses.</param>
internal sealed class IdleCollection(Action collect, TimeProvider time)
{
    /// <summary>Fewest requests that make a collection worthwhile.</summary>
    public const int MinimumRequests = 200;

    /// <summary>Time without a request after which the node counts as quiet; the pods of a deployment arrive closer together.</summary>
    public static readonly TimeSpan Quiet = TimeSpan.FromSeconds(10);

    private int _requests;
    private long _lastAt;

    /// <summary>Counts requests, on their thread. Subscribe it to the pool's events.</summary>
    public void Observe(PoolEvent poolEvent)
    {
        if (poolEvent is not (PoolEvent.AddServed or PoolEvent.AddFailed or PoolEvent.Deleted))
            return;
        Interlocked.Increment(ref _requests);
        Interlocked.Exchange(ref _lastAt, time.GetTimestamp());
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await Task.Delay(Quiet, time, cancellationToken);
            if (Volatile.Read(ref _requests) < MinimumRequests || time.GetElapsedTime(Interlocked.Read(ref _lastAt)) < Quiet)
                continue;
            Interlocked.Exchange(ref _requests, 0);
            collect();
        }
    }
}
