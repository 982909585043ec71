// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Chart.Tests;

/// <summary>What makes metrics visible: scraping, rules, dashboard.</summary>
public sealed class MonitoringTests
{
    private static readonly Lazy<RenderedChart> Chart = new(() => HelmRenderer.Render(HelmRenderer.WithImage, "podMonitor: {create: true, labels: {release: prometheus}}"));

    [Fact]
    public void Pod_monitor_selects_the_pods_and_their_port()
    {
        var monitor = Chart.Value.Single("PodMonitor");
        var template = Chart.Value.Single("DaemonSet")["spec"]!["template"]!;
        Assert.Equal("prometheus", (string?)monitor["metadata"]!["labels"]!["release"]);
        foreach (var (name, value) in monitor["spec"]!["selector"]!["matchLabels"]!.AsObject()) Assert.Equal((string?)value, (string?)template["metadata"]!["labels"]![name]);
        var endpoint = Assert.Single(monitor["spec"]!["podMetricsEndpoints"]!.AsArray())!;
        Assert.Contains((string)endpoint["port"]!, Chart.Value.Daemon["ports"]!.AsArray().Select(port => (string?)port!["name"]));
        Assert.Equal("/metrics", (string?)endpoint["path"]);
    }
}
