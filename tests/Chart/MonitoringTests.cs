// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using Xunit;

namespace VpcCni.Chart.Tests;

/// <summary>Scraping, rules and dashboard of the metrics.</summary>
public sealed class MonitoringTests
{
    private static readonly Lazy<RenderedChart> Chart = new(() =>
        HelmRenderer.Render(File.ReadAllText(HelmRenderer.ValuesFile("monitoring.yaml")), HelmRenderer.WithImage)
    );

    [Fact]
    public void Pod_monitor_selects_the_pods_and_their_port()
    {
        var monitor = Chart.Value.Single("PodMonitor");
        var template = Chart.Value.Single("DaemonSet")["spec"]!["template"]!;
        Assert.Equal("prometheus", (string?)monitor["metadata"]!["labels"]!["release"]);
        foreach (var (name, value) in monitor["spec"]!["selector"]!["matchLabels"]!.AsObject())
            Assert.Equal((string?)value, (string?)template["metadata"]!["labels"]![name]);
        var endpoint = Assert.Single(monitor["spec"]!["podMetricsEndpoints"]!.AsArray())!;
        Assert.Contains((string)endpoint["port"]!, Chart.Value.Daemon["ports"]!.AsArray().Select(port => (string?)port!["name"]));
        Assert.Equal("/metrics", (string?)endpoint["path"]);
    }

    [Fact]
    public void Rules_are_those_of_the_file()
    {
        var rule = Chart.Value.Single("PrometheusRule");
        Assert.Equal("prometheus", (string?)rule["metadata"]!["labels"]!["release"]);
        var file = RenderedChart.Parse(File.ReadAllText(Path.Combine(HelmRenderer.ChartFolder, "files", "alerts.yaml"))).Objects.Single();
        Assert.Equal(file.ToJsonString(), rule["spec"]!.ToJsonString());
        Assert.NotEmpty(rule["spec"]!["groups"]!.AsArray());
    }

    [Fact]
    public void Dashboard_is_the_file_byte_for_byte()
    {
        var map = Chart.Value.Objects.Single(item => (string?)item["metadata"]!["name"] == "aws-node-dashboard");
        Assert.Equal("1", (string?)map["metadata"]!["labels"]!["grafana_dashboard"]);
        var file = File.ReadAllText(Path.Combine(HelmRenderer.ChartFolder, "files", "dashboard.json"));
        Assert.Equal(file.TrimEnd(), ((string)map["data"]!["vpc-cni.json"]!).TrimEnd());
        Assert.NotNull(JsonNode.Parse(file));
    }
}
