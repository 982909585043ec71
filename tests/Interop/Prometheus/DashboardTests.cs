// SPDX-License-Identifier: Apache-2.0
using System.Text;
using System.Text.Json;
using VpcCni.Ipamd.Metrics;
using Xunit;

namespace VpcCni.Interop.Tests.Prometheus;

/// <summary>The Grafana dashboard of the chart.</summary>
public sealed class DashboardTests
{
    private static readonly JsonElement Dashboard = JsonDocument.Parse(File.ReadAllText(Promtool.ChartFile("dashboard.json"))).RootElement;

    private static IReadOnlyList<(string Panel, string Expression)> Targets { get; } =
    [
        .. Dashboard
            .GetProperty("panels")
            .EnumerateArray()
            .Where(panel => panel.TryGetProperty("targets", out _))
            .SelectMany(panel =>
                panel
                    .GetProperty("targets")
                    .EnumerateArray()
                    .Select(target => (panel.GetProperty("title").GetString()!, target.GetProperty("expr").GetString()!))
            ),
    ];

    [Fact]
    public void Every_panel_asks_for_what_the_daemon_serves()
    {
        Assert.NotEmpty(Targets);
        Assert.Empty(Targets.SelectMany(target => Expressions.Problems(target.Expression).Select(problem => $"{target.Panel}: {problem}")));
    }

    [Fact]
    public async Task Prometheus_can_read_every_expression()
    {
        var rules = new StringBuilder("groups:\n- name: dashboard\n  rules:\n");
        for (var index = 0; index < Targets.Count; index++)
        {
            var expression = Targets[index]
                .Expression.Replace("$__rate_interval", "1m", StringComparison.Ordinal)
                .Replace("$node", ".*", StringComparison.Ordinal);
            rules.Append($"  - record: panel:{index}\n    expr: {JsonSerializer.Serialize(expression)}\n");
        }

        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, rules.ToString().Replace("panel:", "panel:number_", StringComparison.Ordinal));
            var (exitCode, output) = await Promtool.RunAsync(["check", "rules", "--lint=none", file]);
            Assert.True(exitCode == 0, output);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void Panels_have_ids_and_places_of_their_own()
    {
        var panels = Dashboard.GetProperty("panels").EnumerateArray().ToArray();
        Assert.Equal(panels.Length, panels.Select(panel => panel.GetProperty("id").GetInt32()).Distinct().Count());
        Assert.Equal(
            panels.Length,
            panels
                .Select(panel =>
                    (panel.GetProperty("gridPos").GetProperty("x").GetInt32(), panel.GetProperty("gridPos").GetProperty("y").GetInt32())
                )
                .Distinct()
                .Count()
        );
    }

    /// <summary>
    /// Of the metrics that this daemon adds to those of the AWS VPC CNI, an operator sees on one page all but these, which say what is on
    /// it in other words.
    /// </summary>
    [Fact]
    public void What_the_daemon_adds_is_on_the_dashboard()
    {
        string[] elsewhere =
        [
            "vpccni_build_info",
            "vpccni_phase",
            "vpccni_pool_target",
            "vpccni_pool_max_pods",
            "vpccni_pool_obstacles",
            "vpccni_pool_lost_deletes_total",
            "vpccni_pool_recovered_addresses_total",
            "vpccni_cloud_access",
            "vpccni_cloud_budget_tokens_per_second",
            "vpccni_host_network_disputes_total",
            "vpccni_host_network_look_age_seconds",
            "vpccni_runtime_collections_total",
        ];
        var shown = string.Join('\n', Targets.Select(target => target.Expression));
        Assert.Empty(
            MetricTable
                .All.Where(metric =>
                    !metric.IsReference && !elsewhere.Contains(metric.Name) && !shown.Contains(metric.Name, StringComparison.Ordinal)
                )
                .Select(metric => metric.Name)
        );
    }
}
