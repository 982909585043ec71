// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Metrics;

/// <summary>
/// Metrics of the AWS VPC CNI, with its names, types and labels, so that its dashboards and alerts keep working; and the process metrics
/// that its client library adds. Names and units that differ from Prometheus's recommendations are the reference's.
/// </summary>
internal static class ReferenceMetrics
{
    /// <summary>Default buckets of the reference's client library.</summary>
    private static readonly double[] DefaultBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    private static readonly MetricLabel Api = MetricLabel.Open("api", "name of the EC2 call: about 15");
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
        "Errors inside the daemon, by operation",
        MetricLabel.Of("fn", "increaseDatastorePool", "decreaseDatastorePool", "nodeIPPoolReconcile", "checkpointWrite")
    )
    {
        Deviation = "the reference has 19 values of fn, named after places in its code; values that both have mean the same",
    };

    public static readonly Metric InProgress = new("awscni_ipamd_action_inprogress", MetricType.Gauge, "", "Actions in progress", Action);
    public static readonly Metric EniMax = new(
        "awscni_eni_max",
        MetricType.Gauge,
        "",
        "Maximum number of ENIs of the node, minus unmanaged ones"
    );
    public static readonly Metric IpMax = new(
        "awscni_ip_max",
        MetricType.Gauge,
        "",
        "Maximum number of addresses for pods: awscni_eni_max times the addresses of an ENI"
    );
    public static readonly Metric Enis = new("awscni_eni_allocated", MetricType.Gauge, "", "ENIs for pods");
    public static readonly Metric TotalIps = new("awscni_total_ip_addresses", MetricType.Gauge, "", "Addresses attached for pods");
    public static readonly Metric AssignedIps = new("awscni_assigned_ip_addresses", MetricType.Gauge, "", "Addresses assigned to pods");
    public static readonly Metric Prefixes = new("awscni_total_ipv4_prefixes", MetricType.Gauge, "", "IPv4 prefixes attached");

    public static readonly Metric AssignedPerCidr = new(
        "awscni_assigned_ip_per_cidr",
        MetricType.Gauge,
        "",
        "Addresses assigned to pods, by address or prefix",
        MetricLabel.Open("cidr", "addresses or prefixes that are attached to the node")
    )
    {
        Deviation = "a series ends when its address or prefix is released; the reference keeps it",
    };

    public static readonly Metric AssignedPerEni = new(
        "awscni_assigned_ip_per_eni",
        MetricType.Gauge,
        "",
        "Addresses assigned to pods, by ENI",
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
        "Differences between the ledger and what is attached that were corrected",
        MetricLabel.Of("fn", "eniReconcileAdd", "eniReconcileDel", "eniIPPoolReconcileDel", "eniDataStorePoolReconcileAdd")
    );
    public static readonly Metric Adds = new(
        "awscni_add_ip_req_count",
        MetricType.Counter,
        "",
        "Completed ADDs, with or without an address"
    );
    public static readonly Metric Dels = new(
        "awscni_del_ip_req_count",
        MetricType.Counter,
        "",
        "DELs, by the reason that the plugin gave",
        MetricLabel.Of("reason", "PodDeleted", "SetupNSFailed", Metric.Overflow)
    );

    public static readonly Metric ForcedEnis = new(
        "awscni_force_removed_enis",
        MetricType.Counter,
        "",
        "ENIs that somebody else removed from the node while pods used them"
    )
    {
        Deviation = "the daemon itself never removes an ENI in use",
    };

    public static readonly Metric ForcedIps = new(
        "awscni_force_removed_ips",
        MetricType.Counter,
        "",
        "Addresses that somebody else removed from the node while pods used them"
    )
    {
        Deviation = "the daemon itself never removes an address in use; the attachment is kept",
    };

    public static readonly Metric PodEniErrors = new(
        "awscni_pod_eni_error_count",
        MetricType.Counter,
        "",
        "Errors with pod ENIs",
        MetricLabel.Of("fn", "unsupported")
    )
    {
        Deviation = "always 0: this version has no security groups for pods",
    };

    public static readonly Metric ApiLatency = new(
        "awscni_aws_api_latency_ms",
        MetricType.Summary,
        "ms",
        "Duration of attempts of EC2 calls and of requests to the instance metadata (GetMetadata), without quantiles",
        Api,
        MetricLabel.Of("error", "false", "true"),
        MetricLabel.Open("status", "HTTP status, empty without a response")
    );

    public static readonly Metric ApiErrors = new(
        "awscni_aws_api_error_count",
        MetricType.Counter,
        "",
        "Failed attempts of EC2 calls and metadata requests, by error code",
        Api,
        MetricLabel.Open("error", "error codes; `other` beyond 256 combinations")
    );

    public static readonly Metric UtilsErrors = new(
        "awscni_aws_utils_error_count",
        MetricType.Counter,
        "",
        "Failed calls of the cloud",
        MetricLabel.Open("fn", "operation of the cloud port: about 15"),
        MetricLabel.Open("error", "kinds of failure: 11")
    )
    {
        Deviation = "error is a kind of failure; the reference has the whole text there, which is unbounded",
    };

    public static readonly Metric Ec2Requests = new(
        "awscni_ec2api_req_count",
        MetricType.Counter,
        "",
        "Requests to EC2",
        MetricLabel.Open("fn", "name of the EC2 call: about 15")
    );
    public static readonly Metric Ec2Errors = new(
        "awscni_ec2api_error_count",
        MetricType.Counter,
        "",
        "Failed requests to EC2",
        MetricLabel.Open("fn", "name of the EC2 call: about 15")
    );

    public static readonly Metric Startup = new(
        "awscni_ipamd_startup_duration_seconds",
        MetricType.Histogram,
        "s",
        "Time from the daemon's start until it can serve new pods",
        MetricLabel.Of("success", "true"),
        MetricLabel.Of("with_api_server", "false", "true"),
        MetricLabel.Of("failure_reason", "")
    )
    {
        Buckets = DefaultBuckets,
        Deviation = "failures are never counted, because a failed start ends the process; see vpccni_phase",
    };

    public static readonly Metric NodeInit = new(
        "awscni_ipamd_node_initialization_duration_seconds",
        MetricType.Histogram,
        "s",
        "Time from the daemon's start until the node is initialized",
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
        "1 for the tool that marks connections",
        MetricLabel.Of("backend", "nftables")
    )
    {
        Deviation = "always nftables, in a table of its own",
    };

    public static readonly Metric ConnmarkReconciled = new(
        "awscni_connmark_reconcile_total",
        MetricType.Counter,
        "",
        "Reconciliations of the host's network, including connection marks, by result",
        MetricLabel.Of("result", "success", "error")
    )
    {
        Deviation = "error stays 0: a failed reconciliation is retried, and vpccni_host_network_ok is 0 meanwhile",
    };

    public static readonly Metric ResidentBytes = new("process_resident_memory_bytes", MetricType.Gauge, "By", "Resident memory");
    public static readonly Metric CpuSeconds = new("process_cpu_seconds_total", MetricType.Counter, "s", "CPU time, user and system");
    public static readonly Metric StartTime = new(
        "process_start_time_seconds",
        MetricType.Gauge,
        "s",
        "Start time of the process, in seconds since 1970"
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
