// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Diagnostics.Metrics;
using System.Text;

namespace VpcCni.Ipamd.Metrics;

/// <summary>A value with its labels, in the order of the table.</summary>
internal readonly record struct Sample(double Value, params string[] Labels);

/// <summary>
/// Owns the instruments of the metrics table (System.Diagnostics.Metrics) and their values. Counters and histograms record events when they
/// happen; all other values are read at a scrape, from one reading.
/// </summary>
/// <typeparam name="TReading">Source of the values of one scrape.</typeparam>
internal sealed class MetricRegistry<TReading> : IDisposable
    where TReading : class
{
    private readonly Meter _meter;
    private readonly MeterListener _listener = new();
    private readonly Func<TReading> _read;
    private readonly MetricSeries[] _series;
    private readonly Dictionary<string, MetricSeries> _byName;
    private readonly HashSet<MetricSeries> _isRead = [];
    private TReading? _reading;

    /// <param name="table">All metrics.</param>
    /// <param name="version">Version of the daemon.</param>
    /// <param name="read">Creates the reading of one scrape.</param>
    public MetricRegistry(IReadOnlyList<Metric> table, string version, Func<TReading> read)
    {
        _read = read;
        _series = [.. table.Select(metric => new MetricSeries(metric))];
        _byName = _series.ToDictionary(series => series.Metric.Name);
        _meter = new Meter("vpccni", version);
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (ReferenceEquals(instrument.Meter, _meter))
                listener.EnableMeasurementEvents(instrument, _byName[instrument.Name]);
        };
        _listener.SetMeasurementEventCallback<long>(static (_, value, tags, state) => ((MetricSeries)state!).Add(value, tags));
        _listener.SetMeasurementEventCallback<double>((_, value, tags, state) => Record((MetricSeries)state!, value, tags));
        _listener.Start();
    }

    /// <summary>Metrics of the table without an instrument.</summary>
    public IReadOnlyList<Metric> WithoutInstrument =>
        [.. _series.Select(series => series.Metric).Where(metric => !Instruments.Contains(metric.Name))];

    private HashSet<string> Instruments { get; } = [];

    public Counter<long> Counter(Metric metric)
    {
        Claim(metric, MetricType.Counter);
        return _meter.CreateCounter<long>(metric.Name, metric.Unit, metric.Help);
    }

    /// <summary>Creates the instrument of a histogram or summary.</summary>
    public Histogram<double> Histogram(Metric metric)
    {
        Claim(metric, MetricType.Histogram, MetricType.Summary);
        return _meter.CreateHistogram<double>(metric.Name, metric.Unit, metric.Help);
    }

    /// <summary>Reads a metric without labels at each scrape; null: no value at present.</summary>
    public void Read(Metric metric, Func<TReading, double?> value) =>
        ReadAll(metric, reading => value(reading) is { } known ? [new Sample(known)] : []);

    /// <summary>Reads a metric with labels at each scrape. A series exists only while it is read.</summary>
    public void ReadAll(Metric metric, Func<TReading, IEnumerable<Sample>> values)
    {
        Claim(metric, MetricType.Gauge, MetricType.Counter);
        _isRead.Add(_byName[metric.Name]);
        IEnumerable<Measurement<double>> Observe() => values(_reading!).Select(sample => ToMeasurement(metric, sample));
        if (metric.Type == MetricType.Counter)
            _meter.CreateObservableCounter(metric.Name, Observe, metric.Unit, metric.Help);
        else
            _meter.CreateObservableGauge(metric.Name, Observe, metric.Unit, metric.Help);
    }

    /// <summary>
    /// Writes all metrics as text. A metric that cannot be read, for example because file descriptors have run out, is replaced by a
    /// comment with the reason; the others are still written. Not thread-safe.
    /// </summary>
    public void Write(IBufferWriter<byte> output)
    {
        _reading = _read();
        try
        {
            foreach (var series in _isRead)
                series.Clear();
            _listener.RecordObservableInstruments();
        }
        catch (AggregateException failures)
        {
            // Thrown after all instruments were read.
            foreach (var failure in failures.InnerExceptions)
                output.Write(Encoding.UTF8.GetBytes($"# A metric could not be read: {failure.Message.ReplaceLineEndings(" ")}\n"));
        }
        finally
        {
            _reading = null;
        }

        foreach (var series in _series)
            series.Write(output);
    }

    public void Dispose()
    {
        _listener.Dispose();
        _meter.Dispose();
    }

    private void Record(MetricSeries series, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (_isRead.Contains(series))
            series.Set(value, tags);
        else
            series.Add(value, tags);
    }

    private void Claim(Metric metric, params MetricType[] types)
    {
        if (!_byName.ContainsKey(metric.Name))
            throw new InvalidOperationException($"{metric.Name} is not in the table");
        if (!types.Contains(metric.Type))
            throw new InvalidOperationException($"{metric.Name} is a {metric.Type}");
        if (!Instruments.Add(metric.Name))
            throw new InvalidOperationException($"{metric.Name} already has an instrument");
    }

    private static Measurement<double> ToMeasurement(Metric metric, Sample sample)
    {
        // default(Sample) has no array.
        if (sample.Labels is not { Length: > 0 } labels)
            return new Measurement<double>(sample.Value);
        var tags = new KeyValuePair<string, object?>[labels.Length];
        for (var index = 0; index < labels.Length; index++)
            tags[index] = new KeyValuePair<string, object?>(metric.Labels[index].Name, labels[index]);
        return new Measurement<double>(sample.Value, tags);
    }
}
