// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Diagnostics.Metrics;
using System.Text;

namespace VpcCni.Ipamd.Metrics;

/// <summary>A value that was read, with its labels in the order of the table.</summary>
internal readonly record struct Sample(double Value, params string[] Labels);

/// <summary>
/// The instruments of the metrics table (System.Diagnostics.Metrics) and the values that were measured with them. What happens is added to
/// counters and histograms when it happens; what is is read when somebody asks, for all metrics from one reading.
/// </summary>
/// <typeparam name="TReading">What values are read from.</typeparam>
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

    /// <param name="table">Every metric that there is.</param>
    /// <param name="version">Of the daemon.</param>
    /// <param name="read">Makes a reading: called once for everybody who asks.</param>
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
        _listener.SetMeasurementEventCallback<double>((_, value, tags, state) => Measured((MetricSeries)state!, value, tags));
        _listener.Start();
    }

    /// <summary>Metrics of the table that nothing is measured with.</summary>
    public IReadOnlyList<Metric> WithoutInstrument =>
        [.. _series.Select(series => series.Metric).Where(metric => !Instruments.Contains(metric.Name))];

    private HashSet<string> Instruments { get; } = [];

    public Counter<long> Counter(Metric metric)
    {
        Claim(metric, MetricType.Counter);
        return _meter.CreateCounter<long>(metric.Name, metric.Unit, metric.Help);
    }

    /// <summary>For histograms and summaries.</summary>
    public Histogram<double> Histogram(Metric metric)
    {
        Claim(metric, MetricType.Histogram, MetricType.Summary);
        return _meter.CreateHistogram<double>(metric.Name, metric.Unit, metric.Help);
    }

    /// <summary>A metric without labels; null where there is no value now.</summary>
    public void Read(Metric metric, Func<TReading, double?> value) =>
        ReadAll(metric, reading => value(reading) is { } known ? [new Sample(known)] : []);

    /// <summary>A metric with labels: a series is there for as long as it is read.</summary>
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
    /// Everything, as text. Not for two threads at once. A metric that cannot be read, say because file descriptors have run out, is left
    /// out, and a comment says why: the others are wanted all the more then.
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
            // Thrown when all have been asked.
            foreach (var failure in failures.InnerExceptions)
                output.Write(Encoding.UTF8.GetBytes($"# A metric cannot be read: {failure.Message.ReplaceLineEndings(" ")}\n"));
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

    private void Measured(MetricSeries series, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
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
            throw new InvalidOperationException($"{metric.Name} is measured twice");
    }

    private static Measurement<double> ToMeasurement(Metric metric, Sample sample)
    {
        // The default value of the struct has no array.
        if (sample.Labels is not { Length: > 0 } labels)
            return new Measurement<double>(sample.Value);
        var tags = new KeyValuePair<string, object?>[labels.Length];
        for (var index = 0; index < labels.Length; index++)
            tags[index] = new KeyValuePair<string, object?>(metric.Labels[index].Name, labels[index]);
        return new Measurement<double>(sample.Value, tags);
    }
}
