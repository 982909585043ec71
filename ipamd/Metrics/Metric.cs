// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Metrics;

/// <summary>Types of the Prometheus text format.</summary>
internal enum MetricType
{
    /// <summary>A value that may fall, read at a scrape.</summary>
    Gauge,

    /// <summary>A value that only grows while the daemon runs.</summary>
    Counter,

    /// <summary>Counts observations in buckets.</summary>
    Histogram,

    /// <summary>Sum and count of observations, without quantiles, as in the reference.</summary>
    Summary,
}

/// <summary>A label with a bounded set of values.</summary>
/// <param name="Name">Name of the label.</param>
/// <param name="Values">All values; empty if they cannot be listed.</param>
/// <param name="Meaning">Description of the values; empty if they are listed.</param>
internal sealed record MetricLabel(string Name, IReadOnlyList<string> Values, string Meaning)
{
    public static MetricLabel Of(string name, params IReadOnlyList<string> values) => new(name, values, "");

    /// <summary>Creates a label whose values are the names of an enumeration, in <see cref="SnakeCase"/>.</summary>
    public static MetricLabel Of<TEnum>(string name)
        where TEnum : struct, Enum => new(name, [.. Enum.GetNames<TEnum>().Select(SnakeCase.Of)], "");

    public static MetricLabel Open(string name, string meaning) => new(name, [], meaning);
}

/// <summary>Definition of one metric. Its instrument, the served text and docs/metrics.md are derived from it.</summary>
/// <param name="Name">Served name.</param>
/// <param name="Type">Type of the metric.</param>
/// <param name="Unit">Unit of the value; empty for a plain number.</param>
/// <param name="Help">Help text; one sentence.</param>
/// <param name="Labels">Labels, in the served order.</param>
internal sealed record Metric(string Name, MetricType Type, string Unit, string Help, params IReadOnlyList<MetricLabel> Labels)
{
    /// <summary>
    /// Maximum number of label combinations of a counter or histogram; further ones are counted under <see cref="Overflow"/>. Guards
    /// against label values that turn out to be unbounded.
    /// </summary>
    public const int MaxSeries = 256;

    public const string Overflow = "other";

    /// <summary>Ascending upper bounds without the infinite one; for histograms only.</summary>
    public IReadOnlyList<double> Buckets { get; init; } = [];

    /// <summary>Whether the AWS VPC CNI serves this metric, too, with the same type and labels.</summary>
    public bool IsReference => !Name.StartsWith("vpccni_", StringComparison.Ordinal);

    /// <summary>Difference from the reference's meaning; empty if there is none.</summary>
    public string Deviation { get; init; } = "";
}

/// <summary>Converts names of the code to label values: <c>SubnetExhausted</c> becomes <c>subnet_exhausted</c>.</summary>
internal static class SnakeCase
{
    public static string Of(string name)
    {
        var text = new System.Text.StringBuilder(name.Length + 4);
        foreach (var letter in name)
        {
            if (char.IsAsciiLetterUpper(letter) && text.Length > 0)
                text.Append('_');
            text.Append(char.ToLowerInvariant(letter));
        }

        return text.ToString();
    }

    public static string Of<TEnum>(TEnum value)
        where TEnum : struct, Enum => Names<TEnum>.Of.TryGetValue(value, out var name) ? name : Of(value.ToString());

    /// <summary>Cache, because every scrape needs the names.</summary>
    private static class Names<TEnum>
        where TEnum : struct, Enum
    {
        public static readonly Dictionary<TEnum, string> Of = Enum.GetValues<TEnum>()
            .Distinct()
            .ToDictionary(value => value, value => SnakeCase.Of(value.ToString()));
    }
}
