// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>
/// Reads bodies that clients send as protobuf instead of JSON: options of a deletion (<c>kubectl drain</c>), small objects
/// (<c>kubectl create namespace</c>), and pods, whose annotations and status Go clients such as Multus update. Rejects a non-empty field
/// that <see cref="ProtobufMessages"/> does not define, rather than drop it.
/// </summary>
internal static class ProtobufBody
{
    public const string MediaType = "application/vnd.kubernetes.protobuf";

    private const int Varint = 0;
    private const int Fixed64 = 1;
    private const int Bytes = 2;
    private const int Fixed32 = 5;

    /// <summary>Maximum depth of nested messages; a pod has seven levels.</summary>
    private const int MaxDepth = 32;

    private static ReadOnlySpan<byte> Magic => "k8s\0"u8;

    /// <summary>Reads an object in the Kubernetes protobuf envelope.</summary>
    /// <exception cref="KubeStatusException">415: the kind or a field is not supported; 400: the body is malformed.</exception>
    public static JsonObject Read(ReadOnlySpan<byte> body)
    {
        if (!body.StartsWith(Magic))
            throw Malformed();
        string apiVersion = "",
            kind = "";
        ReadOnlySpan<byte> raw = [];
        for (var rest = body[Magic.Length..]; rest.Length > 0; )
        {
            var (number, value) = NextBytes(ref rest);
            if (number == 2)
                raw = value;
            if (number != 1)
                continue;
            for (ReadOnlySpan<byte> type = value; type.Length > 0; )
            {
                var (field, text) = NextBytes(ref type);
                if (field == 1)
                    apiVersion = Encoding.UTF8.GetString(text);
                else if (field == 2)
                    kind = Encoding.UTF8.GetString(text);
            }
        }

        if (!ProtobufMessages.Kinds.Contains(kind))
            throw Unsupported($"{kind} as protobuf");
        var o = new JsonObject();
        Read(o, kind, raw, kind, depth: 0);
        o["apiVersion"] = apiVersion;
        o["kind"] = kind;
        return o;
    }

    private static JsonObject Read(JsonObject o, string message, ReadOnlySpan<byte> bytes, string path, int depth)
    {
        if (depth > MaxDepth)
            throw Malformed();
        while (bytes.Length > 0)
        {
            var key = ReadVarint(ref bytes);
            var (number, wire) = ((int)(key >> 3), (int)(key & 7));
            var scalar = wire == Varint ? ReadVarint(ref bytes) : 0;
            var content = wire switch
            {
                Varint => [],
                Bytes => Take(ref bytes, ReadVarint(ref bytes)),
                Fixed64 => Take(ref bytes, 8),
                Fixed32 => Take(ref bytes, 4),
                _ => throw Malformed(),
            };

            if (ProtobufMessages.Schema.Find(message, number) is not { } field)
            {
                // Go's encoder also writes empty fields.
                if (scalar == 0 && content.Length == 0)
                    continue;
                throw Unsupported($"field {number} of {path} as protobuf");
            }

            if (wire != (IsVarint(field.Kind) ? Varint : Bytes))
                throw Malformed();
            Set(o, field, scalar, content, $"{path}.{field.Name}", depth);
        }

        return o;
    }

    private static void Set(JsonObject o, ProtobufField field, ulong scalar, ReadOnlySpan<byte> content, string path, int depth)
    {
        switch (field.Kind)
        {
            case ProtobufKind.Text:
                if (content.Length > 0)
                    o[field.Name] = Encoding.UTF8.GetString(content);
                break;
            case ProtobufKind.Number:
            case ProtobufKind.NumberOmitZero when scalar != 0:
                o[field.Name] = (long)scalar;
                break;
            case ProtobufKind.Flag:
            case ProtobufKind.FlagOmitFalse when scalar != 0:
                o[field.Name] = scalar != 0;
                break;
            case ProtobufKind.NumberOmitZero or ProtobufKind.FlagOmitFalse:
                break;
            case ProtobufKind.Texts:
                List(o, field).Add(Encoding.UTF8.GetString(content));
                break;
            case ProtobufKind.Numbers:
                List(o, field).Add((long)scalar);
                break;
            case ProtobufKind.Map:
                var (name, value) = Entry(content);
                Map(o, field)[name] = Encoding.UTF8.GetString(value);
                break;
            case ProtobufKind.Quantities:
                var (resource, amount) = Entry(content);
                Map(o, field)[resource] = QuantityOf(amount);
                break;
            case ProtobufKind.Quantity:
                if (content.Length > 0)
                    o[field.Name] = QuantityOf(content);
                break;
            case ProtobufKind.Time:
                // An empty message is the zero time, which is null in JSON.
                if (content.Length > 0)
                    o[field.Name] = TimeOf(content);
                break;
            case ProtobufKind.IntOrString:
                o[field.Name] = IntOrStringOf(content);
                break;
            case ProtobufKind.Json:
                o[field.Name] = KubeJson.Parse(Fields(content).TryGetValue(1, out var json) ? json.Content : []);
                break;
            case ProtobufKind.Message:
                o[field.Name] = Read(o[field.Name] as JsonObject ?? [], field.Message, content, path, depth + 1);
                break;
            case ProtobufKind.Messages:
                List(o, field).Add(Read([], field.Message, content, path, depth + 1));
                break;
            case ProtobufKind.Inline:
                Read(o, field.Message, content, path, depth + 1);
                break;
            default:
                throw new InvalidOperationException($"kind {field.Kind}");
        }
    }

