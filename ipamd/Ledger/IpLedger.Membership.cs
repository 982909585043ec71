// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Netlink;

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

    /// <summary>The shapes of the blocks in <see cref="_index"/>, each with its number of blocks: one to four.</summary>
    private readonly Dictionary<BlockShape, int> _shapes = [];
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
                if (_checkpointInterfaces.FirstOrDefault(known => known.Id == seen.Id && known.Slot == seen.Slot) is not { } known)
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
            return matching.Where(item => item.CarriesPods).Sum(item => item.Blocks.Sum(BlockShape.SizeOf));
        }
    }

    private KnownInterface[] Known_NeedsLock() =>
        [
            .. _interfaces
                .Values.Where(item => item is { CarriesPods: true, IsDraining: false })
                .OrderBy(item => item.Slot)
                .Select(item => new KnownInterface(
                    item.Id,
                    item.Slot,
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
            if (_recentlyDetached.ContainsKey(seen.Id) || _intents.Values.Any(open => open.Intent.Created == seen.Id))
                continue;
            if (!_interfaces.TryGetValue(seen.Id, out var known))
            {
                known = new Interface(seen, now, addedAt: DateTimeOffset.MinValue);
                _interfaces.Add(seen.Id, known);
                added.Add(seen.Id);
            }

            isReclassified |= (known.CarriesPods, known.IsExcluded) != (seen.CarriesPods, seen.IsExcluded);
            (known.CarriesPods, known.IsExcluded) = (seen.CarriesPods, seen.IsExcluded);
            known.IsDraining = _intents.Values.Any(open =>
                open.Intent.Change is PoolChange.RemoveInterface remove && remove.Interface == seen.Id
            );
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
                open.Intent.Change is PoolChange.ReleaseBlocks release && release.Interface == entry.Id && release.Blocks.Contains(range)
            ),
        };
        entry.Blocks.Add(range.BaseAddress, block);
        _index.Add(range, (entry, block));
        _shapes[block.Shape] = _shapes.GetValueOrDefault(block.Shape) + 1;
        return true;
    }

    private (Interface Interface, Block Block)[] Overlapping_NeedsLock(IPNetwork range) =>
        [.. _index.Where(pair => IpRanges.Overlap(pair.Key, range)).Select(pair => pair.Value)];

    private void RemoveBlock_NeedsLock(Interface entry, IPNetwork range)
    {
        if (!_index.TryGetValue(range, out var known) || known.Interface != entry)
            return;
        entry.Blocks.Remove(range.BaseAddress);
        RemoveFromIndex_NeedsLock(known.Block);
    }

    private void RemoveInterface_NeedsLock(Interface entry)
    {
        foreach (var block in entry.Blocks.Values)
            RemoveFromIndex_NeedsLock(block);
        _interfaces.Remove(entry.Id);
    }

    private void RemoveFromIndex_NeedsLock(Block block)
    {
        if (!_index.Remove(block.Range))
            return;
        if (--_shapes[block.Shape] == 0)
            _shapes.Remove(block.Shape);
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
            AttachmentInterface[]? refreshed = null;
            for (var index = 0; index < attachment.Interfaces.Count; index++)
            {
                var before = attachment.Interfaces[index];
                var after = Refreshed_NeedsLock(before, complete, now);
                if (after == before)
                    continue;
                refreshed ??= [.. attachment.Interfaces];
                refreshed[index] = after;
            }

            if (refreshed is null)
                continue;
            _attachments[attachment.Key] = attachment with { Interfaces = refreshed };
            Changed_NeedsLock();
        }
    }

    private AttachmentInterface Refreshed_NeedsLock(AttachmentInterface item, bool complete, DateTimeOffset now)
    {
        InterfaceSlot?[] slots = [.. item.Addresses.Select(SlotOf_NeedsLock)];
        if (slots.Contains(null) && !complete)
            return item;
        for (var index = 0; index < slots.Length; index++)
        {
            if (slots[index] is not null)
                _lastSlots.Remove(item.Addresses[index]);
            else if (item.Slot is not null)
                _lastSlots[item.Addresses[index]] = (item.Slot, now);
        }

        // The traffic of both addresses leaves by one interface.
        var slot = slots.Contains(null) ? null : slots[0];
        return slot == item.Slot ? item : item with { Slot = slot };
    }

    private InterfaceSlot? SlotOf_NeedsLock(IPAddress address) => OwnerOf_NeedsLock(address)?.Interface.InterfaceSlot;

    private Block? BlockOf_NeedsLock(IPAddress address) => OwnerOf_NeedsLock(address)?.Block;

    /// <summary>Finds the block of an address, whatever its length.</summary>
    private (Interface Interface, Block Block)? OwnerOf_NeedsLock(IPAddress address)
    {
        foreach (var shape in _shapes.Keys)
        {
            if (
                shape.Family == address.AddressFamily
                && _index.TryGetValue(IpRanges.Containing(address, shape.PrefixLength), out var owner)
            )
                return owner;
        }

        return null;
    }

    private InterfaceView ViewOf(Interface entry, HashSet<NetworkInterfaceId?> suspects) =>
        new()
        {
            Id = entry.Id,
            Slot = entry.Slot,
            Families = families,
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
        public Slot Slot { get; } = seen.Slot;
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
        public SortedDictionary<IPAddress, Block> Blocks { get; } = new(Comparer<IPAddress>.Create(IpRanges.Compare));
        public int Assigned => Blocks.Values.Sum(block => block.Assigned);
        public InterfaceSlot InterfaceSlot => new(Id, Slot);
    }

    private sealed class Block(IPNetwork range, DateTimeOffset addedAt, DateTimeOffset seenAt)
    {
        public IPNetwork Range { get; } = range;
        public DateTimeOffset AddedAt { get; } = addedAt;

        /// <summary>See <see cref="Interface.UnusedSince"/>.</summary>
        public DateTimeOffset UnusedSince { get; set; } = seenAt;
        public BlockShape Shape { get; } = BlockShape.Of(range);
        public AddressFamily Family => Shape.Family;
        public int Capacity => Shape.Size;
        public int Assigned { get; set; }
        public int Cooling { get; set; }
        public bool IsReleasing { get; set; }
        public bool IsUnused => Assigned == 0 && Cooling == 0 && !IsReleasing;
        public bool HasFree => !IsReleasing && Assigned + Cooling < Capacity;

        /// <summary>The address to assign at an offset below <see cref="Capacity"/>.</summary>
        public IPAddress AddressAt(int offset) => IpRanges.AddressAt(Range, Shape.FirstOffset + offset);
    }
}
