// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;

namespace VpcCni.Ipamd.Ledger;

/// <summary>The intent journal: changes of the cloud from decision to certain outcome. The checkpoint includes it.</summary>
internal sealed partial class IpLedger
{
    private readonly SortedDictionary<long, OpenIntent> _intents = [];
    private long _lastIntent;

    /// <summary>The open intents, in order of recording.</summary>
    public IReadOnlyList<OpenIntent> OpenIntents()
    {
        lock (_lock)
            return [.. _intents.Values];
    }

    /// <summary>Opens an assignment. Returns null when the interface is unknown, or has an open intent.</summary>
    public Intent.AssignBlocks? BeginAssign(NetworkInterfaceId id, BlockRequest blocks, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (!_interfaces.ContainsKey(id) || IsBusy_NeedsLock(id))
                return null;
            return Open_NeedsLock(new Intent.AssignBlocks(NextIntent_NeedsLock(), now, id, blocks));
        }
    }

    public Intent.AddInterface BeginAdd(
        string token,
        string subnetId,
        IReadOnlyList<string> securityGroupIds,
        Slot slot,
        IReadOnlyList<BlockRequest> blocks,
        DateTimeOffset now
    )
    {
        lock (_lock)
            return Open_NeedsLock(new Intent.AddInterface(NextIntent_NeedsLock(), now, token, subnetId, securityGroupIds, slot, blocks));
    }

    /// <summary>
    /// Opens a release and stops assigning from the blocks. Leaves out blocks that came into use since the plan was made. Returns null when
    /// no block is left, or the interface has an open intent.
    /// </summary>
    public Intent.ReleaseBlocks? BeginRelease(NetworkInterfaceId id, IReadOnlyList<IPNetwork> blocks, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (!_interfaces.TryGetValue(id, out var entry) || IsBusy_NeedsLock(id))
                return null;
            IPNetwork[] unused =
            [
                .. blocks.Where(range =>
                    entry.Blocks.TryGetValue(range.BaseAddress, out var block) && block.Range == range && block.IsUnused
                ),
            ];
            if (unused.Length == 0)
                return null;
            foreach (var range in unused)
                entry.Blocks[range.BaseAddress].IsReleasing = true;
            return Open_NeedsLock(new Intent.ReleaseBlocks(NextIntent_NeedsLock(), now, id, unused));
        }
    }

    /// <summary>
    /// Opens the removal of an unused secondary interface and stops assigning from it. Returns null when it is in use, must stay, or has an
    /// open intent.
    /// </summary>
    public Intent.RemoveInterface? BeginRemove(NetworkInterfaceId id, string attachmentId, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (
                !_interfaces.TryGetValue(id, out var entry)
                || entry.Slot.IsPrimary
                || IsBusy_NeedsLock(id)
                || entry.Blocks.Values.Any(block => !block.IsUnused)
            )
                return null;
            if (MayHoldOrphans(id, PossibleOrphanCarriers_NeedsLock(now)))
                return null;
            entry.IsDraining = true;
            return Open_NeedsLock(
                new Intent.RemoveInterface(NextIntent_NeedsLock(), now, id, attachmentId, entry.InterfaceSlot, entry.PrimaryAddress)
            );
        }
    }

    /// <summary>Records a completed stage of an addition or a removal.</summary>
    public void Advance(Intent progressed, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (!_intents.TryGetValue(progressed.Number, out var open))
                return;
            _intents[progressed.Number] = open with { Intent = progressed };
            // From here on a late observation must not bring the interface back.
            if (progressed is Intent.RemoveInterface { IsDetached: true } removal)
                RemoveDetached_NeedsLock(removal.Interface, now);
            Changed_NeedsLock();
        }
    }

    /// <summary>Closes an assignment: the blocks are on the interface.</summary>
    public void CompleteAssign(Intent.AssignBlocks intent, IReadOnlyList<IPNetwork> added, DateTimeOffset now)
    {
        lock (_lock)
        {
            Close_NeedsLock(intent);
            // Unknown when someone detached it meanwhile.
            if (_interfaces.TryGetValue(intent.Interface, out var entry))
                AddBlocks_NeedsLock(entry, added, now);
        }
    }

    /// <summary>Closes an addition: the interface is attached and its link configured.</summary>
    public void CompleteAdd(Intent.AddInterface intent, InterfaceObservation created, DateTimeOffset now)
    {
        lock (_lock)
        {
            Close_NeedsLock(intent);
            _recentlyDetached.Remove(created.Id);
            if (!_interfaces.TryGetValue(created.Id, out var entry))
                _interfaces.Add(created.Id, entry = new Interface(created, now, addedAt: now));
            AddBlocks_NeedsLock(entry, created.Blocks, now);
        }
    }

    /// <summary>Closes a release: the blocks are no longer on the interface.</summary>
    public void CompleteRelease(Intent.ReleaseBlocks intent, DateTimeOffset now)
    {
        lock (_lock)
        {
            Close_NeedsLock(intent);
            foreach (var range in intent.Blocks)
            {
                if (_interfaces.TryGetValue(intent.Interface, out var entry))
                    RemoveBlock_NeedsLock(entry, range);
                _recentlyReleased[range] = now;
            }
        }
    }

    /// <summary>Closes a removal: the interface is deleted.</summary>
    public void CompleteRemove(Intent.RemoveInterface intent, DateTimeOffset now)
    {
        lock (_lock)
        {
            Close_NeedsLock(intent);
            RemoveDetached_NeedsLock(intent.Interface, now);
        }
    }

    /// <summary>Closes an intent that had no effect or was undone; what it was to release is assignable again.</summary>
    public void Abort(Intent intent, DateTimeOffset now)
    {
        lock (_lock)
        {
            Close_NeedsLock(intent);
            if (intent is Intent.AddInterface { Created: { } created })
                _recentlyDetached[created] = now;
            if (intent is Intent.RemoveInterface removal && _interfaces.TryGetValue(removal.Interface, out var draining))
                draining.IsDraining = false;
            if (intent is not Intent.ReleaseBlocks release || !_interfaces.TryGetValue(release.Interface, out var entry))
                return;
            foreach (var range in release.Blocks)
            {
                if (entry.Blocks.TryGetValue(range.BaseAddress, out var block) && block.Range == range)
                    block.IsReleasing = false;
            }
        }
    }

    /// <summary>Marks an intent idle; no-op when it is closed.</summary>
    /// <param name="intent">The intent.</param>
    /// <param name="isOutcomeUnknown">
    /// Whether the last call may have had an effect. When false, the call certainly had none, and an earlier unknown outcome stays
    /// recorded.
    /// </param>
    /// <param name="now">The time now.</param>
    public void Pause(Intent intent, bool isOutcomeUnknown, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (_intents.TryGetValue(intent.Number, out var open))
                _intents[intent.Number] = open with
                {
                    IsRunning = false,
                    OutcomeUnknownSince = isOutcomeUnknown || open.OutcomeUnknownSince is null ? now : open.OutcomeUnknownSince,
                };
        }
    }

    /// <summary>Marks an intent running again. Returns null when it is closed or already running.</summary>
    public Intent? Resume(long number)
    {
        lock (_lock)
        {
            if (!_intents.TryGetValue(number, out var open) || open.IsRunning)
                return null;
            _intents[number] = open with { IsRunning = true };
            return open.Intent;
        }
    }

    /// <summary>
    /// Whether a release or a removal may be repeated: not when one of its addresses is in use again. The first call's effect is unknown
    /// then, so all of it stays unassignable until an observation shows the outcome.
    /// </summary>
    public bool MayRepeat(Intent intent)
    {
        lock (_lock)
        {
            return intent switch
            {
                Intent.ReleaseBlocks release => !release.Blocks.Any(range => _owners.Keys.Any(range.Contains)),
                Intent.RemoveInterface { IsDetached: false } removal => !_interfaces.TryGetValue(removal.Interface, out var entry)
                    || entry.Blocks.Values.All(block => block.Assigned == 0),
                _ => true,
            };
        }
    }

    private void RestoreIntents_NeedsLock(LedgerRecord record, Func<DateTimeOffset, DateTimeOffset> convert, DateTimeOffset now)
    {
        foreach (var intent in record.Intents)
        {
            if (!_intents.TryAdd(intent.Number, new OpenIntent(intent with { Since = convert(intent.Since) }, IsRunning: false, now)))
                continue;
            _lastIntent = Math.Max(_lastIntent, intent.Number);
        }

        foreach (var (range, at) in record.RecentlyReleased)
            _recentlyReleased[range] = convert(at);
        foreach (var (id, at) in record.RecentlyDetached)
            _recentlyDetached[id] = convert(at);
    }

    /// <summary>
    /// Resolves idle intents with an unknown outcome by an observation. An assignment shows within <see cref="OutcomeWindow"/> or did not
    /// happen. A release or removal is resolved once the <see cref="ConsistencyWindow"/> has passed since its last call.
    /// </summary>
    private void Resolve_NeedsLock(IReadOnlyList<InterfaceObservation> observed, DateTimeOffset askedAt, DateTimeOffset now)
    {
        foreach (var (intent, isRunning, unknownSince) in _intents.Values.ToArray())
        {
            if (isRunning || unknownSince is not { } since)
                continue;
            switch (intent)
            {
                case Intent.AssignBlocks when askedAt - since >= OutcomeWindow:
                    Close_NeedsLock(intent);
                    break;
                case Intent.ReleaseBlocks release when askedAt - since >= ConsistencyWindow:
                    Close_NeedsLock(intent);
                    var present = observed.FirstOrDefault(seen => seen.Id == release.Interface)?.Blocks ?? [];
                    foreach (var range in release.Blocks)
                    {
                        if (!_index.TryGetValue(range, out var known) || known.Interface.Id != release.Interface)
                            continue;
                        if (present.Contains(range))
                            known.Block.IsReleasing = false;
                        else
                            RemoveBlock_NeedsLock(known.Interface, range);
                    }

                    break;
                case Intent.RemoveInterface { IsDetached: false } removal when askedAt - since >= ConsistencyWindow:
                    if (observed.Any(seen => seen.Id == removal.Interface))
                    {
                        Close_NeedsLock(intent);
                        if (_interfaces.TryGetValue(removal.Interface, out var entry))
                            entry.IsDraining = false;
                    }
                    else
                    {
                        // Detached; only the deletion remains.
                        _intents[removal.Number] = _intents[removal.Number] with
                        {
                            Intent = removal with { IsDetached = true },
                        };
                        RemoveDetached_NeedsLock(removal.Interface, now);
                        Changed_NeedsLock();
                    }

                    break;
            }
        }
    }

    /// <summary>
    /// Interfaces that may carry a pod's address that no interface seems to carry: the one that carried it last, or, after a restart, any,
    /// when the descriptions since were late or incomplete. Limited to <see cref="OrphanWindow"/>, within which metadata and cloud are read
    /// several times.
    /// </summary>
    /// <returns>Ids of such interfaces; null stands for any interface.</returns>
    private HashSet<NetworkInterfaceId?> PossibleOrphanCarriers_NeedsLock(DateTimeOffset now)
    {
        HashSet<NetworkInterfaceId?> suspects = [];
        foreach (var item in _attachments.Values.SelectMany(attachment => attachment.Addresses))
        {
            if (BlockOf_NeedsLock(item.Address) is not null)
                continue;
            var (slot, since) =
                item.Slot is { } recorded ? (recorded, now)
                : _lastSlots.TryGetValue(item.Address, out var last) ? last
                : (null, _restoredAt ?? DateTimeOffset.MinValue);
            if (now - since < OrphanWindow)
                suspects.Add(slot?.Id);
        }

        return suspects;
    }

    private static bool MayHoldOrphans(NetworkInterfaceId id, HashSet<NetworkInterfaceId?> suspects) =>
        suspects.Contains(id) || suspects.Contains(null);

    private bool IsBusy_NeedsLock(NetworkInterfaceId id) => _intents.Values.Any(open => open.Intent.InterfaceId == id);

    private long NextIntent_NeedsLock() => ++_lastIntent;

    private T Open_NeedsLock<T>(T intent)
        where T : Intent
    {
        _intents.Add(intent.Number, new OpenIntent(intent, IsRunning: true, OutcomeUnknownSince: null));
        Changed_NeedsLock();
        return intent;
    }

    private void Close_NeedsLock(Intent intent)
    {
        if (_intents.Remove(intent.Number))
            Changed_NeedsLock();
    }
}
