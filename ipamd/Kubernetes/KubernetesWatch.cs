// SPDX-License-Identifier: Apache-2.0
using System.Runtime.ExceptionServices;
using System.Text.Json;
using k8s;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>One watch of the client as one call: the first error ends it, and so does its time.</summary>
internal static class KubernetesWatch
{
    /// <summary>A server that is well ends a watch itself, at the time it was asked to.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);

    /// <summary>The version of an object or list.</summary>
    /// <exception cref="JsonException">It has none: it is something else. An empty object must not count as an empty list.</exception>
    public static string VersionOf(string? resourceVersion) => resourceVersion is { Length: > 0 } ? resourceVersion : throw new JsonException("no metadata.resourceVersion");

    /// <param name="open">Begins the watch.</param>
    /// <param name="read">An object as news.</param>
    /// <param name="told">Called for every event.</param>
    /// <returns>Always true; the caller wants a value.</returns>
    public static async Task<bool> FollowAsync<TItem, T>(
        Func<Action<Exception>, CancellationToken, IAsyncEnumerable<(WatchEventType Type, TItem Item)>> open,
        Func<TItem, ObjectNews<T>> read,
        Action<ObjectNews<T>> told,
        TimeSpan duration,
        TimeProvider time,
        CancellationToken cancellationToken)
        where T : class
    {
        using var limit = new CancellationTokenSource(duration + Grace, time);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        Exception? error = null;

        // The client would go on behind an error, and without an end behind garbage without one.
        void OnError(Exception exception)
        {
            error ??= exception;
            ended.Cancel();
        }

        try
        {
            await foreach (var (type, item) in open(OnError, ended.Token))
            {
                if (error is not null) break;
                var news = read(item);
                // Another object than was asked for is no news either, whoever sent it.
                told(type switch
                {
                    _ when news.IsBookmark => news,
                    WatchEventType.Bookmark => new ObjectNews<T>(null, news.Version, IsBookmark: true),
                    WatchEventType.Deleted => news with { Item = null },
                    _ => news,
                });
            }
        }
        catch (OperationCanceledException) when (error is not null && !cancellationToken.IsCancellationRequested)
        {
            // By ourselves; the error is what counts.
        }

        if (error is not null) ExceptionDispatchInfo.Throw(error);
        return true;
    }
}
