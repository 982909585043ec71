// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Observation;

/// <summary>
/// Interfaces that are attached but whose link could not be configured, mostly because the guest does not have it yet. Requests an
/// observation when a link with the MAC address appears, and reports how many addresses pods can wait for. One entry per interface.
/// Thread-safe.
/// </summary>
internal sealed class AwaitedLinks(TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<NetworkInterfaceId, Entry> _entries = [];
    private Action<DateTimeOffset>? _observeAt;

    /// <summary>The addresses that pods can wait for now.</summary>
    public AwaitedAddresses Addresses
    {
        get
        {
            lock (_lock)
            {
                Entry[] expected =
                [
                    .. _entries.Values.Where(entry => entry.Failure is not null && time.GetUtcNow() < entry.Until && entry.Addresses > 0),
                ];
                if (expected.Length == 0)
                    return AwaitedAddresses.None;
                var names = string.Join(", ", expected.Select(entry => entry.Item.Id.Value).Order(StringComparer.Ordinal));
                var count = expected.Sum(entry => entry.Addresses);
                return new AwaitedAddresses(
                    count,
                    new GrowthObstacle(
                        GrowthObstacleKind.CloudFailure,
                        expected.Max(entry => entry.Until),
                        $"{names} {(expected.Length == 1 ? "is" : "are")} attached with {count} addresses, and the link is not "
                            + $"configured yet: {expected[0].Failure}"
                    )
                    {
                        MayEndAnyMoment = true,
                    }
                );
            }
        }
    }

    /// <summary>
    /// The interfaces whose link has been missing for longer than <see cref="PoolLimits.LinkDeadline"/>; null when there are none.
    /// </summary>
    public string? Problem
    {
        get
        {
            lock (_lock)
            {
                string[] late =
                [
                    .. _entries
                        .Values.Where(entry => entry.Failure is not null && time.GetUtcNow() >= entry.Until)
                        .OrderBy(entry => entry.Item.Id.Value, StringComparer.Ordinal)
                        .Select(entry =>
                            $"{entry.Item.Id} is attached and its link is not configured, so no pod gets one of its "
                            + $"{entry.Addresses} addresses: {entry.Failure}"
                        ),
                ];
                return late.Length == 0 ? null : string.Join("; ", late);
            }
        }
    }

    /// <summary>
    /// Sets the callback that requests an observation, and calls it for links that have already appeared. Call it once.
    /// </summary>
    /// <exception cref="InvalidOperationException">There is a callback already.</exception>
    public void Watch(Action<DateTimeOffset> observeAt)
    {
        lock (_lock)
        {
            if (_observeAt is not null)
                throw new InvalidOperationException("the awaited links are watched already");
            _observeAt = observeAt;
            foreach (var entry in _entries.Values.Where(entry => entry is { HasAppeared: true, Failure: not null }))
                Request_NeedsLock(entry);
        }
    }

    /// <summary>Adds an interface before its link is configured, so that a link that appears meanwhile is not missed.</summary>
    public void Begin(CloudInterface item)
    {
        lock (_lock)
        {
            if (_entries.TryGetValue(item.Id, out var known))
                (known.Item, known.HasAppeared) = (item, false);
            else
                _entries[item.Id] = new Entry { Item = item, Until = time.GetUtcNow() + PoolLimits.LinkDeadline };
        }
    }

    public void Wired(NetworkInterfaceId id)
    {
        lock (_lock)
            _entries.Remove(id);
    }

    public void Failed(NetworkInterfaceId id, string why)
    {
        lock (_lock)
        {
            if (!_entries.TryGetValue(id, out var entry))
                return;
            entry.Failure = why;
            if (entry.HasAppeared)
                Request_NeedsLock(entry);
        }
    }

    /// <summary>Removes the interfaces that are not in the set: they are detached or carry no pods.</summary>
    public void Keep(IReadOnlySet<NetworkInterfaceId> ids)
    {
        lock (_lock)
        {
            foreach (var id in _entries.Keys.Where(known => !ids.Contains(known)).ToArray())
                _entries.Remove(id);
        }
    }

    /// <summary>Reports that a link with this MAC address exists; null stands for any link.</summary>
    public void Seen(string? mac)
    {
        lock (_lock)
        {
            foreach (
                var entry in _entries
                    .Values.Where(entry => !entry.HasAppeared)
                    .Where(entry => mac is null || string.Equals(entry.Item.Mac, mac, StringComparison.OrdinalIgnoreCase))
            )
            {
                entry.HasAppeared = true;
                if (entry.Failure is not null)
                    Request_NeedsLock(entry);
            }
        }
    }

    /// <summary>
    /// Requests an observation at once, and with growing pauses when that has not helped: a link that is reported repeatedly must not cost
    /// a call each time.
    /// </summary>
    private void Request_NeedsLock(Entry entry)
    {
        if (_observeAt is null)
            return;
        _observeAt(time.GetUtcNow() + PoolLimits.ObserveRetries.Ceiling(entry.Requests++));
    }

    private sealed class Entry
    {
        public required CloudInterface Item { get; set; }

        /// <summary>End of the time in which the link is expected.</summary>
        public required DateTimeOffset Until { get; init; }

        /// <summary>Why configuring it failed; null during the first attempt.</summary>
        public string? Failure { get; set; }

        /// <summary>Whether the link was reported since the last attempt.</summary>
        public bool HasAppeared { get; set; }
        public int Requests { get; set; }
        public int Addresses => Item.Blocks.Sum(BlockShape.SizeOf);
    }
}
