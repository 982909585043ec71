// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Planning;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>
/// Compares the pool with the AWS VPC CNI's on the same node under the same settings (<c>reference-pool.tsv</c>), step by step: equal, or a
/// deviation named in docs/adr/0009.
/// </summary>
public sealed class ReferencePoolTests
{
    /// <summary>Addresses of a /28.</summary>
    private const int PrefixSize = 16;

    /// <summary>Call time of the EC2 that the steps were measured on.</summary>
    private static readonly TimeSpan FastCalls = TimeSpan.FromMilliseconds(5);

    /// <summary>Call time of EC2 itself.</summary>
    private static readonly TimeSpan RealCalls = TimeSpan.FromMilliseconds(300);

    /// <summary>Long enough for every surplus of changing load to be released.</summary>
    private static readonly TimeSpan AtRest = PoolLimits.IdleInterface + TimeSpan.FromMinutes(5);

    public static TheoryData<string> Rows => [.. ReferenceRow.Read().Select(row => row.ToString())];

    /// <summary>
    /// All rows except those under which the reference's pool alternates between growing and shrinking: a step shows either.
    /// </summary>
    public static TheoryData<string> SteadyRows =>
        [.. ReferenceRow.Read().Where(row => row.Environment.GetValueOrDefault("WARM_PREFIX_TARGET") != "0").Select(row => row.ToString())];

    /// <summary>All rows except those under which the reference stops serving, which costs it no calls.</summary>
    public static TheoryData<string> ServedRows => [.. ReferenceRow.Read().Where(row => !StopsServing(row)).Select(row => row.ToString())];

    /// <summary>
    /// The model's pool equals the measured one, which makes its calls credible: of those only the sum was measured, 38
    /// AssignPrivateIpAddresses.
    /// </summary>
    [Theory]
    [MemberData(nameof(SteadyRows))]
    public void Model_of_the_reference_has_the_measured_pool(string name)
    {
        var row = RowOf(name);
        Assert.Equal(row.Steps, ReferencePolicy.Run(row, FastCalls).Steps.Select(step => step.Pool));
    }

