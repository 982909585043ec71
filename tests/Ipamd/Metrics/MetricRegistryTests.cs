// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Metrics;
using Xunit;

namespace VpcCni.Ipamd.Tests.Metrics;

/// <summary>Tests the registry with a small table.</summary>
public sealed class MetricRegistryTests
{
    private static readonly Metric First = new("first", MetricType.Gauge, "", "First");
    private static readonly Metric Broken = new("broken", MetricType.Gauge, "", "Broken");
    private static readonly Metric Last = new("last", MetricType.Gauge, "", "Last");

    [Fact]
    public void Metric_that_cannot_be_read_is_replaced_by_a_comment_and_returns()
    {
        var canRead = false;
        using var registry = new MetricRegistry<string>([First, Broken, Last], "1", () => "reading");
        registry.Read(First, reading => reading.Length);
        registry.Read(Broken, _ => canRead ? 2 : throw new IOException("Too many\nopen files"));
        registry.Read(Last, reading => reading.Length);
        var text = Scrape.Of(registry.Write).Text;
        Assert.Contains("\nfirst 7\n", text, StringComparison.Ordinal);
        Assert.Contains("\nlast 7\n", text, StringComparison.Ordinal);
        Assert.Contains("# A metric could not be read: Too many open files\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\nbroken", text, StringComparison.Ordinal);
        canRead = true;
        text = Scrape.Of(registry.Write).Text;
        Assert.Contains("\nbroken 2\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("cannot be read", text, StringComparison.Ordinal);
    }
}
