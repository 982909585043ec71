// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace VpcCni.Lab.KubeApi;

/// <summary>JSON representation of a field.</summary>
internal enum ProtobufKind
{
    /// <summary>A string.</summary>
    Text,

    /// <summary>A number that JSON includes even if it is zero: a pointer in Go, or a field without omitempty.</summary>
    Number,

    /// <summary>A flag that JSON includes even if it is false.</summary>
    Flag,

    /// <summary>A number that JSON omits if it is zero. Go's protobuf encoder writes it nevertheless.</summary>
    NumberOmitZero,

    /// <summary>A flag that JSON omits if it is false.</summary>
    FlagOmitFalse,

    /// <summary>A list of strings.</summary>
    Texts,

    /// <summary>A list of numbers.</summary>
    Numbers,

    /// <summary>A map from strings to strings.</summary>
    Map,

    /// <summary>A map from strings to quantities.</summary>
    Quantities,

    /// <summary>A quantity, a string in JSON.</summary>
    Quantity,

    /// <summary>Seconds since 1970, a timestamp in JSON.</summary>
    Time,

    /// <summary>A number or a string.</summary>
    IntOrString,

    /// <summary>JSON embedded in protobuf.</summary>
    Json,

    /// <summary>A message.</summary>
    Message,

    /// <summary>A list of messages.</summary>
    Messages,

    /// <summary>A message whose fields JSON has in the enclosing object.</summary>
    Inline,
}

/// <summary>A field of a message.</summary>
/// <param name="Number">Field number in the message's definition.</param>
/// <param name="Name">Name in JSON.</param>
/// <param name="Kind">Representation in JSON.</param>
/// <param name="Message">Name of the field's message; empty for a scalar.</param>
internal sealed record ProtobufField(int Number, string Name, ProtobufKind Kind, string Message);

/// <summary>
/// Messages by name, parsed from a text with one message per line: <c>Name: number field, number field type, ...</c>. A field without a
/// type is a string. Types are <c>int</c> and <c>bool</c> (with suffix <c>0</c> if JSON omits zero), <c>map</c>, <c>quantity</c>,
/// <c>quantities</c>, <c>time</c>, <c>port</c> (a number or a string), <c>json</c>, or a message. The suffix <c>[]</c> means a list, the
/// prefix <c>*</c> a message whose fields are inlined in JSON. A line without a colon continues the previous one.
/// </summary>
internal sealed class ProtobufSchema
{
    private readonly Dictionary<string, Dictionary<int, ProtobufField>> _messages = new(StringComparer.Ordinal);

    public ProtobufSchema(string text)
    {
        Dictionary<int, ProtobufField> fields = [];
        foreach (var line in Split(text, '\n'))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0)
                _messages.Add(line[..colon], fields = []);
            foreach (var field in Split(line[(colon + 1)..], ',').Select(Field))
                fields.Add(field.Number, field);
        }

        var all = _messages.Values.SelectMany(message => message.Values);
        if (all.FirstOrDefault(field => field.Message.Length > 0 && !_messages.ContainsKey(field.Message)) is { } undefined)
            throw new FormatException($"field {undefined.Name} has the type {undefined.Message}, which is not defined");
    }

    /// <summary>Returns a field of a message; null if it is not defined.</summary>
    public ProtobufField? Find(string message, int number) => _messages[message].GetValueOrDefault(number);

    public bool Has(string message) => _messages.ContainsKey(message);

    private static string[] Split(string text, char separator) =>
        text.Split(separator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static ProtobufField Field(string text)
    {
        var words = text.Split(' ');
        var (number, name) = (int.Parse(words[0], CultureInfo.InvariantCulture), words[1]);
        var (kind, message) = (words.Length > 2 ? words[2] : "") switch
        {
            "" => (ProtobufKind.Text, ""),
            "int" => (ProtobufKind.Number, ""),
            "int0" => (ProtobufKind.NumberOmitZero, ""),
            "bool" => (ProtobufKind.Flag, ""),
            "bool0" => (ProtobufKind.FlagOmitFalse, ""),
            "[]" => (ProtobufKind.Texts, ""),
            "int[]" => (ProtobufKind.Numbers, ""),
            "map" => (ProtobufKind.Map, ""),
            "quantities" => (ProtobufKind.Quantities, ""),
            "quantity" => (ProtobufKind.Quantity, ""),
            "time" => (ProtobufKind.Time, ""),
            "port" => (ProtobufKind.IntOrString, ""),
            "json" => (ProtobufKind.Json, ""),
            ['*', .. var inner] => (ProtobufKind.Inline, inner),
            [.. var inner, '[', ']'] => (ProtobufKind.Messages, inner),
            var inner => (ProtobufKind.Message, inner),
        };
        return new ProtobufField(number, name, kind, message);
    }
}
