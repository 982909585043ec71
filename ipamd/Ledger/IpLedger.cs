// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Ledger;

/// <summary>
/// The authoritative in-memory state of this node's addresses: interfaces and blocks, attachments, and cooldowns. Synchronous, without I/O
/// or a clock. Every transition is one method that takes <c>now</c> and holds one lock for microseconds. Thread-safe; nothing else changes
/// this state.
/// </summary>
/// <remarks>
/// Attachments come from ADD and DEL (after a restart, from the checkpoint); interfaces and blocks come from observations of the cloud. An
/// observation never removes an attachment. An attachment whose address is on no known interface becomes an orphan, which is reported and
/// kept.
/// </remarks>
/// <param name="cooldown">See <see cref="Cooldown"/>.</param>
/// <param name="families">The families of the pods.</param>
/// <param name="prefersPrefixes">
/// Whether the pool grows by prefixes, which are then filled before single addresses; when false, single addresses first. So the leftover
/// kind empties.
/// </param>
internal sealed partial class IpLedger(TimeSpan cooldown, PodFamilies families, bool prefersPrefixes)
{
    /// <summary>More than the addresses of any instance type.</summary>
    private const int MaxLastReleases = 8192;

    /// <summary>Most entries of <see cref="LedgerView.RecentAssignments"/>.</summary>
    public const int MaxRecentAssignments = 64;

    private readonly Lock _lock = new();
    private readonly Dictionary<NetworkInterfaceId, Interface> _interfaces = [];
    private readonly Dictionary<AttachmentKey, Attachment> _attachments = [];
    private readonly Dictionary<IPAddress, AttachmentKey> _owners = [];
    private readonly Dictionary<IPAddress, DateTimeOffset> _cooling = [];

    /// <summary>When addresses were last released, for the time until they are reused.</summary>
    private readonly Dictionary<IPAddress, DateTimeOffset> _lastReleases = [];
    private readonly Queue<DateTimeOffset> _recentAssignments = new(MaxRecentAssignments);
    private long _version;

    /// <summary>The families of the node's pods.</summary>
    public PodFamilies Families => families;

    /// <summary>How long a released address is not assigned again; zero disables the cooldown.</summary>
    public TimeSpan Cooldown { get; } = cooldown;

    /// <summary>Increases with every change of the result of <see cref="Record"/>.</summary>
    public long Version
    {
        get
        {
            lock (_lock)
                return _version;
        }
    }

    /// <summary>The state that must be durable, and its version.</summary>
    public (LedgerRecord Record, long Version) Record()
    {
        lock (_lock)
        {
            var cooling = _cooling.Select(pair => new CoolingAddress(pair.Key, pair.Value)).OrderBy(item => item.ReleasedAt).ToArray();
            var attachments = _attachments
                .Values.OrderBy(item => item.AssignedAt)
                .ThenBy(item => item.Key.ToString(), StringComparer.Ordinal)
                .ToArray();
            return (
                new LedgerRecord(attachments, cooling)
                {
                    Interfaces = _isObserved ? Known_NeedsLock() : _checkpointInterfaces,
                    Intents = [.. _intents.Values.Select(open => open.Intent)],
                    RecentlyReleased = [.. _recentlyReleased.Select(pair => (pair.Key, pair.Value))],
                    RecentlyDetached = [.. _recentlyDetached.Select(pair => (pair.Key, pair.Value))],
                    LostAddresses = [.. _lastSlots.Select(pair => new LostAddress(pair.Key, pair.Value.Slot, pair.Value.Since))],
                },
                _version
            );
        }
    }

