// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// Pauses between attempts: exponential with full jitter, so that the nodes of a cluster that fail together do not retry together.
/// </summary>
internal static class Backoff
{
    /// <param name="first">Upper bound of the pause after the first attempt.</param>
    /// <param name="cap">Upper bound of any pause.</param>
    /// <param name="attempt">Attempts made so far, from 1.</param>
    /// <param name="random">Random source; locked during use, since it is not thread-safe.</param>
    public static TimeSpan FullJitter(TimeSpan first, TimeSpan cap, int attempt, Random random)
    {
        var bound = Math.Min(first.TotalMilliseconds * Math.Pow(2, Math.Min(attempt - 1, 30)), cap.TotalMilliseconds);
        lock (random)
            return TimeSpan.FromMilliseconds(bound * random.NextDouble());
    }
}
