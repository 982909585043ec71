// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Timing;

/// <summary>
/// Random times, so that the nodes of a cluster, which often start and fail together, do not call at the same moment. Takes one draw from a
/// source that must be thread-safe if it is shared.
/// </summary>
internal static class Jitter
{
    /// <summary>Largest deviation of <see cref="Around"/>, as a share of the interval.</summary>
    public const double Deviation = 0.1;

    /// <summary>Returns an interval that is up to ten per cent shorter or longer.</summary>
    public static TimeSpan Around(TimeSpan interval, Random random) =>
        Between(interval * (1 - Deviation), interval * (1 + Deviation), random);

    /// <summary>Returns a time between two bounds, evenly distributed.</summary>
    public static TimeSpan Between(TimeSpan shortest, TimeSpan longest, Random random) =>
        shortest + ((longest - shortest) * random.NextDouble());
}
