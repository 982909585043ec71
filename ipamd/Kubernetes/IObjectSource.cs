// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>An object as of a version of the cluster's state.</summary>
/// <param name="Item">Null when there is none of that name.</param>
/// <param name="Version">Where a watch goes on.</param>
internal sealed record ListedObject<T>(T? Item, string Version)
    where T : class;

/// <summary>One event of a watch.</summary>
/// <param name="Item">The object; null when it is gone, and in a bookmark.</param>
/// <param name="Version">Where another watch goes on.</param>
/// <param name="IsBookmark">Only the version is news.</param>
internal readonly record struct ObjectNews<T>(T? Item, string Version, bool IsBookmark)
    where T : class;

/// <summary>
/// Objects of one resource of the API server, each looked at by its name. All of it throws <see cref="ClusterException"/>.
/// </summary>
internal interface IObjectSource<T>
    where T : class
{
    /// <param name="name">The object.</param>
    /// <param name="version">At least as new as this; <c>0</c>: whatever the server has at hand; empty: the newest there is.</param>
    /// <param name="cancellationToken">Gives up.</param>
    Task<ListedObject<T>> ListAsync(string name, string version, CancellationToken cancellationToken);

    /// <summary>
    /// Tells what happens to the object after a version. Returns when the server ends it, which it does after <paramref name="duration"/>
    /// or any time before.
    /// </summary>
    Task WatchAsync(string name, string version, TimeSpan duration, Action<ObjectNews<T>> told, CancellationToken cancellationToken);
}