    private static bool IsVarint(ProtobufKind kind) =>
        kind
            is ProtobufKind.Number
                or ProtobufKind.NumberOmitZero
                or ProtobufKind.Numbers
                or ProtobufKind.Flag
                or ProtobufKind.FlagOmitFalse;

    private static JsonArray List(JsonObject o, ProtobufField field)
    {
        if (o[field.Name] is not JsonArray list)
            o[field.Name] = list = [];
        return list;
    }

    private static JsonObject Map(JsonObject o, ProtobufField field)
    {
        if (o[field.Name] is not JsonObject map)
            o[field.Name] = map = [];
        return map;
    }

    /// <summary>Reads an entry of a map, which is a message of key and value.</summary>
    private static (string Name, byte[] Value) Entry(ReadOnlySpan<byte> content)
    {
        var fields = Fields(content);
        var name = fields.TryGetValue(1, out var key) ? Encoding.UTF8.GetString(key.Content) : "";
        return (name, fields.TryGetValue(2, out var value) ? value.Content : []);
    }

    private static string QuantityOf(ReadOnlySpan<byte> content) =>
        Fields(content).TryGetValue(1, out var text) ? Encoding.UTF8.GetString(text.Content) : "0";

    private static string TimeOf(ReadOnlySpan<byte> content)
    {
        var seconds = Fields(content).TryGetValue(1, out var value) ? (long)value.Scalar : 0;
        try
        {
            return DateTimeOffset
                .FromUnixTimeSeconds(seconds)
                .UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        }
        catch (ArgumentOutOfRangeException)
        {
            throw Malformed();
        }
    }

    /// <summary>Reads an IntOrString: its type (0 for a number, 1 for a string), the number and the string.</summary>
    private static JsonNode IntOrStringOf(ReadOnlySpan<byte> content)
    {
        var fields = Fields(content);
        var isText = fields.TryGetValue(1, out var type) && type.Scalar == 1;
        if (isText)
            return fields.TryGetValue(3, out var text) ? Encoding.UTF8.GetString(text.Content) : "";
        return fields.TryGetValue(2, out var number) ? (long)number.Scalar : 0;
    }

    /// <summary>Reads the fields of a message without repeated fields.</summary>
    private static Dictionary<int, (ulong Scalar, byte[] Content)> Fields(ReadOnlySpan<byte> bytes)
    {
        Dictionary<int, (ulong, byte[])> fields = [];
        while (bytes.Length > 0)
        {
            var key = ReadVarint(ref bytes);
            fields[(int)(key >> 3)] = (key & 7) switch
            {
                Varint => (ReadVarint(ref bytes), []),
                Bytes => (0, Take(ref bytes, ReadVarint(ref bytes)).ToArray()),
                _ => throw Malformed(),
            };
        }

        return fields;
    }

    private static (int Number, byte[] Value) NextBytes(ref ReadOnlySpan<byte> bytes)
    {
        var key = ReadVarint(ref bytes);
        return (key & 7) == Bytes ? ((int)(key >> 3), Take(ref bytes, ReadVarint(ref bytes)).ToArray()) : throw Malformed();
    }

    private static ulong ReadVarint(ref ReadOnlySpan<byte> bytes)
    {
        ulong value = 0;
        for (var index = 0; index < Math.Min(bytes.Length, 10); index++)
        {
            value |= (ulong)(bytes[index] & 0x7F) << (7 * index);
            if (bytes[index] >= 0x80)
                continue;
            bytes = bytes[(index + 1)..];
            return value;
        }

        throw Malformed();
    }

    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> bytes, ulong length)
    {
        if (length > (ulong)bytes.Length)
            throw Malformed();
        var taken = bytes[..(int)length];
        bytes = bytes[(int)length..];
        return taken;
    }

    private static KubeStatusException Malformed() =>
        KubeStatusException.BadRequest("the body of the request is not a Kubernetes protobuf message");

    private static KubeStatusException Unsupported(string what) =>
        new(HttpStatusCode.UnsupportedMediaType, "UnsupportedMediaType", $"this server does not support {what}; send application/json");
}
