// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Ipamd.Ledger;

/// <summary>Interfaces and blocks: what the cloud says is attached to this node, and what is on its way out.</summary>
internal sealed partial class IpLedger
{
    /// <summary>
    /// The control plane is eventually consistent: for this long after a change of ours, an observation that does not show it yet does not undo it. What we added
    /// stays although it is not described, and what we gave back does not return although it still is.
    /// </summary>
    public static readonly TimeSpan Settling = TimeSpan.FromSeconds(60);

    private readonly Dictionary<IPNetwork, DateTimeOffset> _givenBack = [];

    /// <summary>
    /// Makes membership equal to a complete and authoritative observation. Attachments are untouched; those that lose their block become orphans. Decides what became of blocks and interfaces
    /// whose release had no certain outcome: gone, or, when it is still described after <see cref="Settling"/>, back in use. Never called while a release is under way.
    /// </summary>
    public ObservationChanges Observe(IReadOnlyList<InterfaceObservation> observed, DateTimeOffset now)
    {
        lock (_lock)
        {
            List<NetworkInterfaceId> added = [], lost = [];
            var (blocksAdded, blocksLost) = (0, 0);
            var before = Carried_NeedsLock();
            foreach (var settled in _givenBack.Where(pair => now - pair.Value >= Settling).Select(pair => pair.Key).ToArray()) _givenBack.Remove(settled);
            foreach (var known in _interfaces.Values.Where(item => now - item.AddedAt >= Settling && observed.All(seen => seen.Id != item.Id)).ToArray())
            {
                if (!known.IsDraining) lost.Add(known.Id);
                blocksLost += known.Blocks.Count;
                _interfaces.Remove(known.Id);
            }

            foreach (var seen in observed)
            {
                if (!_interfaces.TryGetValue(seen.Id, out var known))
                {
                    known = new Interface(seen, now, addedAt: DateTimeOffset.MinValue);
                    _interfaces.Add(seen.Id, known);
                    added.Add(seen.Id);
                }

                known.CarriesPods = seen.CarriesPods;
                if (known.DrainingSince is { } draining && now - draining >= Settling) known.DrainingSince = null;
                foreach (var range in seen.Blocks)
                {
                    if (!_givenBack.ContainsKey(range) && known.Blocks.TryAdd(range.BaseAddress, new Block(range, addedAt: DateTimeOffset.MinValue))) blocksAdded++;
                }

                foreach (var block in known.Blocks.Values.ToArray())
                {
                    if (seen.Blocks.Contains(block.Range))
                    {
                        if (block.ReleasingSince is { } releasing && now - releasing >= Settling) block.ReleasingSince = null;
                    }
                    else if (block.IsReleasing || now - block.AddedAt >= Settling)
                    {
                        known.Blocks.Remove(block.Range.BaseAddress);
                        if (block.IsReleasing) _givenBack[block.Range] = now;
                        else blocksLost++;
                    }
                }
            }

            RefreshPlaces_NeedsLock(complete: true);
            var orphaned = before.Where(attachment => _attachments.ContainsKey(attachment.Key) && attachment.Addresses.Any(held => BlockOf_NeedsLock(held.Address) is null));
            return new ObservationChanges { InterfacesAdded = added, InterfacesLost = lost, BlocksAdded = blocksAdded, BlocksLost = blocksLost, Orphaned = [.. orphaned] };
        }
    }

