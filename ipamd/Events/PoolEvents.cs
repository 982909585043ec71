// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Events;

/// <summary>
/// Publishes the pool's events to subscribers, on the publishing thread and outside every lock of the pool. A subscriber returns at once
/// and never throws.
/// </summary>
internal sealed class PoolEvents
{
    private volatile Action<PoolEvent>[] _subscribers = [];

    /// <summary>Adds a subscriber. Call it before the first ADD and the first step; not thread-safe.</summary>
    public void Subscribe(Action<PoolEvent> subscriber) => _subscribers = [.. _subscribers, subscriber];

    public void Publish(PoolEvent poolEvent)
    {
        foreach (var subscriber in _subscribers)
            subscriber(poolEvent);
    }
}
