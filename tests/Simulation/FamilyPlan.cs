// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests;

/// <summary>The families of the node's pods, as ENABLE_IPv4 and ENABLE_IPv6 say.</summary>
public enum PodMode
{
    Ipv4,
    Ipv6,
    Dual,
}

/// <summary>A seed's choices for a node in a VPC with IPv6.</summary>
/// <param name="Mode">The mode of the first daemon run.</param>
/// <param name="HasIpv6">Whether the subnets have IPv6 ranges, by their index in <see cref="Scenario.Subnets"/>.</param>
/// <param name="AssignsOnCreation">Whether the subnets give each new interface an IPv6 address that nobody requested.</param>
/// <param name="MeanSwitch">Mean time between changes of the mode by an operator, with a restart; null for none.</param>
/// <param name="MeanExhaustion">Mean time between changes of the number of IPv6 prefixes that a subnet has; null for none.</param>
/// <param name="MeanInterference">Mean time between changes of the node's IPv6 addresses by others; null for none.</param>
/// <param name="DamagesHost">Whether faults of the host's network (<see cref="HostPlan"/>) concern IPv6, too.</param>
internal sealed record FamilyPlan(
    PodMode Mode,
    IReadOnlyList<bool> HasIpv6,
    bool AssignsOnCreation,
    TimeSpan? MeanSwitch,
    TimeSpan? MeanExhaustion,
    TimeSpan? MeanInterference,
    bool DamagesHost
)
{
    /// <summary>More than any scenario has.</summary>
    private const int MostSubnets = 8;

    /// <summary>Creates the plan; null for a VPC without IPv6, as in all seeds that were run and pinned before it existed.</summary>
    /// <param name="seed">The seed.</param>
    /// <param name="isTroubled">Whether there are faults.</param>
    /// <param name="hasCustomNetwork">Whether the node has custom networking, which excludes the mode of IPv6 alone.</param>
    /// <param name="forced">The mode that a developer wants; null for the seed's.</param>
    public static FamilyPlan? From(int seed, bool isTroubled, bool hasCustomNetwork, PodMode? forced)
    {
        var random = Scenario.Stream(seed, "families");
        if (seed < CustomNetworkPlan.FirstSeed && forced is null)
            return null;
        var drawn = random.Next(20) switch
        {
            < 3 => PodMode.Ipv6,
            < 8 => PodMode.Dual,
            _ => PodMode.Ipv4,
        };
        // A VPC with IPv6 whose pods begin without it: the mode can change.
        var isInUse = random.Next(8) == 0;
        var mode = forced ?? drawn;
        if (mode == PodMode.Ipv4 && (forced is not null || !isInUse))
            return null;
        TimeSpan? Mean(double share, double least, double most) =>
            random.NextDouble() < share && isTroubled ? Scenario.Seconds(random, least, most) : null;
        return new FamilyPlan(
            mode == PodMode.Ipv6 && hasCustomNetwork ? PodMode.Dual : mode,
            [.. Enumerable.Range(0, MostSubnets).Select(index => random.Next(index == 0 ? 20 : 6) > 0)],
            random.Next(3) == 0,
            Mean(mode == PodMode.Ipv4 ? 1 : 0.35, 40, 240),
            Mean(0.35, 10, 90),
            Mean(0.35, 15, 120),
            random.Next(2) == 0
        );
    }
}
