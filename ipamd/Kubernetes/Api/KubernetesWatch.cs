// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>Common parts of the watches of nodes and ENIConfigs.</summary>
internal static class KubernetesWatch
{
    /// <summary>Time after the requested duration until the client ends a watch that the server did not end.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);

    /// <summary>Returns the version of an object or list.</summary>
    /// <exception cref="JsonException">
    /// The version is missing, so the JSON is something else. An empty object must not count as an empty list.
    /// </exception>
    public static string VersionOf(string? resourceVersion) =>
        resourceVersion is { Length: > 0 } ? resourceVersion : throw new JsonException("no metadata.resourceVersion");

    /// <param name="connection">Connection to the API server.</param>
    /// <param name="resource">The watched resource.</param>
    /// <param name="name">Name of the watched object.</param>
    /// <param name="version">Version from which the watch continues.</param>
    /// <param name="read">Converts an object to an event.</param>
    /// <param name="onEvent">Called for every event.</param>
    /// <param name="duration">Duration to request from the server.</param>
    /// <param name="cancellationToken">Ends the watch earlier.</param>
    public static Task FollowAsync<TItem, T>(
        KubernetesConnection connection,
        WatchedResource resource,
        string name,
        string version,
        Func<TItem, ObjectEvent<T>> read,
        Action<ObjectEvent<T>> onEvent,
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
                var change = read(item);
                // An event of another object only advances the version.
                onEvent(
                    type switch
                    {
                        _ when change.IsBookmark => change,
                        WatchEventType.Bookmark => new ObjectEvent<T>(null, change.Version, IsBookmark: true),
                        WatchEventType.Deleted => change with { Item = null },
                        _ => change,
                    }
                );
            },
            duration + Grace,
            cancellationToken
        );

    public static string SelectorOf(string name) => $"metadata.name={name}";
}

/// <param name="Kind">Kind of object, for messages.</param>
/// <param name="Path">Path of the list, relative to the server.</param>
internal readonly record struct WatchedResource(string Kind, string Path);
