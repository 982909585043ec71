// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Ipamd.Ledger;

/// <summary>
/// The one truth in memory about this node's addresses: which interfaces and blocks there are, who holds which address, what cools.
/// Synchronous, without I/O and without a clock; every transition is one method that takes <c>now</c> and runs under one lock for
/// microseconds. Nothing else may change this state.
/// </summary>
/// <remarks>
/// Two sources feed it: attachments come from ADD and DEL (and, after a restart, from the checkpoint), membership comes from observations
/// of the cloud. They are kept apart on purpose: an observation never removes an attachment. One whose address is on no known interface
/// becomes an orphan, which is reported and kept.
/// </remarks>
/// <param name="cooldown">See <see cref="Cooldown"/>.</param>
/// <param name="prefersPrefixes">
/// Prefixes are what the pool grows by: they are filled before single addresses are used. False: the other way round, so that the kind that
/// is left over empties.
/// </param>
internal sealed partial class IpLedger(TimeSpan cooldown, bool prefersPrefixes = false)
{
    /// <summary>More addresses than any instance type carries.</summary>
    private const int MaxLastReleases = 8192;

    /// <summary>How many assignments <see cref="LedgerView.RecentAssignments"/> goes back.</summary>
    public const int MaxRecentAssignments = 64;

    private readonly Lock _lock = new();
    private readonly Dictionary<NetworkInterfaceId, Interface> _interfaces = [];
    private readonly Dictionary<AttachmentKey, Attachment> _attachments = [];
    private readonly Dictionary<IPAddress, AttachmentKey> _holders = [];
    private readonly Dictionary<IPAddress, DateTimeOffset> _cooling = [];

    /// <summary>When addresses were last given back, for how soon they are used again.</summary>
    private readonly Dictionary<IPAddress, DateTimeOffset> _lastReleases = [];
    private readonly Queue<DateTimeOffset> _recentAssignments = new(MaxRecentAssignments);
    private long _version;

    /// <summary>Time for which a released address is not given out again; zero means none.</summary>
    public TimeSpan Cooldown { get; } = cooldown;

    /// <summary>Grows with every change of what <see cref="Record"/> returns.</summary>
    public long Version
    {
        get
        {
            lock (_lock)
                return _version;
        }
    }

