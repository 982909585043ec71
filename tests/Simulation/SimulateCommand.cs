// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using VpcCni.Simulation.Tests.Comparison;

namespace VpcCni.Simulation.Tests;

/// <summary>
/// <c>make sim SEEDS=n [SEED=x]</c>: runs fresh seeds, or one seed again, and prints the results. Exit code 0 only if no violation was
/// found.
/// </summary>
internal static class SimulateCommand
{
    private const int MostFailuresShown = 5;

    public static int Run(string[] args, TextWriter output, TextWriter error)
    {
        var seeds = 100;
        int? only = null;
        var first = Random.Shared.Next();
        var verbose = false;
        var planted = false;
        PodMode? mode = null;
        for (var index = 0; index < args.Length; index++)
        {
            switch (args[index])
            {
                case "--seeds" when index + 1 < args.Length && int.TryParse(args[index + 1], out var count) && count > 0:
                    seeds = count;
                    index++;
                    break;
                case "--seed" when index + 1 < args.Length && int.TryParse(args[index + 1], out var seed):
                    only = seed;
                    index++;
                    break;
                case "--first" when index + 1 < args.Length && int.TryParse(args[index + 1], out var start):
                    first = start;
                    index++;
                    break;
                case "--trace":
                    verbose = true;
                    break;
                case "--mode" when index + 1 < args.Length && Enum.TryParse<PodMode>(args[index + 1], ignoreCase: true, out var named):
                    mode = named;
                    index++;
                    break;
                case "--planted":
                    planted = true;
                    break;
                case "--compare":
                    ComparisonReport.Measure().Write(output);
                    return 0;
                case "--rows":
                    RowReport.Write(output);
                    return 0;
                default:
                    error.WriteLine(
                        $"simulate: '{args[index]}' is not an option; expected [--seeds N] [--seed X] [--first X] "
                            + "[--mode ipv4|ipv6|dual] [--trace] [--planted] [--compare] [--rows]"
                    );
                    return 2;
            }
        }

        if (planted)
            return FindPlanted(seeds, output);
        return only is { } one ? RunOne(one, mode, verbose, output) : RunMany(first, seeds, mode, output);
    }

    private static int RunOne(int seed, PodMode? mode, bool verbose, TextWriter output)
    {
        output.WriteLine($"SEED={seed}");
        var result = Simulation.Run(seed, verbose ? output : null, mode);
        if (result.Violation is not null && !verbose)
            output.WriteLine(result.Trace);
        output.WriteLine(Describe(result));
        return result.Violation is null ? 0 : 1;
    }

    private static int RunMany(int first, int seeds, PodMode? mode, TextWriter output)
    {
        output.WriteLine($"{seeds} seeds from {first}");
        var clock = Stopwatch.StartNew();
        long steps = 0,
            adds = 0,
            crashes = 0,
            calls = 0;
        var time = TimeSpan.Zero;
        var failed = 0;
        for (var index = 0; index < seeds; index++)
        {
            var result = Simulation.Run(unchecked(first + index) & int.MaxValue, echo: null, mode);
            steps += result.Steps;
            adds += result.Adds;
            crashes += result.Crashes;
            calls += result.CloudCalls;
            time += result.VirtualTime;
            if (result.Violation is null)
                continue;
            if (++failed <= MostFailuresShown)
                output.WriteLine(result.Trace);
            output.WriteLine(Describe(result));
        }

        var seconds = clock.Elapsed.TotalSeconds;
        output.WriteLine(
            $"seeds {seeds}, failed {failed}; steps {steps}, {steps / seconds:0} a second; virtual time {time.TotalHours:0.0} h in "
                + $"{seconds:0.0} s"
        );
        output.WriteLine($"ADDs answered {adds}, crashes {crashes}, EC2 calls {calls}");
        return failed == 0 ? 0 : 1;
    }

    /// <summary>Prints for each planted bug which seed, counted from 1, finds it.</summary>
    private static int FindPlanted(int seeds, TextWriter output)
    {
        var missed = 0;
        foreach (var bug in PlantedBugs.Bugs.All)
        {
            var (seed, violation) = PlantedBugs.PlantedBugTests.Find(bug, seeds, bug.Focus);
            if (seed is null)
                missed++;
            output.WriteLine(seed is null ? $"{bug.Name}: NOT FOUND by {seeds} seeds" : $"{bug.Name}: found by seed {seed}: {violation}");
        }

        return missed == 0 ? 0 : 1;
    }

    private static string Describe(SimulationResult result) =>
        $"SEED={result.Seed} {(result.Violation is null ? "ok" : "FAILED: " + result.Violation.Split('\n')[0])} ({result.Steps} "
        + $"steps, {result.Pods} pods, {result.Crashes} crashes, {result.CloudCalls} EC2 calls, trace {result.Hash:x16})";
}
