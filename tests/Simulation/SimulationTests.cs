// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Simulation.Tests;

public sealed class SimulationTests(ITestOutputHelper output)
{
    /// <summary>Seeds that once found a defect, and some more: what they found is told by the commits that added them.</summary>
    public static TheoryData<int> Pinned => [1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14];

    [Theory]
    [MemberData(nameof(Pinned))]
    public void A_pinned_seed_shows_nothing_wrong(int seed) => Check(seed);

    [Theory]
    [InlineData(3)]
    [InlineData(21)]
    public void The_same_seed_gives_the_same_run_to_the_last_event(int seed)
    {
        var first = Simulation.Run(seed);
        var second = Simulation.Run(seed);
        Assert.Equal((first.Hash, first.Steps, first.CloudCalls), (second.Hash, second.Steps, second.CloudCalls));
        Assert.NotEqual(first.Hash, Simulation.Run(seed + 1).Hash);
    }

    private void Check(int seed)
    {
        var result = Simulation.Run(seed);
        output.WriteLine($"SEED={seed}: {result.Steps} steps, {result.Adds} ADDs answered, {result.Crashes} crashes");
        Assert.True(result.Violation is null, $"SEED={seed}: {result.Violation}\nmake sim SEED={seed}\n{result.Trace}");
    }
}
