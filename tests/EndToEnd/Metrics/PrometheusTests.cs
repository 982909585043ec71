// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.Json;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Lab.Hosting;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Metrics;

/// <summary>A real Prometheus scrapes a node, and evaluates the rules and the dashboard of the chart.</summary>
public sealed class PrometheusTests
{
    private const string Metrics = "http://127.0.0.1:61678/metrics";

    [Fact]
    public async Task Prometheus_has_the_metrics_of_a_node()
    {
        await using var node = await NodeLab.StartAsync(
            new()
            {
                ["MAX_ENI"] = "1",
                ["WARM_IP_TARGET"] = "2",
                ["IP_COOLDOWN_PERIOD"] = "600",
            }
        );
        await using var prometheus = await NodePrometheus.StartAsync(node);
        foreach (var pod in new[] { "a", "b", "c" })
            await node.AddAsync(pod);
        await node.DeleteAsync("a");
        await prometheus.IsAsync("up", 1);
        await prometheus.IsAsync("vpccni_ready", 1);
        await prometheus.IsAsync("vpccni_pool_addresses{state=\"assigned\"}", 2);
        await prometheus.IsAsync("vpccni_pool_addresses{state=\"cooling\"}", 1);
        await prometheus.IsAsync("awscni_add_ip_req_count", 3);
        await prometheus.IsAsync("sum(awscni_del_ip_req_count)", 1);
        await prometheus.IsAsync("vpccni_add_duration_seconds_count{outcome=\"served\"}", 3);
        await prometheus.IsAsync("vpccni_cloud_calls_total{operation=\"describe_attached_interfaces\",outcome=\"ok\"} >= bool 1", 1);
        await prometheus.IsAsync("vpccni_pool_resync_age_seconds < bool 600", 1);
        Assert.Equal("", (await prometheus.AskAsync("targets")).GetProperty("activeTargets")[0].GetProperty("lastError").GetString());

        // An ENI has nine addresses, of which one is cooling: the ADD of the next pod fails, and the metrics count the obstacle.
        for (var index = 0; index < 6; index++)
            await node.AddAsync($"more-{index}");
        await Assert.ThrowsAsync<CniException>(() => node.AddAsync("too-many"));
        await prometheus.IsAsync("vpccni_add_no_address_total{kind=\"interface_limit\"}", 1);
        await prometheus.IsAsync("awscni_no_available_ip_addresses >= bool 1", 1);
        await prometheus.IsAsync("sum(awscni_assigned_ip_per_eni)", 8);

        await node.Lab.RestartIpamdAsync(NodeLab.Node, TestContext.Current.CancellationToken);
        await prometheus.IsAsync("changes(vpccni_start_time_seconds[10m])", 1);
        await prometheus.IsAsync("vpccni_pool_addresses{state=\"assigned\"}", 8);
        await AssertRulesWorkAsync(prometheus);
        await AssertPanelsHaveDataAsync(prometheus);
        await AssertPromtoolReportsOnlyNamesOfTheReferenceAsync(
            await prometheus.Http.GetStringAsync(Metrics, TestContext.Current.CancellationToken)
        );
    }

    [Fact]
    public async Task Metrics_are_not_served_when_they_are_disabled()
    {
        await using var node = await NodeLab.StartAsync(new() { ["DISABLE_METRICS"] = "true" });
        var outcome = await node.Lab.ExecAsync(
            NodeLab.Node,
            ["ss", "-Hltn", "sport", "=", ":61678"],
            TimeSpan.FromSeconds(10),
            TestContext.Current.CancellationToken
        );
        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Output.Trim()));
    }

    private static async Task AssertRulesWorkAsync(NodePrometheus prometheus)
    {
        var rules = (await prometheus.AskAsync("rules"))
            .GetProperty("groups")
            .EnumerateArray()
            .SelectMany(group => group.GetProperty("rules").EnumerateArray())
            .ToArray();
        Assert.NotEmpty(rules);
        Assert.All(rules, rule => Assert.Equal("ok", rule.GetProperty("health").GetString()));
        Assert.DoesNotContain(rules, rule => rule.GetProperty("state").GetString() == "firing");
    }

    /// <summary>The node is full, so that the panel on growth obstacles has data too.</summary>
    private static async Task AssertPanelsHaveDataAsync(NodePrometheus prometheus)
    {
        var panels = JsonDocument
            .Parse(await File.ReadAllTextAsync(NodePrometheus.ChartFile("dashboard.json")))
            .RootElement.GetProperty("panels")
            .EnumerateArray()
            .Where(panel => panel.TryGetProperty("targets", out _))
            .ToArray();
        Assert.NotEmpty(panels);
        foreach (var panel in panels)
        {
            await Eventually.TrueAsync(
                async () =>
                {
                    var answers = 0;
                    foreach (var target in panel.GetProperty("targets").EnumerateArray())
                    {
                        var expression = target
                            .GetProperty("expr")
                            .GetString()!
                            .Replace("$__rate_interval", "1m", StringComparison.Ordinal)
                            .Replace("$node", ".*", StringComparison.Ordinal);
                        answers += (await prometheus.QueryAsync(expression)).Count;
                    }

                    return answers > 0;
                },
                what: $"the panel '{panel.GetProperty("title").GetString()}' has data"
            );
        }
    }

    /// <summary>The reference's names, which Prometheus advises against, are kept.</summary>
    private static async Task AssertPromtoolReportsOnlyNamesOfTheReferenceAsync(string scrape)
    {
        using var process = Process.Start(
            new ProcessStartInfo(Requirement.NeedProgram("promtool"), ["check", "metrics"])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                UseShellExecute = false,
            }
        )!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.StandardInput.WriteAsync(scrape);
        process.StandardInput.Close();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("", (await output).Trim());
        var objections = (await error).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains("vpccni_pool_addresses", scrape, StringComparison.Ordinal);
        Assert.All(objections, objection => Assert.StartsWith("awscni_", objection, StringComparison.Ordinal));
        Assert.NotEmpty(objections);
    }
}
