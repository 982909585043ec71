// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>The rows of <c>reference-pool.tsv</c> beside what our pool holds, as text.</summary>
internal static class RowReport
{
    public static void Write(TextWriter output)
    {
        foreach (var milliseconds in (int[])[5, 300])
        {
            output.WriteLine($"== EC2 calls of {milliseconds} ms; interfaces/addresses/prefixes: measured, model of the reference, ours; calls of the model, ours");
            List<(RowResult Reference, RowResult Ours)> results = [];
            foreach (var row in ReferenceRow.Read())
            {
                var reference = ReferencePolicy.Run(row, TimeSpan.FromMilliseconds(milliseconds));
                var ours = OurPolicy.Run(row, TimeSpan.FromMilliseconds(milliseconds), RowResult.Quiet);
                results.Add((reference, ours));
                output.WriteLine($"{row}: {Calls(reference)}; {Calls(ours)} calls; wait p50 {Ms(ours, 0.5)} p90 {Ms(ours, 0.9)} max {Ms(ours, 1)}");
                output.WriteLine("   " + string.Join(" ", ours.Steps.SelectMany(step => step.Calls).GroupBy(call => call.Key).Select(group => $"{group.Key} {group.Sum(call => call.Value)}")));
                foreach (var ((measured, model), our) in row.Steps.Zip(reference.Steps).Zip(ours.Steps))
                    output.WriteLine($"   {measured.Pods,3} {Text(measured),10} {Text(model.Pool),10} {Text(our.Pool),10} {(Text(measured) == Text(model.Pool) ? " " : "!")}{(Text(measured) == Text(our.Pool) ? " " : "*")} {model.Mutations} {our.Mutations}");
            }

            output.WriteLine($"total {results.Sum(pair => pair.Reference.Mutations)} {results.Sum(pair => pair.Ours.Mutations)}");
        }
    }

    private static string Calls(RowResult result) => $"{result.Mutations} ({result.Count("AssignPrivateIpAddresses")} assign)";

    private static string Ms(RowResult result, double quantile)
        => result.Waits.Count == 0 ? "-" : $"{result.Waits[Math.Min((int)(result.Waits.Count * quantile), result.Waits.Count - 1)].TotalMilliseconds:0}";

    private static string Text(ReferenceStep step) => $"{step.Interfaces}/{step.Addresses}/{step.Prefixes}{(step.AllServed ? "" : "!")}";
}
