// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Datapath;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Metrics;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Metrics;

public sealed class DaemonMetricsTests
{
    [Fact]
    public void Starting_daemon_is_not_ready()
    {
        using var node = new MeasuredNode();
        var scrape = node.Scrape();
        Assert.Equal(
            (1, 0, 0),
            (scrape["vpccni_phase{phase=\"starting\"}"], scrape["vpccni_phase{phase=\"serving\"}"], scrape["vpccni_ready"])
        );
        Assert.Equal(1, scrape["awscni_ipamd_action_inprogress{fn=\"nodeInit\"}"]);
        Assert.False(scrape.Has("vpccni_pool_resync_age_seconds"), "nothing was observed yet");
        Assert.False(scrape.Has("awscni_eni_max"), "nobody knows the limit yet");
        Assert.Equal(
            1,
            scrape[
                $"vpccni_build_info{{version=\"1.2.3\",runtime=\""
                    + $"{System.Runtime.InteropServices.RuntimeInformation.FrameworkDescription}\"}}"
            ]
        );
        Assert.InRange(scrape["process_resident_memory_bytes"], 1e6, 1e11);
        Assert.InRange(scrape["process_open_fds"], 1, 1e6);
    }

    [Fact]
    public async Task Pool_is_served_from_one_reading()
    {
        using var node = new MeasuredNode(new PoolTargets { WarmIpTarget = 1 });
        await node.ServeAsync();
        await node.Pool.AddAsync("a");
        await node.Pool.StepAsync();
        await node.Pool.AddAsync("b");
        await node.Pool.StepAsync();
        await node.Pool.DeleteAsync("a");
        var scrape = node.Scrape();
        var view = node.Pool.View;
        Assert.Equal(
            (view.Free, 1, 1, 0),
            (
                scrape["vpccni_pool_addresses{state=\"free\"}"],
                scrape["vpccni_pool_addresses{state=\"assigned\"}"],
                scrape["vpccni_pool_addresses{state=\"cooling\"}"],
                scrape["vpccni_pool_addresses{state=\"withheld\"}"]
            )
        );
        Assert.Equal((view.Total, 1), (scrape["awscni_total_ip_addresses"], scrape["awscni_assigned_ip_addresses"]));
        Assert.Equal((3, 9), (scrape["awscni_eni_max"], scrape["awscni_ip_max"]));
        Assert.Equal((1, 1), (scrape["awscni_eni_allocated"], scrape["vpccni_pool_interfaces{state=\"in_use\"}"]));
        Assert.Equal(
            view.Interfaces[0].Blocks.Count,
            scrape.Samples.Keys.Count(sample => sample.StartsWith("awscni_assigned_ip_per_cidr{", StringComparison.Ordinal))
        );
        Assert.Equal(
            (1, 0),
            (scrape["vpccni_pool_target{target=\"WARM_IP_TARGET\"}"], scrape["vpccni_pool_target{target=\"MINIMUM_IP_TARGET\"}"])
        );
        Assert.False(scrape.Has("vpccni_pool_target{target=\"WARM_ENI_TARGET\"}"), "it is overruled");
        Assert.Equal((2, 1), (scrape["awscni_add_ip_req_count"], scrape["vpccni_del_duration_seconds_count{outcome=\"released\"}"]));
        Assert.Equal(2, scrape["vpccni_add_duration_seconds_count{outcome=\"served\"}"]);
        Assert.True(scrape["vpccni_checkpoint_write_duration_seconds_count"] >= 3);
        Assert.True(scrape["vpccni_change_duration_seconds_count{kind=\"assign_blocks\",outcome=\"ok\"}"] >= 1);
    }

    [Fact]
    public async Task Series_of_a_block_ends_with_its_release()
    {
        using var node = new MeasuredNode(new PoolTargets { WarmIpTarget = 2 });
        await node.ServeAsync();
        var range = node.Pool.View.Interfaces[0].Blocks[0].Range;
        Assert.Equal(0, node.Scrape()[$"awscni_assigned_ip_per_cidr{{cidr=\"{range}\"}}"]);
        node.Pool.Time.Advance(TimeSpan.FromMinutes(20));
        node.Pool.Ledger.Observe([Primary()], node.Pool.Time.GetUtcNow());
        Assert.False(node.Scrape().Has("awscni_assigned_ip_per_cidr{"), "no block is left");
    }

