// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests;

/// <summary>Faults of the host's network: what other programs and the hardware do to it, and a kernel that fails the reconciler.</summary>
/// <param name="MeanDamage">Mean time between damages of the daemon's rules, routes, links and settings by others; null for none.</param>
/// <param name="MeanForeign">Mean time between changes of rules and routes of others; null for none.</param>
/// <param name="MeanFlap">Mean time between losses of a secondary interface's link, which comes back; null for none.</param>
/// <param name="MeanDispute">Mean time between programs that undo every repair of one object for a while; null for none.</param>
/// <param name="LateLinks">Most time from an attachment until its link appears.</param>
/// <param name="OperationFails">Share of the reconciler's operations of rtnetlink that fail.</param>
/// <param name="CrashAtOperation">Share of the reconciler's operations of rtnetlink at which the daemon is killed.</param>
/// <param name="ReportsFail">Share of damages that come with lost or ended reports of the kernel.</param>
internal sealed record HostPlan(
    TimeSpan? MeanDamage,
    TimeSpan? MeanForeign,
    TimeSpan? MeanFlap,
    TimeSpan? MeanDispute,
    TimeSpan LateLinks,
    double OperationFails,
    double CrashAtOperation,
    double ReportsFail
)
{
    /// <summary>Creates the plan; null for seeds that were run and pinned before it existed.</summary>
    public static HostPlan? From(int seed, bool isTroubled)
    {
        var random = Scenario.Stream(seed, "host network");
        if (seed < CustomNetworkPlan.FirstSeed || !isTroubled)
            return null;
        TimeSpan? Mean(double share, double least, double most) =>
            random.NextDouble() < share ? Scenario.Seconds(random, least, most) : null;
        double Share(double share, double most) => random.NextDouble() < share ? random.NextDouble() * most : 0;
        return new HostPlan(
            Mean(0.6, 5, 120),
            Mean(0.6, 5, 60),
            Mean(0.3, 30, 200),
            Mean(0.2, 60, 200),
            random.Next(3) == 0 ? Scenario.Seconds(random, 1, 40) : TimeSpan.Zero,
            Share(0.3, 0.1),
            Share(0.3, 0.01),
            Share(0.3, 0.5)
        );
    }
}
