// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Metrics;

/// <summary>
/// What the AWS VPC CNI serves, by its names, types and labels, so that its dashboards and alerts go on working; and what its client
/// library adds for every process. Where a name or a unit is not what Prometheus recommends, that is the reference's.
/// </summary>
internal static class ReferenceMetrics
{
    /// <summary>The defaults of the reference's client library.</summary>
    private static readonly double[] DefaultBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    private static readonly MetricLabel Api = MetricLabel.Open("api", "EC2's name of the call: about 15");
    private static readonly MetricLabel Action = MetricLabel.Of(
        "fn",
        "nodeInit",
        "increaseDatastorePool",
        "decreaseDatastorePool",
        "nodeIPPoolReconcile"
    );

    public static readonly Metric BuildInfo = new(
        "awscni_build_info",
        MetricType.Gauge,
        "",
        "Constant 1, with the version of the daemon",
        MetricLabel.Open("version", "one"),
        MetricLabel.Open("goversion", "one")
    )
    {
        Deviation = "goversion is the version of the .NET runtime",
    };

    public static readonly Metric Errors = new(
        "awscni_ipamd_error_count",
        MetricType.Counter,
        "",
        "Errors inside the daemon, by what it was doing",
        MetricLabel.Of("fn", "increaseDatastorePool", "decreaseDatastorePool", "nodeIPPoolReconcile", "checkpointWrite")
    )
    {
        Deviation = "the reference has 19 values of fn, named after places in its code; where ours are the same they mean the same",
    };

    public static readonly Metric InProgress = new("awscni_ipamd_action_inprogress", MetricType.Gauge, "", "Actions under way", Action);
    public static readonly Metric EniMax = new(
        "awscni_eni_max",
        MetricType.Gauge,
        "",
        "ENIs that the node can have, less those that are not managed"
    );
    public static readonly Metric IpMax = new(
        "awscni_ip_max",
        MetricType.Gauge,
        "",
        "Addresses that pods could have at most: awscni_eni_max times the addresses of an ENI"
    );
    public static readonly Metric Enis = new("awscni_eni_allocated", MetricType.Gauge, "", "ENIs that carry pods");
    public static readonly Metric TotalIps = new("awscni_total_ip_addresses", MetricType.Gauge, "", "Addresses attached for pods");
    public static readonly Metric AssignedIps = new("awscni_assigned_ip_addresses", MetricType.Gauge, "", "Addresses that pods hold");
    public static readonly Metric Prefixes = new("awscni_total_ipv4_prefixes", MetricType.Gauge, "", "IPv4 prefixes attached");

    public static readonly Metric AssignedPerCidr = new(
        "awscni_assigned_ip_per_cidr",
        MetricType.Gauge,
        "",
        "Addresses that pods hold, by address or prefix",
        MetricLabel.Open("cidr", "addresses or prefixes attached to the node now")
    )
    {
        Deviation = "a series ends when its address or prefix leaves the node; the reference keeps every one that there ever was",
    };

    public static readonly Metric AssignedPerEni = new(
        "awscni_assigned_ip_per_eni",
        MetricType.Gauge,
        "",
        "Addresses that pods hold, by ENI",
        MetricLabel.Open("eni", "ENIs of the node")
    );

    public static readonly Metric NoAddress = new(
        "awscni_no_available_ip_addresses",
        MetricType.Counter,
        "",
        "ADDs that found no free address"
    )
    {
        Deviation = "such an ADD waits; whether it was served is in vpccni_add_wait_seconds",
    };

    public static readonly Metric Reconciled = new(
        "awscni_reconcile_count",
        MetricType.Counter,
        "",
        "Differences between the ledger and what is attached, put right",
        MetricLabel.Of("fn", "eniReconcileAdd", "eniReconcileDel", "eniIPPoolReconcileDel", "eniDataStorePoolReconcileAdd")
    );
    public static readonly Metric Adds = new(
        "awscni_add_ip_req_count",
        MetricType.Counter,
        "",
        "ADDs that were answered, with an address or without"
    );
    public static readonly Metric Dels = new(
        "awscni_del_ip_req_count",
        MetricType.Counter,
        "",
        "DELs, by the reason that the plugin gives",
        MetricLabel.Of("reason", "PodDeleted", "SetupNSFailed", Metric.Overflow)
    );

    public static readonly Metric ForcedEnis = new(
        "awscni_force_removed_enis",
        MetricType.Counter,
        "",
        "ENIs that were taken from the node by somebody else while pods used them"
    )
    {
        Deviation = "the daemon itself removes nothing that is in use",
    };

    public static readonly Metric ForcedIps = new(
        "awscni_force_removed_ips",
        MetricType.Counter,
        "",
        "Addresses that were taken from the node by somebody else while pods used them"
    )
    {
        Deviation = "the daemon itself removes nothing that is in use; the pod keeps its record",
    };

