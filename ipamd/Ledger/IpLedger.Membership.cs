// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Ipamd.Ledger;

/// <summary>Interfaces and blocks: what the cloud says is attached to this node, and what is on its way out.</summary>
internal sealed partial class IpLedger
{
    /// <summary>
    /// The control plane is eventually consistent: for this long after a change of ours, an observation that does not show it yet does not
    /// undo it. What we added stays although it is not described, and what we gave back does not return although it still is.
    /// </summary>
    public static readonly TimeSpan ConsistencyWindow = TimeSpan.FromSeconds(60);

    /// <summary>
    /// An assignment whose answer was lost shows in an observation that is asked for this long after it, or it did not happen.
    /// </summary>
    public static readonly TimeSpan DoubtWindow = TimeSpan.FromSeconds(5);

    private readonly Dictionary<IPNetwork, DateTimeOffset> _recentlyReleased = [];
    private readonly Dictionary<NetworkInterfaceId, DateTimeOffset> _recentlyDetached = [];

    /// <summary>Every block by its range, on whichever interface: how an address finds its block.</summary>
    private readonly Dictionary<IPNetwork, (Interface Interface, Block Block)> _index = [];
    private DateTimeOffset? _restoredAt;
    private IReadOnlyList<KnownInterface> _remembered = [];
    private bool _isObserved;

    /// <summary>An interface that carried the address of a pod, and does not seem to any more, is not removed for this long.</summary>
    public static readonly TimeSpan OrphanWindow = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Of addresses that are held and on no known interface: the one that carried them last, and when it was seen to carry them no more.
    /// </summary>
    private readonly Dictionary<IPAddress, (InterfaceSlot? Place, DateTimeOffset Since)> _lastPlaces = [];

    /// <summary>
    /// Makes membership equal to a complete and authoritative observation. Attachments are untouched; those that lose their block become
    /// orphans. What an open intent is about is left to it.
    /// </summary>
    /// <param name="observed">Every interface that is attached to the node.</param>
    /// <param name="now">The time now.</param>
    /// <param name="askedAt">When the question was asked; null: now.</param>
    public ObservationChanges Observe(IReadOnlyList<InterfaceObservation> observed, DateTimeOffset now, DateTimeOffset? askedAt = null)
    {
        lock (_lock)
        {
            var before = Orphans_NeedsLock().Select(orphan => orphan.Attachment.Key).ToHashSet();
            var changes = Apply_NeedsLock(observed, now);
            _isObserved = true;
            _remembered = [];
            Resolve_NeedsLock(observed, askedAt ?? now, now);
            // Right after a start the description may lag behind what the checkpoint knows: a recorded place is believed for as long as a
            // change of ours would be.
            RefreshPlaces_NeedsLock(complete: _restoredAt is not { } restored || now - restored >= ConsistencyWindow, now);
            Orphan[] orphaned = [.. Orphans_NeedsLock().Where(orphan => !before.Contains(orphan.Attachment.Key))];
            return changes with { Orphaned = orphaned, Losses = AddressLoss.Of(orphaned, _interfaces.Keys.ToHashSet()) };
        }
    }

    /// <summary>
    /// When another observation is due because a recorded place was not confirmed by the last one, which may have been late; null when all
    /// places are confirmed, or known to be lost.
    /// </summary>
    public DateTimeOffset? ConfirmPlacesAt
    {
        get
        {
            lock (_lock)
            {
                return
                    _restoredAt is { } restored
                    && _attachments.Values.Any(item =>
                        !item.IsRecovered && item.Addresses.Any(held => held.Place is not null && BlockOf_NeedsLock(held.Address) is null)
                    )
                    ? restored + ConsistencyWindow
                    : null;
            }
        }
    }

    /// <summary>Interfaces that the checkpoint held; none any more once the cloud has been observed.</summary>
    public IReadOnlyList<KnownInterface> Remembered
    {
        get
        {
            lock (_lock)
                return _remembered;
        }
    }