    [Fact]
    public async Task Add_without_an_address_is_counted_by_obstacle()
    {
        using var node = new MeasuredNode(provisioningDisabled: true);
        var add = node.Pool.AddAsync("a");
        Assert.Equal(1, node.Scrape()["vpccni_add_waiting"]);
        await node.ServeAsync();
        Assert.IsType<AddOutcome.NoAddress>(await add);
        var scrape = node.Scrape();
        Assert.Equal(
            (1, 1, 1),
            (
                scrape["awscni_no_available_ip_addresses"],
                scrape["vpccni_add_no_address_total{kind=\"provisioning_disabled\"}"],
                scrape["vpccni_add_wait_seconds_count{outcome=\"no_address\"}"]
            )
        );
        Assert.Equal((0, 1), (scrape["vpccni_add_waiting"], scrape["vpccni_pool_growth_blocked{kind=\"provisioning_disabled\"}"]));
        Assert.Equal(1, scrape["vpccni_pool_growth_blocked{kind=\"provisioning_disabled\"}"]);
        Assert.True(scrape["vpccni_pool_short_addresses"] >= 1);
    }

    [Fact]
    public async Task Reused_address_is_counted_with_its_idle_time()
    {
        using var node = new MeasuredNode(new PoolTargets { WarmIpTarget = 1 }, maxInterfaces: 1, blocksPerInterface: 1);
        await node.ServeAsync();
        await node.Pool.AddAsync("a");
        await node.Pool.DeleteAsync("a");
        node.Pool.Time.Advance(TimeSpan.FromSeconds(40));
        await node.Pool.AddAsync("b");
        var scrape = node.Scrape();
        Assert.Equal(
            (40, 0, 1),
            (
                scrape["vpccni_address_reuse_seconds_sum"],
                scrape["vpccni_address_reuse_seconds_bucket{le=\"30\"}"],
                scrape["vpccni_address_reuse_seconds_bucket{le=\"45\"}"]
            )
        );
    }

    [Fact]
    public async Task Failed_checkpoint_writes_are_counted_separately()
    {
        using var node = new MeasuredNode();
        await node.ServeAsync();
        node.Pool.File.RefuseWrites = true;
        await Assert.ThrowsAsync<IOException>(() => node.Pool.AddAsync("a"));
        var scrape = node.Scrape();
        Assert.Equal(
            (1, 1, 1),
            (
                scrape["vpccni_checkpoint_errors_total"],
                scrape["awscni_ipamd_error_count{fn=\"checkpointWrite\"}"],
                scrape["vpccni_add_duration_seconds_count{outcome=\"not_durable\"}"]
            )
        );
    }

    [Fact]
    public void Drift_is_counted_by_kind_and_by_name_of_the_reference()
    {
        using var node = new MeasuredNode();
        var changes = new ObservationChanges
        {
            InterfacesAdded = [new NetworkInterfaceId("eni-1")],
            InterfacesLost = [],
            BlocksAdded = 3,
            BlocksLost = 2,
            Orphaned = [],
        };
        node.Metrics.OnEvent(new PoolEvent.Observed(default, changes, TimeSpan.Zero));
        var scrape = node.Scrape();
        Assert.Equal(
            (1, 0, 3, 2),
            (
                scrape["vpccni_pool_drift_total{kind=\"interface_added\"}"],
                scrape["vpccni_pool_drift_total{kind=\"interface_lost\"}"],
                scrape["vpccni_pool_drift_total{kind=\"block_added\"}"],
                scrape["vpccni_pool_drift_total{kind=\"block_lost\"}"]
            )
        );
        Assert.Equal(
            (1, 3, 2),
            (
                scrape["awscni_reconcile_count{fn=\"eniReconcileAdd\"}"],
                scrape["awscni_reconcile_count{fn=\"eniDataStorePoolReconcileAdd\"}"],
                scrape["awscni_reconcile_count{fn=\"eniIPPoolReconcileDel\"}"]
            )
        );
    }

