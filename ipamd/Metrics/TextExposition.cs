// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace VpcCni.Ipamd.Metrics;

/// <summary>
/// Writes the Prometheus text format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/), straight into the
/// response's buffer: two header lines per metric and one line per value.
/// </summary>
internal static class TextExposition
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    public static void WriteHead(IBufferWriter<byte> output, Metric metric)
    {
        Write(
            output,
            $"# HELP {metric.Name} "
                + $"{metric.Help.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}\n"
        );
        Write(output, $"# TYPE {metric.Name} {TypeOf(metric.Type)}\n");
    }

    /// <param name="output">Buffer to write to.</param>
    /// <param name="metric">Metric of the value.</param>
    /// <param name="suffix">Suffix of the name, for the parts of a histogram or summary.</param>
    /// <param name="labels">Label values, in the order of the metric's labels.</param>
    /// <param name="value">The value.</param>
    /// <param name="bound">Upper bound of the bucket; null for other values.</param>
    public static void WriteSample(
        IBufferWriter<byte> output,
        Metric metric,
        string suffix,
        ReadOnlySpan<string> labels,
        double value,
        double? bound = null
    )
    {
        Write(output, metric.Name);
        Write(output, suffix);
        var opened = false;
        for (var index = 0; index < labels.Length; index++)
        {
            WriteLabel(output, ref opened, metric.Labels[index].Name);
            WriteEscaped(output, labels[index]);
            Write(output, "\"");
        }

        if (bound is { } upper)
        {
            WriteLabel(output, ref opened, "le");
            WriteNumber(output, upper);
            Write(output, "\"");
        }

        Write(output, opened ? "} " : " ");
        WriteNumber(output, value);
        Write(output, "\n");
    }

    private static void WriteLabel(IBufferWriter<byte> output, ref bool opened, string name)
    {
        Write(output, opened ? "," : "{");
        Write(output, name);
        Write(output, "=\"");
        opened = true;
    }

    private static void WriteEscaped(IBufferWriter<byte> output, string text)
    {
        if (text.AsSpan().IndexOfAny('\\', '"', '\n') >= 0)
        {
            text = text.Replace("\\", "\\\\", StringComparison.Ordinal)
                .Replace("\"", "\\\"", StringComparison.Ordinal)
                .Replace("\n", "\\n", StringComparison.Ordinal);
        }

        Write(output, text);
    }

    private static void WriteNumber(IBufferWriter<byte> output, double value)
    {
        if (double.IsNaN(value))
            Write(output, "NaN");
        else if (double.IsInfinity(value))
            Write(output, value > 0 ? "+Inf" : "-Inf");
        else
        {
            // Writes the shortest text that parses to the same number; 32 bytes fit any.
            Utf8Formatter.TryFormat(value, output.GetSpan(32), out var written);
            output.Advance(written);
        }
    }

    private static void Write(IBufferWriter<byte> output, string text)
    {
        if (text.Length > 0)
            Encoding.UTF8.GetBytes(text.AsSpan(), output);
    }

    private static string TypeOf(MetricType type) =>
        type switch
        {
            MetricType.Gauge => "gauge",
            MetricType.Counter => "counter",
            MetricType.Histogram => "histogram",
            MetricType.Summary => "summary",
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "unnamed type"),
        };
}
