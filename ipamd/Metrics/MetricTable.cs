// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Readiness;

namespace VpcCni.Ipamd.Metrics;

/// <summary>
/// All metrics that the daemon serves, one row each. Instruments, served text and docs/metrics.md are derived from them. Values of labels
/// are bounded, by an enumeration or by what one node can have; no pod, address or container is a label.
/// </summary>
internal static class MetricTable
{
    private static readonly double[] RequestBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 20, 30];
    private static readonly double[] WaitBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30];
    private static readonly double[] DiskBuckets = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1];
    private static readonly double[] CloudBuckets = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
    private static readonly double[] ChangeBuckets = [0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
    private static readonly double[] ReuseBuckets = [10, 30, 45, 60, 120, 300, 900, 3600, 14400];

    private static readonly MetricLabel Operation = MetricLabel.Open(
        "operation",
        "operation of the cloud port, e.g. `assign_blocks`: about 15"
    );
    private static readonly MetricLabel Change = MetricLabel.Of(
        "kind",
        "assign_blocks",
        "add_interface",
        "release_blocks",
        "remove_interface"
    );
    private static readonly MetricLabel Repair = MetricLabel.Of<RepairKind>("kind");
    private static readonly MetricLabel Bucket = MetricLabel.Of<CallKind>("kind");

    public static readonly Metric BuildInfo = new(
        "vpccni_build_info",
        MetricType.Gauge,
        "",
        "Constant 1, with the version of the daemon and of its runtime",
        MetricLabel.Open("version", "one"),
        MetricLabel.Open("runtime", "one")
    );
    public static readonly Metric StartTime = new(
        "vpccni_start_time_seconds",
        MetricType.Gauge,
        "s",
        "Start time of the daemon, in seconds since 1970"
    );
    public static readonly Metric Phase = new(
        "vpccni_phase",
        MetricType.Gauge,
        "",
        "1 for the daemon's current phase, else 0",
        MetricLabel.Of<DaemonPhase>("phase")
    );
    public static readonly Metric Ready = new(
        "vpccni_ready",
        MetricType.Gauge,
        "",
        "1 if the daemon can serve ADDs: the readiness of the gRPC health service"
    );

    public static readonly Metric Health = new(
        "vpccni_health",
        MetricType.Gauge,
        "",
        "1 for the node's current health, as in the first line of ipamd status, else 0",
        MetricLabel.Of<HealthLevel>("level")
    );
    public static readonly Metric HealthReasons = new(
        "vpccni_health_reason",
        MetricType.Gauge,
        "",
        "1 for each cause that degrades the node's health, else 0",
        MetricLabel.Of<HealthReason>("reason")
    );

    public static readonly Metric PoolAddresses = new(
        "vpccni_pool_addresses",
        MetricType.Gauge,
        "",
        "Addresses attached for pods; withheld ones are being released or are in an excluded subnet",
        MetricLabel.Of("state", "free", "assigned", "cooling", "withheld")
    );
    public static readonly Metric FamilyAddresses = new(
        "vpccni_pool_family_addresses",
        MetricType.Gauge,
        "",
        "Addresses attached for pods, by address family; at most 65536 of an IPv6 prefix are counted",
        MetricLabel.Of("family", "ipv4", "ipv6"),
        MetricLabel.Of("state", "free", "assigned", "cooling")
    );
    public static readonly Metric PoolShort = new(
        "vpccni_pool_short_addresses",
        MetricType.Gauge,
        "",
        "Shortage of the last plan: addresses missing for targets and pending ADDs"
    );
    public static readonly Metric PoolOver = new(
        "vpccni_pool_over_addresses",
        MetricType.Gauge,
        "",
        "Surplus of the last plan: free addresses beyond the targets"
    );
    public static readonly Metric PoolTarget = new(
        "vpccni_pool_target",
        MetricType.Gauge,
        "",
        "Targets in force, by variable",
        MetricLabel.Of("target", "WARM_ENI_TARGET", "WARM_PREFIX_TARGET", "WARM_IP_TARGET", "MINIMUM_IP_TARGET")
    );
    public static readonly Metric PoolMaxPods = new(
        "vpccni_pool_max_pods",
        MetricType.Gauge,
        "",
        "Maximum number of pods of the node; the pool does not grow beyond it"
    );
    public static readonly Metric PoolInterfaces = new(
        "vpccni_pool_interfaces",
        MetricType.Gauge,
        "",
        "Network interfaces of the node",
        MetricLabel.Of("state", [.. Enum.GetValues<InterfaceState>().Select(state => SnakeCase.Of(state))])
    );
    public static readonly Metric PoolInterfaceLimit = new(
        "vpccni_pool_interface_limit",
        MetricType.Gauge,
        "",
        "Maximum number of network interfaces: the limit of the instance type, or MAX_ENI"
    );
    public static readonly Metric PoolOrphans = new(
        "vpccni_pool_orphaned_attachments",
        MetricType.Gauge,
        "",
        "Attachments whose address no interface of the node has; 0 until the first observation after the start"
    );
    public static readonly Metric PoolBlocked = new(
        "vpccni_pool_growth_blocked",
        MetricType.Gauge,
        "",
        "1 for the obstacle that keeps the pool from covering its shortage, else 0",
        MetricLabel.Of<GrowthObstacleKind>("kind")
    );
    public static readonly Metric PoolObstacles = new(
        "vpccni_pool_obstacles",
        MetricType.Gauge,
        "",
        "Obstacles in backoff after the cloud rejected a call: for a subnet, an interface, new interfaces or everything",
        MetricLabel.Of<GrowthObstacleKind>("kind")
    );
    public static readonly Metric PoolResyncAge = new(
        "vpccni_pool_resync_age_seconds",
        MetricType.Gauge,
        "s",
        "Time since the last successful observation of what is attached"
    );
    public static readonly Metric PoolDrift = new(
        "vpccni_pool_drift_total",
        MetricType.Counter,
        "",
        "Differences between the cloud and the ledger that an observation found and corrected",
        MetricLabel.Of("kind", "interface_added", "interface_lost", "block_added", "block_lost")
    );
    public static readonly Metric PoolObservations = new(
        "vpccni_pool_observations_total",
        MetricType.Counter,
        "",
        "Observations of what is attached",
        MetricLabel.Of("outcome", "ok", "failed")
    );
    public static readonly Metric PoolLostDeletes = new(
        "vpccni_pool_lost_deletes_total",
        MetricType.Counter,
        "",
        "Attachments released without a DEL, because the kernel no longer used their addresses"
    );
    public static readonly Metric MissedDels = new(
        "vpccni_missed_dels_total",
        MetricType.Counter,
        "",
        "DELs that the plugin recorded while the daemon was down, by outcome; outdated: the attachment was " + "added again since",
        MetricLabel.Of<MissedDelOutcome>("outcome")
    );
    public static readonly Metric PoolRecovered = new(
        "vpccni_pool_recovered_addresses_total",
        MetricType.Counter,
        "",
        "Addresses without an attachment that the kernel routed to a pod; reserved since"
    );
    public static readonly Metric SubnetFree = new(
        "vpccni_subnet_free_addresses",
        MetricType.Gauge,
        "",
        "Free addresses of the subnets for pods: as last described, minus what the node assigned since, "
            + "and limited by a later rejection",
        MetricLabel.Open("subnet", "subnets of the node's zone in its VPC")
    );

    public static readonly Metric Waiting = new("vpccni_add_waiting", MetricType.Gauge, "", "Pending ADDs: ADDs that wait for an address");
    public static readonly Metric AddDuration = new(
        "vpccni_add_duration_seconds",
        MetricType.Histogram,
        "s",
        "Duration of ADDs from request to reply, by outcome",
        MetricLabel.Of("outcome", "served", "repeated", "no_address", "orphaned", "not_observed", "client_gone", "not_durable")
    )
    {
        Buckets = RequestBuckets,
    };
    public static readonly Metric AddWait = new(
        "vpccni_add_wait_seconds",
        MetricType.Histogram,
        "s",
        "Time that ADDs waited for an address because the pool was empty",
        MetricLabel.Of("outcome", "served", "no_address")
    )
    {
        Buckets = WaitBuckets,
    };
    public static readonly Metric AddFailures = new(
        "vpccni_add_no_address_total",
        MetricType.Counter,
        "",
        "ADDs that ended without an address, by obstacle to growth; none: no obstacle, but the wait was too short",
        [MetricLabel.Of("kind", [.. Enum.GetValues<GrowthObstacleKind>().Select(kind => SnakeCase.Of(kind)), "none"])]
    );
    public static readonly Metric DelDuration = new(
        "vpccni_del_duration_seconds",
        MetricType.Histogram,
        "s",
        "Duration of DELs from request to reply; unknown: no such attachment",
        MetricLabel.Of("outcome", "released", "unknown")
    )
    {
        Buckets = RequestBuckets,
    };
    public static readonly Metric AddressReuse = new(
        "vpccni_address_reuse_seconds",
        MetricType.Histogram,
        "s",
        "Time from the release of an address to its next assignment"
    )
    {
        Buckets = ReuseBuckets,
    };

    public static readonly Metric CheckpointDuration = new(
        "vpccni_checkpoint_write_duration_seconds",
        MetricType.Histogram,
        "s",
        "Duration of successful checkpoint writes, including the flush to disk; one write may serve many ADDs"
    )
    {
        Buckets = DiskBuckets,
    };
    public static readonly Metric CheckpointErrors = new(
        "vpccni_checkpoint_errors_total",
        MetricType.Counter,
        "",
        "Failed checkpoint writes"
    );

    public static readonly Metric CloudCalls = new(
        "vpccni_cloud_calls_total",
        MetricType.Counter,
        "",
        "Calls of the cloud's control plane, including those not sent (local_budget, disabled, canceled)",
        Operation,
        MetricLabel.Open("outcome", "ok, local_budget, canceled, or a kind of failure: 13")
    );
    public static readonly Metric CloudCallDuration = new(
        "vpccni_cloud_call_duration_seconds",
        MetricType.Histogram,
        "s",
        "Duration of completed calls, including retries and pauses",
        Operation,
        MetricLabel.Of("outcome", "ok", "failed")
    )
    {
        Buckets = CloudBuckets,
    };
    public static readonly Metric CloudAccess = new(
        "vpccni_cloud_access",
        MetricType.Gauge,
        "",
        "1 for the current level of cloud access (VPCCNI_CLOUD_ACCESS, ipamd access), else 0",
        MetricLabel.Of("level", "full", "no-releases", "no-calls")
    );
    public static readonly Metric BudgetTokens = new(
        "vpccni_cloud_budget_tokens",
        MetricType.Gauge,
        "",
        "Available tokens, one per call",
        Bucket
    );
    public static readonly Metric BudgetCapacity = new(
        "vpccni_cloud_budget_capacity",
        MetricType.Gauge,
        "",
        "Capacity of the token bucket",
        Bucket
    );
    public static readonly Metric BudgetRate = new(
        "vpccni_cloud_budget_tokens_per_second",
        MetricType.Gauge,
        "",
        "Refill rate of the token bucket; reduced after the cloud throttled the node",
        Bucket
    );
    public static readonly Metric BudgetWaiting = new(
        "vpccni_cloud_budget_waiting_calls",
        MetricType.Gauge,
        "",
        "Calls that wait for a token",
        Bucket
    );
    public static readonly Metric ChangesOpen = new(
        "vpccni_changes_open",
        MetricType.Gauge,
        "",
        "Changes of the cloud without a known outcome; in_doubt: no longer in flight",
        Change,
        MetricLabel.Of("state", "running", "in_doubt")
    );
    public static readonly Metric ChangeDuration = new(
        "vpccni_change_duration_seconds",
        MetricType.Histogram,
        "s",
        "Duration of changes of the cloud, from start or resumption to end",
        Change,
        MetricLabel.Of("outcome", "ok", "failed")
    )
    {
        Buckets = ChangeBuckets,
    };

    public static readonly Metric LogOk = new(
        "vpccni_log_ok",
        MetricType.Gauge,
        "",
        "0 while the log file cannot be written and the daemon logs to standard output"
    );
    public static readonly Metric HostOk = new(
        "vpccni_host_network_ok",
        MetricType.Gauge,
        "",
        "1 while links, routes, rules, parameters and NAT of the host match the desired state"
    );
    public static readonly Metric HostRepairs = new(
        "vpccni_host_network_repairs_total",
        MetricType.Counter,
        "",
        "Repairs of drift in the host's network",
        Repair
    );
    public static readonly Metric HostDisputes = new(
        "vpccni_host_network_disputes_total",
        MetricType.Counter,
        "",
        "Disputes: times that another program kept undoing repairs",
        Repair
    );
    public static readonly Metric HostDisputed = new(
        "vpccni_host_network_disputed",
        MetricType.Gauge,
        "",
        "1 while another program keeps undoing repairs, which are then made less and less often",
        Repair
    );
    public static readonly Metric HostLookAge = new(
        "vpccni_host_network_look_age_seconds",
        MetricType.Gauge,
        "s",
        "Time since the last full reconciliation of the host's network"
    );

    public static readonly Metric ClusterOk = new(
        "vpccni_cluster_ok",
        MetricType.Gauge,
        "",
        "1 while the tasks at the API server succeed; absent if the daemon uses none"
    );

    public static readonly Metric HeapBytes = new("vpccni_runtime_heap_bytes", MetricType.Gauge, "By", "Managed heap memory in use");
    public static readonly Metric Collections = new(
        "vpccni_runtime_collections_total",
        MetricType.Counter,
        "",
        "Garbage collections",
        MetricLabel.Of("generation", "0", "1", "2")
    );

    /// <summary>All metrics, in the served order.</summary>
    public static IReadOnlyList<Metric> All { get; } =
    [
        .. ReferenceMetrics.All,
        BuildInfo,
        StartTime,
        Phase,
        Ready,
        Health,
        HealthReasons,
        PoolAddresses,
        FamilyAddresses,
        PoolShort,
        PoolOver,
        PoolTarget,
        PoolMaxPods,
        PoolInterfaces,
        PoolInterfaceLimit,
        PoolOrphans,
        PoolBlocked,
        PoolObstacles,
        PoolResyncAge,
        PoolDrift,
        PoolObservations,
        PoolLostDeletes,
        MissedDels,
        PoolRecovered,
        SubnetFree,
        Waiting,
        AddDuration,
        AddWait,
        AddFailures,
        DelDuration,
        AddressReuse,
        CheckpointDuration,
        CheckpointErrors,
        CloudCalls,
        CloudCallDuration,
        CloudAccess,
        BudgetTokens,
        BudgetCapacity,
        BudgetRate,
        BudgetWaiting,
        ChangesOpen,
        ChangeDuration,
        LogOk,
        HostOk,
        HostRepairs,
        HostDisputes,
        HostDisputed,
        HostLookAge,
        ClusterOk,
        HeapBytes,
        Collections,
    ];
}
