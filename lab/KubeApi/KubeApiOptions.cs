// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.KubeApi;

/// <summary>Limits and behaviour of the API server.</summary>
internal sealed record KubeApiOptions
{
    /// <summary>Maximum size of a request's body; the default is the real API server's limit for JSON.</summary>
    public int MaxBodyBytes { get; init; } = 3 * 1024 * 1024;

    /// <summary>Maximum number of open watches; a further one gets 429.</summary>
    public int MaxWatches { get; init; } = 1024;

    /// <summary>Maximum duration of a watch, after which the client has to resume.</summary>
    public TimeSpan MaxWatchTime { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>Interval of bookmarks on a watch without events (the real API server: about a minute).</summary>
    public TimeSpan BookmarkInterval { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Whether requests need a valid bearer token, as on the secure port of a real API server.</summary>
    public bool RequireToken { get; init; }
}
