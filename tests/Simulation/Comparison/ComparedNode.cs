// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>Result of a policy on a trace.</summary>
/// <param name="Mutations">Number of EC2 calls that change something.</param>
/// <param name="Describes">Number of EC2 calls that read.</param>
/// <param name="ByOperation">Number of all calls by operation.</param>
/// <param name="Refused">Number of ADDs that failed and were retried.</param>
/// <param name="Waits">Times from the first ADD of a pod to its address, shortest first.</param>
internal sealed record ComparedResult(
    long Mutations,
    long Describes,
    IReadOnlyDictionary<string, long> ByOperation,
    int Refused,
    IReadOnlyList<TimeSpan> Waits
)
{
    public TimeSpan Wait(double quantile) => Waits[Math.Min((int)(Waits.Count * quantile), Waits.Count - 1)];
}

/// <summary>
/// A node on the model of EC2 without faults, for measurements: calls of 300 ms, attachments of 1.5 s, detachments of 5 s.
/// </summary>
internal sealed class ComparedNode
{
    public static readonly TimeSpan CallTime = TimeSpan.FromMilliseconds(300);
    public static readonly TimeSpan AttachTime = TimeSpan.FromSeconds(1.5);
    private static readonly TimeSpan DetachTime = TimeSpan.FromSeconds(5);

    public ComparedNode(string type, TimeSpan? callTime = null)
    {
        Latency = callTime ?? CallTime;
        World = ModelWorld.Create(Time, new Random(1));
        (World.Timing.AttachLatency, World.Timing.DetachLatency) = (AttachTime, DetachTime);
        var vpc = World.CreateVpc(IPNetwork.Parse("10.0.0.0/16"));
        Subnet = World.CreateSubnet(vpc.Id, "us-west-2a", IPNetwork.Parse("10.0.0.0/18")).Id;
        Group = World.CreateSecurityGroup(vpc.Id, "nodes").Id;
        Instance = World.LaunchInstance(
            new LaunchRequest
            {
                InstanceType = type,
                Subnet = Subnet,
                Groups = [Group],
            }
        );
    }

    /// <summary>Latency of a call.</summary>
    public TimeSpan Latency { get; }
    public VirtualTime Time { get; } = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));
    public VpcWorld World { get; }
    public SubnetId Subnet { get; }
    public SecurityGroupId Group { get; }
    public Instance Instance { get; }

    /// <summary>Number of calls so far. Take it after the start, whose calls are not compared.</summary>
    public IReadOnlyDictionary<string, long> Calls() =>
        World
            .Calls.Counts.GroupBy(pair => pair.Key.Operation, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.Sum(pair => pair.Value), StringComparer.Ordinal);

    /// <summary>The node's attached blocks now, and the calls since <paramref name="before"/>.</summary>
    public RowStep StepOf(int pods, IReadOnlyDictionary<string, long> before, bool allServed)
    {
        var attached = World.InterfacesOf(Instance.Id);
        return new RowStep(
            new ReferenceStep(
                pods,
                attached.Count,
                attached.Sum(eni => eni.SecondaryAddresses.Length),
                attached.Sum(eni => eni.Ipv4Prefixes.Length),
                allServed
            ),
            Result(before, Calls(), refused: 0, []).ByOperation
        );
    }

    public static ComparedResult Result(
        IReadOnlyDictionary<string, long> before,
        IReadOnlyDictionary<string, long> after,
        int refused,
        IEnumerable<TimeSpan> waits
    )
    {
        var made = after.ToDictionary(pair => pair.Key, pair => pair.Value - before.GetValueOrDefault(pair.Key), StringComparer.Ordinal);
        bool IsRead(string operation) => operation.StartsWith("Describe", StringComparison.Ordinal);
        return new ComparedResult(
            made.Where(pair => !IsRead(pair.Key)).Sum(pair => pair.Value),
            made.Where(pair => IsRead(pair.Key)).Sum(pair => pair.Value),
            made.Where(pair => pair.Value > 0).ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal),
            refused,
            [.. waits.Order()]
        );
    }
}