    [Fact]
    public void Attempts_of_ec2_calls_are_counted_as_in_the_reference()
    {
        using var node = new MeasuredNode();
        node.Metrics.Attempted("CreateNetworkInterface", "", 200, TimeSpan.FromMilliseconds(250));
        node.Metrics.Attempted("CreateNetworkInterface", "RequestLimitExceeded", 503, TimeSpan.FromMilliseconds(10));
        node.Metrics.Attempted("CreateNetworkInterface", "NoAnswer", 0, TimeSpan.FromSeconds(10));
        var scrape = node.Scrape();
        Assert.Equal(
            (3, 2, 250, 1, 1),
            (
                scrape["awscni_ec2api_req_count{fn=\"CreateNetworkInterface\"}"],
                scrape["awscni_ec2api_error_count{fn=\"CreateNetworkInterface\"}"],
                scrape["awscni_aws_api_latency_ms_sum{api=\"CreateNetworkInterface\",error=\"false\",status=\"200\"}"],
                scrape["awscni_aws_api_latency_ms_count{api=\"CreateNetworkInterface\",error=\"true\",status=\"\"}"],
                scrape["awscni_aws_api_error_count{api=\"CreateNetworkInterface\",error=\"RequestLimitExceeded\"}"]
            )
        );
    }

    [Fact]
    public async Task Cloud_calls_are_counted_by_operation_and_outcome_with_latency()
    {
        using var node = new MeasuredNode();
        var call = new BudgetedCall("AssignBlocks", CallKind.Assign, CallPriority.Growth, 1);
        await node.Budget.ExecuteAsync(call, Answer, CancellationToken.None);
        await Assert.ThrowsAsync<CloudException>(() =>
            node.Budget.ExecuteAsync<bool>(
                call,
                _ => throw new CloudException(CloudErrorKind.SubnetExhausted, "AssignPrivateIpAddresses", "code", "full"),
                CancellationToken.None
            )
        );
        node.Budget.Access = CloudAccess.NoCalls;
        await Assert.ThrowsAsync<CloudException>(() => node.Budget.ExecuteAsync(call, Answer, CancellationToken.None));
        var scrape = node.Scrape();
        Assert.Equal(
            (1, 1, 1),
            (
                scrape["vpccni_cloud_calls_total{operation=\"assign_blocks\",outcome=\"ok\"}"],
                scrape["vpccni_cloud_calls_total{operation=\"assign_blocks\",outcome=\"subnet_exhausted\"}"],
                scrape["vpccni_cloud_calls_total{operation=\"assign_blocks\",outcome=\"disabled\"}"]
            )
        );
        Assert.Equal(
            (1, 1, 0.2),
            (
                scrape["vpccni_cloud_call_duration_seconds_count{operation=\"assign_blocks\",outcome=\"ok\"}"],
                scrape["vpccni_cloud_call_duration_seconds_count{operation=\"assign_blocks\",outcome=\"failed\"}"],
                scrape["vpccni_cloud_call_duration_seconds_sum{operation=\"assign_blocks\",outcome=\"ok\"}"]
            )
        );
        Assert.Equal((1, 0), (scrape["vpccni_cloud_access{level=\"no-calls\"}"], scrape["vpccni_cloud_access{level=\"full\"}"]));
        Assert.True(scrape["vpccni_cloud_budget_tokens{kind=\"assign\"}"] < scrape["vpccni_cloud_budget_capacity{kind=\"assign\"}"]);

        Task<bool> Answer(CancellationToken token)
        {
            node.Pool.Time.Advance(TimeSpan.FromMilliseconds(200));
            return Task.FromResult(true);
        }
    }

