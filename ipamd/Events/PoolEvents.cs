// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Events;

/// <summary>
/// Who is told what happens in the pool. Told on the thread it happens on, outside every lock of the pool, ADD's included: a subscriber
/// takes note and returns at once, and never throws.
/// </summary>
internal sealed class PoolEvents
{
    private volatile Action<PoolEvent>[] _subscribers = [];

    /// <summary>While the daemon is put together: before the first ADD and the first step.</summary>
    public void Subscribe(Action<PoolEvent> subscriber) => _subscribers = [.. _subscribers, subscriber];

    public void Publish(PoolEvent happened)
    {
        foreach (var subscriber in _subscribers)
            subscriber(happened);
    }
}
