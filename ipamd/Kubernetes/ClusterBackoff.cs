// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Computes pauses after consecutive failures: a backoff, or what the server asks for, so that the nodes of a cluster do not all return at
/// once when its API server does.
/// </summary>
internal sealed class ClusterBackoff(Random random)
{
    /// <summary>Half fixed: no retry comes at once.</summary>
    public static readonly Backoff Pauses = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30), randomShare: 0.5);

    /// <summary>Upper bound of the server's Retry-After: a longer one may come from a server that is replaced meanwhile.</summary>
    private static readonly TimeSpan MaxRetryAfter = TimeSpan.FromMinutes(5);

    private int _failures;

    public void Succeeded() => _failures = 0;

    /// <summary>Counts a failure and returns how long to wait.</summary>
    /// <param name="retryAfter">Minimum that the server asked for, if any.</param>
    public TimeSpan Failed(TimeSpan? retryAfter)
    {
        var pause = Pauses.Pause(++_failures, random);
        if (retryAfter is not { } requested || requested <= pause)
            return pause;
        // All nodes may have received the same value, so up to a tenth is added at random.
        var shortest = requested < MaxRetryAfter ? requested : MaxRetryAfter;
        return Jitter.Between(shortest, shortest * 1.1, random);
    }
}
