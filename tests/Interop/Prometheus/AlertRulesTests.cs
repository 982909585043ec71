// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;
using Xunit;

namespace VpcCni.Interop.Tests.Prometheus;

/// <summary>The alert rules of the chart.</summary>
public sealed partial class AlertRulesTests
{
    [Fact]
    public async Task Promtool_accepts_the_rules()
    {
        var (exitCode, output) = await Promtool.RunAsync(["check", "rules", "--lint-fatal", Promtool.ChartFile("alerts.yaml")]);
        Assert.True(exitCode == 0, output);
    }

    [Fact]
    public async Task Every_alert_fires_when_it_should_and_not_else()
    {
        var (exitCode, output) = await Promtool.RunAsync(["test", "rules", "alerts.test.yaml"]);
        Assert.True(exitCode == 0, output);
    }

    [Fact]
    public void Every_alert_has_a_test_in_which_it_fires()
    {
        var alerts = Alerts()
            .Matches(File.ReadAllText(Promtool.ChartFile("alerts.yaml")))
            .Select(match => match.Groups["name"].Value)
            .ToArray();
        var tested = Tested()
            .Matches(File.ReadAllText(Path.Combine(Promtool.Folder(), "alerts.test.yaml")))
            .Select(match => match.Groups["name"].Value)
            .ToHashSet();
        Assert.NotEmpty(alerts);
        Assert.All(alerts, alert => Assert.Contains(alert, tested));
    }

    [Fact]
    public void Every_rule_asks_for_what_the_daemon_serves()
    {
        var text = File.ReadAllText(Promtool.ChartFile("alerts.yaml"));
        Assert.NotEmpty(Expressions.MetricsIn(text));
        Assert.Empty(
            Expressions.Problems(string.Join('\n', text.Split('\n').Where(line => line.Contains("vpccni_", StringComparison.Ordinal))))
        );
    }

    [GeneratedRegex(@"- alert: (?<name>\w+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Alerts();

    /// <summary>Followed by an alert that is expected, not by an empty list.</summary>
    [GeneratedRegex(@"alertname: (?<name>\w+)\s+exp_alerts:\s+- exp_labels", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Tested();
}