    public static readonly Metric PodEniErrors = new(
        "awscni_pod_eni_error_count",
        MetricType.Counter,
        "",
        "Errors with ENIs of single pods",
        MetricLabel.Of("fn", "unsupported")
    )
    {
        Deviation = "always 0: this version has no security groups for pods",
    };

    public static readonly Metric ApiLatency = new(
        "awscni_aws_api_latency_ms",
        MetricType.Summary,
        "ms",
        "Attempts of EC2 calls, and of requests to the instance metadata (GetMetadata), without quantiles",
        Api,
        MetricLabel.Of("error", "false", "true"),
        MetricLabel.Open("status", "HTTP status, empty without an answer")
    );

    public static readonly Metric ApiErrors = new(
        "awscni_aws_api_error_count",
        MetricType.Counter,
        "",
        "Attempts of EC2 calls and metadata requests that failed, by error code",
        Api,
        MetricLabel.Open("error", "error codes; beyond 256 combinations `other`")
    );

    public static readonly Metric UtilsErrors = new(
        "awscni_aws_utils_error_count",
        MetricType.Counter,
        "",
        "Calls of the cloud that failed",
        MetricLabel.Open("fn", "operation of the cloud port: about 15"),
        MetricLabel.Open("error", "kinds of failure: 11")
    )
    {
        Deviation = "error is a kind of failure; the reference puts the whole text there, of which there is no end",
    };

    public static readonly Metric Ec2Requests = new(
        "awscni_ec2api_req_count",
        MetricType.Counter,
        "",
        "Requests to EC2",
        MetricLabel.Open("fn", "EC2's name of the call: about 15")
    );
    public static readonly Metric Ec2Errors = new(
        "awscni_ec2api_error_count",
        MetricType.Counter,
        "",
        "Requests to EC2 that failed",
        MetricLabel.Open("fn", "EC2's name of the call: about 15")
    );

    public static readonly Metric Startup = new(
        "awscni_ipamd_startup_duration_seconds",
        MetricType.Histogram,
        "s",
        "From the start of the daemon to its first answer to a new pod",
        MetricLabel.Of("success", "true"),
        MetricLabel.Of("with_api_server", "false", "true"),
        MetricLabel.Of("failure_reason", "")
    )
    {
        Buckets = DefaultBuckets,
        Deviation = "a start that fails ends the process, so nobody could read it; see vpccni_phase",
    };

    public static readonly Metric NodeInit = new(
        "awscni_ipamd_node_initialization_duration_seconds",
        MetricType.Histogram,
        "s",
        "From the start of the daemon until it knows its node",
        MetricLabel.Of("success", "true")
    )
    {
        Buckets = DefaultBuckets,
        Deviation = "as for awscni_ipamd_startup_duration_seconds",
    };

    public static readonly Metric ConnmarkBackend = new(
        "awscni_connmark_backend",
        MetricType.Gauge,
        "",
        "1 for the program that connections are marked with",
        MetricLabel.Of("backend", "nftables")
    )
    {
        Deviation = "always nftables, in a table of its own",
    };

    public static readonly Metric ConnmarkReconciled = new(
        "awscni_connmark_reconcile_total",
        MetricType.Counter,
        "",
        "Looks at the host's network, marks of connections included, by result",
        MetricLabel.Of("result", "success", "error")
    )
    {
        Deviation = "error stays 0: a look that fails is made again, and vpccni_host_network_ok says so meanwhile",
    };

    public static readonly Metric ResidentBytes = new("process_resident_memory_bytes", MetricType.Gauge, "By", "Resident memory");
    public static readonly Metric CpuSeconds = new("process_cpu_seconds_total", MetricType.Counter, "s", "Processor time, user and system");
    public static readonly Metric StartTime = new(
        "process_start_time_seconds",
        MetricType.Gauge,
        "s",
        "When the process started, as seconds since 1970"
    );
    public static readonly Metric OpenFiles = new("process_open_fds", MetricType.Gauge, "", "Open file descriptors");

    public static IReadOnlyList<Metric> All { get; } =
    [
        BuildInfo,
        Errors,
        InProgress,
        EniMax,
        IpMax,
        Enis,
        TotalIps,
        AssignedIps,
        Prefixes,
        AssignedPerCidr,
        AssignedPerEni,
        NoAddress,
        Reconciled,
        Adds,
        Dels,
        ForcedEnis,
        ForcedIps,
        PodEniErrors,
        ApiLatency,
        ApiErrors,
        UtilsErrors,
        Ec2Requests,
        Ec2Errors,
        Startup,
        NodeInit,
        ConnmarkBackend,
        ConnmarkReconciled,
        ResidentBytes,
        CpuSeconds,
        StartTime,
        OpenFiles,
    ];
}
