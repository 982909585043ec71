// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;

namespace VpcCni.Simulation.Tests;

/// <summary><c>make sim SEEDS=n [SEED=x]</c>: runs fresh seeds, or one again, and tells what came out. Exit code 0 only if nothing was found.</summary>
internal static class SimulateCommand
{
    private const int MostFailuresShown = 5;

    public static int Run(string[] args, TextWriter output, TextWriter error)
    {
        var seeds = 100;
        int? only = null;
        var first = Random.Shared.Next();
        var verbose = false;
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
                default:
                    error.WriteLine($"simulate: '{args[index]}' is not understood; expected [--seeds N] [--seed X] [--first X] [--trace]");
                    return 2;
            }
        }

        return only is { } one ? RunOne(one, verbose, output) : RunMany(first, seeds, output);
    }

    private static int RunOne(int seed, bool verbose, TextWriter output)
    {
        output.WriteLine($"SEED={seed}");
        var result = Simulation.Run(seed, echo: verbose ? output : null);
        if (result.Violation is not null && !verbose) output.WriteLine(result.Trace);
        output.WriteLine(Describe(result));
        return result.Violation is null ? 0 : 1;
    }

    private static int RunMany(int first, int seeds, TextWriter output)
    {
        output.WriteLine($"{seeds} seeds from {first}");
        var clock = Stopwatch.StartNew();
        long steps = 0, adds = 0, crashes = 0, calls = 0;
        var time = TimeSpan.Zero;
        var failed = 0;
        for (var index = 0; index < seeds; index++)
        {
            var result = Simulation.Run(unchecked(first + index) & int.MaxValue);
            steps += result.Steps;
            adds += result.Adds;
            crashes += result.Crashes;
            calls += result.CloudCalls;
            time += result.VirtualTime;
            if (result.Violation is null) continue;
            if (++failed <= MostFailuresShown) output.WriteLine(result.Trace);
            output.WriteLine(Describe(result));
        }

        var seconds = clock.Elapsed.TotalSeconds;
        output.WriteLine($"seeds {seeds}, failed {failed}; steps {steps}, {steps / seconds:0} a second; virtual time {time.TotalHours:0.0} h in {seconds:0.0} s");
        output.WriteLine($"ADDs answered {adds}, crashes {crashes}, EC2 calls {calls}");
        return failed == 0 ? 0 : 1;
    }

    private static string Describe(SimulationResult result)
        => $"SEED={result.Seed} {(result.Violation is null ? "ok" : "FAILED: " + result.Violation.Split('\n')[0])} ({result.Steps} steps, {result.Pods} pods, {result.Crashes} crashes, {result.CloudCalls} EC2 calls, trace {result.Hash:x16})";
}
