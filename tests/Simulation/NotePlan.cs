// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests;

/// <summary>A plugin that leaves notes of DELs that the daemon does not answer, and the faults of notes.</summary>
/// <param name="Late">Share of notes that are written some seconds late.</param>
/// <param name="AddsAgain">Share of sandboxes that are added again after such a DEL.</param>
/// <param name="Fails">Share of reads and removals that fail.</param>
/// <param name="Unannounced">Share of notes without an event of their arrival.</param>
/// <param name="Strange">Share of notes that come with one of another boot and one that is invalid.</param>
/// <param name="CrashAtRemoval">Share of removals at which the daemon is killed.</param>
internal sealed record NotePlan(double Late, double AddsAgain, double Fails, double Unannounced, double Strange, double CrashAtRemoval)
{
    /// <summary>Creates the plan; null for seeds that were run and pinned before notes existed.</summary>
    public static NotePlan? From(int seed, bool isTroubled)
    {
        var random = Scenario.Stream(seed, "notes");
        if (seed < CustomNetworkPlan.FirstSeed || random.Next(4) == 0)
            return null;
        double Share(double most) => isTroubled && random.Next(2) == 0 ? random.NextDouble() * most : 0;
        return new NotePlan(Share(0.5), Share(0.8), Share(0.3), Share(0.8), Share(0.3), Share(0.2));
    }
}
