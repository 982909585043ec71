// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Simulation;

/// <summary>
/// Latency of the model's calls: uniformly distributed between two bounds, and longer for a share of the calls.
/// </summary>
/// <param name="Least">Lower bound.</param>
/// <param name="Most">Upper bound.</param>
/// <param name="SlowShare">Share of slow calls, 0 to 1.</param>
/// <param name="Slow">Latency of slow calls.</param>
internal sealed record CallLatency(TimeSpan Least, TimeSpan Most, double SlowShare = 0, TimeSpan Slow = default)
{
    /// <summary>One latency for every call.</summary>
    public static CallLatency Constant(TimeSpan latency) => new(latency, latency);

    public TimeSpan Next(Random random)
    {
        if (SlowShare > 0 && random.NextDouble() < SlowShare)
            return Slow;
        return Least == Most ? Least : Least + ((Most - Least) * random.NextDouble());
    }
}
