// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Computes pauses after consecutive failures: exponential, half fixed and half random, so that the nodes of a cluster do not all return at
/// once when its API server does.
/// </summary>
internal sealed class ClusterBackoff(Random random)
{
    public static readonly TimeSpan First = TimeSpan.FromSeconds(1);

    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>Upper bound of the server's Retry-After: a longer one may come from a server that is replaced meanwhile.</summary>
    private static readonly TimeSpan MaxRetryAfter = TimeSpan.FromMinutes(5);

    private int _failures;

    public void Succeeded() => _failures = 0;

    /// <summary>Counts a failure and returns how long to wait.</summary>
    /// <param name="retryAfter">Minimum that the server asked for, if any.</param>
    public TimeSpan Failed(TimeSpan? retryAfter)
    {
        var ceiling = Math.Min(First.TotalSeconds * Math.Pow(2, Math.Min(_failures++, 10)), Longest.TotalSeconds);
        var pause = TimeSpan.FromSeconds((ceiling / 2) + (random.NextDouble() * ceiling / 2));
        if (retryAfter is not { } requested || requested <= pause)
            return pause;
        // All nodes may have received the same value, so up to a tenth is added at random.
        return (requested < MaxRetryAfter ? requested : MaxRetryAfter) * (1 + (random.NextDouble() / 10));
    }
}
