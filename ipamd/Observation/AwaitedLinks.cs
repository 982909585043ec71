// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Observation;

/// <summary>
/// Interfaces that are attached and could not be wired, most of them because the guest has no link of them yet. Asks for another
/// observation when a link with their MAC address is reported, and says for how many addresses a pod can wait. As many entries as there
/// are interfaces. From any thread.
/// </summary>
internal sealed class AwaitedLinks(TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<NetworkInterfaceId, Entry> _entries = [];
    private Action<DateTimeOffset>? _observeAt;

    /// <summary>What pods can wait for now.</summary>
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
                        $"{names} {(expected.Length == 1 ? "is" : "are")} attached with {count} addresses and not wired yet: "
                            + expected[0].Failure
                    )
                    {
                        MayEndAnyMoment = true,
                    }
                );
            }
        }
    }

    /// <summary>Which interfaces have not been wired for longer than a link takes to appear; null when there is none.</summary>
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
                            $"{entry.Item.Id} is attached and not wired, so no pod gets one of its {entry.Addresses} addresses: "
                            + entry.Failure
                        ),
                ];
                return late.Length == 0 ? null : string.Join("; ", late);
            }
        }
    }

    /// <summary>
    /// From now on <paramref name="observeAt"/> is called when an observation is worth while, also for links that appeared before.
    /// </summary>
    public void Watch(Action<DateTimeOffset> observeAt)
    {
        lock (_lock)
        {
            _observeAt = observeAt;
            foreach (var entry in _entries.Values.Where(entry => entry is { HasAppeared: true, Failure: not null }))
                Request_NeedsLock(entry);
        }
    }

    /// <summary>Before it is tried: a link that appears meanwhile is not missed.</summary>
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

    /// <summary>Those that are not attached any more, or carry no pods.</summary>
    public void Keep(IReadOnlySet<NetworkInterfaceId> ids)
    {
        lock (_lock)
        {
            foreach (var gone in _entries.Keys.Where(id => !ids.Contains(id)).ToArray())
                _entries.Remove(gone);
        }
    }

    /// <summary>There is a link with this MAC address; null: there may be any.</summary>
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
    /// At once, and ever later when that has not helped: a link that is reported again and again must not cost a call each time.
    /// </summary>
    private void Request_NeedsLock(Entry entry)
    {
        if (_observeAt is null)
            return;
        var pause = entry.Requests == 0 ? TimeSpan.Zero : PoolLimits.FirstObserveRetry * Math.Pow(2, Math.Min(entry.Requests - 1, 10));
        entry.Requests++;
        _observeAt(time.GetUtcNow() + (pause < PoolLimits.HintInterval ? pause : PoolLimits.HintInterval));
    }

    private sealed class Entry
    {
        public required CloudInterface Item { get; set; }

        /// <summary>Until then its link can be expected.</summary>
        public required DateTimeOffset Until { get; init; }

        /// <summary>Null while it is tried for the first time.</summary>
        public string? Failure { get; set; }

        /// <summary>Since it was tried last.</summary>
        public bool HasAppeared { get; set; }
        public int Requests { get; set; }
        public int Addresses => Item.Blocks.Sum(AddressBlocks.Count);
    }
}