    /// <summary>Adds an interface that this daemon attached and wired. Known already: its blocks are added.</summary>
    public void AddInterface(InterfaceObservation created, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (!_interfaces.TryGetValue(created.Id, out var entry))
            {
                entry = new Interface(created, now, addedAt: now);
                _interfaces.Add(created.Id, entry);
            }

            AddBlocks_NeedsLock(entry, created.Blocks, now);
        }
    }

    /// <summary>Adds blocks that the cloud put on an interface. Unknown interface: nothing happens, the next observation brings both.</summary>
    public void AddBlocks(NetworkInterfaceId id, IReadOnlyList<IPNetwork> blocks, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (_interfaces.TryGetValue(id, out var entry)) AddBlocks_NeedsLock(entry, blocks, now);
        }
    }

    /// <summary>
    /// Takes unused blocks out of use so that they can be given back to the cloud. Returns those that are really unused: a block that got a holder since the plan was
    /// made is skipped.
    /// </summary>
    public IReadOnlyList<IPNetwork> BeginReleaseBlocks(NetworkInterfaceId id, IReadOnlyList<IPNetwork> blocks, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (!_interfaces.TryGetValue(id, out var entry)) return [];
            List<IPNetwork> accepted = [];
            foreach (var range in blocks)
            {
                if (!entry.Blocks.TryGetValue(range.BaseAddress, out var block) || block.Range != range || block.IsReleasing) continue;
                var (assigned, cooling) = Used_NeedsLock(block);
                if (assigned + cooling > 0) continue;
                block.ReleasingSince = now;
                accepted.Add(range);
            }

            return accepted;
        }
    }

    /// <summary>
    /// The certain outcome of a release: gone from the interface, or (<paramref name="released"/> false) still there and usable again. Not called when the outcome is in doubt: the blocks then
    /// stay out of use until an observation tells.
    /// </summary>
    public void EndReleaseBlocks(NetworkInterfaceId id, IReadOnlyList<IPNetwork> blocks, bool released, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (!_interfaces.TryGetValue(id, out var entry)) return;
            foreach (var range in blocks)
            {
                if (!entry.Blocks.TryGetValue(range.BaseAddress, out var block) || !block.IsReleasing) continue;
                if (!released)
                {
                    block.ReleasingSince = null;
                    continue;
                }

                entry.Blocks.Remove(range.BaseAddress);
                _givenBack[range] = now;
            }
        }
    }

    /// <summary>Takes an unused secondary interface out of use so that it can be detached. False when it is in use or must stay.</summary>
    public bool BeginRemoveInterface(NetworkInterfaceId id, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (!_interfaces.TryGetValue(id, out var entry) || entry.IsPrimary || entry.IsDraining) return false;
            foreach (var block in entry.Blocks.Values)
            {
                var (assigned, cooling) = Used_NeedsLock(block);
                if (assigned + cooling > 0) return false;
            }

            entry.DrainingSince = now;
            return true;
        }
    }

    /// <summary>The certain outcome of a removal: gone from the node, or still there and usable again. Not called when the outcome is in doubt.</summary>
    public void EndRemoveInterface(NetworkInterfaceId id, bool removed)
    {
        lock (_lock)
        {
            if (!_interfaces.TryGetValue(id, out var entry) || !entry.IsDraining) return;
            if (removed) _interfaces.Remove(id);
            else entry.DrainingSince = null;
        }
    }

    private void AddBlocks_NeedsLock(Interface entry, IReadOnlyList<IPNetwork> blocks, DateTimeOffset now)
    {
        foreach (var range in blocks)
        {
            _givenBack.Remove(range);
            entry.Blocks.TryAdd(range.BaseAddress, new Block(range, now));
        }

        RefreshPlaces_NeedsLock(complete: false);
    }

    /// <summary>
    /// Attachments that were restored without a place, or whose address moved, learn it from membership. After a complete observation, one whose address is nowhere loses it.
    /// </summary>
    private void RefreshPlaces_NeedsLock(bool complete)
    {
        foreach (var attachment in _attachments.Values.ToArray())
        {
            var held = attachment.Addresses;
            HeldAddress[]? refreshed = null;
            for (var index = 0; index < held.Count; index++)
            {
                var place = PlaceOf_NeedsLock(held[index].Address);
                if (place == held[index].Place || (place is null && !complete)) continue;
                refreshed ??= [.. held];
                refreshed[index] = held[index] with { Place = place };
            }

            if (refreshed is null) continue;
            _attachments[attachment.Key] = attachment with { Addresses = refreshed };
            Changed_NeedsLock();
        }
    }

    private InterfacePlace? PlaceOf_NeedsLock(IPAddress address) => OwnerOf_NeedsLock(address)?.Interface.Place;

    private Block? BlockOf_NeedsLock(IPAddress address) => OwnerOf_NeedsLock(address)?.Block;

    private (Interface Interface, Block Block)? OwnerOf_NeedsLock(IPAddress address)
    {
        foreach (var entry in _interfaces.Values)
        {
            if (entry.Blocks.TryGetValue(address, out var single)) return (entry, single);
            foreach (var block in entry.Blocks.Values)
            {
                if (block.Capacity > 1 && block.Range.Contains(address)) return (entry, block);
            }
        }

        return null;
    }

    private List<Attachment> Carried_NeedsLock()
        => [.. _attachments.Values.Where(attachment => attachment.Addresses.All(held => BlockOf_NeedsLock(held.Address) is not null))];

    private InterfaceView View_NeedsLock(Interface entry) => new()
    {
        Id = entry.Id,
        DeviceIndex = entry.DeviceIndex,
        NetworkCard = entry.NetworkCard,
        PrimaryAddress = entry.PrimaryAddress,
        SubnetId = entry.SubnetId,
        CarriesPods = entry.CarriesPods,
        IsDraining = entry.IsDraining,
        SeenAt = entry.SeenAt,
        Blocks = [.. entry.Blocks.Values.Select(block =>
        {
            var (assigned, cooling) = Used_NeedsLock(block);
            return new BlockView(block.Range, block.Capacity, assigned, cooling, block.IsReleasing);
        })],
    };

    private (int Used, int Free) Usage_NeedsLock(Interface entry, AddressFamily family)
    {
        var (used, free) = (0, 0);
        foreach (var block in entry.Blocks.Values)
        {
            if (block.Family != family) continue;
            var (assigned, cooling) = Used_NeedsLock(block);
            used += assigned;
            if (!block.IsReleasing) free += block.Capacity - assigned - cooling;
        }

        return (used, free);
    }

    /// <summary>Counted from the books rather than kept beside them: there is no second number that could disagree. A node has at most some hundred addresses.</summary>
    private (int Assigned, int Cooling) Used_NeedsLock(Block block)
    {
        if (block.Capacity == 1)
        {
            return (_holders.ContainsKey(block.Range.BaseAddress) ? 1 : 0, _cooling.ContainsKey(block.Range.BaseAddress) ? 1 : 0);
        }

        var (assigned, cooling) = (0, 0);
        foreach (var address in _holders.Keys)
        {
            if (block.Range.Contains(address)) assigned++;
        }

        foreach (var address in _cooling.Keys)
        {
            if (block.Range.Contains(address)) cooling++;
        }

        return (assigned, cooling);
    }

    private sealed class Interface(InterfaceObservation seen, DateTimeOffset seenAt, DateTimeOffset addedAt)
    {
        public NetworkInterfaceId Id { get; } = seen.Id;
        public int DeviceIndex { get; } = seen.DeviceIndex;
        public int NetworkCard { get; } = seen.NetworkCard;
        public IPAddress PrimaryAddress { get; } = seen.PrimaryAddress;
        public string SubnetId { get; } = seen.SubnetId;
        public DateTimeOffset SeenAt { get; } = seenAt;

        /// <summary>When this daemon attached it; the beginning of time for one that was found attached.</summary>
        public DateTimeOffset AddedAt { get; } = addedAt;
        public bool CarriesPods { get; set; } = seen.CarriesPods;
        public DateTimeOffset? DrainingSince { get; set; }
        public bool IsDraining => DrainingSince is not null;
        public SortedDictionary<IPAddress, Block> Blocks { get; } = new(Comparer<IPAddress>.Create(AddressBlocks.Compare));
        public bool IsPrimary => DeviceIndex == 0 && NetworkCard == 0;
        public InterfacePlace Place => new(Id, DeviceIndex, NetworkCard);

        /// <summary>The order in which interfaces were plugged in; decides between equally full ones.</summary>
        public bool Precedes(Interface other) => NetworkCard != other.NetworkCard ? NetworkCard < other.NetworkCard : DeviceIndex < other.DeviceIndex;
    }

    private sealed class Block(IPNetwork range, DateTimeOffset addedAt)
    {
        public IPNetwork Range { get; } = range;
        public DateTimeOffset AddedAt { get; } = addedAt;
        public AddressFamily Family => Range.BaseAddress.AddressFamily;
        public int Capacity { get; } = AddressBlocks.Count(range);
        public DateTimeOffset? ReleasingSince { get; set; }
        public bool IsReleasing => ReleasingSince is not null;
    }
}
