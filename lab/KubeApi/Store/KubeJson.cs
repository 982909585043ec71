// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>Reading and writing Kubernetes objects as JSON trees.</summary>
internal static class KubeJson
{
    /// <summary>Objects nest less than this; deeper input is refused.</summary>
    public const int MaxDepth = 64;

    private static readonly JsonSerializerOptions Options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = MaxDepth,
    };

    private static readonly JsonDocumentOptions ReadOptions = new() { MaxDepth = MaxDepth };

    public static string Write(JsonNode node) => node.ToJsonString(Options);

    /// <summary>A tree without lazily read parts, so that reading it later changes nothing in it.</summary>
    /// <exception cref="KubeStatusException">No JSON, or a name twice in one object.</exception>
    public static JsonNode? Parse(ReadOnlySpan<byte> utf8)
    {
        try
        {
            return Materialize(JsonNode.Parse(utf8, nodeOptions: null, ReadOptions));
        }
        catch (Exception error) when (error is JsonException or ArgumentException)
        {
            throw KubeStatusException.BadRequest($"the body of the request is not JSON that this server can read: {error.Message}");
        }
    }

    /// <summary>
    /// A copy in which every value is as if it had been read: a number that code put in is of a certain type of .NET, and compares and
    /// converts as that type only.
    /// </summary>
    public static JsonObject Normalize(JsonObject o) => (JsonObject)Parse(JsonSerializer.SerializeToUtf8Bytes(o, Options))!;

    /// <summary>The object's metadata; created when it is missing.</summary>
    public static JsonObject Meta(this JsonObject o)
    {
        if (o["metadata"] is JsonObject meta)
            return meta;
        meta = [];
        o["metadata"] = meta;
        return meta;
    }

    public static JsonNode? At(this JsonNode? node, params ReadOnlySpan<string> path)
    {
        foreach (var name in path)
            node = (node as JsonObject)?[name];
        return node;
    }

    /// <summary>The text at a path; empty when there is none or it is no text.</summary>
    public static string Text(this JsonNode? node, params ReadOnlySpan<string> path) =>
        node.At(path) is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";

    public static bool Flag(this JsonNode? node, params ReadOnlySpan<string> path) =>
        node.At(path) is JsonValue value && value.TryGetValue<bool>(out var flag) && flag;

    public static IEnumerable<JsonObject> Objects(this JsonNode? node, params ReadOnlySpan<string> path) =>
        (node.At(path) as JsonArray)?.OfType<JsonObject>() ?? [];

    /// <summary>metav1.Time: seconds, UTC.</summary>
    public static string Timestamp(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>metav1.MicroTime.</summary>
    public static string MicroTimestamp(DateTimeOffset at) =>
        at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);

    public static string Describe(JsonNode? node) =>
        node?.GetValueKind() switch
        {
            null or JsonValueKind.Null => "null",
            JsonValueKind.Object => "object",
            JsonValueKind.Array => "array",
            JsonValueKind.String => "string",
            JsonValueKind.Number => IsInteger(node) ? "integer" : "number",
            _ => "boolean",
        };

    public static bool IsInteger(JsonNode node) =>
        node is JsonValue value
        && (value.TryGetValue<long>(out _) || (value.TryGetValue<double>(out var number) && Math.Floor(number) == number));

    private static JsonNode? Materialize(JsonNode? node) =>
        node switch
        {
            JsonObject o => new JsonObject(o.Select(pair => KeyValuePair.Create(pair.Key, Materialize(pair.Value)))),
            JsonArray array => new JsonArray([.. array.Select(Materialize)]),
            null => null,
            _ => node.DeepClone(),
        };
}
