// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.History;

/// <summary>What is remembered of one pod: the first thing that happened and the last ones. Not thread-safe; its owner locks.</summary>
internal sealed class PodRecord(PodReference pod)
{
    /// <summary>A pod that is served at once leaves one event, one that waits for an interface about ten.</summary>
    public const int MaxEvents = 32;

    /// <summary>Sandboxes of one pod whose later events are found again: a crash loop makes many.</summary>
    private const int MaxKeys = 8;

    private readonly List<PoolEvent> _events = [];
    private readonly List<AttachmentKey> _keys = [];

    public PodReference Pod { get; } = pod;

    /// <summary>Its place in the order in which pods are forgotten; its owner's.</summary>
    public LinkedListNode<PodRecord>? Place { get; set; }

    /// <summary>Between the first event and those that follow it.</summary>
    public int LeftOut { get; private set; }

    public IReadOnlyList<PoolEvent> Events => [.. _events];
    public IReadOnlyList<AttachmentKey> Keys => _keys;

    public void Add(PoolEvent happened)
    {
        if (_events.Count == MaxEvents)
        {
            _events.RemoveAt(1);
            LeftOut++;
        }

        _events.Add(happened);
    }

    /// <summary>Returns the key that is forgotten in its place, if one is.</summary>
    public AttachmentKey? Know(AttachmentKey key)
    {
        if (_keys.Contains(key))
            return null;
        AttachmentKey? forgotten = null;
        if (_keys.Count == MaxKeys)
        {
            forgotten = _keys[0];
            _keys.RemoveAt(0);
        }

        _keys.Add(key);
        return forgotten;
    }
}

/// <summary>What is remembered of a pod, at one moment.</summary>
/// <param name="Pod">Its name.</param>
/// <param name="Events">Oldest first.</param>
/// <param name="LeftOut">How many are forgotten between the first and those that follow it.</param>
internal sealed record PodMemory(PodReference Pod, IReadOnlyList<PoolEvent> Events, int LeftOut);

/// <summary>A failure, and how often one of its kind was seen.</summary>
/// <param name="At">The last time.</param>
/// <param name="Count">Since the daemon's start, as long as it is remembered.</param>
/// <param name="What">A sentence, of the last time.</param>
internal sealed record RecentFailure(DateTimeOffset At, int Count, string What);
