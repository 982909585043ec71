// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Readiness;

/// <summary>Input of the health check: a snapshot of all that it depends on.</summary>
internal sealed record HealthFacts
{
    public required DaemonPhase Phase { get; init; }

    /// <summary>See <see cref="DaemonState.Ready"/>.</summary>
    public required bool IsReady { get; init; }

    /// <summary>What the start waits for; null after the start.</summary>
    public string? StartObstacle { get; init; }

    /// <summary>See <see cref="DaemonState.WaitsForNat"/>.</summary>
    public bool WaitsForNat { get; init; }
    public required LedgerView Ledger { get; init; }

    /// <summary>The last plan; null before the first.</summary>
    public PoolPlan? Plan { get; init; }

    /// <summary>Maximum number of pods.</summary>
    public int MaxPods { get; init; }

    /// <summary>Why the last write of the checkpoint failed; null if it succeeded.</summary>
    public string? CheckpointFailure { get; init; }

    /// <summary>Why the last observation of the cloud failed; null if it succeeded.</summary>
    public (GrowthObstacleKind Kind, string Detail)? ObservationFailure { get; init; }
    public string? HostNetworkProblem { get; init; }
    public string? InstallationProblem { get; init; }
    public string? DefectProblem { get; init; }
    public string? LogProblem { get; init; }
    public string? MissedDelProblem { get; init; }
    public string? ClusterProblem { get; init; }
}

/// <summary>Determines the causes of bad health, worst first. Pure; <see cref="HealthMonitor"/> tracks their duration.</summary>
internal static class NodeHealth
{
    /// <summary>Duration after which throttling, failed calls and an unavailable API server count; they often end by themselves.</summary>
    private static readonly TimeSpan TransientDuration = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Number of pods in the host's network, which need no address: the reference's formula for max pods adds two of them on each node (EKS
    /// User Guide, "Choose an instance type").
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
                "the daemon serves what checkpoint and instance metadata agree on, and the pool does not grow until the cloud reports "
                    + $"what is attached{(facts.StartObstacle is { } start ? $": {start}" : "")}"
            );
        else if (facts is { IsReady: true, ObservationFailure: { } observation })
            yield return new HealthCause(
                HealthLevel.Degraded,
                ReasonOf(observation.Kind),
                $"the attached interfaces could not be described: {observation.Detail}"
            )
            {
                MinimumDuration = TransientDuration,
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
            yield return new HealthCause(HealthLevel.Degraded, HealthReason.ClusterUnavailable, cluster)
            {
                MinimumDuration = TransientDuration,
            };
    }

    private static HealthCause Start(HealthFacts facts) =>
        facts.StartObstacle is { } start ? new HealthCause(HealthLevel.NotReady, HealthReason.Starting, start)
        : facts.WaitsForNat
            ? new HealthCause(HealthLevel.NotReady, HealthReason.Starting, "NAT is being set up for the connections of the first pods")
        : facts.Plan?.Obstacle is { } obstacle
            ? new HealthCause(
                HealthLevel.NotReady,
                ReasonOf(obstacle.Kind),
                $"no address has been free since the start, and none can be added: {obstacle.Detail}"
            )
        : new HealthCause(HealthLevel.NotReady, HealthReason.Starting, "the first addresses are being added");

    /// <summary>
    /// Returns the cause if the pool cannot cover a shortage. A node that runs its maximum of pods is full, which is no problem.
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
        // The operator disabled growth on purpose, and addresses are still free.
        if (obstacle.Kind == GrowthObstacleKind.ProvisioningDisabled && !isEmpty)
            return null;
        var isTransient = obstacle.Kind is GrowthObstacleKind.Throttled or GrowthObstacleKind.CloudFailure;
        // Addresses in cooldown will be free soon.
        var endsByItself = (isTransient && !isEmpty) || (isLimit && facts.Ledger.Cooling > 0);
        var left =
            isEmpty ? "no address is free"
            : facts.Ledger.Free == 1 ? "1 address is free"
            : $"{facts.Ledger.Free} addresses are free";
        return new HealthCause(
            HealthLevel.Degraded,
            ReasonOf(obstacle.Kind),
            $"{left}, {plan.Shortage} below the targets, and the pool cannot grow: {obstacle.Detail}"
        )
        {
            MinimumDuration = endsByItself ? TransientDuration : TimeSpan.Zero,
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
            GrowthObstacleKind.HostNetwork => HealthReason.HostNetwork,
            GrowthObstacleKind.Disk => HealthReason.CheckpointNotWritten,
            GrowthObstacleKind.EniConfig => HealthReason.EniConfigUnusable,
            GrowthObstacleKind.NoSubnet => HealthReason.NoSubnetForPods,
            _ => throw new InvalidOperationException($"unnamed obstacle {kind}"),
        };
}
