// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>Where an object is among those of its storage.</summary>
/// <param name="Namespace">Empty for objects of the cluster.</param>
internal readonly record struct ObjectKey(string Namespace, string Name) : IComparable<ObjectKey>
{
    public int CompareTo(ObjectKey other) =>
        string.CompareOrdinal(Namespace, other.Namespace) is var order && order != 0 ? order : string.CompareOrdinal(Name, other.Name);
}

/// <summary>One write. The trees are the stored ones: nobody changes them.</summary>
/// <param name="Version">The resourceVersion that the write made.</param>
/// <param name="Before">The object before; null when it was created.</param>
/// <param name="Now">The object after; of a deleted object its last state, with this version.</param>
internal sealed record Change(long Version, string Storage, ObjectKey Key, JsonObject? Before, JsonObject Now, bool Deleted);

/// <summary>
/// The newest writes, for watches that resume. Every write has a version of its own, one higher than the one before, so that a version is
/// also a place in here.
/// </summary>
internal sealed class ChangeHistory(int capacity)
{
    private readonly Change?[] _ring = new Change?[capacity];

    /// <summary>The version of the newest write.</summary>
    public long Last { get; private set; }

    /// <summary>Writes up to this one are forgotten: a watch can resume from this version, but from no older one.</summary>
    public long CompactedTo { get; private set; }

    public void Add(Change change)
    {
        if (change.Version != Last + 1)
            throw new InvalidOperationException($"write {change.Version} came after {Last}");
        Last = change.Version;
        _ring[Last % capacity] = change;
        CompactedTo = Math.Max(CompactedTo, Last - capacity);
    }

    /// <exception cref="KubeStatusException">410: some of it is forgotten.</exception>
    public IEnumerable<Change> After(long version)
    {
        if (version < CompactedTo)
            throw KubeStatusException.Expired($"too old resource version: {version} ({CompactedTo})");
        for (var next = version + 1; next <= Last; next++)
            yield return _ring[next % capacity]!;
    }

    /// <summary>Forgets everything: every watch that resumes from before now is told 410.</summary>
    public void Compact()
    {
        CompactedTo = Last;
        Array.Clear(_ring);
    }
}
