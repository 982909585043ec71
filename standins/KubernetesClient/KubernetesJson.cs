// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using k8s.Internal;

namespace k8s;

/// <summary>The API's objects to and from JSON.</summary>
public static class KubernetesJson
{
    /// <exception cref="JsonException">The text is not JSON, or not of this type.</exception>
    public static TValue Deserialize<TValue>(string json) => JsonSerializer.Deserialize(json, Info<TValue>()) ?? throw new JsonException("null where an object was expected");

    public static string Serialize<TValue>(TValue value) => JsonSerializer.Serialize(value, Info<TValue>());

    private static JsonTypeInfo<TValue> Info<TValue>()
        => (JsonTypeInfo<TValue>?)KubernetesJsonContext.Default.GetTypeInfo(typeof(TValue)) ?? throw new NotSupportedException($"{typeof(TValue).Name} is not a type of this client");
}
