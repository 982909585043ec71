// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;

namespace k8s.Models;

/// <summary>What every object has, as far as it is used.</summary>
public class V1ObjectMeta
{
    [JsonPropertyName("name")]
    public string? Name { get; set; }

    [JsonPropertyName("namespace")]
    public string? NamespaceProperty { get; set; }

    [JsonPropertyName("uid")]
    public string? Uid { get; set; }

    /// <summary>Opaque; changes with every write.</summary>
    [JsonPropertyName("resourceVersion")]
    public string? ResourceVersion { get; set; }

    [JsonPropertyName("labels")]
    public IDictionary<string, string>? Labels { get; set; }

    [JsonPropertyName("annotations")]
    public IDictionary<string, string>? Annotations { get; set; }
}

/// <summary>What every list has.</summary>
public class V1ListMeta
{
    /// <summary>Where a watch goes on after this list.</summary>
    [JsonPropertyName("resourceVersion")]
    public string? ResourceVersion { get; set; }

    /// <summary>For the next page; null or empty on the last.</summary>
    [JsonPropertyName("continue")]
    public string? ContinueProperty { get; set; }
}

/// <summary>A reference to an object.</summary>
public class V1ObjectReference
{
    [JsonPropertyName("apiVersion")]
    public string? ApiVersion { get; set; }

    [JsonPropertyName("kind")]
    public string? Kind { get; set; }

    [JsonPropertyName("name")]
    public string? Name { get; set; }

    [JsonPropertyName("namespace")]
    public string? NamespaceProperty { get; set; }

    [JsonPropertyName("uid")]
    public string? Uid { get; set; }
}