    /// <summary>
    /// Restores the state of a checkpoint, before anything is assigned or observed. When two attachments claim one address, the older one
    /// keeps it and the other is returned as rejected: one address must never be assigned to two pods.
    /// </summary>
    /// <param name="record">The checkpoint's content.</param>
    /// <param name="clock">The clocks now.</param>
    public IReadOnlyList<Attachment> Restore(LedgerRecord record, ClockReading clock)
    {
        var now = clock.Now;
        // Without a reading, a time in the future means that the clock was set back: it counts as now.
        DateTimeOffset Convert(DateTimeOffset at) =>
            record.WrittenAt is { } writtenAt ? clock.Convert(at, writtenAt)
            : at < now ? at
            : now;
        lock (_lock)
        {
            if (_attachments.Count > 0 || _interfaces.Count > 0)
                throw new InvalidOperationException("a ledger is restored before it is used");
            List<Attachment> rejected = [];
            foreach (var attachment in record.Attachments.OrderBy(item => item.AssignedAt))
            {
                if (_attachments.ContainsKey(attachment.Key) || attachment.Addresses.Any(item => _owners.ContainsKey(item.Address)))
                {
                    rejected.Add(attachment);
                    continue;
                }

                _attachments.Add(
                    attachment.Key,
                    attachment with
                    {
                        AssignedAt = Convert(attachment.AssignedAt),
                        UnusedSince = attachment.UnusedSince is { } unused ? Convert(unused) : null,
                    }
                );
                foreach (var item in attachment.Addresses)
                    _owners.Add(item.Address, attachment.Key);
            }

            _restoredAt = now;
            _checkpointInterfaces = record.Interfaces;
            RestoreIntents_NeedsLock(record, Convert, now);

            foreach (var lost in record.LostAddresses)
            {
                if (_owners.ContainsKey(lost.Address))
                    _lastSlots[lost.Address] = (lost.LastSlot, Convert(lost.Since));
            }

            foreach (var (address, releasedAt) in record.Cooling)
            {
                if (!_owners.ContainsKey(address))
                    SetCooling_NeedsLock(address, Convert(releasedAt));
            }

            _version++;
            return rejected;
        }
    }

    /// <summary>
    /// Reserves addresses that the kernel shows in use by pods without a record, so that no other pod gets them. The key is made of the
    /// host's link and the address. No DEL can name it, so kernel usage also decides when the address is released.
    /// </summary>
    /// <param name="inUse">The addresses that the kernel routes to pods.</param>
    /// <param name="lead">
    /// Addresses whose cooldown lasts longer than this are skipped: the route of their last pod may not be removed yet.
    /// </param>
    /// <param name="now">The time now.</param>
    public IReadOnlyList<Attachment> Recover(
        IEnumerable<(string HostInterface, IPAddress Address)> inUse,
        TimeSpan lead,
        DateTimeOffset now
    )
    {
        lock (_lock)
            return Recover_NeedsLock(Attachment.RecoveredNetwork, inUse, lead, now);
    }

    /// <summary>Sets the pod of a recovered attachment. Returns null when the attachment is released or already has a pod.</summary>
    public Attachment? Identify(AttachmentKey key, PodReference pod)
    {
        lock (_lock)
        {
            if (!_attachments.TryGetValue(key, out var attachment) || !attachment.IsRecovered || attachment.Pod.Name is { Length: > 0 })
                return null;
            _attachments[key] = attachment = attachment with { Pod = pod };
            Changed_NeedsLock();
            return attachment;
        }
    }

    /// <summary>
    /// Reserves pool addresses that are configured on a link of the host: the host answers for them, so a pod could not be reached at one.
    /// Kernel usage decides when they are released.
    /// </summary>
    /// <param name="configured">The host's addresses, in blocks or not.</param>
    /// <param name="lead">As for <see cref="Recover"/>.</param>
    /// <param name="now">The time now.</param>
    public IReadOnlyList<Attachment> ReserveForHost(
        IEnumerable<(string Link, IPAddress Address)> configured,
        TimeSpan lead,
        DateTimeOffset now
    )
    {
        lock (_lock)
            return Recover_NeedsLock(
                Attachment.HostNetwork,
                configured.Where(item => OwnerOf_NeedsLock(item.Address) is not null),
                lead,
                now
            );
    }

    /// <summary>Extends cooldowns that end earlier to <paramref name="until"/>: use of their addresses could not be checked.</summary>
    public void ExtendCooldowns(DateTimeOffset until)
    {
        lock (_lock)
        {
            foreach (var address in _cooling.Where(pair => pair.Value + Cooldown < until).Select(pair => pair.Key).ToArray())
                _cooling[address] = until - Cooldown;
        }
    }

    public Attachment? Find(AttachmentKey key)
    {
        lock (_lock)
            return _attachments.GetValueOrDefault(key);
    }

    /// <summary>
    /// Handles a repeated ADD: sets the assignment time to <paramref name="now"/>, so that an earlier DEL does not end it. Returns null
    /// when the key has no attachment.
    /// </summary>
    public Attachment? Renew(AttachmentKey key, DateTimeOffset now)
    {
        lock (_lock)
            return Renew_NeedsLock(key, now);
    }

    public IReadOnlyList<Attachment> Attachments()
    {
        lock (_lock)
            return [.. _attachments.Values.OrderBy(item => item.Pod.ToString(), StringComparer.Ordinal).ThenBy(item => item.AssignedAt)];
    }

