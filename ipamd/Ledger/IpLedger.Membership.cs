// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Ipamd.Ledger;

/// <summary>The attached interfaces and their blocks, as observed in the cloud and changed by this daemon.</summary>
internal sealed partial class IpLedger
{
    /// <summary>
    /// The control plane is eventually consistent: for this long after a change by this daemon, an observation that does not show the
    /// change yet does not undo it. Added blocks stay although they are not described; released blocks do not return although they still
    /// are.
    /// </summary>
    public static readonly TimeSpan ConsistencyWindow = TimeSpan.FromSeconds(60);

    /// <summary>
    /// An assignment whose answer was lost appears in an observation requested at least this long after it, or it did not happen.
    /// </summary>
    public static readonly TimeSpan OutcomeWindow = TimeSpan.FromSeconds(5);

    private readonly Dictionary<IPNetwork, DateTimeOffset> _recentlyReleased = [];
    private readonly Dictionary<NetworkInterfaceId, DateTimeOffset> _recentlyDetached = [];

    /// <summary>All blocks by range, for finding an address's block.</summary>
    private readonly Dictionary<IPNetwork, (Interface Interface, Block Block)> _index = [];
    private DateTimeOffset? _restoredAt;
    private IReadOnlyList<KnownInterface> _checkpointInterfaces = [];
    private bool _isObserved;

    /// <summary>How long an interface that last carried a missing pod address is protected from removal.</summary>
    public static readonly TimeSpan OrphanWindow = TimeSpan.FromMinutes(5);

    /// <summary>For pod addresses on no known interface: the interface that carried them last, and when they were found missing.</summary>
    private readonly Dictionary<IPAddress, (InterfaceSlot? Slot, DateTimeOffset Since)> _lastSlots = [];

    /// <summary>
    /// Replaces the attached interfaces and blocks by a complete, authoritative observation. Attachments stay; one whose block is missing
    /// becomes an orphan. Interfaces and blocks of open intents are not changed.
    /// </summary>
    /// <param name="observed">Every interface attached to the node.</param>
    /// <param name="now">The time now.</param>
    /// <param name="askedAt">When the observation was requested; null for now.</param>
    public ObservationChanges Observe(IReadOnlyList<InterfaceObservation> observed, DateTimeOffset now, DateTimeOffset? askedAt = null)
    {
        lock (_lock)
        {
            var before = Orphans_NeedsLock().Select(orphan => orphan.Attachment.Key).ToHashSet();
            var changes = Apply_NeedsLock(observed, now);
            _isObserved = true;
            _checkpointInterfaces = [];
            Resolve_NeedsLock(observed, askedAt ?? now, now);
            // Right after a start the description may lag behind the checkpoint: a recorded slot is trusted for the consistency window,
            // like a change by this daemon.
            RefreshSlots_NeedsLock(complete: _restoredAt is not { } restored || now - restored >= ConsistencyWindow, now);
            Orphan[] orphaned = [.. Orphans_NeedsLock().Where(orphan => !before.Contains(orphan.Attachment.Key))];
            return changes with { Orphaned = orphaned, Losses = AddressLoss.Of(orphaned, _interfaces.Keys.ToHashSet()) };
        }
    }

    /// <summary>
    /// When the next observation is due because the last one, possibly late, did not confirm a recorded slot; null when every slot is
    /// confirmed or known to be lost.
    /// </summary>
    public DateTimeOffset? ConfirmSlotsAt
    {
        get
        {
            lock (_lock)
            {
                return
                    _restoredAt is { } restored
                    && _attachments.Values.Any(item =>
                        !item.IsRecovered
                        && item.Addresses.Any(address => address.Slot is not null && BlockOf_NeedsLock(address.Address) is null)
                    )
                    ? restored + ConsistencyWindow
                    : null;
            }
        }
    }

    /// <summary>The interfaces in the checkpoint; empty once the cloud has been observed.</summary>
    public IReadOnlyList<KnownInterface> CheckpointInterfaces
    {
        get
        {
            lock (_lock)
                return _checkpointInterfaces;
        }
    }

