// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Simulation.Tests.Comparison;

public sealed class ComparisonTests(ITestOutputHelper output)
{
    [Fact]
    public void Churn_costs_fewer_calls_than_the_reference_and_a_burst_one_round()
    {
        var report = ComparisonReport.Measure();
        using var text = new StringWriter();
        report.Write(text);
        output.WriteLine(text.ToString());
        Assert.True(report.Ours.Mutations < report.Reference.Mutations, text.ToString());
        Assert.Equal((1_000, 0), (report.Ours.Waits.Count, report.Ours.Refused));
        // Create, attach, modify and the attachment, concurrently on all interfaces; not one interface after the other.
        Assert.True(
            report.OurBurst.Wait(1) <= (ComparedNode.CallTime * 3) + ComparedNode.AttachTime + TimeSpan.FromSeconds(0.1),
            text.ToString()
        );
    }
}
