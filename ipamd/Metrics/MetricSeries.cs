// SPDX-License-Identifier: Apache-2.0
using System.Buffers;

namespace VpcCni.Ipamd.Metrics;

/// <summary>The values of one metric, by combination of labels. Thread-safe; adding to an existing value allocates nothing.</summary>
internal sealed class MetricSeries
{
    private readonly Lock _lock = new();
    private readonly List<Cell> _cells = [];

    public MetricSeries(Metric metric)
    {
        Metric = metric;
        // Known combinations start at 0, because rate() and increase() miss the event with which a series appears.
        if (metric.Type is not (MetricType.Counter or MetricType.Histogram) || metric.Labels.Any(label => label.Values.Count == 0))
            return;
        IEnumerable<string[]> combinations =
        [
            [],
        ];
        foreach (var label in metric.Labels)
            combinations = combinations.SelectMany(head => label.Values, (head, value) => (string[])[.. head, value]);
        _cells.AddRange(combinations.Select(labels => new Cell(labels, metric.Buckets.Count)));
    }

    public Metric Metric { get; }

    /// <summary>Adds to a counter or summary, or records an observation of a histogram.</summary>
    public void Add(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        lock (_lock)
        {
            var cell = Find_NeedsLock(tags);
            cell.Sum += value;
            cell.Count++;
            if (Metric.Type != MetricType.Histogram)
                return;
            var bucket = 0;
            while (bucket < Metric.Buckets.Count && value > Metric.Buckets[bucket])
                bucket++;
            if (bucket < Metric.Buckets.Count)
                cell.Buckets[bucket]++;
        }
    }

    /// <summary>Removes all values before they are read again.</summary>
    public void Clear()
    {
        lock (_lock)
            _cells.Clear();
    }

    /// <summary>Sets a value that was read. Its labels must be new since the last <see cref="Clear"/>.</summary>
    public void Set(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        lock (_lock)
            _cells.Add(new Cell(LabelsOf(tags), buckets: 0) { Sum = value });
    }

    public void Write(IBufferWriter<byte> output)
    {
        lock (_lock)
        {
            if (_cells.Count == 0)
                return;
            TextExposition.WriteHead(output, Metric);
            foreach (var cell in _cells)
            {
                switch (Metric.Type)
                {
                    case MetricType.Gauge or MetricType.Counter:
                        TextExposition.WriteSample(output, Metric, "", cell.Labels, cell.Sum);
                        break;
                    case MetricType.Histogram:
                        WriteBuckets(output, cell);
                        TextExposition.WriteSample(output, Metric, "_sum", cell.Labels, cell.Sum);
                        TextExposition.WriteSample(output, Metric, "_count", cell.Labels, cell.Count);
                        break;
                    case MetricType.Summary:
                        TextExposition.WriteSample(output, Metric, "_sum", cell.Labels, cell.Sum);
                        TextExposition.WriteSample(output, Metric, "_count", cell.Labels, cell.Count);
                        break;
                    default:
                        throw new InvalidOperationException($"unnamed type {Metric.Type}");
                }
            }
        }
    }

    private void WriteBuckets(IBufferWriter<byte> output, Cell cell)
    {
        long total = 0;
        for (var index = 0; index < Metric.Buckets.Count; index++)
        {
            total += cell.Buckets[index];
            TextExposition.WriteSample(output, Metric, "_bucket", cell.Labels, total, Metric.Buckets[index]);
        }

        TextExposition.WriteSample(output, Metric, "_bucket", cell.Labels, cell.Count, double.PositiveInfinity);
    }

    private Cell Find_NeedsLock(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        foreach (var cell in _cells)
        {
            if (cell.Is(tags))
                return cell;
        }

        return Create_NeedsLock(LabelsOf(tags));
    }

    /// <summary>A method of its own, because its closure would otherwise be allocated in every lookup.</summary>
    private Cell Create_NeedsLock(string[] labels)
    {
        if (_cells.Count >= Metric.MaxSeries)
        {
            Array.Fill(labels, Metric.Overflow);
            if (_cells.Find(cell => cell.Labels.AsSpan().SequenceEqual(labels)) is { } overflow)
                return overflow;
        }

        var added = new Cell(labels, Metric.Buckets.Count);
        _cells.Add(added);
        return added;
    }

    private string[] LabelsOf(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.Length != Metric.Labels.Count)
            throw new InvalidOperationException($"{Metric.Name} has {Metric.Labels.Count} labels, but got {tags.Length}");
        if (tags.IsEmpty)
            return [];
        var labels = new string[tags.Length];
        for (var index = 0; index < labels.Length; index++)
        {
            if (tags[index].Key != Metric.Labels[index].Name)
                throw new InvalidOperationException(
                    $"{Metric.Name} got the label {tags[index].Key} instead of {Metric.Labels[index].Name}"
                );
            labels[index] = (string)tags[index].Value!;
        }

        return labels;
    }

    private sealed class Cell(string[] labels, int buckets)
    {
        public string[] Labels { get; } = labels;
        public long[] Buckets { get; } = buckets == 0 ? [] : new long[buckets];
        public double Sum { get; set; }
        public long Count { get; set; }

        public bool Is(ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            if (tags.Length != Labels.Length)
                return false;
            for (var index = 0; index < tags.Length; index++)
            {
                if (!string.Equals(Labels[index], tags[index].Value as string, StringComparison.Ordinal))
                    return false;
            }

            return true;
        }
    }
}
