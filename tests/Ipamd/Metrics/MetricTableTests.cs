// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Metrics;
using VpcCni.Ipamd.Readiness;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Metrics;

public sealed partial class MetricTableTests
{
    /// <summary>Name, type and labels of each metric of the AWS VPC CNI v1.23.1.</summary>
    public static TheoryData<string, string, string[]> OfTheReference =>
        new()
        {
            { "awscni_build_info", "gauge", ["version", "goversion"] },
            { "awscni_ipamd_error_count", "counter", ["fn"] },
            { "awscni_ipamd_action_inprogress", "gauge", ["fn"] },
            { "awscni_eni_max", "gauge", [] },
            { "awscni_ip_max", "gauge", [] },
            { "awscni_eni_allocated", "gauge", [] },
            { "awscni_total_ip_addresses", "gauge", [] },
            { "awscni_assigned_ip_addresses", "gauge", [] },
            { "awscni_total_ipv4_prefixes", "gauge", [] },
            { "awscni_assigned_ip_per_cidr", "gauge", ["cidr"] },
            { "awscni_assigned_ip_per_eni", "gauge", ["eni"] },
            { "awscni_no_available_ip_addresses", "counter", [] },
            { "awscni_reconcile_count", "counter", ["fn"] },
            { "awscni_add_ip_req_count", "counter", [] },
            { "awscni_del_ip_req_count", "counter", ["reason"] },
            { "awscni_force_removed_enis", "counter", [] },
            { "awscni_force_removed_ips", "counter", [] },
            { "awscni_pod_eni_error_count", "counter", ["fn"] },
            { "awscni_aws_api_latency_ms", "summary", ["api", "error", "status"] },
            { "awscni_aws_api_error_count", "counter", ["api", "error"] },
            { "awscni_aws_utils_error_count", "counter", ["fn", "error"] },
            { "awscni_ec2api_req_count", "counter", ["fn"] },
            { "awscni_ec2api_error_count", "counter", ["fn"] },
            { "awscni_ipamd_startup_duration_seconds", "histogram", ["success", "with_api_server", "failure_reason"] },
            { "awscni_ipamd_node_initialization_duration_seconds", "histogram", ["success"] },
            { "awscni_connmark_backend", "gauge", ["backend"] },
            { "awscni_connmark_reconcile_total", "counter", ["result"] },
        };

    [Theory]
    [MemberData(nameof(OfTheReference))]
    public void Every_metric_of_the_reference_is_in_the_table(string name, string type, string[] labels)
    {
        var metric = Assert.Single(MetricTable.All, metric => metric.Name == name);
        Assert.Equal(type, metric.Type.ToString(), ignoreCase: true);
        Assert.Equal(labels, metric.Labels.Select(label => label.Name));
    }

    [Fact]
    public void No_own_metric_has_the_prefix_of_the_reference() =>
        Assert.Equal(
            OfTheReference.Select(row => row.Data.Item1).Order(StringComparer.Ordinal),
            MetricTable
                .All.Select(metric => metric.Name)
                .Where(name => name.StartsWith("awscni_", StringComparison.Ordinal))
                .Order(StringComparer.Ordinal)
        );

    [Fact]
    public void Own_names_follow_the_rules_of_prometheus()
    {
        Assert.Equal(MetricTable.All.Count, MetricTable.All.Select(metric => metric.Name).Distinct().Count());
        Assert.All(
            MetricTable.All,
            metric =>
            {
                Assert.Matches(Name(), metric.Name);
                Assert.All(metric.Labels, label => Assert.Matches(Name(), label.Name));
                Assert.False(metric.Help.EndsWith('.'), metric.Name);
                Assert.Equal(metric.Type == MetricType.Histogram, metric.Buckets.Count > 0);
                Assert.Equal(metric.Buckets.Order(), metric.Buckets);
                if (metric.IsReference)
                    return;
                Assert.Equal(metric.Type == MetricType.Counter, metric.Name.EndsWith("_total", StringComparison.Ordinal));
                Assert.Equal(metric.Unit == "s", metric.Name.EndsWith("_seconds", StringComparison.Ordinal));
            }
        );
    }

    [Fact]
    public void No_label_has_pods_containers_or_unbounded_text() =>
        Assert.All(
            MetricTable.All.SelectMany(metric => metric.Labels),
            label =>
            {
                Assert.DoesNotContain(label.Name, new[] { "pod", "namespace", "container", "ip", "address", "message" });
                Assert.True(label.Values.Count > 0 || label.Meaning.Length > 0, label.Name);
            }
        );

    [Fact]
    public void Every_row_of_the_table_has_an_instrument()
    {
        var time = new ManualTimeProvider();
        var ledger = new IpLedger(TimeSpan.FromSeconds(30), PodFamilies.Ipv4, prefersPrefixes: false);
        using var metrics = new DaemonMetrics(
            new MetricSources(
                new DaemonState("1", time),
                ledger,
                new PendingAddQueue(ledger, time),
                new ApiRateLimiter(new ApiBudgetOptions(), (_, _, _) => { }, time, new Random(1)),
                time
            )
            {
                Health = () => new HealthReport(HealthLevel.Ready, []),
                HostNetwork = () => RepairReport.Empty,
            }
        );
        Assert.Empty(metrics.WithoutInstrument.Select(metric => metric.Name));
    }

    [GeneratedRegex("^[a-z][a-z0-9_]*$", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Name();
}
