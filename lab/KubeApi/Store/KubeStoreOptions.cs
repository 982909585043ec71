// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>Limits and behaviour of a store.</summary>
internal sealed record KubeStoreOptions
{
    /// <summary>Number of writes that watches can resume from; a watch from an older version gets 410.</summary>
    public int HistoryLength { get; init; } = 4096;

    /// <summary>Maximum number of events. A new event removes the oldest.</summary>
    public int MaxEvents { get; init; } = 1000;

    /// <summary>
    /// Whether deleting a pod on a node only marks it, until its kubelet deletes it with a grace period of zero.
    /// </summary>
    public bool GracefulPodDeletion { get; init; }

    /// <summary>Maximum number of objects of all kinds.</summary>
    public int MaxObjects { get; init; } = 20_000;
}

/// <summary>Options of a write.</summary>
/// <param name="DryRun">Validates the write and returns its result without storing it.</param>
/// <param name="Subresource">The subresource: <c>status</c>, or empty for the object.</param>
/// <param name="OnUnknownField">
/// Called with each field of a custom resource that is pruned because the schema does not define it. It can reject the write by throwing.
/// </param>
internal sealed record WriteOptions(bool DryRun = false, string Subresource = "", Action<string>? OnUnknownField = null)
{
    public const string Status = "status";

    public static WriteOptions Plain { get; } = new();

    public bool IsStatus => Subresource == Status;
}

/// <summary>Preconditions of a deletion (null for none), and the grace period of a pod (null for the default).</summary>
internal sealed record Preconditions(string? Uid = null, string? ResourceVersion = null, int? GracePeriodSeconds = null);

/// <summary>A page of a list.</summary>
/// <param name="ResourceVersion">Version from which a watch misses no change.</param>
/// <param name="Continue">Token of the next page; null on the last one.</param>
/// <param name="Remaining">Number of objects after this page.</param>
internal sealed record ObjectPage(IReadOnlyList<JsonObject> Items, long ResourceVersion, string? Continue, int Remaining);

/// <summary>An event of a watch.</summary>
/// <param name="Type"><c>ADDED</c>, <c>MODIFIED</c> or <c>DELETED</c>.</param>
internal sealed record WatchEvent(string Type, JsonObject Object);

/// <summary>Events that a watch reads at once.</summary>
/// <param name="Position">The resourceVersion up to which changes were read.</param>
internal sealed record WatchBatch(IReadOnlyList<WatchEvent> Events, long Position);