    /// <summary>
    /// Before the first observation, sets the attached interfaces and blocks to the intersection of checkpoint and instance metadata. A
    /// block that either lacks may have been taken from the node and is not assigned. Attachments keep their slots and intents stay open.
    /// No-op once the cloud has been observed.
    /// </summary>
    /// <param name="shown">Interfaces for pods in the metadata.</param>
    /// <param name="now">The time now.</param>
    /// <returns>Number of addresses on interfaces for pods.</returns>
    public int ApplyHint(IReadOnlyList<InterfaceObservation> shown, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (_isObserved)
                return 0;
            List<InterfaceObservation> matching = [];
            foreach (var seen in shown)
            {
                if (
                    _checkpointInterfaces.FirstOrDefault(known =>
                        known.Id == seen.Id && known.DeviceIndex == seen.DeviceIndex && known.NetworkCard == seen.NetworkCard
                    )
                    is not { } known
                )
                    continue;
                matching.Add(
                    seen with
                    {
                        IsExcluded = seen.IsExcluded || known.IsExcluded,
                        Blocks = [.. seen.Blocks.Intersect(known.Blocks)],
                    }
                );
            }

            Apply_NeedsLock(matching, now);
            RefreshSlots_NeedsLock(complete: false, now);
            return matching.Where(item => item.CarriesPods).Sum(item => item.Blocks.Sum(AddressBlocks.Count));
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

    /// <summary>Applies the observed interfaces and blocks, except recent changes and those of open intents.</summary>
    private ObservationChanges Apply_NeedsLock(IReadOnlyList<InterfaceObservation> observed, DateTimeOffset now)
    {
        List<NetworkInterfaceId> added = [],
            lost = [];
        var (blocksAdded, blocksLost, isReclassified) = (0, 0, false);
        ExpireRecent_NeedsLock(now);
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
            // Detached by this daemon and still described, or created by it and not finished.
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

            isReclassified |= (known.CarriesPods, known.IsExcluded) != (seen.CarriesPods, seen.IsExcluded);
            (known.CarriesPods, known.IsExcluded) = (seen.CarriesPods, seen.IsExcluded);
            known.IsDraining = _intents.Values.Any(open => open.Intent is Intent.RemoveInterface remove && remove.Interface == seen.Id);
            foreach (var range in seen.Blocks)
            {
                if (_recentlyReleased.ContainsKey(range))
                    continue;
                // This daemon moved it to another interface or into a prefix a moment ago: the description is late.
                if (
                    Overlapping_NeedsLock(range)
                        .Any(other =>
                            (other.Interface != known || other.Block.Range != range) && now - other.Block.AddedAt < ConsistencyWindow
                        )
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

        if (isReclassified || added.Count + lost.Count + blocksAdded + blocksLost > 0)
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

    /// <summary>Whether the instance metadata matches the ledger, apart from open intents and recent changes.</summary>
    /// <param name="hinted">Interfaces and their blocks, complete or not.</param>
    /// <param name="now">The time now.</param>
    public bool MatchesHint(IReadOnlyDictionary<NetworkInterfaceId, IReadOnlyList<IPNetwork>> hinted, DateTimeOffset now)
    {
        lock (_lock)
        {
            ExpireRecent_NeedsLock(now);
            bool IsChanging(NetworkInterfaceId id) =>
                _recentlyDetached.ContainsKey(id)
                || IsBusy_NeedsLock(id)
                || (_interfaces.TryGetValue(id, out var entry) && now - entry.AddedAt < ConsistencyWindow);
            if (hinted.Keys.Any(id => !_interfaces.ContainsKey(id) && !IsChanging(id)))
                return false;
            foreach (var entry in _interfaces.Values.Where(entry => !IsChanging(entry.Id)))
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
    /// Sets which interfaces get no new pods (<see cref="InterfaceObservation.IsExcluded"/>). Interfaces that are not named keep their
    /// setting.
    /// </summary>
    /// <returns>Whether any setting changed.</returns>
    public bool Exclude(IReadOnlyDictionary<NetworkInterfaceId, bool> exclusions)
    {
        lock (_lock)
        {
            var isChanged = false;
            foreach (var (id, isExcluded) in exclusions)
            {
                if (!_interfaces.TryGetValue(id, out var entry) || entry.IsExcluded == isExcluded)
                    continue;
                entry.IsExcluded = isExcluded;
                isChanged = true;
            }

            if (isChanged)
                Changed_NeedsLock();
            return isChanged;
        }
    }

    /// <summary>Whether the interface is known and gets no new pods (<see cref="InterfaceObservation.IsExcluded"/>).</summary>
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

        RefreshSlots_NeedsLock(complete: false, now);
    }

    private bool AddBlock_NeedsLock(Interface entry, IPNetwork range, DateTimeOffset addedAt, DateTimeOffset now)
    {
        if (_index.TryGetValue(range, out var same) && same.Interface == entry)
            return false;
        // No address is in two blocks. An overlapping block was on another interface, or is a single address that joined a prefix or the
        // reverse: the cloud moved it.
        foreach (var (interfaceBefore, blockBefore) in Overlapping_NeedsLock(range))
            RemoveBlock_NeedsLock(interfaceBefore, blockBefore.Range);

        var block = new Block(range, addedAt, seenAt: now)
        {
            Assigned = _owners.Keys.Count(range.Contains),
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

    /// <summary>Removes an interface that this daemon detached.</summary>
    private void RemoveDetached_NeedsLock(NetworkInterfaceId id, DateTimeOffset at)
    {
        _recentlyDetached[id] = at;
        if (_interfaces.TryGetValue(id, out var entry))
            RemoveInterface_NeedsLock(entry);
    }

    private void ExpireRecent_NeedsLock(DateTimeOffset now)
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
    /// Updates the slot of attachments that were restored without one or whose address moved. After a complete observation, an attachment
    /// whose address is on no interface loses its slot.
    /// </summary>
    private void RefreshSlots_NeedsLock(bool complete, DateTimeOffset now)
    {
        foreach (var attachment in _attachments.Values.ToArray())
        {
            var addresses = attachment.Addresses;
            AttachmentAddress[]? refreshed = null;
            for (var index = 0; index < addresses.Count; index++)
            {
                var slot = SlotOf_NeedsLock(addresses[index].Address);
                if (slot == addresses[index].Slot || (slot is null && !complete))
                    continue;
                if (slot is null)
                    _lastSlots[addresses[index].Address] = (addresses[index].Slot, now);
                else
                    _lastSlots.Remove(addresses[index].Address);
                refreshed ??= [.. addresses];
                refreshed[index] = addresses[index] with { Slot = slot };
            }

            if (refreshed is null)
                continue;
            _attachments[attachment.Key] = attachment with { Addresses = refreshed };
            Changed_NeedsLock();
        }
    }

    private InterfaceSlot? SlotOf_NeedsLock(IPAddress address) => OwnerOf_NeedsLock(address)?.Interface.Slot;

    private Block? BlockOf_NeedsLock(IPAddress address) => OwnerOf_NeedsLock(address)?.Block;

    /// <summary>Finds the block of an address: a single address, or a prefix of its family's fixed length.</summary>
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
            FirstSeenAt = entry.SeenAt,
            UnusedSince = entry.UnusedSince,
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
                    UnusedSince = block.UnusedSince,
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

        /// <summary>When the last address was released; when first seen, if none was ever assigned.</summary>
        public DateTimeOffset UnusedSince { get; set; } = seenAt;

        /// <summary>When this daemon attached it; <see cref="DateTimeOffset.MinValue"/> for one that it found attached.</summary>
        public DateTimeOffset AddedAt { get; } = addedAt;
        public bool CarriesPods { get; set; } = seen.CarriesPods;
        public bool IsExcluded { get; set; } = seen.IsExcluded;
        public bool IsDraining { get; set; }
        public bool IsUsable => CarriesPods && !IsExcluded && !IsDraining;
        public SortedDictionary<IPAddress, Block> Blocks { get; } = new(Comparer<IPAddress>.Create(AddressBlocks.Compare));
        public bool IsPrimary => DeviceIndex == 0 && NetworkCard == 0;
        public int Assigned => Blocks.Values.Sum(block => block.Assigned);
        public InterfaceSlot Slot => new(Id, DeviceIndex, NetworkCard);

        /// <summary>Order of attachment; decides between equally full interfaces.</summary>
        public bool Precedes(Interface other) =>
            NetworkCard != other.NetworkCard ? NetworkCard < other.NetworkCard : DeviceIndex < other.DeviceIndex;
    }

    private sealed class Block(IPNetwork range, DateTimeOffset addedAt, DateTimeOffset seenAt)
    {
        public IPNetwork Range { get; } = range;
        public DateTimeOffset AddedAt { get; } = addedAt;

        /// <summary>See <see cref="Interface.UnusedSince"/>.</summary>
        public DateTimeOffset UnusedSince { get; set; } = seenAt;
        public AddressFamily Family => Range.BaseAddress.AddressFamily;
        public int Capacity { get; } = AddressBlocks.Count(range);
        public int Assigned { get; set; }
        public int Cooling { get; set; }
        public bool IsReleasing { get; set; }
        public bool IsUnused => Assigned == 0 && Cooling == 0 && !IsReleasing;
        public bool HasFree => !IsReleasing && Assigned + Cooling < Capacity;
    }
}