    /// <summary>What must be durable now, and the version of it.</summary>
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
                    Interfaces = _isObserved ? Known_NeedsLock() : _remembered,
                    Intents = [.. _intents.Values.Select(open => open.Intent)],
                    RecentlyReleased = [.. _recentlyReleased.Select(pair => (pair.Key, pair.Value))],
                    RecentlyDetached = [.. _recentlyDetached.Select(pair => (pair.Key, pair.Value))],
                    Lost = [.. _lastPlaces.Select(pair => new LostAddress(pair.Key, pair.Value.Place, pair.Value.Since))],
                },
                _version
            );
        }
    }

    /// <summary>
    /// Takes over what a checkpoint held, before anything is assigned or observed. An address that two attachments claim stays with the
    /// older one; the other is returned as refused, since handing one address to two pods is the one thing that must never happen.
    /// </summary>
    /// <param name="record">What was recorded.</param>
    /// <param name="clock">The clocks now.</param>
    public IReadOnlyList<Attachment> Restore(LedgerRecord record, ClockReading clock)
    {
        var now = clock.Now;
        // Without a reading a time in the future means that the clock was set back: what it is the time of counts from now.
        DateTimeOffset Carried(DateTimeOffset at) =>
            record.WrittenAt is { } writtenAt ? clock.Carry(at, writtenAt)
            : at < now ? at
            : now;
        lock (_lock)
        {
            if (_attachments.Count > 0 || _interfaces.Count > 0)
                throw new InvalidOperationException("a ledger is restored before it is used");
            List<Attachment> refused = [];
            foreach (var attachment in record.Attachments.OrderBy(item => item.AssignedAt))
            {
                if (_attachments.ContainsKey(attachment.Key) || attachment.Addresses.Any(held => _holders.ContainsKey(held.Address)))
                {
                    refused.Add(attachment);
                    continue;
                }

                _attachments.Add(
                    attachment.Key,
                    attachment with
                    {
                        AssignedAt = Carried(attachment.AssignedAt),
                        UnusedSince = attachment.UnusedSince is { } unused ? Carried(unused) : null,
                    }
                );
                foreach (var held in attachment.Addresses)
                    _holders.Add(held.Address, attachment.Key);
            }

            _restoredAt = now;
            _remembered = record.Interfaces;
            RestoreIntents_NeedsLock(record, Carried, now);

            foreach (var lost in record.Lost)
            {
                if (_holders.ContainsKey(lost.Address))
                    _lastPlaces[lost.Address] = (lost.LastPlace, Carried(lost.Since));
            }

            foreach (var (address, releasedAt) in record.Cooling)
            {
                if (!_holders.ContainsKey(address))
                    SetCooling_NeedsLock(address, Carried(releasedAt));
            }

            _version++;
            return refused;
        }
    }

    /// <summary>
    /// Holds addresses that the kernel shows in use by pods of which there is no record, so that nobody else gets them. The key is invented
    /// from the host's interface and the address; no DEL can name it, so the kernel's evidence also decides when the address is free again.
    /// </summary>
    /// <param name="inUse">What the kernel routes to pods.</param>
    /// <param name="lead">
    /// Addresses that cool for longer than this are left to cool: whoever gave them back may not have torn down its route yet.
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

    /// <summary>A recovered attachment turns out to be that of this pod. Null when it is gone, or has a name already.</summary>
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
    /// Holds addresses of blocks that are configured on a link of the host: the host answers for them, so a pod that got one would not be
    /// reached, and whoever put them there needs them. The kernel's evidence decides here, too, when they are free again.
    /// </summary>
    /// <param name="configured">The host's addresses, of blocks or not.</param>
    /// <param name="lead">As for <see cref="Recover"/>.</param>
    /// <param name="now">The time now.</param>
    public IReadOnlyList<Attachment> HoldForHost(
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

    /// <summary>Cooldowns that end before then end then instead: nobody could look whether the addresses are still in use.</summary>
    public void ProlongCooling(DateTimeOffset until)
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
    /// What the key holds, asked for again: handed out anew from now on, so that a DEL of before does not end it. Null when it holds
    /// nothing.
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
    /// Holds one address of each family for an attachment: all or none. The same key again gets the same answer (<see cref="Renew"/>).
    /// </summary>
    public AssignOutcome Assign(
        AttachmentKey key,
        PodReference pod,
        string netnsPath,
        IReadOnlyList<AddressFamily> families,
        DateTimeOffset now
    )
    {
        lock (_lock)
        {
            if (Renew_NeedsLock(key, now) is { } existing)
                return new AssignOutcome.Held(existing, IsNew: false, ReusedAfter: null);
            EndCooldowns_NeedsLock(now);
            var held = new HeldAddress[families.Count];
            for (var index = 0; index < families.Count; index++)
            {
                if (Choose_NeedsLock(families[index]) is not { } chosen)
                    return new AssignOutcome.NoAddress();
                held[index] = chosen;
            }

            var attachment = new Attachment
            {
                Key = key,
                Pod = pod,
                Addresses = held,
                NetnsPath = netnsPath,
                AssignedAt = now,
            };
            _attachments.Add(key, attachment);
            if (_recentAssignments.Count == MaxRecentAssignments)
                _recentAssignments.Dequeue();
            _recentAssignments.Enqueue(now);
            foreach (var item in held)
                Hold_NeedsLock(item.Address, key);
            Changed_NeedsLock();
            TimeSpan? reusedAfter = _lastReleases.Remove(held[0].Address, out var releasedAt) ? now - releasedAt : null;
            return new AssignOutcome.Held(attachment, IsNew: true, reusedAfter);
        }
    }

    /// <summary>Takes the addresses back; they cool from now on. Null when nobody holds them under that key.</summary>
    public Attachment? Release(AttachmentKey key, DateTimeOffset now)
    {
        lock (_lock)
            return Release_NeedsLock(key, now);
    }

    /// <summary>As <see cref="Release"/>, for a DEL of an earlier time: what was handed out since then stays.</summary>
    /// <param name="key">The attachment.</param>
    /// <param name="at">When the DEL was asked for.</param>
    /// <param name="coolsSince">When the cooldown began.</param>
    /// <returns>What the key held, null for nothing; and whether it was released.</returns>
    public (Attachment? Attachment, bool IsReleased) ReleaseAssignedBefore(AttachmentKey key, DateTimeOffset at, DateTimeOffset coolsSince)
    {
        lock (_lock)
        {
            if (!_attachments.TryGetValue(key, out var attachment))
                return (null, false);
            return attachment.AssignedAt < at ? (Release_NeedsLock(key, coolsSince), true) : (attachment, false);
        }
    }

    /// <summary>What a look at the kernel showed: of these attachments nothing is left, of all others something is.</summary>
    /// <param name="unused">Their keys.</param>
    /// <param name="confirmation">How long nothing may have been left of an attachment before that is certain.</param>
    /// <param name="now">When the look was made.</param>
    /// <returns>Those of which nothing has been left for so long, and when the next one may be certain; null when there is none.</returns>
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
                var marked = attachment;
                if (since != attachment.UnusedSince)
                {
                    _attachments[attachment.Key] = marked = attachment with { UnusedSince = since };
                    Changed_NeedsLock();
                }

                if (since is not { } at)
                    continue;
                if (now - at >= confirmation)
                    certain.Add(marked);
                else if (next is null || at + confirmation < next)
                    next = at + confirmation;
            }

            return (certain, next);
        }
    }

    /// <summary>Undoes an <see cref="Assign"/> of which nobody was told: the addresses are free at once.</summary>
    public void Rollback(AttachmentKey key)
    {
        lock (_lock)
        {
            if (Remove_NeedsLock(key, out _))
                Changed_NeedsLock();
        }
    }

    /// <summary>
    /// When each cooldown ends, soonest first: also where no pod gets an address now, since that may have changed by then.
    /// </summary>
    public IReadOnlyList<DateTimeOffset> CooldownEnds(DateTimeOffset now)
    {
        lock (_lock)
        {
            EndCooldowns_NeedsLock(now);
            return [.. _cooling.Values.Select(releasedAt => releasedAt + Cooldown).Order()];
        }
    }

    /// <summary>The whole state at one moment, for the planner and for people.</summary>
    public LedgerView View(DateTimeOffset now)
    {
        lock (_lock)
        {
            EndCooldowns_NeedsLock(now);
            var suspects = SuspectedCarriers_NeedsLock(now);
            return new LedgerView
            {
                Interfaces =
                [
                    .. _interfaces
                        .Values.OrderBy(item => item.NetworkCard)
                        .ThenBy(item => item.DeviceIndex)
                        .Select(item => ViewOf(item, suspects)),
                ],
                CooldownEnds = [.. _cooling.Where(pair => IsUsable_NeedsLock(pair.Key)).Select(pair => pair.Value + Cooldown).Order()],
                IsObserved = _isObserved,
                Orphans = Orphans_NeedsLock(),
                Attachments = _attachments.Count,
                Intents = [.. _intents.Values],
                RecentAssignments = [.. _recentAssignments],
            };
        }
    }

    /// <summary>A recorded place is believed until a complete observation contradicts it.</summary>
    private Orphan[] Orphans_NeedsLock()
    {
        if (!_isObserved)
            return [];
        List<Orphan> orphans = [];
        foreach (var attachment in _attachments.Values.Where(item => !item.IsRecovered).OrderBy(item => item.AssignedAt))
        {
            if (
                attachment.Addresses.FirstOrDefault(held => held.Place is null && BlockOf_NeedsLock(held.Address) is null)
                is not { Address: { } address }
            )
                continue;
            orphans.Add(
                _lastPlaces.TryGetValue(address, out var last)
                    ? new Orphan(attachment, last.Place, last.Since)
                    : new Orphan(attachment, null, null)
            );
        }

        return [.. orphans];
    }

    /// <summary>
    /// The kind of block that the pool grows by, then the fullest block, then the fullest interface, then the lowest address: so that whole
    /// blocks and interfaces become free and can go back.
    /// </summary>
    private HeldAddress? Choose_NeedsLock(AddressFamily family)
    {
        (Interface Interface, Block Block)? best = null;
        var bestRank = (IsOther: true, Block: -1, Interface: -1);
        foreach (var entry in _interfaces.Values)
        {
            if (!entry.IsUsable)
                continue;
            var used = entry.Assigned;
            foreach (var block in entry.Blocks.Values)
            {
                if (block.Family != family || !block.HasFree)
                    continue;
                var rank = (
                    IsOther: block.Capacity > 1 != prefersPrefixes,
                    Block: block.Capacity > 1 ? block.Assigned : 0,
                    Interface: used
                );
                var better =
                    best is null
                    || (
                        rank.IsOther != bestRank.IsOther ? bestRank.IsOther
                        : rank.Block != bestRank.Block ? rank.Block > bestRank.Block
                        : rank.Interface != bestRank.Interface ? rank.Interface > bestRank.Interface
                        : entry != best.Value.Interface && entry.Precedes(best.Value.Interface)
                    );
                if (better)
                    (best, bestRank) = ((entry, block), rank);
            }
        }

        if (best is not var (owner, chosen))
            return null;
        for (var offset = 0; offset < chosen.Capacity; offset++)
        {
            var address = AddressBlocks.AddressAt(chosen.Range, offset);
            if (!_holders.ContainsKey(address) && !_cooling.ContainsKey(address))
                return new HeldAddress(address, owner.Place);
        }

        throw new LedgerCorruptException($"block {chosen.Range} counts a free address but has none");
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
            if (_holders.ContainsKey(address) || (_cooling.TryGetValue(address, out var releasedAt) && releasedAt + Cooldown > now + lead))
                continue;
            var key = new AttachmentKey(network, hostInterface, address.ToString());
            var attachment = new Attachment
            {
                Key = key,
                Pod = default,
                Addresses = [new HeldAddress(address, PlaceOf_NeedsLock(address))],
                AssignedAt = now,
            };
            EndCooling_NeedsLock(address);
            _attachments.Add(key, attachment);
            Hold_NeedsLock(address, key);
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
        foreach (var held in attachment.Addresses)
        {
            if (OwnerOf_NeedsLock(held.Address) is { } owner)
                owner.Interface.UnheldSince = owner.Block.UnheldSince = releasedAt;
            if (Cooldown > TimeSpan.Zero)
                SetCooling_NeedsLock(held.Address, releasedAt);
            // What is forgotten is missing in a histogram and nowhere else.
            if (_lastReleases.Count >= MaxLastReleases)
                _lastReleases.Clear();
            _lastReleases[held.Address] = releasedAt;
        }

        Changed_NeedsLock();
        return attachment;
    }

    private bool Remove_NeedsLock(AttachmentKey key, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Attachment? attachment)
    {
        if (!_attachments.Remove(key, out attachment))
            return false;
        foreach (var held in attachment.Addresses)
        {
            _lastPlaces.Remove(held.Address);
            if (_holders.Remove(held.Address) && BlockOf_NeedsLock(held.Address) is { } block)
                block.Assigned--;
        }

        return true;
    }

    private void Hold_NeedsLock(IPAddress address, AttachmentKey key)
    {
        _holders.Add(address, key);
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

/// <summary>The ledger contradicts itself: a bug. The daemon stops rather than hand out an address on wrong books.</summary>
internal sealed class LedgerCorruptException(string message) : Exception(message);
