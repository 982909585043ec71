// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.KubeApi;

/// <summary>Bounds and habits of the API server.</summary>
internal sealed record KubeApiOptions
{
    /// <summary>As the real one's for JSON.</summary>
    public int MaxBodyBytes { get; init; } = 3 * 1024 * 1024;

    /// <summary>Watches open at once; more get 429.</summary>
    public int MaxWatches { get; init; } = 1024;

    /// <summary>A watch ends after this at the latest, and its client resumes.</summary>
    public TimeSpan MaxWatchTime { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>How often a watch without events says how far it is (the real server: about a minute).</summary>
    public TimeSpan BookmarkInterval { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Demand a known bearer token, as on the secure port of a real one.</summary>
    public bool RequireToken { get; init; }
}
