// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;

namespace k8s.Models;

/// <summary>An event of the group <c>v1</c>: what happened to an object, for people.</summary>
public class Corev1Event
{
    [JsonPropertyName("apiVersion")]
    public string? ApiVersion { get; set; }

    [JsonPropertyName("kind")]
    public string? Kind { get; set; }

    [JsonPropertyName("metadata")]
    public V1ObjectMeta? Metadata { get; set; }

    [JsonPropertyName("involvedObject")]
    public V1ObjectReference? InvolvedObject { get; set; }

    /// <summary>Short, for machines.</summary>
    [JsonPropertyName("reason")]
    public string? Reason { get; set; }

    /// <summary>For people; at most 1024 bytes.</summary>
    [JsonPropertyName("message")]
    public string? Message { get; set; }

    /// <summary>Normal or Warning.</summary>
    [JsonPropertyName("type")]
    public string? Type { get; set; }

    [JsonPropertyName("source")]
    public V1EventSource? Source { get; set; }

    [JsonPropertyName("count")]
    public int? Count { get; set; }

    [JsonPropertyName("firstTimestamp")]
    public DateTime? FirstTimestamp { get; set; }

    [JsonPropertyName("lastTimestamp")]
    public DateTime? LastTimestamp { get; set; }
}

public class V1EventSource
{
    [JsonPropertyName("component")]
    public string? Component { get; set; }

    /// <summary>The node.</summary>
    [JsonPropertyName("host")]
    public string? Host { get; set; }
}
