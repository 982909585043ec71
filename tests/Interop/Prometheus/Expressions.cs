// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;
using VpcCni.Ipamd.Metrics;

namespace VpcCni.Interop.Tests.Prometheus;

/// <summary>
/// What an expression asks for, held against the table of metrics: a name or a label value that is not there is a panel that stays empty,
/// or an alert that never fires.
/// </summary>
internal static partial class Expressions
{
    /// <summary>Names that the table serves: those of the metrics, and of the parts of histograms and summaries.</summary>
    private static readonly Dictionary<string, Metric> Served = MetricTable
        .All.SelectMany(metric =>
            metric.Type switch
            {
                MetricType.Histogram => [("_bucket", metric), ("_sum", metric), ("_count", metric)],
                MetricType.Summary => new[] { ("_sum", metric), ("_count", metric) },
                _ => [("", metric)],
            }
        )
        .ToDictionary(item => item.metric.Name + item.Item1, item => item.metric);

    /// <summary>Labels that a scraper adds.</summary>
    private static readonly string[] OfTheScraper = ["instance", "node", "job"];

    public static IReadOnlyList<string> MetricsIn(string expression) =>
        [.. Names().Matches(expression).Select(match => match.Value).Distinct()];

    /// <summary>What is wrong with it; empty when nothing is.</summary>
    public static IEnumerable<string> Problems(string expression)
    {
        foreach (Match selector in Selectors().Matches(expression))
        {
            var name = selector.Groups["name"].Value;
            if (!Served.TryGetValue(name, out var metric))
            {
                yield return $"{name} is not served";
                continue;
            }

            foreach (Match matcher in Matchers().Matches(selector.Groups["matchers"].Value))
            {
                var (label, operation, value) = (
                    matcher.Groups["label"].Value,
                    matcher.Groups["operation"].Value,
                    matcher.Groups["value"].Value
                );
                if (OfTheScraper.Contains(label))
                    continue;
                if (metric.Labels.FirstOrDefault(item => item.Name == label) is not { } known)
                    yield return $"{name} has no label {label}";
                else if (known.Values.Count > 0)
                {
                    foreach (var word in operation.EndsWith('~') ? value.Split('|') : [value])
                    {
                        if (!known.Values.Contains(word))
                            yield return $"{label} of {name} is never {word}";
                    }
                }
            }
        }

        var labels = MetricsIn(expression)
            .SelectMany(name => Served.TryGetValue(name, out var metric) ? metric.Labels.Select(label => label.Name) : [])
            .Concat(OfTheScraper)
            .Append("le")
            .ToHashSet();
        foreach (Match grouping in Groupings().Matches(expression))
        {
            foreach (
                var label in grouping
                    .Groups["labels"]
                    .Value.Split(',', StringSplitOptions.TrimEntries)
                    .Where(label => !labels.Contains(label))
            )
                yield return $"nothing in it has the label {label}";
        }
    }

    [GeneratedRegex(@"\b(vpccni|awscni|process)_\w+", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Names();

    [GeneratedRegex(
        @"\b(?<name>(vpccni|awscni|process)_\w+)(\{(?<matchers>[^}]*)\})?",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Selectors();

    [GeneratedRegex(
        "(?<label>\\w+)\\s*(?<operation>=~|!~|!=|=)\\s*\"(?<value>[^\"]*)\"",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Matchers();

    [GeneratedRegex(@"\b(by|on)\s*\((?<labels>[^)]*)\)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Groupings();
}
