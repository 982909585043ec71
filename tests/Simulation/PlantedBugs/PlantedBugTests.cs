// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Simulation.Tests.PlantedBugs;

public sealed class PlantedBugTests(ITestOutputHelper output)
{
    /// <summary>A bug that takes more seeds than this would be found too late to be of use.</summary>
    public const int MostSeeds = 60;

    public static TheoryData<string> Names => [.. Bugs.All.Select(bug => bug.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_planted_bug_is_found(string name)
    {
        var bug = Bugs.All.Single(candidate => candidate.Name == name);
        var (seed, violation) = Find(bug, MostSeeds, bug.Focus);
        Assert.True(seed is not null, $"a daemon that {name} passed {MostSeeds} seeds");
        output.WriteLine($"{name}: found by seed {seed} of {MostSeeds}: {violation}");
        // It is the bug that was found.
        Assert.Null(Simulation.Run(Shaped(seed!.Value, bug.Focus), Mutation.None).Violation);
    }

    /// <summary>The first seed, counted from 1, under which the bug shows.</summary>
    internal static (int? Seed, string? Violation) Find(Mutation bug, int mostSeeds, Func<Scenario, Scenario>? focus = null)
    {
        for (var seed = 1; seed <= mostSeeds; seed++)
        {
            if (Simulation.Run(Shaped(seed, focus), bug).Violation is { } violation)
                return (seed, violation.Split('\n')[0]);
        }

        return (null, null);
    }

    private static Scenario Shaped(int seed, Func<Scenario, Scenario>? focus) =>
        focus is null ? Scenario.From(seed) : focus(Scenario.From(seed));
}