    [Fact]
    public void Model_of_the_reference_makes_the_counted_calls()
    {
        var rows = ReferenceRow.Read().Where(row => row.InstanceType == "m5.large" && !row.UsesPrefixes);
        Assert.Equal(38, rows.Sum(row => ReferencePolicy.Run(row, FastCalls).Count("AssignPrivateIpAddresses")));
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void Pool_soon_after_each_step_is_that_of_the_reference(string name)
    {
        var row = RowOf(name);
        foreach (var callTime in (TimeSpan[])[FastCalls, RealCalls])
        {
            var ours = OurPolicy.Run(row, callTime, RowResult.Quiet);
            foreach (var (reference, step) in row.Steps.Zip(ours.Steps))
                AssertEqual(row, reference, step.Pool, ahead: row.UsesAddressTargets ? PoolLimits.MaxAhead : 0);
        }
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void Pool_at_rest_is_exactly_that_of_the_reference(string name)
    {
        var row = RowOf(name);
        var ours = OurPolicy.Run(row, RealCalls, AtRest);
        foreach (var (reference, step) in row.Steps.Zip(ours.Steps))
            AssertEqual(row, reference, step.Pool, ahead: 0);
    }

    [Theory]
    [MemberData(nameof(ServedRows))]
    public void Steps_cost_no_more_calls_than_with_the_reference(string name)
    {
        var row = RowOf(name);
        foreach (var callTime in (TimeSpan[])[FastCalls, RealCalls])
        {
            var reference = ReferencePolicy.Run(row, callTime);
            var ours = OurPolicy.Run(row, callTime, RowResult.Quiet);
            // The primary interface is tagged once, at the start; the model omits that.
            var calls = ours.Mutations - ours.Count("CreateTags");
            // One more prefix at one step, see IsPackedElsewhere.
            var most = reference.Mutations + (row.Steps.Any(step => IsPackedElsewhere(row, step)) ? 1 : 0);
            // Nine pods in ten wait for no more than the call in flight and the next one.
            Assert.True(ours.Waits[ours.Waits.Count * 9 / 10] <= callTime * 2, $"{ours.Waits[ours.Waits.Count * 9 / 10]} of waiting");
            Assert.True(
                calls <= most,
                $"{calls} calls where the reference makes {reference.Mutations}, with calls of {callTime.TotalMilliseconds} ms"
            );
        }
    }

    /// <summary>In the third row the reference's loop adds 5 addresses a pass, and each interface has to be filled once.</summary>
    [Theory]
    [InlineData("m5.large", "WARM_IP_TARGET=1", 28, 0.5)]
    [InlineData("m5.xlarge", "WARM_IP_TARGET=2", 50, 0.5)]
    [InlineData("m5.xlarge", "WARM_IP_TARGET=5 MINIMUM_IP_TARGET=10", 50, 0.65)]
    public void Growth_pod_by_pod_costs_a_fraction_of_the_references_calls(string type, string settings, int pods, double most)
    {
        const string assign = "AssignPrivateIpAddresses";
        var row = new ReferenceRow(type, settings, [new ReferenceStep(0, 0, 0, 0, true), new ReferenceStep(pods, 0, 0, 0, true)]);
        foreach (var callTime in (TimeSpan[])[FastCalls, RealCalls])
        {
            var (reference, ours) = (ReferencePolicy.Run(row, callTime), OurPolicy.Run(row, callTime, RowResult.Quiet));
            Assert.True(ours.Count(assign) <= reference.Count(assign) * most, $"{ours.Count(assign)} against {reference.Count(assign)}");
            Assert.True(ours.Mutations - ours.Count("CreateTags") < reference.Mutations, $"{ours.Mutations} against {reference.Mutations}");
            Assert.Equal(reference.Steps[^1].Pool.Interfaces, ours.Steps[^1].Pool.Interfaces);
        }
    }

    private static ReferenceRow RowOf(string name) => ReferenceRow.Read().Single(row => row.ToString() == name);

    private static void AssertEqual(ReferenceRow row, ReferenceStep reference, ReferenceStep ours, int ahead)
    {
        var where = $"{row} with {reference.Pods} pods: {ours} where the reference has {reference}";
        // MINIMUM_IP_TARGET alone: the reference's pool stays empty, this one grows.
        if (StopsServing(row) && reference.Pods >= int.Parse(row.Environment["MINIMUM_IP_TARGET"]))
        {
            Assert.True(ours.Addresses + (ours.Prefixes * PrefixSize) >= reference.Addresses + (reference.Prefixes * PrefixSize), where);
            Assert.True(
                ours.AllServed || ours.Interfaces == InstanceTypeCatalog.Common[row.InstanceType].NetworkCards[0].MaxInterfaces,
                where
            );
            return;
        }

        Assert.Equal((reference.Interfaces, reference.AllServed), (ours.Interfaces, ours.AllServed));
        Assert.InRange(ours.Addresses, reference.Addresses, reference.Addresses + ahead);
        Assert.True(ours.Prefixes == reference.Prefixes - (IsPackedElsewhere(row, reference) ? 1 : 0), where);
    }

    private static bool StopsServing(ReferenceRow row) =>
        row.Environment.ContainsKey("MINIMUM_IP_TARGET") && !row.Environment.ContainsKey("WARM_IP_TARGET");

    /// <summary>
    /// Packing: the reference assigns addresses in random order, so the pod after the sixteenth may break into a second and third prefix.
    /// </summary>
    private static bool IsPackedElsewhere(ReferenceRow row, ReferenceStep step) =>
        row.Settings.Contains("WARM_PREFIX_TARGET=2", StringComparison.Ordinal) && step.Pods == 17;
}
