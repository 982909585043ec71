// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Pauses after failures in a row: half fixed, half random, so that the nodes of a cluster whose API server comes back do not come at once,
/// and none spins.
/// </summary>
internal sealed class ClusterBackoff(Random random)
{
    public static readonly TimeSpan First = TimeSpan.FromSeconds(1);

    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>However long the server asks for: it may be another one by then.</summary>
    private static readonly TimeSpan LongestAskedFor = TimeSpan.FromMinutes(5);

    private int _failures;

    public void Succeeded() => _failures = 0;

    /// <summary>How long to wait after one more failure.</summary>
    /// <param name="retryAfter">At least this long, if the server said so.</param>
    public TimeSpan Failed(TimeSpan? retryAfter)
    {
        var ceiling = Math.Min(First.TotalSeconds * Math.Pow(2, Math.Min(_failures++, 10)), Longest.TotalSeconds);
        var pause = TimeSpan.FromSeconds((ceiling / 2) + (random.NextDouble() * ceiling / 2));
        if (retryAfter is not { } wish || wish <= pause)
            return pause;
        // Everybody was told the same: spread over a tenth more.
        return (wish < LongestAskedFor ? wish : LongestAskedFor) * (1 + (random.NextDouble() / 10));
    }
}
