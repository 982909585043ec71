// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>
/// Reads the few bodies that kubectl sends as protobuf and not as JSON: options of a deletion (<c>kubectl drain</c>), and small objects (<c>kubectl create namespace</c>). Field numbers are those of the
/// generated.proto files of k8s.io/api and k8s.io/apimachinery. A field that carries something and is not known here is refused, never dropped.
/// </summary>
internal static class ProtobufBody
{
    public const string MediaType = "application/vnd.kubernetes.protobuf";

    private const int Varint = 0;
    private const int Fixed64 = 1;
    private const int Bytes = 2;
    private const int Fixed32 = 5;

    private static readonly Message Meta = new([
        new(1, "name"), new(2, "generateName"), new(3, "namespace"), new(5, "uid"), new(6, "resourceVersion"), new(11, "labels", Kind.Map), new(12, "annotations", Kind.Map), new(14, "finalizers", Kind.Texts),
    ]);

    private static readonly Message JustMeta = new([new(1, "metadata", Kind.Message, Meta)]);

    private static readonly Dictionary<string, Message> Known = new(StringComparer.Ordinal)
    {
        ["DeleteOptions"] = new([
            new(1, "gracePeriodSeconds", Kind.Number), new(2, "preconditions", Kind.Message, new([new(1, "uid"), new(2, "resourceVersion")])), new(3, "orphanDependents", Kind.Flag), new(4, "propagationPolicy"),
            new(5, "dryRun", Kind.Texts),
        ]),
        ["Namespace"] = new([.. JustMeta.Fields, new(2, "spec", Kind.Message, new([new(1, "finalizers", Kind.Texts)])), new(3, "status", Kind.Message, new([new(1, "phase")]))]),
        ["ConfigMap"] = new([.. JustMeta.Fields, new(2, "data", Kind.Map), new(4, "immutable", Kind.Flag)]),
        ["ServiceAccount"] = JustMeta,
    };

    private static ReadOnlySpan<byte> Magic => "k8s\0"u8;

    private enum Kind
    {
        Text,
        Number,
        Flag,
        Texts,
        Map,
        Message,
    }

    /// <exception cref="KubeStatusException">415: something that is not read here; 400: no protobuf.</exception>
    public static JsonObject Read(ReadOnlySpan<byte> body)
    {
        if (!body.StartsWith(Magic)) throw Malformed();
        string apiVersion = "", kind = "";
        ReadOnlySpan<byte> raw = [];
        for (var rest = body[Magic.Length..]; rest.Length > 0;)
        {
            var (number, value) = NextBytes(ref rest);
            if (number == 2) raw = value;
            if (number != 1) continue;
            for (ReadOnlySpan<byte> type = value; type.Length > 0;)
            {
                var (field, text) = NextBytes(ref type);
                if (field == 1) apiVersion = Encoding.UTF8.GetString(text);
                else if (field == 2) kind = Encoding.UTF8.GetString(text);
            }
        }

        if (!Known.TryGetValue(kind, out var message)) throw Unsupported($"{kind} as protobuf");
        var o = Read(message, raw, kind);
        o["apiVersion"] = apiVersion;
        o["kind"] = kind;
        return o;
    }

    private static JsonObject Read(Message message, ReadOnlySpan<byte> bytes, string path)
    {
        var o = new JsonObject();
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

            // The encoder writes plain fields even when they are empty.
            if (scalar == 0 && content.Length == 0 && wire is Varint or Bytes && message.Find(number) is not { Kind: Kind.Number or Kind.Flag }) continue;
            var field = message.Find(number) ?? throw Unsupported($"field {number} of {path} as protobuf");
            Set(o, field, scalar, content, $"{path}.{field.Name}");
        }

        return o;
    }

    private static void Set(JsonObject o, Field field, ulong scalar, ReadOnlySpan<byte> content, string path)
    {
        switch (field.Kind)
        {
            case Kind.Text:
                o[field.Name] = Encoding.UTF8.GetString(content);
                break;
            case Kind.Number:
                o[field.Name] = (long)scalar;
                break;
            case Kind.Flag:
                o[field.Name] = scalar != 0;
                break;
            case Kind.Texts:
                if (o[field.Name] is not JsonArray list) o[field.Name] = list = [];
                list.Add(Encoding.UTF8.GetString(content));
                break;
            case Kind.Map:
                if (o[field.Name] is not JsonObject map) o[field.Name] = map = [];
                var pair = Read(new Message([new(1, "key"), new(2, "value")]), content, path);
                map[pair.Text("key")] = pair.Text("value");
                break;
            case Kind.Message:
                o[field.Name] = Read(field.Inner!, content, path);
                break;
            default:
                throw new InvalidOperationException($"kind {field.Kind}");
        }
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
            if (bytes[index] >= 0x80) continue;
            bytes = bytes[(index + 1)..];
            return value;
        }

        throw Malformed();
    }

    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> bytes, ulong length)
    {
        if (length > (ulong)bytes.Length) throw Malformed();
        var taken = bytes[..(int)length];
        bytes = bytes[(int)length..];
        return taken;
    }

    private static KubeStatusException Malformed() => KubeStatusException.BadRequest("the body of the request is no protobuf of Kubernetes");

    private static KubeStatusException Unsupported(string what)
        => new(HttpStatusCode.UnsupportedMediaType, "UnsupportedMediaType", $"this server does not read {what}; send application/json");

    private sealed record Field(int Number, string Name, Kind Kind = Kind.Text, Message? Inner = null);

    private sealed record Message(IReadOnlyList<Field> Fields)
    {
        public Field? Find(int number) => Fields.FirstOrDefault(field => field.Number == number);
    }
}
