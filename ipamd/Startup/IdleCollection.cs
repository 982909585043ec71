// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;

namespace VpcCni.Ipamd.Startup;

/// <summary>
/// Collects what a burst of pods left behind once the node is quiet. The heap grows to what the collector may fill before it has to work,
/// some ten megabytes, and a daemon that does nothing afterwards never gives it the occasion to shrink.
/// </summary>
/// <param name="collect">Takes some milliseconds, in which nothing else runs.</param>
/// <param name="time">For the pauses.</param>
internal sealed class IdleCollection(Action collect, TimeProvider time)
{
    /// <summary>Requests that leave enough behind to be worth it.</summary>
    public const int MinimumRequests = 200;

    /// <summary>Without a request for this long the node is quiet: pods of one deployment arrive closer together.</summary>
    public static readonly TimeSpan Quiet = TimeSpan.FromSeconds(10);

    private int _requests;
    private long _lastAt;

    /// <summary>To be subscribed to the pool's events; counts on the thread of the request.</summary>
    public void Observe(PoolEvent happened)
    {
        if (happened is not (PoolEvent.AddServed or PoolEvent.AddFailed or PoolEvent.Deleted))
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
