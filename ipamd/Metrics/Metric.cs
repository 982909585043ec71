// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Metrics;

/// <summary>The types of the text format.</summary>
internal enum MetricType
{
    /// <summary>Goes up and down; read when it is asked for.</summary>
    Gauge,

    /// <summary>Only goes up while the daemon lives.</summary>
    Counter,

    /// <summary>Counts observations in buckets.</summary>
    Histogram,

    /// <summary>Sum and count of observations, without quantiles: as the reference has it.</summary>
    Summary,
}

/// <summary>A label, and which values it can have: never more than can be told beforehand.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Values">All of them; empty when only their meaning is known.</param>
/// <param name="Meaning">What bounds them, for people; empty when they are listed.</param>
internal sealed record MetricLabel(string Name, IReadOnlyList<string> Values, string Meaning)
{
    public static MetricLabel Of(string name, params IReadOnlyList<string> values) => new(name, values, "");

    /// <summary>The names of an enumeration, as <see cref="SnakeCase"/> spells them.</summary>
    public static MetricLabel Of<TEnum>(string name)
        where TEnum : struct, Enum => new(name, [.. Enum.GetNames<TEnum>().Select(SnakeCase.Of)], "");

    public static MetricLabel Open(string name, string meaning) => new(name, [], meaning);
}

/// <summary>
/// One row of the table that everything else follows from: the instrument that measures it, what is served, and docs/metrics.md.
/// </summary>
/// <param name="Name">As it is served.</param>
/// <param name="Type">Its type.</param>
/// <param name="Unit">Of the value; empty for a plain number.</param>
/// <param name="Help">One sentence.</param>
/// <param name="Labels">In the order in which they are given and served.</param>
internal sealed record Metric(string Name, MetricType Type, string Unit, string Help, params IReadOnlyList<MetricLabel> Labels)
{
    /// <summary>
    /// Beyond this many combinations of labels a counter or histogram counts under <see cref="Overflow"/>: a bound, should one be wrong
    /// about the values.
    /// </summary>
    public const int MaxSeries = 256;

    public const string Overflow = "other";

    /// <summary>Upper bounds, ascending, without the infinite one. Histograms only.</summary>
    public IReadOnlyList<double> Buckets { get; init; } = [];

    /// <summary>The AWS VPC CNI serves it too, with the same type and labels.</summary>
    public bool IsReference => !Name.StartsWith("vpccni_", StringComparison.Ordinal);

    /// <summary>How the meaning differs from the reference's; empty when it does not.</summary>
    public string Deviation { get; init; } = "";
}

/// <summary>How names of the code are spelled in label values: <c>SubnetExhausted</c> is <c>subnet_exhausted</c>.</summary>
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

    /// <summary>Spelled once: they are asked for at every scrape.</summary>
    private static class Names<TEnum>
        where TEnum : struct, Enum
    {
        public static readonly Dictionary<TEnum, string> Of = Enum.GetValues<TEnum>()
            .Distinct()
            .ToDictionary(value => value, value => SnakeCase.Of(value.ToString()));
    }
}
