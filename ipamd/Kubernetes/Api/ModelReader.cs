// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text.Json;
using k8s.Models;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>
/// Reads nodes and pods, with only the fields that the daemon uses. An absent or null field is null. Throws <see cref="JsonException"/> for
/// a field of the wrong kind.
/// </summary>
internal static class ModelReader
{
    /// <summary>The only resource of a node's capacity that is read; parsing other quantities may need unbounded arithmetic.</summary>
    private const string Pods = "pods";

    private const int MaxQuantityLength = 32;

    public static V1NodeList NodeList(JsonElement json) =>
        new()
        {
            Metadata = Object(json, "metadata") is { } metadata
                ? new V1ListMeta { ResourceVersion = Text(metadata, "resourceVersion") }
                : null,
            Items = Member(json, "items", JsonValueKind.Array) is { } items ? [.. items.EnumerateArray().Select(Node)] : null,
        };

    public static V1Node Node(JsonElement json) =>
        new()
        {
            Metadata = Metadata(json),
            Spec = Object(json, "spec") is { } spec
                ? new V1NodeSpec
                {
                    Unschedulable = Flag(spec, "unschedulable"),
                    Taints = Member(spec, "taints", JsonValueKind.Array) is { } taints
                        ?
                        [
                            .. taints
                                .EnumerateArray()
                                .Select(taint => new V1Taint { Key = Text(taint, "key"), Effect = Text(taint, "effect") }),
                        ]
                        : null,
                }
                : null,
            Status =
                Object(json, "status") is { } status && Object(status, "capacity") is { } capacity
                    ? new V1NodeStatus
                    {
                        Capacity = Text(capacity, Pods) is { } pods
                            ? new Dictionary<string, ResourceQuantity> { [Pods] = Quantity(pods) }
                            : [],
                    }
                    : null,
        };

    public static V1PodList PodList(JsonElement json) =>
        new()
        {
            Metadata = Object(json, "metadata") is { } metadata ? new V1ListMeta { ContinueProperty = Text(metadata, "continue") } : null,
            Items = Member(json, "items", JsonValueKind.Array) is { } items ? [.. items.EnumerateArray().Select(Pod)] : null,
        };

    public static V1Pod Pod(JsonElement json) =>
        new()
        {
            Metadata = Metadata(json),
            Spec = Object(json, "spec") is { } spec ? new V1PodSpec { NodeName = Text(spec, "nodeName") } : null,
        };

    private static V1ObjectMeta? Metadata(JsonElement json) =>
        Object(json, "metadata") is { } metadata
            ? new V1ObjectMeta
            {
                Name = Text(metadata, "name"),
                NamespaceProperty = Text(metadata, "namespace"),
                Uid = Text(metadata, "uid"),
                ResourceVersion = Text(metadata, "resourceVersion"),
                CreationTimestamp = Time(metadata, "creationTimestamp"),
                Labels = Texts(metadata, "labels"),
                Annotations = Texts(metadata, "annotations"),
            }
            : null;

    private static Dictionary<string, string>? Texts(JsonElement json, string name) =>
        Object(json, name)
            ?.EnumerateObject()
            .Where(member => member.Value.ValueKind != JsonValueKind.Null)
            .ToDictionary(
                member => member.Name,
                member =>
                    member.Value.ValueKind == JsonValueKind.String
                        ? member.Value.GetString()!
                        : throw new JsonException($"{name}.{member.Name} is not a string"),
                StringComparer.Ordinal
            );

    /// <exception cref="JsonException">The text is not a quantity, or does not fit a decimal.</exception>
    private static ResourceQuantity Quantity(string text)
    {
        // The package expands an exponent like that of 1e99999999 digit by digit. No quantity of the API needs an exponent of three digits.
        var exponent = text.AsSpan()[(text.AsSpan().IndexOfAny('e', 'E') + 1)..];
        if (text.Length is 0 or > MaxQuantityLength || (exponent.Length < text.Length && exponent.TrimStart("+-0").Length > 2))
            throw new JsonException($"'{Truncated(text)}' is not a quantity");
        try
        {
            var quantity = new ResourceQuantity(text);
            _ = quantity.ToDecimal();
            return quantity;
        }
        catch (Exception exception) when (exception is FormatException or ArgumentException or OverflowException)
        {
            throw new JsonException($"'{text}' is not a quantity: {exception.Message}", exception);
        }
    }

    private static string Truncated(string text) => text.Length <= MaxQuantityLength ? text : text[..MaxQuantityLength] + "...";

    private static JsonElement? Object(JsonElement json, string name) => Member(json, name, JsonValueKind.Object);

    private static string? Text(JsonElement json, string name) => Member(json, name, JsonValueKind.String)?.GetString();

    /// <summary>Reads an RFC 3339 time as UTC.</summary>
    private static DateTime? Time(JsonElement json, string name) =>
        Text(json, name) is not { } text ? null
        : DateTime.TryParse(
            text,
            CultureInfo.InvariantCulture,
            DateTimeStyles.AdjustToUniversal | DateTimeStyles.AssumeUniversal,
            out var time
        )
            ? time
        : throw new JsonException($"{name} is not a time: '{Truncated(text)}'");

    private static bool? Flag(JsonElement json, string name) => Member(json, name, JsonValueKind.True, JsonValueKind.False)?.GetBoolean();

    private static JsonElement? Member(JsonElement json, string name, params ReadOnlySpan<JsonValueKind> kinds)
    {
        if (json.ValueKind != JsonValueKind.Object)
            throw new JsonException($"expected an object with the field {name}");
        if (!json.TryGetProperty(name, out var member) || member.ValueKind == JsonValueKind.Null)
            return null;
        return kinds.Contains(member.ValueKind) ? member : throw new JsonException($"{name} has the wrong kind {member.ValueKind}");
    }
}
