// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;

namespace k8s.Models;

/// <summary>What the server says instead of an object.</summary>
public class V1Status
{
    /// <summary>Success or Failure.</summary>
    [JsonPropertyName("status")]
    public string? Status { get; set; }

    [JsonPropertyName("message")]
    public string? Message { get; set; }

    /// <summary>One word: NotFound, Forbidden, Expired, Conflict, TooManyRequests...</summary>
    [JsonPropertyName("reason")]
    public string? Reason { get; set; }

    /// <summary>HTTP status.</summary>
    [JsonPropertyName("code")]
    public int? Code { get; set; }

    [JsonPropertyName("details")]
    public V1StatusDetails? Details { get; set; }
}

public class V1StatusDetails
{
    [JsonPropertyName("name")]
    public string? Name { get; set; }

    [JsonPropertyName("kind")]
    public string? Kind { get; set; }

    [JsonPropertyName("retryAfterSeconds")]
    public int? RetryAfterSeconds { get; set; }
}
