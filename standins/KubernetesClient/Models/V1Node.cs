// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;

namespace k8s.Models;

/// <summary>A node, as far as it is used.</summary>
public class V1Node
{
    [JsonPropertyName("apiVersion")]
    public string? ApiVersion { get; set; }

    [JsonPropertyName("kind")]
    public string? Kind { get; set; }

    [JsonPropertyName("metadata")]
    public V1ObjectMeta? Metadata { get; set; }

    [JsonPropertyName("spec")]
    public V1NodeSpec? Spec { get; set; }

    [JsonPropertyName("status")]
    public V1NodeStatus? Status { get; set; }
}

public class V1NodeSpec
{
    [JsonPropertyName("taints")]
    public IList<V1Taint>? Taints { get; set; }

    [JsonPropertyName("unschedulable")]
    public bool? Unschedulable { get; set; }
}

public class V1Taint
{
    /// <summary>NoSchedule, PreferNoSchedule, NoExecute.</summary>
    [JsonPropertyName("effect")]
    public string? Effect { get; set; }

    [JsonPropertyName("key")]
    public string? Key { get; set; }

    [JsonPropertyName("value")]
    public string? Value { get; set; }
}

public class V1NodeStatus
{
    /// <summary>By resource: <c>pods</c>, <c>cpu</c>, <c>memory</c>, extended resources.</summary>
    [JsonPropertyName("capacity")]
    public IDictionary<string, ResourceQuantity>? Capacity { get; set; }
}

public class V1NodeList
{
    [JsonPropertyName("apiVersion")]
    public string? ApiVersion { get; set; }

    [JsonPropertyName("kind")]
    public string? Kind { get; set; }

    [JsonPropertyName("metadata")]
    public V1ListMeta? Metadata { get; set; }

    [JsonPropertyName("items")]
    public IList<V1Node>? Items { get; set; }
}
