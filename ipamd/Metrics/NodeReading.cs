// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Provisioning;
using VpcCni.Ipamd.Readiness;

namespace VpcCni.Ipamd.Metrics;

/// <summary>Where values that are read come from.</summary>
internal sealed record MetricSources(DaemonState State, IpLedger Ledger, PendingAddQueue Waiting, ApiRateLimiter Budget, TimeProvider Time)
{
    /// <summary>There is an API server to talk to.</summary>
    public bool UsesCluster { get; init; }

    /// <summary>How well the node serves pods.</summary>
    public required Func<HealthReport> Health { get; init; }

    /// <summary>What of the host's network was put right.</summary>
    public Func<RepairReport> HostNetwork { get; init; } = () => RepairReport.Empty;
}

/// <summary>
/// The daemon at one moment: each of its locks is taken once for a whole scrape, and for as long as a step of the pool takes it.
/// </summary>
internal sealed class NodeReading(MetricSources sources)
{
    private readonly DateTimeOffset _now = sources.Time.GetUtcNow();

    public DaemonState State { get; } = sources.State;
    public PoolReconciler? Pool { get; } = sources.State.Pool;
    public LedgerView Ledger { get; } = sources.Ledger.View(sources.Time.GetUtcNow());
    public BudgetView Budget { get; } = sources.Budget.View();
    public int Waiting { get; } = sources.Waiting.Demand;
    public bool UsesCluster { get; } = sources.UsesCluster;
    public GrowthObstacles Obstacles { get; } = sources.State.Pool?.Obstacles ?? GrowthObstacles.None;
    public RepairReport HostNetwork { get; } = sources.HostNetwork();
    public HealthReport Health { get; } = sources.Health();

    /// <summary>Null before the first look.</summary>
    public TimeSpan? HostLookAge => HostNetwork.LastLook is { } at ? _now - at : null;

    /// <summary>Null before the first observation.</summary>
    public TimeSpan? ResyncAge => Pool?.Sync.LastObservedAt is { } at ? _now - at : null;
}
