// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Provisioning;
using VpcCni.Ipamd.Readiness;

namespace VpcCni.Ipamd.Metrics;

/// <summary>Sources of the values that are read at a scrape.</summary>
internal sealed record MetricSources(DaemonState State, IpLedger Ledger, PendingAddQueue Waiting, ApiRateLimiter Budget, TimeProvider Time)
{
    /// <summary>Whether the daemon uses an API server.</summary>
    public bool UsesCluster { get; init; }

    /// <summary>Reports the node's health.</summary>
    public required Func<HealthReport> Health { get; init; }

    /// <summary>Reports repairs of the host's network.</summary>
    public required Func<RepairReport> HostNetwork { get; init; }
}

/// <summary>Snapshot of the daemon for one scrape. It takes each of the daemon's locks once and briefly.</summary>
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

    /// <summary>Null before the first reconciliation.</summary>
    public TimeSpan? HostLookAge => HostNetwork.LastSync is { } at ? _now - at : null;

    /// <summary>Null before the first observation.</summary>
    public TimeSpan? ResyncAge => Pool?.Sync.LastObservedAt is { } at ? _now - at : null;
}
