// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Readiness;

namespace VpcCni.Ipamd.Metrics;

/// <summary>
/// Every metric that the daemon serves, one row each: name, type, unit, meaning, labels with the values that they can have. Instruments,
/// what is served and docs/metrics.md follow from it. Values of labels are bounded: by an enumeration, or by what one node can carry; no
/// pod, address or container is ever one.
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
        "When the daemon started, as seconds since 1970"
    );
    public static readonly Metric Phase = new(
        "vpccni_phase",
        MetricType.Gauge,
        "",
        "1 for the phase that the daemon is in",
        MetricLabel.Of<DaemonPhase>("phase")
    );
    public static readonly Metric Ready = new(
        "vpccni_ready",
        MetricType.Gauge,
        "",
        "1 when ADDs can be served: the readiness of the gRPC health service"
    );

    public static readonly Metric Health = new(
        "vpccni_health",
        MetricType.Gauge,
        "",
        "1 for how well the node serves pods: the first line of ipamd status",
        MetricLabel.Of<HealthLevel>("level")
    );
    public static readonly Metric HealthReasons = new(
        "vpccni_health_reason",
        MetricType.Gauge,
        "",
        "1 for each reason why the node is not as well as it should be",
        MetricLabel.Of<HealthReason>("reason")
    );

    public static readonly Metric PoolAddresses = new(
        "vpccni_pool_addresses",
        MetricType.Gauge,
        "",
        "Addresses attached for pods; withheld ones are on their way back to the cloud or in an excluded subnet",
        MetricLabel.Of("state", "free", "assigned", "cooling", "withheld")
    );
    public static readonly Metric PoolShort = new(
        "vpccni_pool_short_addresses",
        MetricType.Gauge,
        "",
        "Addresses missing against targets and waiting ADDs at the last plan"
    );
    public static readonly Metric PoolOver = new(
        "vpccni_pool_over_addresses",
        MetricType.Gauge,
        "",
        "Free addresses beyond the targets at the last plan"
    );
    public static readonly Metric PoolTarget = new(
        "vpccni_pool_target",
        MetricType.Gauge,
        "",
        "Targets in force, by the variable that sets them",
        MetricLabel.Of("target", "WARM_ENI_TARGET", "WARM_PREFIX_TARGET", "WARM_IP_TARGET", "MINIMUM_IP_TARGET")
    );
    public static readonly Metric PoolMaxPods = new(
        "vpccni_pool_max_pods",
        MetricType.Gauge,
        "",
        "Pods that the node can run: the pool does not grow beyond it"
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
        "Network interfaces that the node can have: of its type, or MAX_ENI"
    );
    public static readonly Metric PoolOrphans = new(
        "vpccni_pool_orphaned_attachments",
        MetricType.Gauge,
        "",
        "Attachments whose address no interface of the node carries; 0 until what is attached has been observed since the start"
    );
    public static readonly Metric PoolBlocked = new(
        "vpccni_pool_growth_blocked",
        MetricType.Gauge,
        "",
        "1 for what keeps the pool from covering its shortage",
        MetricLabel.Of<GrowthObstacleKind>("kind")
    );
    public static readonly Metric PoolObstacles = new(
        "vpccni_pool_obstacles",
        MetricType.Gauge,
        "",
        "What the cloud refused and is not asked for again yet: subnets, interfaces, new interfaces, everything",
        MetricLabel.Of<GrowthObstacleKind>("kind")
    );
    public static readonly Metric PoolResyncAge = new(
        "vpccni_pool_resync_age_seconds",
        MetricType.Gauge,
        "s",
        "Time since what is attached was last described by the cloud with success"
    );
    public static readonly Metric PoolDrift = new(
        "vpccni_pool_drift_total",
        MetricType.Counter,
        "",
        "Differences between the cloud's description and the ledger, each put right by the observation that found it",
        MetricLabel.Of("kind", "interface_added", "interface_lost", "block_added", "block_lost")
    );
    public static readonly Metric PoolObservations = new(
        "vpccni_pool_observations_total",
        MetricType.Counter,
        "",
        "Descriptions of what is attached, asked of the cloud",
        MetricLabel.Of("outcome", "ok", "failed")
    );
    public static readonly Metric PoolLostDeletes = new(
        "vpccni_pool_lost_deletes_total",
        MetricType.Counter,
        "",
        "Attachments given back because nothing of them was left in the kernel and no DEL had come"
    );
    public static readonly Metric MissedDels = new(
        "vpccni_missed_dels_total",
        MetricType.Counter,
        "",
        "Notes that the plugin left of DELs while the daemon was away, by what came of them; outdated ones are of an attachment that "
            + "was added again since",
        MetricLabel.Of<MissedDelOutcome>("outcome")
    );
    public static readonly Metric PoolRecovered = new(
        "vpccni_pool_recovered_addresses_total",
        MetricType.Counter,
        "",
        "Addresses that the kernel routed to a pod while nobody held them; held since"
    );
    public static readonly Metric SubnetFree = new(
        "vpccni_subnet_free_addresses",
        MetricType.Gauge,
        "",
        "Free addresses of the subnets that pods may get addresses from: as last described, less what the node took since, "
            + "and no more than a refusal since leaves possible",
        MetricLabel.Open("subnet", "subnets of the node's zone in its VPC")
    );

    public static readonly Metric Waiting = new("vpccni_add_waiting", MetricType.Gauge, "", "ADDs that wait for an address now");
    public static readonly Metric AddDuration = new(
        "vpccni_add_duration_seconds",
        MetricType.Histogram,
        "s",
        "ADDs from request to answer, by how they ended",
        MetricLabel.Of("outcome", "served", "repeated", "no_address", "orphaned", "not_observed", "client_gone", "not_durable")
    )
    {
        Buckets = RequestBuckets,
    };
    public static readonly Metric AddWait = new(
        "vpccni_add_wait_seconds",
        MetricType.Histogram,
        "s",
        "Time that ADDs waited which found the pool empty",
        MetricLabel.Of("outcome", "served", "no_address")
    )
    {
        Buckets = WaitBuckets,
    };
    public static readonly Metric AddFailures = new(
        "vpccni_add_no_address_total",
        MetricType.Counter,
        "",
        "ADDs that ended without an address, by what stood against growth; none when the wait was too short",
        [MetricLabel.Of("kind", [.. Enum.GetValues<GrowthObstacleKind>().Select(kind => SnakeCase.Of(kind)), "none"])]
    );
    public static readonly Metric DelDuration = new(
        "vpccni_del_duration_seconds",
        MetricType.Histogram,
        "s",
        "DELs from request to answer; unknown ones named nothing that holds an address",
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
        "Writes of the checkpoint that succeeded, flushed to disk; one serves many ADDs"
    )
    {
        Buckets = DiskBuckets,
    };
    public static readonly Metric CheckpointErrors = new(
        "vpccni_checkpoint_errors_total",
        MetricType.Counter,
        "",
        "Writes of the checkpoint that failed"
    );

    public static readonly Metric CloudCalls = new(
        "vpccni_cloud_calls_total",
        MetricType.Counter,
        "",
        "Calls of the cloud's control plane, and calls that were not sent (local_budget, disabled, canceled)",
        Operation,
        MetricLabel.Open("outcome", "ok, local_budget, canceled, or a kind of failure: 13")
    );
    public static readonly Metric CloudCallDuration = new(
        "vpccni_cloud_call_duration_seconds",
        MetricType.Histogram,
        "s",
        "Calls that were answered, with success or not; repeated attempts and pauses included",
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
        "1 for how much of the control plane the node may use (VPCCNI_CLOUD_ACCESS, ipamd access)",
        MetricLabel.Of("level", "full", "no-releases", "no-calls")
    );
    public static readonly Metric BudgetTokens = new(
        "vpccni_cloud_budget_tokens",
        MetricType.Gauge,
        "",
        "Calls that the node may make at once",
        Bucket
    );
    public static readonly Metric BudgetCapacity = new(
        "vpccni_cloud_budget_capacity",
        MetricType.Gauge,
        "",
        "Tokens of a full budget",
        Bucket
    );
    public static readonly Metric BudgetRate = new(
        "vpccni_cloud_budget_tokens_per_second",
        MetricType.Gauge,
        "",
        "How fast tokens return; lower than usual after the cloud has throttled the node",
        Bucket
    );
    public static readonly Metric BudgetWaiting = new(
        "vpccni_cloud_budget_waiting_calls",
        MetricType.Gauge,
        "",
        "Calls that wait for tokens now",
        Bucket
    );
    public static readonly Metric ChangesOpen = new(
        "vpccni_changes_open",
        MetricType.Gauge,
        "",
        "Changes of the cloud whose outcome is not certain yet",
        Change,
        MetricLabel.Of("state", "running", "in_doubt")
    );
    public static readonly Metric ChangeDuration = new(
        "vpccni_change_duration_seconds",
        MetricType.Histogram,
        "s",
        "Changes of the cloud from their beginning, or from being gone on with, to their end",
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
        "0 while the log file cannot be written and lines go to standard output"
    );
    public static readonly Metric HostOk = new(
        "vpccni_host_network_ok",
        MetricType.Gauge,
        "",
        "1 when links, routes, rules, parameters and NAT of the host are what they must be"
    );
    public static readonly Metric HostRepairs = new(
        "vpccni_host_network_repairs_total",
        MetricType.Counter,
        "",
        "Things of the host's network that were not as they must be, found and put right",
        Repair
    );
    public static readonly Metric HostDisputes = new(
        "vpccni_host_network_disputes_total",
        MetricType.Counter,
        "",
        "How often another program undid repairs over and over",
        Repair
    );
    public static readonly Metric HostDisputed = new(
        "vpccni_host_network_disputed",
        MetricType.Gauge,
        "",
        "1 while another program undoes repairs, which are made ever more rarely",
        Repair
    );
    public static readonly Metric HostLookAge = new(
        "vpccni_host_network_look_age_seconds",
        MetricType.Gauge,
        "s",
        "Time since the host's network was last looked at as a whole"
    );

    public static readonly Metric ClusterOk = new(
        "vpccni_cluster_ok",
        MetricType.Gauge,
        "",
        "1 when the API server is followed; absent where the daemon does not talk to one"
    );

    public static readonly Metric HeapBytes = new("vpccni_runtime_heap_bytes", MetricType.Gauge, "By", "Managed memory in use");
    public static readonly Metric Collections = new(
        "vpccni_runtime_collections_total",
        MetricType.Counter,
        "",
        "Garbage collections",
        MetricLabel.Of("generation", "0", "1", "2")
    );

    /// <summary>In the order in which they are served.</summary>
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
