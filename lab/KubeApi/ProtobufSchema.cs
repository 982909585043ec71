// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace VpcCni.Lab.KubeApi;

/// <summary>How a field is written in JSON.</summary>
internal enum ProtobufKind
{
    /// <summary>A string.</summary>
    Text,

    /// <summary>A number that is written when it is zero, too: a pointer in Go, or a field without omitempty.</summary>
    Number,

    /// <summary>A flag that is written when it is false, too.</summary>
    Flag,

    /// <summary>A number of which zero is nothing: Go's encoder writes it all the same.</summary>
    NumberOrNothing,

    /// <summary>A flag of which false is nothing.</summary>
    FlagOrNothing,

    /// <summary>A list of strings.</summary>
    Texts,

    /// <summary>A list of numbers.</summary>
    Numbers,

    /// <summary>Strings by strings.</summary>
    Map,

    /// <summary>Quantities by strings.</summary>
    Quantities,

    /// <summary>A quantity, a string in JSON.</summary>
    Quantity,

    /// <summary>Seconds since 1970, a timestamp in JSON.</summary>
    Time,

    /// <summary>A number or a string.</summary>
    NumberOrText,

    /// <summary>JSON inside of protobuf.</summary>
    Json,

    /// <summary>A message.</summary>
    Message,

    /// <summary>A list of messages.</summary>
    Messages,

    /// <summary>A message whose fields are those of the one around it in JSON.</summary>
    Inline,
}

/// <summary>A field of a message.</summary>
/// <param name="Number">As in the message's definition.</param>
/// <param name="Name">In JSON.</param>
/// <param name="Kind">How it is written.</param>
/// <param name="Message">The name of the message, of kinds that have one.</param>
internal sealed record ProtobufField(int Number, string Name, ProtobufKind Kind, string Message);

/// <summary>
/// Messages by name, read from a text of one message a line: <c>Name: number field, number field type, ...</c>. A field without a type is
/// a string. Types: <c>int</c> and <c>bool</c>, with <c>0</c> behind them where zero is nothing; <c>map</c>, <c>quantity</c>,
/// <c>quantities</c>, <c>time</c>, <c>port</c> (a number or a string), <c>json</c>, or a message; <c>[]</c> for a list, <c>*</c> before a
/// message whose fields are inlined in JSON. A line without a colon goes on with the one before.
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
        if (all.FirstOrDefault(field => field.Message.Length > 0 && !_messages.ContainsKey(field.Message)) is { } lost)
            throw new FormatException($"the field {lost.Name} is a {lost.Message}, which has no line");
    }

    /// <summary>Null: it is not in the text.</summary>
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
            "int0" => (ProtobufKind.NumberOrNothing, ""),
            "bool" => (ProtobufKind.Flag, ""),
            "bool0" => (ProtobufKind.FlagOrNothing, ""),
            "[]" => (ProtobufKind.Texts, ""),
            "int[]" => (ProtobufKind.Numbers, ""),
            "map" => (ProtobufKind.Map, ""),
            "quantities" => (ProtobufKind.Quantities, ""),
            "quantity" => (ProtobufKind.Quantity, ""),
            "time" => (ProtobufKind.Time, ""),
            "port" => (ProtobufKind.NumberOrText, ""),
            "json" => (ProtobufKind.Json, ""),
            ['*', .. var inner] => (ProtobufKind.Inline, inner),
            [.. var inner, '[', ']'] => (ProtobufKind.Messages, inner),
            var inner => (ProtobufKind.Message, inner),
        };
        return new ProtobufField(number, name, kind, message);
    }
}
