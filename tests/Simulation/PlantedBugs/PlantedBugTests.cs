// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Simulation.Tests.PlantedBugs;

public sealed class PlantedBugTests(ITestOutputHelper output)
{
    /// <summary>Most seeds to try: a bug that takes more would be found too late.</summary>
    public const int MaxSeeds = 60;

    public static TheoryData<string> Names => [.. Bugs.All.Select(bug => bug.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Planted_bug_is_found(string name)
    {
        var bug = Bugs.All.Single(candidate => candidate.Name == name);
        var (seed, violation) = Find(bug, MaxSeeds, bug.Focus);
        Assert.True(seed is not null, $"a daemon that {name} passed {MaxSeeds} seeds");
        output.WriteLine($"{name}: found by seed {seed} of {MaxSeeds}: {violation}");
        // Without the bug the same seed passes.
        Assert.Null(Simulation.Run(ScenarioOf(seed!.Value, bug.Focus), Mutation.None).Violation);
    }

    /// <summary>Finds the first seed, counted from 1, that reveals the bug.</summary>
    internal static (int? Seed, string? Violation) Find(Mutation bug, int maxSeeds, Func<Scenario, Scenario>? focus = null)
    {
        for (var seed = 1; seed <= maxSeeds; seed++)
        {
            if (Simulation.Run(ScenarioOf(seed, focus), bug).Violation is { } violation)
                return (seed, violation.Split('\n')[0]);
        }

        return (null, null);
    }

    private static Scenario ScenarioOf(int seed, Func<Scenario, Scenario>? focus) =>
        focus is null ? Scenario.From(seed) : focus(Scenario.From(seed));
}
