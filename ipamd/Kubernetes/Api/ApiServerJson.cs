// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using k8s.Models;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>
/// Serializes the objects that the daemon reads and writes. The package's metadata covers every type of the API, more than a hundred for a
/// pod's specification alone; in native code that costs 18 MB of file size and 10 MiB of memory, for a dozen fields. So
/// <see cref="ModelReader"/> reads nodes and pods, source-generated metadata handles small objects, and the native build drops the
/// package's (KubernetesClient.Aot.Substitutions.xml).
/// </summary>
internal static class ApiServerJson
{
    private static readonly JsonSerializerOptions Reading = new() { TypeInfoResolver = new Resolver() };

    /// <summary>Applies this serialization to a client; its converters for times stay.</summary>
    /// <param name="options">Options of the client; changed in place.</param>
    public static void Apply(JsonSerializerOptions options) => options.TypeInfoResolver = new Resolver();

    /// <exception cref="JsonException">The text is not an object of that type.</exception>
    public static T Read<T>(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, (JsonTypeInfo<T>)Reading.GetTypeInfo(typeof(T)))
        ?? throw new JsonException("null where an object was expected");

    private sealed class Resolver : IJsonTypeInfoResolver
    {
        public JsonTypeInfo? GetTypeInfo(Type type, JsonSerializerOptions options)
        {
            if (type == typeof(V1Node))
                return Value(ModelReader.Node, options);
            if (type == typeof(V1NodeList))
                return Value(ModelReader.NodeList, options);
            if (type == typeof(V1PodList))
                return Value(ModelReader.PodList, options);
            if (type == typeof(V1Pod))
                return Value(ModelReader.Pod, options);
            return ((IJsonTypeInfoResolver)SmallModels.Default).GetTypeInfo(type, options);
        }

        private static JsonTypeInfo<T> Value<T>(Func<JsonElement, T> read, JsonSerializerOptions options)
            where T : class => JsonMetadataServices.CreateValueInfo<T>(options, new ReadOnlyConverter<T>(read));
    }

    private sealed class ReadOnlyConverter<T>(Func<JsonElement, T> read) : JsonConverter<T>
        where T : class
    {
        public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            using var document = JsonDocument.ParseValue(ref reader);
            return read(document.RootElement);
        }

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
            throw new NotSupportedException($"{typeof(T).Name} cannot be written");
    }
}

/// <summary>Metadata generated at compile time; native code has no reflection.</summary>
[JsonSourceGenerationOptions(
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    GenerationMode = JsonSourceGenerationMode.Metadata
)]
[JsonSerializable(typeof(Corev1Event))]
[JsonSerializable(typeof(V1Patch))]
[JsonSerializable(typeof(V1Status))]
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class SmallModels : JsonSerializerContext;
