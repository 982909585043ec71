// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>An object at a version of the cluster's state.</summary>
/// <param name="Item">The object; null if no object has that name.</param>
/// <param name="Version">Version from which a watch continues.</param>
internal sealed record ListedObject<T>(T? Item, string Version)
    where T : class;

/// <summary>An event of a watch.</summary>
/// <param name="Item">The object; null if it was deleted, and in a bookmark.</param>
/// <param name="Version">Version from which another watch continues.</param>
/// <param name="IsBookmark">Whether the event only advances the version.</param>
internal readonly record struct ObjectEvent<T>(T? Item, string Version, bool IsBookmark)
    where T : class;

/// <summary>Lists and watches single objects of one resource. All methods throw <see cref="ClusterException"/>.</summary>
internal interface IObjectSource<T>
    where T : class
{
    /// <param name="name">Name of the object.</param>
    /// <param name="version">Minimum version; <c>0</c>: any version that the server has cached; empty: the latest.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    Task<ListedObject<T>> ListAsync(string name, string version, CancellationToken cancellationToken);

    /// <summary>
    /// Reports changes of the object after a version. Returns when the server ends the watch, after <paramref name="duration"/> or earlier.
    /// </summary>
    Task WatchAsync(string name, string version, TimeSpan duration, Action<ObjectEvent<T>> onEvent, CancellationToken cancellationToken);
}
