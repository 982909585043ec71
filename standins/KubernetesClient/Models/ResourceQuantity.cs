// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace k8s.Models;

/// <summary>
/// An amount of a resource: a number and a suffix (Kubernetes API reference, "Quantity"): binary (Ki to Ei), decimal (n to E) or an exponent. Kept as it was written.
/// </summary>
[JsonConverter(typeof(QuantityConverter))]
public record ResourceQuantity
{
    private static readonly SearchValues<char> NumberLetters = SearchValues.Create("+-.0123456789");
    private readonly string _text;
    private readonly decimal _value;

    /// <exception cref="FormatException">The text is not a quantity.</exception>
    public ResourceQuantity(string v)
    {
        ArgumentNullException.ThrowIfNull(v);
        _text = v.Trim();
        if (!TryParse(_text, out _value)) throw new FormatException($"'{v}' is not a quantity");
    }

    public static implicit operator ResourceQuantity(string v) => new(v);

    public decimal ToDecimal() => _value;

    /// <exception cref="OverflowException">It is larger.</exception>
    public int ToInt32() => decimal.ToInt32(_value);

    /// <exception cref="OverflowException">It is larger.</exception>
    public long ToInt64() => decimal.ToInt64(_value);

    public override string ToString() => _text;

    private static bool TryParse(string text, out decimal value)
    {
        value = 0;
        var end = text.AsSpan().IndexOfAnyExcept(NumberLetters);
        var number = end < 0 ? text : text.AsSpan(0, end);
        if (!decimal.TryParse(number, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var mantissa)) return false;
        if (end < 0)
        {
            value = mantissa;
            return true;
        }

        try
        {
            value = mantissa * Factor(text.AsSpan(end));
            return true;
        }
        catch (Exception exception) when (exception is OverflowException or FormatException)
        {
            return false;
        }
    }

    private static decimal Factor(ReadOnlySpan<char> suffix) => suffix switch
    {
        "n" => 0.000_000_001m,
        "u" => 0.000_001m,
        "m" => 0.001m,
        "k" => 1_000m,
        "M" => 1_000_000m,
        "G" => 1_000_000_000m,
        "T" => 1_000_000_000_000m,
        "P" => 1_000_000_000_000_000m,
        "E" => 1_000_000_000_000_000_000m,
        "Ki" => 1L << 10,
        "Mi" => 1L << 20,
        "Gi" => 1L << 30,
        "Ti" => 1L << 40,
        "Pi" => 1L << 50,
        "Ei" => 1L << 60,
        ['e' or 'E', .. var exponent] => decimal.Parse($"1e{exponent}", NumberStyles.AllowExponent | NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture),
        _ => throw new FormatException("unknown suffix"),
    };

    internal sealed class QuantityConverter : JsonConverter<ResourceQuantity>
    {
        public override ResourceQuantity Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            // The API writes text; a plain number is allowed too.
            var text = reader.TokenType switch
            {
                JsonTokenType.String => reader.GetString()!,
                JsonTokenType.Number => reader.GetDecimal().ToString(CultureInfo.InvariantCulture),
                _ => throw new JsonException("a quantity is a text or a number"),
            };
            try
            {
                return new ResourceQuantity(text);
            }
            catch (FormatException exception)
            {
                throw new JsonException(exception.Message, exception);
            }
        }

        public override void Write(Utf8JsonWriter writer, ResourceQuantity value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
    }
}
