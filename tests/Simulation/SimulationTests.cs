// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Simulation.Tests;

public sealed class SimulationTests(ITestOutputHelper output)
{
    /// <summary>Number of fresh seeds per test run; <c>make sim</c> runs any number.</summary>
    private const int FreshSeeds = 40;

    /// <summary>
    /// Seeds that found a defect of the daemon when they were first run (see the commits of its repair), and a few from the beginning.
    /// </summary>
    public static TheoryData<int> Pinned =>
        [
            1,
            2,
            3,
            5,
            7,
            11,
            15,
            19,
            20,
            33,
            36,
            37,
            47,
            49,
            59,
            66,
            76,
            114,
            139,
            209,
            247,
            260,
            349,
            510,
            666,
            767,
            1030,
            1043,
            1092,
            1219,
            1284,
            1542,
            1702,
            1900,
            10_079,
            20_003,
            1_000_092,
            55961202,
            224631012,
            619596865,
            1553252539,
            2081499673,
            2081499707,
            2081499993,
            2131831129,
        ];

    /// <summary>The same with the families in which they found it; the seeds above are those of IPv4.</summary>
    public static TheoryData<int, PodMode> PinnedWithMode =>
        new()
        {
            { 5023, PodMode.Dual },
            { 20_042, PodMode.Dual },
            { 20_068, PodMode.Ipv6 },
            { 662_775_588, PodMode.Dual },
            { 1_451_197_568, PodMode.Dual },
            { 1_451_198_246, PodMode.Dual },
            { 1_692_055_182, PodMode.Dual },
        };

    [Theory]
    [MemberData(nameof(Pinned))]
    public void Pinned_seed_finds_no_violation(int seed) => Check(seed, PodMode.Ipv4);

    [Theory]
    [MemberData(nameof(PinnedWithMode))]
    public void Pinned_seed_of_a_mode_finds_no_violation(int seed, PodMode mode) => Check(seed, mode);

    [Fact]
    public void Fresh_seeds_find_no_violation()
    {
        var first = Random.Shared.Next();
        output.WriteLine($"{FreshSeeds} seeds from {first}");
        for (var index = 0; index < FreshSeeds; index++)
            Check(unchecked(first + index) & int.MaxValue);
    }

    [Theory]
    [InlineData(3, PodMode.Ipv4)]
    [InlineData(21, PodMode.Ipv4)]
    [InlineData(1_000_092, PodMode.Ipv4)]
    [InlineData(1_000_092, PodMode.Ipv6)]
    [InlineData(1_000_092, PodMode.Dual)]
    public void Same_seed_gives_the_same_run(int seed, PodMode mode)
    {
        var first = Simulation.Run(seed, mode: mode);
        var second = Simulation.Run(seed, mode: mode);
        Assert.Equal((first.Hash, first.Steps, first.CloudCalls), (second.Hash, second.Steps, second.CloudCalls));
        Assert.NotEqual(first.Hash, Simulation.Run(seed + 1, mode: mode).Hash);
    }

    private void Check(int seed, PodMode? mode = null)
    {
        var result = Simulation.Run(seed, mode: mode);
        output.WriteLine($"SEED={seed}: {result.Steps} steps, {result.Adds} ADDs answered, {result.Crashes} crashes");
        Assert.True(
            result.Violation is null,
            $"SEED={seed}: {result.Violation}\nmake sim SEED={seed}{(mode is null ? "" : $" MODE={mode}")}\n{result.Trace}"
        );
    }
}
