// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using System.Text.Json.Serialization;
using k8s.Models;

namespace k8s.Internal;

/// <summary>Generated at compile time: native code has no reflection to fall back on. Members that are not modelled are skipped while reading; null members are not written.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(V1Node))]
[JsonSerializable(typeof(V1NodeList))]
[JsonSerializable(typeof(V1Pod))]
[JsonSerializable(typeof(Corev1Event))]
[JsonSerializable(typeof(V1Status))]
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class KubernetesJsonContext : JsonSerializerContext;
