// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>This pool's policy compared with the reference's, in figures for the README.</summary>
internal sealed record ComparisonReport(
    ComparedResult Ours,
    ComparedResult Reference,
    ComparedResult OurBurst,
    ComparedResult ReferenceBurst
)
{
    private const string Type = "m5.xlarge";
    private const int BurstPods = 40;

    public static ComparisonReport Measure()
    {
        var trace = PodTrace.Create(pods: 1_000, most: 50, seed: 7);
        // One address is free; the rest of the burst finds the pool empty.
        PodEvent[] burst = [.. Enumerable.Range(0, BurstPods).Select(pod => new PodEvent(TimeSpan.FromSeconds(1), pod, Starts: true))];
        var empty = new Dictionary<string, string>(StringComparer.Ordinal) { ["WARM_IP_TARGET"] = "1" };
        return new ComparisonReport(
            OurPolicy.Run(Type, trace),
            ReferencePolicy.Run(Type, trace),
            OurPolicy.Run(Type, burst, empty),
            ReferencePolicy.Run(Type, burst)
        );
    }

    public void Write(TextWriter output)
    {
        output.WriteLine(
            $"1,000 pods start and stop on one {Type} (default targets, EC2 calls of {ComparedNode.CallTime.TotalMilliseconds:0} ms):"
        );
        Write(output, "ours", Ours);
        Write(output, "reference", Reference);
        output.WriteLine($"{BurstPods} pods at once (ours: one address free; reference: {Type}'s default warm interface):");
        Write(output, "ours", OurBurst);
        Write(output, "reference", ReferenceBurst);
        // One assign call on the primary interface and two new interfaces: create, attach, modify each, and the attachment itself.
        var sum = OurBurst.Mutations * ComparedNode.CallTime;
        output.WriteLine(
            $"  ours: the last address came after {OurBurst.Wait(1).TotalSeconds:0.00} s; the {OurBurst.Mutations} calls that "
                + $"changed something take {sum.TotalSeconds:0.00} s one after the other, an attachment "
                + $"{ComparedNode.AttachTime.TotalSeconds:0.0} s"
        );
    }

    private static void Write(TextWriter output, string name, ComparedResult result)
    {
        output.WriteLine(
            $"  {name, -10} {result.Mutations, 4} changing calls, {result.Describes, 4} describes, {result.Refused, 4} ADDs refused; "
                + $"wait p50 {result.Wait(0.5).TotalSeconds:0.00} s, p99 {result.Wait(0.99).TotalSeconds:0.00} s, longest "
                + $"{result.Wait(1).TotalSeconds:0.00} s"
        );
        var operations = result.ByOperation.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key} {pair.Value}");
        output.WriteLine($"             {string.Join(", ", operations)}");
    }
}
