// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using k8s;
using k8s.Models;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>Types of watch events (k8s.io/apimachinery, watch.EventType).</summary>
internal enum WatchEventType
{
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

/// <summary>Parses an event of a watch: a line of JSON with <c>type</c> and <c>object</c>, in any order.</summary>
internal static class WatchLine
{
    /// <exception cref="JsonException">The line is not an event.</exception>
    /// <exception cref="KubernetesException">The server reports an error.</exception>
    public static (WatchEventType Type, T Item) Parse<T>(ReadOnlySpan<byte> line, JsonTypeInfo<T> type)
    {
        WatchEventType? kind = null;
        ReadOnlySpan<byte> item = default;
        var reader = new Utf8JsonReader(line);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            throw new JsonException("an event of a watch is an object");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isType = reader.ValueTextEquals("type"u8);
            var isObject = reader.ValueTextEquals("object"u8);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            if (isType)
                kind = KindOf(ref reader);
            else
                reader.Skip();
            if (isObject)
                item = line[start..(int)reader.BytesConsumed];
        }

        // Reads to the end of the line: a second value after the first is an error.
        while (reader.Read()) { }

        if (kind is not { } known || item.IsEmpty)
            throw new JsonException("an event of a watch has a type and an object");
        if (known == WatchEventType.Error)
            throw new KubernetesException(ApiServerJson.Read<V1Status>(item));
        return (known, Read(item, type));
    }

    private static T Read<T>(ReadOnlySpan<byte> json, JsonTypeInfo<T> type) =>
        JsonSerializer.Deserialize(json, type) ?? throw new JsonException("the object of an event is null");

    private static WatchEventType KindOf(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.String)
            throw new JsonException("the type of an event is a word");
        if (reader.ValueTextEquals("ADDED"u8))
            return WatchEventType.Added;
        if (reader.ValueTextEquals("MODIFIED"u8))
            return WatchEventType.Modified;
        if (reader.ValueTextEquals("DELETED"u8))
            return WatchEventType.Deleted;
        if (reader.ValueTextEquals("BOOKMARK"u8))
            return WatchEventType.Bookmark;
        if (reader.ValueTextEquals("ERROR"u8))
            return WatchEventType.Error;
        throw new JsonException("an event of unknown type");
    }
}
