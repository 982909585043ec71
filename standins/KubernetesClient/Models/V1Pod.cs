// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;

namespace k8s.Models;

/// <summary>A pod, as far as it is used.</summary>
public class V1Pod
{
    [JsonPropertyName("apiVersion")]
    public string? ApiVersion { get; set; }

    [JsonPropertyName("kind")]
    public string? Kind { get; set; }

    [JsonPropertyName("metadata")]
    public V1ObjectMeta? Metadata { get; set; }

    [JsonPropertyName("spec")]
    public V1PodSpec? Spec { get; set; }
}

public class V1PodSpec
{
    [JsonPropertyName("nodeName")]
    public string? NodeName { get; set; }
}
