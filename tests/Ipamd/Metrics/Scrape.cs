// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Globalization;
using System.Text;

namespace VpcCni.Ipamd.Tests.Metrics;

/// <summary>A minimal parser of the text format.</summary>
internal sealed class Scrape(string text)
{
    public string Text { get; } = text;

    /// <summary>Values, by everything before the value.</summary>
    public IReadOnlyDictionary<string, double> Samples { get; } =
        text.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Where(line => !line.StartsWith('#'))
            .ToDictionary(line => line[..line.LastIndexOf(' ')], line => Number(line[(line.LastIndexOf(' ') + 1)..]));

    public double this[string sample] =>
        Samples.TryGetValue(sample, out var value) ? value : throw new KeyNotFoundException($"{sample} is not in\n{Text}");

    public bool Has(string prefix) => Samples.Keys.Any(sample => sample.StartsWith(prefix, StringComparison.Ordinal));

    private static double Number(string text) =>
        text switch
        {
            "+Inf" => double.PositiveInfinity,
            "-Inf" => double.NegativeInfinity,
            _ => double.Parse(text, CultureInfo.InvariantCulture),
        };

    public static Scrape Of(Action<IBufferWriter<byte>> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        write(buffer);
        return new Scrape(Encoding.UTF8.GetString(buffer.WrittenSpan));
    }
}
