// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Simulation;

/// <summary>
/// How long the model's calls take: evenly spread between two bounds, and a share of them much longer. The effect comes halfway.
/// </summary>
/// <param name="Least">Of an ordinary call.</param>
/// <param name="Most">Of an ordinary call.</param>
/// <param name="SlowShare">Of all calls, 0 to 1.</param>
/// <param name="Slow">Of those.</param>
internal sealed record CallLatency(TimeSpan Least, TimeSpan Most, double SlowShare = 0, TimeSpan Slow = default)
{
    /// <summary>The same for every call.</summary>
    public static CallLatency Constant(TimeSpan latency) => new(latency, latency);

    public TimeSpan Next(Random random)
    {
        if (SlowShare > 0 && random.NextDouble() < SlowShare)
            return Slow;
        return Least == Most ? Least : Least + ((Most - Least) * random.NextDouble());
    }
}
