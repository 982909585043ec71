// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Readiness;

/// <summary>All that the health of a node is judged by, at one moment.</summary>
internal sealed record HealthFacts
{
    public required DaemonPhase Phase { get; init; }

    /// <summary>See <see cref="DaemonState.Ready"/>.</summary>
    public required bool IsReady { get; init; }

    /// <summary>What the start waits for; null when it is over.</summary>
    public string? StartObstacle { get; init; }
    public required LedgerView Ledger { get; init; }

    /// <summary>The last plan; null before the first.</summary>
    public PoolPlan? Plan { get; init; }

    /// <summary>Pods that the node may run.</summary>
    public int MaxPods { get; init; }

    /// <summary>Why the last write of the checkpoint failed; null when it did not.</summary>
    public string? CheckpointFailure { get; init; }

    /// <summary>Why the last observation of the cloud failed; null when it did not.</summary>
    public (GrowthObstacleKind Kind, string Detail)? ObservationFailure { get; init; }
    public string? HostNetworkProblem { get; init; }
    public string? InstallationProblem { get; init; }
    public string? DefectProblem { get; init; }
    public string? LogProblem { get; init; }
    public string? MissedDelProblem { get; init; }
    public string? ClusterProblem { get; init; }
}

/// <summary>What is wrong with the node, the worst first. Pure: what lasts how long is <see cref="HealthMonitor"/>'s.</summary>
internal static class NodeHealth
{
    /// <summary>
    /// Throttling, failed calls and an API server that is away come and go; what lasts longer is worth an operator's look.
    /// </summary>
    private static readonly TimeSpan Passing = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Pods with the host's network, which need no address: Amazon's formula for max pods adds two of them on each node (EKS User Guide,
    /// "Choose an instance type").
    /// </summary>
    private const int HostNetworkPods = 2;

    public static IReadOnlyList<HealthCause> Of(HealthFacts facts) =>
        [.. Causes(facts).OrderByDescending(cause => cause.Level).ThenBy(cause => cause.Reason)];

    private static IEnumerable<HealthCause> Causes(HealthFacts facts)
    {
        if (facts.Phase == DaemonPhase.Stopping)
            yield return new HealthCause(HealthLevel.NotReady, HealthReason.Stopping, "the daemon is stopping; pods keep their addresses");
        if (!facts.IsReady && facts.Phase != DaemonPhase.Stopping)
            yield return Start(facts);
        if (facts.CheckpointFailure is { } disk)
            yield return new HealthCause(
                HealthLevel.NotReady,
                HealthReason.CheckpointNotWritten,
                $"the checkpoint cannot be written, so no pod can be added: {disk}"
            );
        if (AddressLoss.Of(facts.Ledger) is { Count: > 0 } losses)
            yield return new HealthCause(
                HealthLevel.Degraded,
                HealthReason.AddressLost,
                $"{string.Join("; ", losses.Select(loss => loss.Description))}; these pods have no network until they are recreated"
            );
        if (facts.IsReady && Growth(facts) is { } growth)
            yield return growth;
        if (facts is { IsReady: true, Ledger.IsObserved: false })
            yield return new HealthCause(
                HealthLevel.Degraded,
                HealthReason.NotObserved,
                "what checkpoint and instance metadata agree on is served, and the pool does not grow until the cloud says what is "
                    + $"attached{(facts.StartObstacle is { } start ? $": {start}" : "")}"
            );
        else if (facts is { IsReady: true, ObservationFailure: { } observation })
            yield return new HealthCause(
                HealthLevel.Degraded,
                ReasonOf(observation.Kind),
                $"what is attached could not be described: {observation.Detail}"
            )
            {
                MinimumDuration = Passing,
            };
        if (facts.HostNetworkProblem is { } network)
            yield return new HealthCause(HealthLevel.Degraded, HealthReason.HostNetwork, network);
        if (facts.InstallationProblem is { } installation)
            yield return new HealthCause(HealthLevel.Degraded, HealthReason.Installation, installation);
        if (facts.DefectProblem is { } defect)
            yield return new HealthCause(HealthLevel.Degraded, HealthReason.PartStopped, defect);
        if (facts.LogProblem is { } log)
            yield return new HealthCause(HealthLevel.Degraded, HealthReason.LogNotWritten, log);
        if (facts.MissedDelProblem is { } missed)
            yield return new HealthCause(HealthLevel.Degraded, HealthReason.MissedDels, missed);
        if (facts.ClusterProblem is { } cluster)
            yield return new HealthCause(HealthLevel.Degraded, HealthReason.ClusterUnavailable, cluster) { MinimumDuration = Passing };
    }

    private static HealthCause Start(HealthFacts facts) =>
        facts.StartObstacle is { } start ? new HealthCause(HealthLevel.NotReady, HealthReason.Starting, start)
        : facts.Plan?.Obstacle is { } obstacle
            ? new HealthCause(
                HealthLevel.NotReady,
                ReasonOf(obstacle.Kind),
                $"no address has been free since the start, and none can be added: {obstacle.Detail}"
            )
        : new HealthCause(HealthLevel.NotReady, HealthReason.Starting, "the first addresses are being added");

    /// <summary>
    /// The pool needs addresses that it cannot get. A node that runs as many pods as it may is full, which is no trouble.
    /// </summary>
    private static HealthCause? Growth(HealthFacts facts)
    {
        if (facts.Plan is not { Shortage: > 0, Obstacle: { } obstacle } plan)
            return null;
        var isEmpty = facts.Ledger.Free == 0;
        var isLimit = obstacle.Kind is GrowthObstacleKind.InterfaceLimit or GrowthObstacleKind.AddressLimit or GrowthObstacleKind.MaxPods;
        if (
            obstacle.Kind == GrowthObstacleKind.MaxPods
            || (isLimit && (!isEmpty || facts.Ledger.Assigned + HostNetworkPods >= facts.MaxPods))
        )
            return null;
        // The operator's own wish, as long as there is something to give.
        if (obstacle.Kind == GrowthObstacleKind.ProvisioningDisabled && !isEmpty)
            return null;
        var isPassing = obstacle.Kind is GrowthObstacleKind.Throttled or GrowthObstacleKind.CloudFailure;
        // What cools is free again soon.
        var endsByItself = (isPassing && !isEmpty) || (isLimit && facts.Ledger.Cooling > 0);
        var left =
            isEmpty ? "no address is free"
            : facts.Ledger.Free == 1 ? "1 address is free"
            : $"{facts.Ledger.Free} addresses are free";
        return new HealthCause(
            HealthLevel.Degraded,
            ReasonOf(obstacle.Kind),
            $"{left}, {plan.Shortage} short of the targets, and the pool cannot grow: {obstacle.Detail}"
        )
        {
            MinimumDuration = endsByItself ? Passing : TimeSpan.Zero,
        };
    }

    private static HealthReason ReasonOf(GrowthObstacleKind kind) =>
        kind switch
        {
            GrowthObstacleKind.InterfaceLimit => HealthReason.EniLimitReached,
            GrowthObstacleKind.AddressLimit or GrowthObstacleKind.MaxPods => HealthReason.AddressLimitReached,
            GrowthObstacleKind.SubnetExhausted => HealthReason.SubnetExhausted,
            GrowthObstacleKind.Throttled => HealthReason.Throttled,
            GrowthObstacleKind.NotPermitted => HealthReason.MissingPermissions,
            GrowthObstacleKind.ProvisioningDisabled => HealthReason.ProvisioningDisabled,
            GrowthObstacleKind.CloudFailure => HealthReason.CloudUnavailable,
            GrowthObstacleKind.EniConfig => HealthReason.EniConfigUnusable,
            GrowthObstacleKind.NoSubnet => HealthReason.NoSubnetForPods,
            _ => throw new InvalidOperationException($"unnamed obstacle {kind}"),
        };
}
