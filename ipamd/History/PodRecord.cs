// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.History;

/// <summary>The events of one pod: the first one and the latest ones. Not thread-safe; the owner locks.</summary>
internal sealed class PodRecord(PodReference pod)
{
    /// <summary>Maximum number of events. A pod that is served at once has one, a pod that waits for an interface about ten.</summary>
    public const int MaxEvents = 32;

    /// <summary>Maximum number of sandboxes per pod; a crash loop creates many.</summary>
    private const int MaxKeys = 8;

    private readonly List<PoolEvent> _events = [];
    private readonly List<AttachmentKey> _keys = [];

    public PodReference Pod { get; } = pod;

    /// <summary>Its node in the owner's eviction list.</summary>
    public LinkedListNode<PodRecord>? ListNode { get; set; }

    /// <summary>Number of events that were dropped after the first one.</summary>
    public int Dropped { get; private set; }

    public IReadOnlyList<PoolEvent> Events => [.. _events];
    public IReadOnlyList<AttachmentKey> Keys => _keys;

    public void Add(PoolEvent poolEvent)
    {
        if (_events.Count == MaxEvents)
        {
            _events.RemoveAt(1);
            Dropped++;
        }

        _events.Add(poolEvent);
    }

    /// <summary>Adds a sandbox and returns the one that is dropped for it, if any.</summary>
    public AttachmentKey? AddKey(AttachmentKey key)
    {
        if (_keys.Contains(key))
            return null;
        AttachmentKey? dropped = null;
        if (_keys.Count == MaxKeys)
        {
            dropped = _keys[0];
            _keys.RemoveAt(0);
        }

        _keys.Add(key);
        return dropped;
    }
}

/// <summary>A snapshot of a pod's events.</summary>
/// <param name="Pod">Name of the pod.</param>
/// <param name="Events">Events, oldest first.</param>
/// <param name="Dropped">Number of events that were dropped after the first one.</param>
internal sealed record PodHistory(PodReference Pod, IReadOnlyList<PoolEvent> Events, int Dropped);

/// <summary>A failure and its number of occurrences.</summary>
/// <param name="At">Time of the last occurrence.</param>
/// <param name="Count">Occurrences since the daemon's start, or since the failure was last dropped.</param>
/// <param name="What">Description of the last occurrence.</param>
internal sealed record RecentFailure(DateTimeOffset At, int Count, string What);
