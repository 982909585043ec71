// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>Reads and writes Kubernetes objects as JSON trees.</summary>
internal static class KubeJson
{
    /// <summary>Maximum depth of nesting; deeper input is rejected.</summary>
    public const int MaxDepth = 64;

    private static readonly JsonSerializerOptions Options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = MaxDepth,
    };

    private static readonly JsonDocumentOptions ReadOptions = new() { MaxDepth = MaxDepth };

    public static string Write(JsonNode node) => node.ToJsonString(Options);

    /// <summary>Parses JSON to a tree without lazily parsed nodes, so that concurrent reads do not modify it.</summary>
    /// <exception cref="KubeStatusException">400: the text is not JSON, or an object has a duplicate name.</exception>
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
    /// Returns a copy whose values are like parsed ones. A number that code has set keeps its .NET type, and compares and converts only as
    /// that type.
    /// </summary>
    public static JsonObject Normalize(JsonObject o) => (JsonObject)Parse(JsonSerializer.SerializeToUtf8Bytes(o, Options))!;

    /// <summary>Returns the object's metadata; creates it if it is missing.</summary>
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

    /// <summary>Returns the string at a path; empty if there is none.</summary>
    public static string Text(this JsonNode? node, params ReadOnlySpan<string> path) =>
        node.At(path) is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";

    public static bool Flag(this JsonNode? node, params ReadOnlySpan<string> path) =>
        node.At(path) is JsonValue value && value.TryGetValue<bool>(out var flag) && flag;

    public static IEnumerable<JsonObject> Objects(this JsonNode? node, params ReadOnlySpan<string> path) =>
        (node.At(path) as JsonArray)?.OfType<JsonObject>() ?? [];

    /// <summary>Formats a metav1.Time: seconds, UTC.</summary>
    public static string Timestamp(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>Formats a metav1.MicroTime: microseconds, UTC.</summary>
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
