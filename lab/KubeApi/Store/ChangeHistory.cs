// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>Key of an object in its storage.</summary>
/// <param name="Namespace">The namespace; empty for cluster-scoped objects.</param>
internal readonly record struct ObjectKey(string Namespace, string Name) : IComparable<ObjectKey>
{
    public int CompareTo(ObjectKey other) =>
        string.CompareOrdinal(Namespace, other.Namespace) is var order && order != 0 ? order : string.CompareOrdinal(Name, other.Name);
}

/// <summary>A write. Its trees are the stored ones, which must not be changed.</summary>
/// <param name="Version">The resourceVersion that the write created.</param>
/// <param name="Before">The object before the write; null if the write created it.</param>
/// <param name="Now">The object after the write; for a deletion its last state, with this version.</param>
internal sealed record Change(long Version, string Storage, ObjectKey Key, JsonObject? Before, JsonObject Now, bool Deleted);

/// <summary>
/// The newest writes, from which watches resume. Each write increments the version by one, so that a version is also a position in the
/// history.
/// </summary>
internal sealed class ChangeHistory(int capacity)
{
    private readonly Change?[] _ring = new Change?[capacity];

    /// <summary>Version of the newest write.</summary>
    public long Last { get; private set; }

    /// <summary>Version up to which writes are dropped. It is the oldest version from which a watch can resume.</summary>
    public long CompactedTo { get; private set; }

    public void Add(Change change)
    {
        if (change.Version != Last + 1)
            throw new InvalidOperationException($"write {change.Version} came after {Last}");
        Last = change.Version;
        _ring[Last % capacity] = change;
        CompactedTo = Math.Max(CompactedTo, Last - capacity);
    }

    /// <summary>Returns the writes after a version, in order.</summary>
    /// <exception cref="KubeStatusException">410: the version is older than <see cref="CompactedTo"/>.</exception>
    public IEnumerable<Change> After(long version)
    {
        if (version < CompactedTo)
            throw KubeStatusException.Expired($"too old resource version: {version} ({CompactedTo})");
        for (var next = version + 1; next <= Last; next++)
            yield return _ring[next % capacity]!;
    }

    /// <summary>Drops all writes, so that a watch that resumes from an older version gets 410.</summary>
    public void Compact()
    {
        CompactedTo = Last;
        Array.Clear(_ring);
    }
}
