// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>
/// Prints the rows of <c>reference-pool.tsv</c> as a table: EC2 calls that change something, by the model of the AWS VPC CNI and by this
/// pool, and the steps at which this pool differs from the measured one.
/// </summary>
internal static class RowReport
{
    private static readonly TimeSpan[] CallTimes = [TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(300)];

    public static void Write(TextWriter output)
    {
        foreach (var callTime in CallTimes)
        {
            output.WriteLine(
                $"EC2 calls that change something, of them AssignPrivateIpAddresses; EC2 takes {callTime.TotalMilliseconds} ms for a call:"
            );
            output.WriteLine(
                $"{"AWS", 8} {"ours", 8}  {"wait p50, p90, max (ms)", -24}setting; steps that differ: pods, "
                    + "interfaces/addresses/prefixes of AWS -> ours"
            );
            List<(RowResult Reference, RowResult Ours)> results = [];
            foreach (var row in ReferenceRow.Read())
            {
                var result = (Reference: ReferencePolicy.Run(row, callTime), Ours: OurPolicy.Run(row, callTime, RowResult.Quiet));
                results.Add(result);
                output.WriteLine($"{Calls(result.Reference), 8} {Calls(result.Ours), 8}  {Waits(result.Ours), -24}{row}");
                var differences = row
                    .Steps.Zip(result.Ours.Steps, (measured, ours) => (Measured: measured, Ours: ours.Pool))
                    .Where(step => step.Measured != step.Ours);
                foreach (var (measured, ours) in differences)
                    output.WriteLine($"{"", 43}{measured.Pods, 3}  {Text(measured)} -> {Text(ours)}");
            }

            output.WriteLine(
                $"{results.Sum(result => result.Reference.Mutations), 5} {results.Sum(result => result.Ours.Mutations), 8}     in all"
            );
        }
    }

    private static string Calls(RowResult result) => $"{result.Mutations} ({result.Count("AssignPrivateIpAddresses")})";

    private static string Waits(RowResult result) =>
        string.Join(
            ", ",
            ((double[])[0.5, 0.9, 1]).Select(quantile =>
                $"{result.Waits[Math.Min((int)(result.Waits.Count * quantile), result.Waits.Count - 1)].TotalMilliseconds:0}"
            )
        );

    private static string Text(ReferenceStep step) =>
        $"{step.Interfaces}/{step.Addresses}/{step.Prefixes}{(step.AllServed ? "" : " (some not served)")}";
}
