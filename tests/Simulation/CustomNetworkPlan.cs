// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests;

/// <summary>A seed's choices for a node with custom networking.</summary>
/// <param name="Subnets">Subnets that an ENIConfig may name: two of the node's zone and one of another, which is unusable.</param>
/// <param name="MeanChange">Mean time between changes of the ENIConfig; null when it never changes.</param>
/// <param name="Delay">Most time from a change, or the daemon's start, until the daemon gets the ENIConfig.</param>
/// <param name="ApiFails">Probability that the API server becomes unreachable for a while at a change.</param>
internal sealed record CustomNetworkPlan(IReadOnlyList<SubnetPlan> Subnets, TimeSpan? MeanChange, TimeSpan Delay, double ApiFails)
{
    /// <summary>
    /// First seed with custom networking. Lower seeds were run, and some pinned, before it existed, and keep their scenarios.
    /// </summary>
    public const int FirstSeed = 10_000;

    public static CustomNetworkPlan? From(int seed, bool isTroubled)
    {
        var random = Scenario.Stream(seed, "custom network");
        if (seed < FirstSeed || random.Next(4) > 0)
            return null;
        SubnetPlan Subnet(bool isFar = false) => new(random.Next(5) == 0 ? random.Next(27, 29) : random.Next(22, 25), null, null, isFar);
        return new CustomNetworkPlan(
            [Subnet(), Subnet(), Subnet(isFar: true)],
            isTroubled && random.Next(4) > 0 ? TimeSpan.FromSeconds(random.Next(20, 180)) : null,
            TimeSpan.FromSeconds(random.NextDouble() * (random.Next(2) == 0 ? 0.2 : 5)),
            isTroubled && random.Next(2) == 0 ? random.NextDouble() * 0.3 : 0
        );
    }

    /// <summary>Mean time between changes of the primary interface's security groups, with and without custom networking.</summary>
    public static TimeSpan? GroupChange(int seed, bool isTroubled)
    {
        var random = Scenario.Stream(seed, "groups");
        return seed >= FirstSeed && isTroubled && random.Next(4) == 0 ? TimeSpan.FromSeconds(random.Next(20, 180)) : null;
    }
}
