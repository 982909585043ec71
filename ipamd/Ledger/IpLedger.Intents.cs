// SPDX-License-Identifier: Apache-2.0
using System.Net;

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

    /// <summary>Whether the interface is attached, or an open intent concerns it.</summary>
    public bool IsKnown(NetworkInterfaceId id)
    {
        lock (_lock)
            return _interfaces.ContainsKey(id) || IsBusy_NeedsLock(id);
    }

    /// <summary>
    /// Records a change as begun. What it releases or removes is no longer assigned; blocks that came into use since the plan was made are
    /// left out. Returns null when the ledger has moved on: the interface is unknown or has an open intent, or nothing is left to release.
    /// </summary>
    public Intent? Begin(PoolChange change, string token, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (change.InterfaceId is { } id && (!_interfaces.ContainsKey(id) || IsBusy_NeedsLock(id)))
                return null;
            var begun = change.Match<PoolChange?>(
                assign => assign,
                add => add,
                release => BeginRelease_NeedsLock(release, _interfaces[release.Interface]),
                remove => BeginRemove_NeedsLock(remove, _interfaces[remove.Interface], now)
            );
            if (begun is null)
                return null;
            var intent = new Intent(NextIntent_NeedsLock(), now, token, begun);
            _intents.Add(intent.Number, new OpenIntent(intent, IsRunning: true, OutcomeUnknownSince: null));
            Changed_NeedsLock();
            return intent;
        }
    }

    private static PoolChange.ReleaseBlocks? BeginRelease_NeedsLock(PoolChange.ReleaseBlocks release, Interface entry)
    {
        IPNetwork[] unused =
        [
            .. release.Blocks.Where(range =>
                entry.Blocks.TryGetValue(range.BaseAddress, out var block) && block.Range == range && block.IsUnused
            ),
        ];
        foreach (var range in unused)
            entry.Blocks[range.BaseAddress].IsReleasing = true;
        return unused.Length == 0 ? null : release with { Blocks = unused };
    }

    private PoolChange.RemoveInterface? BeginRemove_NeedsLock(PoolChange.RemoveInterface remove, Interface entry, DateTimeOffset now)
    {
        if (
            entry.Slot.IsPrimary
            || entry.Blocks.Values.Any(block => !block.IsUnused)
            || MayHoldOrphans(entry.Id, PossibleOrphanCarriers_NeedsLock(now))
        )
            return null;
        entry.IsDraining = true;
        return remove;
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
            if (progressed is { Stage: IntentStage.Detached, InterfaceId: { } detached })
                RemoveDetached_NeedsLock(detached, now);
            Changed_NeedsLock();
        }
    }

    /// <summary>Closes an assignment: the blocks are on the interface.</summary>
    public void CompleteAssign(Intent intent, IReadOnlyList<IPNetwork> added, DateTimeOffset now)
    {
        lock (_lock)
        {
            Close_NeedsLock(intent);
            // Unknown when someone detached it meanwhile.
            if (intent.InterfaceId is { } id && _interfaces.TryGetValue(id, out var entry))
                AddBlocks_NeedsLock(entry, added, now);
        }
    }

    /// <summary>Closes an addition: the interface is attached and its link configured.</summary>
    public void CompleteAdd(Intent intent, InterfaceObservation created, DateTimeOffset now)
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
    public void CompleteRelease(Intent intent, DateTimeOffset now)
    {
        lock (_lock)
        {
            Close_NeedsLock(intent);
            foreach (var range in intent.Change.Releases)
            {
                if (intent.InterfaceId is { } id && _interfaces.TryGetValue(id, out var entry))
                    RemoveBlock_NeedsLock(entry, range);
                _recentlyReleased[range] = now;
            }
        }
    }

    /// <summary>Closes a removal: the interface is deleted.</summary>
    public void CompleteRemove(Intent intent, DateTimeOffset now)
    {
        lock (_lock)
        {
            Close_NeedsLock(intent);
            if (intent.InterfaceId is { } id)
                RemoveDetached_NeedsLock(id, now);
        }
    }

    /// <summary>Closes an intent that had no effect or was undone; what it was to release is assignable again.</summary>
    public void Abort(Intent intent, DateTimeOffset now)
    {
        lock (_lock)
        {
            Close_NeedsLock(intent);
            if (intent.Created is { } created)
                _recentlyDetached[created] = now;
            if (intent.Change.InterfaceId is { } id && _interfaces.TryGetValue(id, out var entry))
                MakeAssignable_NeedsLock(intent.Change, entry);
        }
    }

    /// <summary>Makes assignable again what the change was to release.</summary>
    private static void MakeAssignable_NeedsLock(PoolChange change, Interface entry)
    {
        if (change is PoolChange.RemoveInterface)
            entry.IsDraining = false;
        foreach (var range in change.Releases)
        {
            if (entry.Blocks.TryGetValue(range.BaseAddress, out var block) && block.Range == range)
                block.IsReleasing = false;
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
            return intent.Change.Match(
                assign => true,
                add => true,
                release => !release.Blocks.Any(range => _owners.Keys.Any(range.Contains)),
                remove =>
                    intent.Stage == IntentStage.Detached
                    || !_interfaces.TryGetValue(remove.Interface, out var entry)
                    || entry.Blocks.Values.All(block => block.Assigned == 0)
            );
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
            var age = askedAt - since;
            switch (intent)
            {
                case { Change: PoolChange.AssignBlocks } when age >= OutcomeWindow:
                    Close_NeedsLock(intent);
                    break;
                case { Change: PoolChange.ReleaseBlocks release } when age >= ConsistencyWindow:
                    ResolveRelease_NeedsLock(intent, release, observed);
                    break;
                case { Change: PoolChange.RemoveInterface remove, Stage: IntentStage.Begun } when age >= ConsistencyWindow:
                    ResolveRemove_NeedsLock(intent, remove, observed, now);
                    break;
            }
        }
    }

    private void ResolveRelease_NeedsLock(Intent intent, PoolChange.ReleaseBlocks release, IReadOnlyList<InterfaceObservation> observed)
    {
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
    }

    private void ResolveRemove_NeedsLock(
        Intent intent,
        PoolChange.RemoveInterface remove,
        IReadOnlyList<InterfaceObservation> observed,
        DateTimeOffset now
    )
    {
        if (observed.Any(seen => seen.Id == remove.Interface))
        {
            Close_NeedsLock(intent);
            if (_interfaces.TryGetValue(remove.Interface, out var entry))
                entry.IsDraining = false;
            return;
        }

        // Detached; only the deletion remains.
        _intents[intent.Number] = _intents[intent.Number] with
        {
            Intent = intent with { Stage = IntentStage.Detached },
        };
        RemoveDetached_NeedsLock(remove.Interface, now);
        Changed_NeedsLock();
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

    private void Close_NeedsLock(Intent intent)
    {
        if (_intents.Remove(intent.Number))
            Changed_NeedsLock();
    }
}
