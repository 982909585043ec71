// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>What a policy held at one step, and the EC2 calls that it took to get there.</summary>
internal sealed record RowStep(ReferenceStep Pool, IReadOnlyDictionary<string, long> Calls)
{
    /// <summary>Those that change something.</summary>
    public long Mutations => Calls.Where(call => !call.Key.StartsWith("Describe", StringComparison.Ordinal)).Sum(call => call.Value);
}

/// <summary>What a policy did on the steps of a row.</summary>
/// <param name="Row">What the AWS VPC CNI held.</param>
/// <param name="Steps">One for each of the row's.</param>
/// <param name="Waits">From the first ADD of a pod to its address, in order of length; pods that got none are left out.</param>
internal sealed record RowResult(ReferenceRow Row, IReadOnlyList<RowStep> Steps, IReadOnlyList<TimeSpan> Waits)
{
    /// <summary>Between the starts of two pods of a step.</summary>
    public static readonly TimeSpan BetweenPods = TimeSpan.FromMilliseconds(40);

    /// <summary>After each step, as measured.</summary>
    public static readonly TimeSpan Quiet = TimeSpan.FromSeconds(13);

    public long Mutations => Steps.Sum(step => step.Mutations);

    public long Count(string operation) => Steps.Sum(step => step.Calls.GetValueOrDefault(operation));
}