    [Fact]
    public async Task Start_is_measured_once()
    {
        using var node = new MeasuredNode();
        node.Pool.Time.Advance(TimeSpan.FromSeconds(1));
        await node.ServeAsync();
        node.Pool.Time.Advance(TimeSpan.FromSeconds(1));
        await node.ServeAsync();
        var scrape = node.Scrape();
        Assert.Equal(
            (1, 1),
            (
                scrape["awscni_ipamd_startup_duration_seconds_sum{success=\"true\",with_api_server=\"false\",failure_reason=\"\"}"],
                scrape["awscni_ipamd_startup_duration_seconds_count{success=\"true\",with_api_server=\"false\",failure_reason=\"\"}"]
            )
        );
        Assert.Equal(1, scrape["awscni_ipamd_node_initialization_duration_seconds_count{success=\"true\"}"]);
        Assert.Equal((1, 1), (scrape["vpccni_ready"], scrape["vpccni_phase{phase=\"serving\"}"]));
    }

    [Fact]
    public void Repairs_and_disputes_of_the_host_network_are_served_by_kind()
    {
        using var node = new MeasuredNode();
        var rules = new RepairCount
        {
            Repaired = 7,
            Disputes = 1,
            IsDisputed = true,
        };
        node.HostNetwork = RepairReport.Empty with
        {
            Kinds = RepairReport.Empty.Kinds.SetItem(RepairKind.Rule, rules),
            Syncs = 3,
            LastSync = node.Pool.Time.GetUtcNow(),
        };
        node.Pool.Time.Advance(TimeSpan.FromSeconds(5));
        var scrape = node.Scrape();
        Assert.Equal(
            (7, 1, 1, 0, 5, 3),
            (
                scrape["vpccni_host_network_repairs_total{kind=\"rule\"}"],
                scrape["vpccni_host_network_disputes_total{kind=\"rule\"}"],
                scrape["vpccni_host_network_disputed{kind=\"rule\"}"],
                scrape["vpccni_host_network_repairs_total{kind=\"nat\"}"],
                scrape["vpccni_host_network_look_age_seconds"],
                scrape["awscni_connmark_reconcile_total{result=\"success\"}"]
            )
        );
    }

    [Fact]
    public void Metadata_request_is_an_attempt_and_not_an_ec2_call()
    {
        using var node = new MeasuredNode();
        node.Metrics.Attempted("GetMetadata", "", 404, TimeSpan.FromMilliseconds(1));
        var scrape = node.Scrape();
        Assert.Equal(1, scrape["awscni_aws_api_latency_ms_count{api=\"GetMetadata\",error=\"false\",status=\"404\"}"]);
        Assert.False(scrape.Has("awscni_ec2api_req_count"), "EC2 was not called");
    }

    [Fact]
    public void Cluster_metric_is_served_only_with_an_api_server()
    {
        using var alone = new MeasuredNode();
        Assert.False(alone.Scrape().Has("vpccni_cluster_ok"), "there is no cluster");
        using var node = new MeasuredNode(usesCluster: true);
        Assert.Equal(1, node.Scrape()["vpccni_cluster_ok"]);
        node.ClusterProblem = "the API server does not answer";
        Assert.Equal(0, node.Scrape()["vpccni_cluster_ok"]);
    }

    [Fact]
    public void Missed_dels_are_counted_by_outcome()
    {
        using var node = new MeasuredNode();
        foreach (var outcome in (MissedDelOutcome[])[MissedDelOutcome.Released, MissedDelOutcome.Released, MissedDelOutcome.OtherBoot])
            node.Metrics.OnEvent(new PoolEvent.MissedDelete(default, outcome));
        var scrape = node.Scrape();
        Assert.Equal(2, scrape["vpccni_missed_dels_total{outcome=\"released\"}"]);
        Assert.Equal(1, scrape["vpccni_missed_dels_total{outcome=\"other_boot\"}"]);
        Assert.Equal(0, scrape["vpccni_missed_dels_total{outcome=\"outdated\"}"]);
    }

