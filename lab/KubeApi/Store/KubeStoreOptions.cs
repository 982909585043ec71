// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>Bounds of a store.</summary>
internal sealed record KubeStoreOptions
{
    /// <summary>Writes that a watch can resume from; older ones get 410.</summary>
    public int HistoryLength { get; init; } = 4096;

    /// <summary>Events are for people: the oldest make room for new ones.</summary>
    public int MaxEvents { get; init; } = 1000;

    /// <summary>
    /// There is a kubelet: a pod on a node is marked first, and goes when its kubelet deletes it with a grace period of nothing.
    /// </summary>
    public bool PodsEndGracefully { get; init; }

    /// <summary>Of all kinds together.</summary>
    public int MaxObjects { get; init; } = 20_000;
}

/// <summary>How a write is meant.</summary>
/// <param name="DryRun">Everything but the write itself: the answer is what would be.</param>
/// <param name="Subresource">Empty for the object, or <c>status</c>.</param>
/// <param name="OnUnknownField">
/// Told of each field of a custom resource that its schema does not know and that is taken out; may refuse the write by throwing.
/// </param>
internal sealed record WriteOptions(bool DryRun = false, string Subresource = "", Action<string>? OnUnknownField = null)
{
    public const string Status = "status";

    public static WriteOptions Plain { get; } = new();

    public bool IsStatus => Subresource == Status;
}

/// <summary>What must be so for a deletion to happen, null: whatever; and how long a pod may take to end, null: as long as usual.</summary>
internal sealed record Preconditions(string? Uid = null, string? ResourceVersion = null, int? GracePeriodSeconds = null);

/// <summary>A page of a list.</summary>
/// <param name="ResourceVersion">The state that it shows: a watch from here misses nothing.</param>
/// <param name="Continue">Where the next page begins; null when this is the last.</param>
/// <param name="Remaining">How many come after this page.</param>
internal sealed record ObjectPage(IReadOnlyList<JsonObject> Items, long ResourceVersion, string? Continue, int Remaining);

/// <summary>One event of a watch.</summary>
/// <param name="Type"><c>ADDED</c>, <c>MODIFIED</c> or <c>DELETED</c>.</param>
internal sealed record WatchEvent(string Type, JsonObject Object);

/// <summary>What a watch reads in one go.</summary>
/// <param name="Position">Everything up to this resourceVersion has been read.</param>
internal sealed record WatchBatch(IReadOnlyList<WatchEvent> Events, long Position);
