// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests;

/// <summary>A plugin that leaves notes of DELs that the daemon does not answer, and what goes wrong with them.</summary>
/// <param name="Late">Share of the notes that are written some seconds after their time.</param>
/// <param name="AddsAgain">Share of the sandboxes that are added again after such a DEL.</param>
/// <param name="Fails">Share of the looks and removals that fail.</param>
/// <param name="Unannounced">Share of the notes whose arrival no event tells.</param>
/// <param name="Strange">Share of the notes beside which lies one of another boot, or none at all.</param>
/// <param name="CrashAtRemoval">Share of the removals at which the daemon is killed.</param>
internal sealed record NotePlan(double Late, double AddsAgain, double Fails, double Unannounced, double Strange, double CrashAtRemoval)
{
    /// <summary>Off in the seeds that were run and pinned before there were notes.</summary>
    public static NotePlan? From(int seed, bool isTroubled)
    {
        var random = Scenario.Stream(seed, "notes");
        if (seed < CustomNetworkPlan.FirstSeed || random.Next(4) == 0)
            return null;
        double Share(double most) => isTroubled && random.Next(2) == 0 ? random.NextDouble() * most : 0;
        return new NotePlan(Share(0.5), Share(0.8), Share(0.3), Share(0.8), Share(0.3), Share(0.2));
    }
}
