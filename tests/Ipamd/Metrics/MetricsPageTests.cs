// SPDX-License-Identifier: Apache-2.0
using System.Text;
using System.Text.RegularExpressions;
using VpcCni.Ipamd.Metrics;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Metrics;

/// <summary>Generates docs/metrics.md from the metrics table.</summary>
public sealed partial class MetricsPageTests
{
    [Fact]
    public void Page_in_the_repository_matches_the_table() => GeneratedFile.Check("docs/metrics.md", Page());

    private static string Page()
    {
        var own = MetricTable.All.Where(metric => !metric.IsReference).ToArray();
        var reference = MetricTable.All.Where(metric => metric.IsReference).ToArray();
        var page = new StringBuilder();
        page.Append(
            $"""
            # Metrics

            The daemon serves {MetricTable.All.Count} metrics as text on `:61678/metrics` (`VPCCNI_METRICS_BIND_ADDRESS`, `DISABLE_METRICS`): {own.Length} of its own, and the {reference.Length} of the AWS VPC CNI. Labels have a bounded
            set of values: a list, or what one node can have. No pod, address or container is a label, except in `awscni_assigned_ip_per_cidr`, which the AWS VPC CNI has, too.

            Counters and histograms with listed label values exist from the daemon's start, at 0. Times are in seconds unless the name says otherwise.

            ## Metrics of this daemon

            | name | type | labels | meaning |
            |---|---|---|---|

            """
        );
        foreach (var metric in own)
            page.Append($"| `{metric.Name}` | {TypeOf(metric)} | {LabelsOf(metric)} | {metric.Help} |\n");
        page.Append(
            """

            ## Metrics of the AWS VPC CNI

            Names, types and labels are those of the AWS VPC CNI, so that existing dashboards and alerts keep working. `promtool check metrics` objects to some of the names.

            | name | type | labels | meaning | difference |
            |---|---|---|---|---|

            """
        );
        foreach (var metric in reference)
            page.Append($"| `{metric.Name}` | {TypeOf(metric)} | {LabelsOf(metric)} | {metric.Help} | {metric.Deviation} |\n");
        page.Append("\n## Buckets of the histograms\n\n| name | upper bounds |\n|---|---|\n");
        foreach (var metric in MetricTable.All.Where(metric => metric.Type == MetricType.Histogram))
            page.Append($"| `{metric.Name}` | {string.Join(" ", metric.Buckets)} |\n");
        page.Append(
            "\n## Alerts\n\nThe chart installs these rules (`prometheusRule.create`); `helm/vpc-cni/files/alerts.yaml` is a plain rule "
                + "file.\n\n| alert | severity | fires when |\n|---|---|---|\n"
        );
        foreach (Match alert in Alerts().Matches(GeneratedFile.Read("helm/vpc-cni/files/alerts.yaml")))
        {
            var lasting = alert.Groups["for"] is { Success: true, Value: var time } ? $", for {time}" : "";
            var expression = string.Join(' ', alert.Groups["expr"].Value.Split('\n', StringSplitOptions.TrimEntries));
            var cell = expression.Replace("|", "\\|", StringComparison.Ordinal);
            page.Append($"| `{alert.Groups["name"].Value}` | {alert.Groups["severity"].Value} | `{cell}`{lasting} |\n");
        }

        return page.ToString();
    }

    [GeneratedRegex(
        @"- alert: (?<name>\w+)\n(\s+#[^\n]*\n)?\s+expr: (>-\n\s+)?(?<expr>.+?)\n\s+(for: (?<for>\w+)\n\s+)?"
            + @"labels: \{severity: (?<severity>\w+)\}",
        RegexOptions.ExplicitCapture | RegexOptions.Singleline,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Alerts();

    private static string TypeOf(Metric metric) => metric.Type.ToString().ToLowerInvariant();

    private static string LabelsOf(Metric metric) =>
        string.Join(
            "; ",
            metric.Labels.Select(label =>
                $"`{label.Name}`: {(label.Values.Count > 0 ? string.Join(", ", label.Values.Select(Shown)) : label.Meaning)}"
            )
        );

    private static string Shown(string value) => value.Length == 0 ? "empty" : value;
}
