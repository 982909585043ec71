// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>A policy's pool at one step, and the EC2 calls that it made for it.</summary>
internal sealed record RowStep(ReferenceStep Pool, IReadOnlyDictionary<string, long> Calls)
{
    /// <summary>Number of calls that change something.</summary>
    public long Mutations => Calls.Where(call => !call.Key.StartsWith("Describe", StringComparison.Ordinal)).Sum(call => call.Value);
}

/// <summary>Result of a policy on the steps of a row.</summary>
/// <param name="Row">The measured pool of the AWS VPC CNI.</param>
/// <param name="Steps">One for each step of the row.</param>
/// <param name="Waits">Times from the first ADD of a pod to its address, shortest first, without pods that got none.</param>
internal sealed record RowResult(ReferenceRow Row, IReadOnlyList<RowStep> Steps, IReadOnlyList<TimeSpan> Waits)
{
    /// <summary>Time between the starts of two pods of a step.</summary>
    public static readonly TimeSpan BetweenPods = TimeSpan.FromMilliseconds(40);

    /// <summary>Time after each step, as measured.</summary>
    public static readonly TimeSpan Quiet = TimeSpan.FromSeconds(13);

    public long Mutations => Steps.Sum(step => step.Mutations);

    public long Count(string operation) => Steps.Sum(step => step.Calls.GetValueOrDefault(operation));
}
