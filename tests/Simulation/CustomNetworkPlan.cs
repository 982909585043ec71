// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests;

/// <summary>What a seed decides for a node whose pods have a network of their own.</summary>
/// <param name="Subnets">Those that an ENIConfig may name: two of the node's zone and one of another, which is of no use.</param>
/// <param name="MeanChange">Between two changes of the ENIConfig; null: it never changes.</param>
/// <param name="Delay">From a change, or the daemon's start, until the daemon is told, at most.</param>
/// <param name="ApiFails">How often the cluster is out of reach when something changes, and stays so for a while.</param>
internal sealed record CustomNetworkPlan(IReadOnlyList<SubnetPlan> Subnets, TimeSpan? MeanChange, TimeSpan Delay, double ApiFails)
{
    /// <summary>
    /// Seeds below were run, and some of them pinned, before there was custom networking in the simulation; they stay the scenarios that
    /// they were.
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

    /// <summary>Between two changes of the primary interface's security groups; with and without custom networking.</summary>
    public static TimeSpan? GroupChange(int seed, bool isTroubled)
    {
        var random = Scenario.Stream(seed, "groups");
        return seed >= FirstSeed && isTroubled && random.Next(4) == 0 ? TimeSpan.FromSeconds(random.Next(20, 180)) : null;
    }
}