    /// <summary>
    /// Assigns one address of each family, all from one network interface or none. The same key returns the same addresses again (<see
    /// cref="Renew"/>).
    /// </summary>
    /// <param name="key">The attachment.</param>
    /// <param name="pod">Its pod.</param>
    /// <param name="netnsPath">Path of the pod's network namespace.</param>
    /// <param name="now">The time now.</param>
    public AssignOutcome Assign(AttachmentKey key, PodReference pod, string netnsPath, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (Renew_NeedsLock(key, now) is { } existing)
                return new AssignOutcome.Assigned(existing, IsNew: false, ReusedAfter: null);
            EndCooldowns_NeedsLock(now);
            if (Choose_NeedsLock(key.InterfaceName) is not { } chosen)
                return new AssignOutcome.NoAddress();
            var attachment = new Attachment
            {
                Key = key,
                Pod = pod,
                Interfaces = [chosen],
                NetnsPath = netnsPath,
                AssignedAt = now,
            };
            _attachments.Add(key, attachment);
            if (_recentAssignments.Count == MaxRecentAssignments)
                _recentAssignments.Dequeue();
            _recentAssignments.Enqueue(now);
            foreach (var address in chosen.Addresses)
                Reserve_NeedsLock(address, key);
            Changed_NeedsLock();
            TimeSpan? reusedAfter = _lastReleases.Remove(chosen.Addresses[0], out var releasedAt) ? now - releasedAt : null;
            return new AssignOutcome.Assigned(attachment, IsNew: true, reusedAfter);
        }
    }

    /// <summary>Releases an attachment's addresses, whose cooldown starts now. Returns null when the key has no attachment.</summary>
    public Attachment? Release(AttachmentKey key, DateTimeOffset now)
    {
        lock (_lock)
            return Release_NeedsLock(key, now);
    }

    /// <summary>As <see cref="Release"/>, for a DEL received late: assignments after <paramref name="at"/> stay.</summary>
    /// <param name="key">The attachment's key.</param>
    /// <param name="at">When the DEL was requested.</param>
    /// <param name="coolsSince">Start of the cooldown.</param>
    /// <returns>The attachment, null for none, and whether it was released.</returns>
    public (Attachment? Attachment, bool IsReleased) ReleaseAssignedBefore(AttachmentKey key, DateTimeOffset at, DateTimeOffset coolsSince)
    {
        lock (_lock)
        {
            if (!_attachments.TryGetValue(key, out var attachment))
                return (null, false);
            return attachment.AssignedAt < at ? (Release_NeedsLock(key, coolsSince), true) : (attachment, false);
        }
    }

    /// <summary>Records a check of the kernel: the given attachments are unused, all others are in use.</summary>
    /// <param name="unused">Keys of the unused attachments.</param>
    /// <param name="confirmation">How long an attachment must be unused before that is certain.</param>
    /// <param name="now">When the kernel was checked.</param>
    /// <returns>The attachments unused for that long, and when the next one may be; null when there is none.</returns>
    public (IReadOnlyList<Attachment> Certain, DateTimeOffset? NextAt) MarkUnused(
        IReadOnlySet<AttachmentKey> unused,
        TimeSpan confirmation,
        DateTimeOffset now
    )
    {
        lock (_lock)
        {
            List<Attachment> certain = [];
            DateTimeOffset? next = null;
            foreach (
                var attachment in _attachments.Values.Where(item => item.UnusedSince is not null || unused.Contains(item.Key)).ToArray()
            )
            {
                DateTimeOffset? since =
                    !unused.Contains(attachment.Key) ? null
                    : attachment.UnusedSince is { } before && before <= now ? before
                    : now;
                var updated = attachment;
                if (since != attachment.UnusedSince)
                {
                    _attachments[attachment.Key] = updated = attachment with { UnusedSince = since };
                    Changed_NeedsLock();
                }

                if (since is not { } at)
                    continue;
                if (now - at >= confirmation)
                    certain.Add(updated);
                else if (next is null || at + confirmation < next)
                    next = at + confirmation;
            }

            return (certain, next);
        }
    }

    /// <summary>Undoes an <see cref="Assign"/> whose result no client has seen: the addresses are free at once.</summary>
    public void Rollback(AttachmentKey key)
    {
        lock (_lock)
        {
            if (Remove_NeedsLock(key, out _))
                Changed_NeedsLock();
        }
    }

    /// <summary>
    /// Ends of all cooldowns, earliest first; includes addresses that cannot be assigned now, since that may change until then.
    /// </summary>
    public IReadOnlyList<DateTimeOffset> CooldownEnds(DateTimeOffset now)
    {
        lock (_lock)
        {
            EndCooldowns_NeedsLock(now);
            return [.. _cooling.Values.Select(releasedAt => releasedAt + Cooldown).Order()];
        }
    }

    /// <summary>The whole state at one moment, for the planner and for operators.</summary>
    public LedgerView View(DateTimeOffset now)
    {
        lock (_lock)
        {
            EndCooldowns_NeedsLock(now);
            var suspects = PossibleOrphanCarriers_NeedsLock(now);
            return new LedgerView
            {
                Interfaces = [.. _interfaces.Values.OrderBy(item => item.Slot).Select(item => ViewOf(item, suspects))],
                CooldownEnds =
                [
                    .. _cooling
                        .Where(pair => pair.Key.AddressFamily == families.Lead && IsUsable_NeedsLock(pair.Key))
                        .Select(pair => pair.Value + Cooldown)
                        .Order(),
                ],
                Families = families,
                IsObserved = _isObserved,
                Orphans = Orphans_NeedsLock(),
                Attachments = _attachments.Count,
                Intents = [.. _intents.Values],
                RecentAssignments = [.. _recentAssignments],
            };
        }
    }

    /// <summary>Attachments without a slot. A recorded slot is trusted until a complete observation contradicts it.</summary>
    private Orphan[] Orphans_NeedsLock()
    {
        if (!_isObserved)
            return [];
        List<Orphan> orphans = [];
        foreach (var attachment in _attachments.Values.Where(item => !item.IsRecovered).OrderBy(item => item.AssignedAt))
        {
            if (
                attachment.Addresses.FirstOrDefault(item => item.Slot is null && BlockOf_NeedsLock(item.Address) is null)
                is not { Address: { } address }
            )
                continue;
            orphans.Add(
                _lastSlots.TryGetValue(address, out var last)
                    ? new Orphan(attachment, last.Slot, last.Since)
                    : new Orphan(attachment, null, null)
            );
        }

        return [.. orphans];
    }

    /// <summary>
    /// Chooses the next addresses, one of each family: of the shape that the pool grows by, then from the fullest block, then from the
    /// fullest interface, then the lowest, so that whole blocks and interfaces become free and can be released.
    /// </summary>
    private AttachmentInterface? Choose_NeedsLock(string name)
    {
        Interface? best = null;
        var bestRank = (IsOther: true, Block: -1, Interface: -1);
        foreach (var entry in _interfaces.Values)
        {
            if (!entry.IsUsable || FullestBlock(entry, families.Lead) is not { } block)
                continue;
            var rank = (IsOther: IsOther(block), Block: block.Capacity > 1 ? block.Assigned : 0, Interface: entry.Assigned);
            var isBetter =
                best is null
                || (
                    rank.IsOther != bestRank.IsOther ? bestRank.IsOther
                    : rank.Block != bestRank.Block ? rank.Block > bestRank.Block
                    : rank.Interface != bestRank.Interface ? rank.Interface > bestRank.Interface
                    : entry.Slot.CompareTo(best.Slot) < 0
                );
            if (isBetter && (families.Other is not { } other || FullestBlock(entry, other) is not null))
                (best, bestRank) = (entry, rank);
        }

        return best is null
            ? null
            : new AttachmentInterface(
                name,
                [.. families.All.Select(family => LowestFree_NeedsLock(FullestBlock(best, family)!))],
                best.InterfaceSlot
            );
    }

    /// <summary>The block of a family to assign from next; null when none has a free address.</summary>
    private Block? FullestBlock(Interface entry, AddressFamily family)
    {
        Block? best = null;
        foreach (var block in entry.Blocks.Values)
        {
            if (block.Family != family || !block.HasFree)
                continue;
            if (best is null || (IsOther(block) != IsOther(best) ? IsOther(best) : block.Capacity > 1 && block.Assigned > best.Assigned))
                best = block;
        }

        return best;
    }

    /// <summary>Whether the block is of another shape than the pool grows by. IPv6 grows by prefixes wherever there are any.</summary>
    private bool IsOther(Block block) => block.Capacity > 1 != (prefersPrefixes || block.Family == IpFamily.V6);

    private IPAddress LowestFree_NeedsLock(Block block)
    {
        for (var offset = 0; offset < block.Capacity; offset++)
        {
            var address = block.AddressAt(offset);
            if (!_owners.ContainsKey(address) && !_cooling.ContainsKey(address))
                return address;
        }

        throw new LedgerCorruptException($"block {block.Range} counts a free address but has none");
    }

    private List<Attachment> Recover_NeedsLock(
        string network,
        IEnumerable<(string HostInterface, IPAddress Address)> inUse,
        TimeSpan lead,
        DateTimeOffset now
    )
    {
        List<Attachment> recovered = [];
        foreach (var (hostInterface, address) in inUse)
        {
            if (_owners.ContainsKey(address) || (_cooling.TryGetValue(address, out var releasedAt) && releasedAt + Cooldown > now + lead))
                continue;
            var key = new AttachmentKey(network, hostInterface, address.ToString());
            var attachment = new Attachment
            {
                Key = key,
                Pod = default,
                Interfaces = [new AttachmentInterface("", [address], SlotOf_NeedsLock(address))],
                AssignedAt = now,
            };
            EndCooling_NeedsLock(address);
            _attachments.Add(key, attachment);
            Reserve_NeedsLock(address, key);
            recovered.Add(attachment);
        }

        if (recovered.Count > 0)
            Changed_NeedsLock();
        return recovered;
    }

    private Attachment? Renew_NeedsLock(AttachmentKey key, DateTimeOffset now)
    {
        if (!_attachments.TryGetValue(key, out var attachment))
            return null;
        _attachments[key] = attachment = attachment with
        {
            AssignedAt = now > attachment.AssignedAt ? now : attachment.AssignedAt,
            UnusedSince = null,
        };
        Changed_NeedsLock();
        return attachment;
    }

    private Attachment? Release_NeedsLock(AttachmentKey key, DateTimeOffset releasedAt)
    {
        if (!Remove_NeedsLock(key, out var attachment))
            return null;
        foreach (var item in attachment.Addresses)
        {
            if (OwnerOf_NeedsLock(item.Address) is { } owner)
                owner.Interface.UnusedSince = owner.Block.UnusedSince = releasedAt;
            if (Cooldown > TimeSpan.Zero)
                SetCooling_NeedsLock(item.Address, releasedAt);
            // A cleared entry is missing in a histogram and nowhere else.
            if (_lastReleases.Count >= MaxLastReleases)
                _lastReleases.Clear();
            _lastReleases[item.Address] = releasedAt;
        }

        Changed_NeedsLock();
        return attachment;
    }

    private bool Remove_NeedsLock(AttachmentKey key, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Attachment? attachment)
    {
        if (!_attachments.Remove(key, out attachment))
            return false;
        foreach (var item in attachment.Addresses)
        {
            _lastSlots.Remove(item.Address);
            if (_owners.Remove(item.Address) && BlockOf_NeedsLock(item.Address) is { } block)
                block.Assigned--;
        }

        return true;
    }

    private void Reserve_NeedsLock(IPAddress address, AttachmentKey key)
    {
        _owners.Add(address, key);
        if (BlockOf_NeedsLock(address) is { } block)
            block.Assigned++;
    }

    private void SetCooling_NeedsLock(IPAddress address, DateTimeOffset releasedAt)
    {
        if (!_cooling.ContainsKey(address) && BlockOf_NeedsLock(address) is { } block)
            block.Cooling++;
        _cooling[address] = releasedAt;
    }

    private void EndCooling_NeedsLock(IPAddress address)
    {
        if (_cooling.Remove(address) && BlockOf_NeedsLock(address) is { } block)
            block.Cooling--;
    }

    private bool IsUsable_NeedsLock(IPAddress address) =>
        OwnerOf_NeedsLock(address) is { Interface.IsUsable: true, Block.IsReleasing: false };

    private void EndCooldowns_NeedsLock(DateTimeOffset now)
    {
        if (_cooling.Count == 0)
            return;
        List<IPAddress>? ended = null;
        foreach (var (address, releasedAt) in _cooling)
        {
            if (now - releasedAt >= Cooldown)
                (ended ??= []).Add(address);
        }

        if (ended is null)
            return;
        foreach (var address in ended)
            EndCooling_NeedsLock(address);
        Changed_NeedsLock();
    }

    private void Changed_NeedsLock() => _version++;
}

/// <summary>The ledger contradicts itself: a bug. The daemon stops rather than assign addresses from inconsistent state.</summary>
internal sealed class LedgerCorruptException(string message) : Exception(message);