    /// <summary>
    /// Before the first observation: makes membership equal to what the checkpoint held and the instance metadata shows, both. A block that
    /// either lacks may have been taken from the node and is not given to a pod. Nothing is concluded from it: no attachment loses its
    /// place and no intent its end. Without effect once the cloud has been observed.
    /// </summary>
    /// <param name="shown">What the metadata shows, of interfaces for pods.</param>
    /// <param name="now">The time now.</param>
    /// <returns>Addresses of the interfaces for pods.</returns>
    public int Presume(IReadOnlyList<InterfaceObservation> shown, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (_isObserved)
                return 0;
            List<InterfaceObservation> agreed = [];
            foreach (var seen in shown)
            {
                if (
                    _remembered.FirstOrDefault(known =>
                        known.Id == seen.Id && known.DeviceIndex == seen.DeviceIndex && known.NetworkCard == seen.NetworkCard
                    )
                    is not { } known
                )
                    continue;
                agreed.Add(
                    seen with
                    {
                        IsExcluded = seen.IsExcluded || known.IsExcluded,
                        Blocks = [.. seen.Blocks.Intersect(known.Blocks)],
                    }
                );
            }

            Apply_NeedsLock(agreed, now);
            RefreshPlaces_NeedsLock(complete: false, now);
            return agreed.Where(item => item.CarriesPods).Sum(item => item.Blocks.Sum(AddressBlocks.Count));
        }
    }

    private KnownInterface[] Known_NeedsLock() =>
        [
            .. _interfaces
                .Values.Where(item => item is { CarriesPods: true, IsDraining: false })
                .OrderBy(item => item.NetworkCard)
                .ThenBy(item => item.DeviceIndex)
                .Select(item => new KnownInterface(
                    item.Id,
                    item.DeviceIndex,
                    item.NetworkCard,
                    item.IsExcluded,
                    [.. item.Blocks.Values.Where(block => !block.IsReleasing).Select(block => block.Range)]
                )),
        ];

    /// <summary>Interfaces and blocks as seen, apart from what has not settled and what open intents are about.</summary>
    private ObservationChanges Apply_NeedsLock(IReadOnlyList<InterfaceObservation> observed, DateTimeOffset now)
    {
        List<NetworkInterfaceId> added = [],
            lost = [];
        var (blocksAdded, blocksLost, isOtherwise) = (0, 0, false);
        ForgetSettled_NeedsLock(now);
        foreach (
            var known in _interfaces
                .Values.Where(item => now - item.AddedAt >= ConsistencyWindow && observed.All(seen => seen.Id != item.Id))
                .ToArray()
        )
        {
            if (!known.IsDraining)
                lost.Add(known.Id);
            blocksLost += known.Blocks.Count;
            RemoveInterface_NeedsLock(known);
        }

        foreach (var seen in observed)
        {
            // Detached by us and still described; or created by us and not finished.
            if (
                _recentlyDetached.ContainsKey(seen.Id)
                || _intents.Values.Any(open => open.Intent is Intent.AddInterface add && add.Created == seen.Id)
            )
                continue;
            if (!_interfaces.TryGetValue(seen.Id, out var known))
            {
                known = new Interface(seen, now, addedAt: DateTimeOffset.MinValue);
                _interfaces.Add(seen.Id, known);
                added.Add(seen.Id);
            }

            isOtherwise |= (known.CarriesPods, known.IsExcluded) != (seen.CarriesPods, seen.IsExcluded);
            (known.CarriesPods, known.IsExcluded) = (seen.CarriesPods, seen.IsExcluded);
            known.IsDraining = _intents.Values.Any(open => open.Intent is Intent.RemoveInterface remove && remove.Interface == seen.Id);
            foreach (var range in seen.Blocks)
            {
                if (_recentlyReleased.ContainsKey(range))
                    continue;
                // Moved to another interface, or made part of a prefix, by us a moment ago: the description is late.
                if (
                    Overlapping_NeedsLock(range)
                        .Any(here => (here.Interface != known || here.Block.Range != range) && now - here.Block.AddedAt < ConsistencyWindow)
                )
                    continue;
                if (AddBlock_NeedsLock(known, range, addedAt: DateTimeOffset.MinValue, now))
                    blocksAdded++;
            }

            foreach (var block in known.Blocks.Values.ToArray())
            {
                if (block.IsReleasing || seen.Blocks.Contains(block.Range) || now - block.AddedAt < ConsistencyWindow)
                    continue;
                RemoveBlock_NeedsLock(known, block.Range);
                blocksLost++;
            }
        }

        if (isOtherwise || added.Count + lost.Count + blocksAdded + blocksLost > 0)
            Changed_NeedsLock();
        return new ObservationChanges
        {
            InterfacesAdded = added,
            InterfacesLost = lost,
            BlocksAdded = blocksAdded,
            BlocksLost = blocksLost,
            Orphaned = [],
        };
    }

    /// <summary>
    /// Whether what the instance metadata shows is what the ledger holds, open intents and everything that has not settled yet aside.
    /// </summary>
    /// <param name="hinted">Interfaces and their blocks, complete or not.</param>
    /// <param name="now">The time now.</param>
    public bool MatchesHint(IReadOnlyDictionary<NetworkInterfaceId, IReadOnlyList<IPNetwork>> hinted, DateTimeOffset now)
    {
        lock (_lock)
        {
            ForgetSettled_NeedsLock(now);
            bool Unsettled(NetworkInterfaceId id) =>
                _recentlyDetached.ContainsKey(id)
                || IsBusy_NeedsLock(id)
                || (_interfaces.TryGetValue(id, out var entry) && now - entry.AddedAt < ConsistencyWindow);
            if (hinted.Keys.Any(id => !_interfaces.ContainsKey(id) && !Unsettled(id)))
                return false;
            foreach (var entry in _interfaces.Values.Where(entry => !Unsettled(entry.Id)))
            {
                if (!hinted.TryGetValue(entry.Id, out var blocks))
                    return false;
                if (blocks.Any(range => !_recentlyReleased.ContainsKey(range) && !_index.ContainsKey(range)))
                    return false;
                if (entry.Blocks.Values.Any(block => now - block.AddedAt >= ConsistencyWindow && !blocks.Contains(block.Range)))
                    return false;
            }

            return true;
        }
    }

    /// <summary>
    /// Which interfaces get no new pods (<see cref="InterfaceObservation.IsExcluded"/>), as somebody decided anew; those that are not named
    /// stay as they are.
    /// </summary>
    /// <returns>Whether that made a difference.</returns>
    public bool Exclude(IReadOnlyDictionary<NetworkInterfaceId, bool> verdicts)
    {
        lock (_lock)
        {
            var any = false;
            foreach (var (id, isExcluded) in verdicts)
            {
                if (!_interfaces.TryGetValue(id, out var entry) || entry.IsExcluded == isExcluded)
                    continue;
                entry.IsExcluded = isExcluded;
                any = true;
            }

            if (any)
                Changed_NeedsLock();
            return any;
        }
    }

    /// <summary>It is known and gets no new pods (<see cref="InterfaceObservation.IsExcluded"/>).</summary>
    public bool IsExcluded(NetworkInterfaceId id)
    {
        lock (_lock)
            return _interfaces.TryGetValue(id, out var entry) && entry.IsExcluded;
    }

    private void AddBlocks_NeedsLock(Interface entry, IReadOnlyList<IPNetwork> blocks, DateTimeOffset now)
    {
        foreach (var range in blocks)
        {
            _recentlyReleased.Remove(range);
            AddBlock_NeedsLock(entry, range, addedAt: now, now);
        }

        RefreshPlaces_NeedsLock(complete: false, now);
    }

    private bool AddBlock_NeedsLock(Interface entry, IPNetwork range, DateTimeOffset addedAt, DateTimeOffset now)
    {
        if (_index.TryGetValue(range, out var same) && same.Interface == entry)
            return false;
        // On another interface until a moment ago, or a single address that is part of a prefix now, or the other way round: the cloud
        // moved it, as no address is in two blocks.
        foreach (var (interfaceBefore, blockBefore) in Overlapping_NeedsLock(range))
            RemoveBlock_NeedsLock(interfaceBefore, blockBefore.Range);

        var block = new Block(range, addedAt, seenAt: now)
        {
            Assigned = _holders.Keys.Count(range.Contains),
            Cooling = _cooling.Keys.Count(range.Contains),
            IsReleasing = _intents.Values.Any(open =>
                open.Intent is Intent.ReleaseBlocks release && release.Interface == entry.Id && release.Blocks.Contains(range)
            ),
        };
        entry.Blocks.Add(range.BaseAddress, block);
        _index.Add(range, (entry, block));
        return true;
    }

    private (Interface Interface, Block Block)[] Overlapping_NeedsLock(IPNetwork range) =>
        [.. _index.Where(pair => pair.Key.Contains(range.BaseAddress) || range.Contains(pair.Key.BaseAddress)).Select(pair => pair.Value)];

    private void RemoveBlock_NeedsLock(Interface entry, IPNetwork range)
    {
        if (!_index.TryGetValue(range, out var known) || known.Interface != entry)
            return;
        entry.Blocks.Remove(range.BaseAddress);
        _index.Remove(range);
    }

    private void RemoveInterface_NeedsLock(Interface entry)
    {
        foreach (var block in entry.Blocks.Values)
            _index.Remove(block.Range);
        _interfaces.Remove(entry.Id);
    }

    /// <summary>Gone by our own doing.</summary>
    private void Drop_NeedsLock(NetworkInterfaceId id, DateTimeOffset at)
    {
        _recentlyDetached[id] = at;
        if (_interfaces.TryGetValue(id, out var entry))
            RemoveInterface_NeedsLock(entry);
    }

    private void ForgetSettled_NeedsLock(DateTimeOffset now)
    {
        foreach (var range in _recentlyReleased.Where(pair => now - pair.Value >= ConsistencyWindow).Select(pair => pair.Key).ToArray())
            _recentlyReleased.Remove(range);
        foreach (var id in _recentlyDetached.Where(pair => now - pair.Value >= ConsistencyWindow).Select(pair => pair.Key).ToArray())
        {
            if (!IsBusy_NeedsLock(id))
                _recentlyDetached.Remove(id);
        }
    }

    /// <summary>
    /// Attachments that were restored without a place, or whose address moved, learn it from membership. After a complete observation, one
    /// whose address is nowhere loses it.
    /// </summary>
    private void RefreshPlaces_NeedsLock(bool complete, DateTimeOffset now)
    {
        foreach (var attachment in _attachments.Values.ToArray())
        {
            var held = attachment.Addresses;
            HeldAddress[]? refreshed = null;
            for (var index = 0; index < held.Count; index++)
            {
                var place = PlaceOf_NeedsLock(held[index].Address);
                if (place == held[index].Place || (place is null && !complete))
                    continue;
                if (place is null)
                    _lastPlaces[held[index].Address] = (held[index].Place, now);
                else
                    _lastPlaces.Remove(held[index].Address);
                refreshed ??= [.. held];
                refreshed[index] = held[index] with { Place = place };
            }

            if (refreshed is null)
                continue;
            _attachments[attachment.Key] = attachment with { Addresses = refreshed };
            Changed_NeedsLock();
        }
    }

    private InterfaceSlot? PlaceOf_NeedsLock(IPAddress address) => OwnerOf_NeedsLock(address)?.Interface.Place;

    private Block? BlockOf_NeedsLock(IPAddress address) => OwnerOf_NeedsLock(address)?.Block;

    /// <summary>A block is a single address or a prefix of the one length that the cloud has for its family.</summary>
    private (Interface Interface, Block Block)? OwnerOf_NeedsLock(IPAddress address) =>
        _index.TryGetValue(AddressBlocks.Single(address), out var single) ? single
        : _index.TryGetValue(AddressBlocks.PrefixOf(address), out var prefix) ? prefix
        : null;

    private static InterfaceView ViewOf(Interface entry, HashSet<NetworkInterfaceId?> suspects) =>
        new()
        {
            Id = entry.Id,
            DeviceIndex = entry.DeviceIndex,
            NetworkCard = entry.NetworkCard,
            PrimaryAddress = entry.PrimaryAddress,
            SubnetId = entry.SubnetId,
            CarriesPods = entry.CarriesPods,
            IsExcluded = entry.IsExcluded,
            MayHoldOrphans = MayHoldOrphans(entry.Id, suspects),
            IsDraining = entry.IsDraining,
            SeenAt = entry.SeenAt,
            UnheldSince = entry.UnheldSince,
            Blocks =
            [
                .. entry.Blocks.Values.Select(block => new BlockView(
                    block.Range,
                    block.Capacity,
                    block.Assigned,
                    block.Cooling,
                    block.IsReleasing
                )
                {
                    UnheldSince = block.UnheldSince,
                }),
            ],
        };

    private sealed class Interface(InterfaceObservation seen, DateTimeOffset seenAt, DateTimeOffset addedAt)
    {
        public NetworkInterfaceId Id { get; } = seen.Id;
        public int DeviceIndex { get; } = seen.DeviceIndex;
        public int NetworkCard { get; } = seen.NetworkCard;
        public IPAddress PrimaryAddress { get; } = seen.PrimaryAddress;
        public string SubnetId { get; } = seen.SubnetId;
        public DateTimeOffset SeenAt { get; } = seenAt;

        /// <summary>When the last holder of one of its addresses gave it back; when it was first seen, if there was none.</summary>
        public DateTimeOffset UnheldSince { get; set; } = seenAt;

        /// <summary>When this daemon attached it; the beginning of time for one that was found attached.</summary>
        public DateTimeOffset AddedAt { get; } = addedAt;
        public bool CarriesPods { get; set; } = seen.CarriesPods;
        public bool IsExcluded { get; set; } = seen.IsExcluded;
        public bool IsDraining { get; set; }
        public bool IsUsable => CarriesPods && !IsExcluded && !IsDraining;
        public SortedDictionary<IPAddress, Block> Blocks { get; } = new(Comparer<IPAddress>.Create(AddressBlocks.Compare));
        public bool IsPrimary => DeviceIndex == 0 && NetworkCard == 0;
        public int Assigned => Blocks.Values.Sum(block => block.Assigned);
        public InterfaceSlot Place => new(Id, DeviceIndex, NetworkCard);

        /// <summary>The order in which interfaces were plugged in; decides between equally full ones.</summary>
        public bool Precedes(Interface other) =>
            NetworkCard != other.NetworkCard ? NetworkCard < other.NetworkCard : DeviceIndex < other.DeviceIndex;
    }

    private sealed class Block(IPNetwork range, DateTimeOffset addedAt, DateTimeOffset seenAt)
    {
        public IPNetwork Range { get; } = range;
        public DateTimeOffset AddedAt { get; } = addedAt;

        /// <summary>As for an interface.</summary>
        public DateTimeOffset UnheldSince { get; set; } = seenAt;
        public AddressFamily Family => Range.BaseAddress.AddressFamily;
        public int Capacity { get; } = AddressBlocks.Count(range);
        public int Assigned { get; set; }
        public int Cooling { get; set; }
        public bool IsReleasing { get; set; }
        public bool IsUnused => Assigned == 0 && Cooling == 0 && !IsReleasing;
        public bool HasFree => !IsReleasing && Assigned + Cooling < Capacity;
    }
}