    [Fact]
    public async Task Events_of_an_add_are_counted_without_allocation()
    {
        using var node = new MeasuredNode();
        var attachment = new Attachment
        {
            Key = PoolHarness.Key("a"),
            Pod = default,
            Interfaces = [],
            AssignedAt = default,
        };
        var served = new PoolEvent.AddServed(
            default,
            attachment,
            IsNew: true,
            TimeSpan.FromSeconds(1),
            TimeSpan.FromMilliseconds(1),
            TimeSpan.FromSeconds(60)
        );
        PoolEvent[] told =
        [
            served,
            new PoolEvent.CheckpointWritten(default, TimeSpan.FromMilliseconds(1), null),
            new PoolEvent.Deleted(default, attachment.Key, attachment, TimeSpan.FromMilliseconds(1)),
        ];
        void Tell()
        {
            foreach (var item in told)
                node.Metrics.OnEvent(item);
        }

        long AllocatedByThousand()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var round = 0; round < 1000; round++)
                Tell();
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        // The runtime boxes each number until it has compiled the method at the highest tier.
        await Eventually.TrueAsync(() => AllocatedByThousand() < 1000);
    }

    [Fact]
    public void Unknown_reasons_of_dels_are_counted_together()
    {
        using var node = new MeasuredNode();
        node.Metrics.DelRequested("PodDeleted");
        node.Metrics.DelRequested("a\"b");
        Assert.Equal(
            (1, 0, 1),
            (
                node.Scrape()["awscni_del_ip_req_count{reason=\"PodDeleted\"}"],
                node.Scrape()["awscni_del_ip_req_count{reason=\"SetupNSFailed\"}"],
                node.Scrape()["awscni_del_ip_req_count{reason=\"other\"}"]
            )
        );
    }

    private static InterfaceObservation Primary() =>
        new()
        {
            Id = new NetworkInterfaceId("eni-primary"),
            Slot = Slot.Primary,
            PrimaryAddress = System.Net.IPAddress.Parse("10.0.0.10"),
            SubnetId = "subnet-1",
            Blocks = [],
        };

    /// <summary>An in-memory pool with the metrics of its daemon.</summary>
    private sealed class MeasuredNode : IDisposable
    {
        public MeasuredNode(
            PoolTargets? targets = null,
            bool provisioningDisabled = false,
            int maxInterfaces = 3,
            int blocksPerInterface = 3,
            bool usesCluster = false
        )
        {
            Pool = new PoolHarness(
                new FakeCloud().WithPrimary(),
                targets,
                provisioningDisabled: provisioningDisabled,
                maxInterfaces: maxInterfaces,
                blocksPerInterface: blocksPerInterface,
                budget: new ApiBudgetOptions()
            );
            State = new DaemonState("1.2.3", Pool.Time);
            State.Attach(Facts.Healthy with { ClusterProblem = () => ClusterProblem });
            var health = new HealthMonitor(State, Pool.Ledger, (_, _) => { }, Pool.Time, NullLogger<HealthMonitor>.Instance);
            Metrics = new DaemonMetrics(
                new MetricSources(State, Pool.Ledger, Pool.Waiting, Budget, Pool.Time)
                {
                    Health = health.Report,
                    HostNetwork = () => HostNetwork,
                    UsesCluster = usesCluster,
                }
            );
            Pool.Pool.Subscribe(Metrics.OnEvent);
        }

        public PoolHarness Pool { get; }
        public RepairReport HostNetwork { get; set; } = RepairReport.Empty;
        public string? ClusterProblem { get; set; }
        public DaemonState State { get; }
        public ApiRateLimiter Budget => Pool.Budget;
        public DaemonMetrics Metrics { get; }

        public Scrape Scrape() => Tests.Metrics.Scrape.Of(Metrics.Write);

        /// <summary>Runs steps of the pool until there is nothing left to do.</summary>
        public async Task ServeAsync()
        {
            State.Serving(Pool.Reconciler);
            State.Stepped(await Pool.StepAsync());
            Metrics.Stepped(Pool.Time.GetUtcNow(), withApiServer: false);
        }

        public void Dispose() => Metrics.Dispose();
    }
}
