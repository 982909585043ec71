// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>What the watches of both resources have in common.</summary>
internal static class KubernetesWatch
{
    /// <summary>A healthy server ends a watch by itself, at the time it was asked to.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);

    /// <summary>The version of an object or list.</summary>
    /// <exception cref="JsonException">It has none: it is something else. An empty object must not count as an empty list.</exception>
    public static string VersionOf(string? resourceVersion) =>
        resourceVersion is { Length: > 0 } ? resourceVersion : throw new JsonException("no metadata.resourceVersion");

    /// <param name="connection">To the API server.</param>
    /// <param name="resource">Path of the resource's list.</param>
    /// <param name="name">The one object that is watched.</param>
    /// <param name="version">Where the watch goes on.</param>
    /// <param name="read">An object as news.</param>
    /// <param name="told">Called for every event.</param>
    /// <param name="duration">The server ends the watch after it.</param>
    /// <param name="cancellationToken">Ends it before.</param>
    public static Task FollowAsync<TItem, T>(
        KubernetesConnection connection,
        WatchedResource resource,
        string name,
        string version,
        Func<TItem, ObjectNews<T>> read,
        Action<ObjectNews<T>> told,
        TimeSpan duration,
        CancellationToken cancellationToken
    )
        where T : class =>
        connection.WatchAsync<TItem>(
            $"watch {resource.Kind} {name}",
            $"{resource.Path}?allowWatchBookmarks=true&fieldSelector={Uri.EscapeDataString(SelectorOf(name))}&resourceVersion="
                + $"{Uri.EscapeDataString(version)}&timeoutSeconds={(int)duration.TotalSeconds}&watch=true",
            (type, item) =>
            {
                var news = read(item);
                // Another object than was asked for is no news either, whoever sent it.
                told(
                    type switch
                    {
                        _ when news.IsBookmark => news,
                        WatchEventType.Bookmark => new ObjectNews<T>(null, news.Version, IsBookmark: true),
                        WatchEventType.Deleted => news with { Item = null },
                        _ => news,
                    }
                );
            },
            duration + Grace,
            cancellationToken
        );

    public static string SelectorOf(string name) => $"metadata.name={name}";
}

/// <param name="Kind">For messages.</param>
/// <param name="Path">Relative to the server.</param>
internal readonly record struct WatchedResource(string Kind, string Path);
