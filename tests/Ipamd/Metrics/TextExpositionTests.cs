// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Metrics;
using Xunit;

namespace VpcCni.Ipamd.Tests.Metrics;

/// <summary>Against the examples and rules of https://prometheus.io/docs/instrumenting/exposition_formats/.</summary>
public sealed class TextExpositionTests
{
    [Fact]
    public void Counter_has_help_type_and_one_line_per_label_combination()
    {
        var series = new MetricSeries(
            new Metric(
                "requests_total",
                MetricType.Counter,
                "",
                "Requests",
                MetricLabel.Of("code", "200", "500"),
                MetricLabel.Of("method", "get")
            )
        );
        series.Add(2, [new("code", "500"), new("method", "get")]);
        Assert.Equal(
            """
            # HELP requests_total Requests
            # TYPE requests_total counter
            requests_total{code="200",method="get"} 0
            requests_total{code="500",method="get"} 2

            """,
            Scrape.Of(series.Write).Text
        );
    }

    [Fact]
    public void Histogram_has_cumulative_buckets_sum_and_count()
    {
        var series = new MetricSeries(new Metric("wait_seconds", MetricType.Histogram, "s", "Waits") { Buckets = [0.5, 1, 2.5] });
        foreach (var value in new[] { 0.1, 0.5, 1, 2, 100 })
            series.Add(value, []);
        Assert.Equal(
            """
            # HELP wait_seconds Waits
            # TYPE wait_seconds histogram
            wait_seconds_bucket{le="0.5"} 2
            wait_seconds_bucket{le="1"} 3
            wait_seconds_bucket{le="2.5"} 4
            wait_seconds_bucket{le="+Inf"} 5
            wait_seconds_sum 103.6
            wait_seconds_count 5

            """,
            Scrape.Of(series.Write).Text
        );
    }

    [Fact]
    public void Summary_has_sum_and_count()
    {
        var series = new MetricSeries(new Metric("latency_ms", MetricType.Summary, "ms", "Latency", MetricLabel.Open("api", "calls")));
        series.Add(1.5, [new("api", "a")]);
        series.Add(2, [new("api", "a")]);
        Assert.Equal(
            "# HELP latency_ms Latency\n# TYPE latency_ms summary\nlatency_ms_sum{api=\"a\"} 3.5\nlatency_ms_count{api=\"a\"} 2\n",
            Scrape.Of(series.Write).Text
        );
    }

    [Fact]
    public void Backslashes_quotes_and_line_feeds_are_escaped()
    {
        var series = new MetricSeries(new Metric("x", MetricType.Gauge, "", "C:\\\nx", MetricLabel.Open("path", "any")));
        series.Set(1, [new("path", "C:\\DIR\\\"FILE\"\n")]);
        Assert.Equal("# HELP x C:\\\\\\nx\n# TYPE x gauge\nx{path=\"C:\\\\DIR\\\\\\\"FILE\\\"\\n\"} 1\n", Scrape.Of(series.Write).Text);
    }

    [Theory]
    [InlineData(0, "0")]
    [InlineData(-1.25, "-1.25")]
    [InlineData(1764567890.123, "1764567890.123")]
    [InlineData(1e-7, "1E-07")]
    [InlineData(double.PositiveInfinity, "+Inf")]
    [InlineData(double.NegativeInfinity, "-Inf")]
    [InlineData(double.NaN, "NaN")]
    public void Number_is_written_as_its_shortest_exact_text(double value, string expected)
    {
        var series = new MetricSeries(new Metric("x", MetricType.Gauge, "", "x"));
        series.Set(value, []);
        Assert.EndsWith($"\nx {expected}\n", Scrape.Of(series.Write).Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Metric_without_a_value_is_not_served() =>
        Assert.Empty(Scrape.Of(new MetricSeries(new Metric("x", MetricType.Counter, "", "x", MetricLabel.Open("a", "any"))).Write).Text);

    [Fact]
    public void Label_combinations_beyond_the_bound_are_counted_together()
    {
        var series = new MetricSeries(new Metric("x", MetricType.Counter, "", "x", MetricLabel.Open("a", "any")));
        for (var index = 0; index < Metric.MaxSeries + 10; index++)
            series.Add(1, [new("a", index.ToString())]);
        series.Add(1, [new("a", "0")]);
        var scrape = Scrape.Of(series.Write);
        Assert.Equal(Metric.MaxSeries + 1, scrape.Samples.Count);
        Assert.Equal((2, 10), (scrape["x{a=\"0\"}"], scrape["x{a=\"other\"}"]));
    }

    [Fact]
    public void Labels_that_differ_from_the_table_throw()
    {
        var series = new MetricSeries(new Metric("x", MetricType.Counter, "", "x", MetricLabel.Open("a", "any")));
        Assert.Throws<InvalidOperationException>(() => series.Add(1, []));
        Assert.Throws<InvalidOperationException>(() => series.Add(1, [new("b", "1")]));
    }
}
