// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Ipamd.Ledger;

/// <summary>
/// The journal: changes of the cloud from the decision to the certain outcome. Its entries are part of what the checkpoint makes durable.
/// </summary>
internal sealed partial class IpLedger
{
    private readonly SortedDictionary<long, OpenIntent> _intents = [];
    private long _lastIntent;

    /// <summary>In the order in which they were recorded.</summary>
    public IReadOnlyList<OpenIntent> OpenIntents()
    {
        lock (_lock)
            return [.. _intents.Values];
    }

    /// <summary>Null: the interface is unknown, on its way out, or something else is being done to it.</summary>
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
        int deviceIndex,
        BlockRequest blocks,
        DateTimeOffset now
    )
    {
        lock (_lock)
            return Open_NeedsLock(
                new Intent.AddInterface(NextIntent_NeedsLock(), now, token, subnetId, securityGroupIds, deviceIndex, blocks)
            );
    }

    /// <summary>
    /// Takes unused blocks out of use so that they can be given back to the cloud; those that got a holder since the plan was made are left
    /// out. Null when none is left, or something else is being done to the interface.
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
    /// Takes an unused secondary interface out of use so that it can be detached. Null when it is in use or must stay, or something else is
    /// being done to it.
    /// </summary>
    public Intent.RemoveInterface? BeginRemove(NetworkInterfaceId id, string attachmentId, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (
                !_interfaces.TryGetValue(id, out var entry)
                || entry.IsPrimary
                || IsBusy_NeedsLock(id)
                || entry.Blocks.Values.Any(block => !block.IsUnused)
            )
                return null;
            if (MayHoldOrphans(id, SuspectedCarriers_NeedsLock(now)))
                return null;
            entry.IsDraining = true;
            return Open_NeedsLock(
                new Intent.RemoveInterface(NextIntent_NeedsLock(), now, id, attachmentId, entry.Place, entry.PrimaryAddress)
            );
        }
    }

    /// <summary>A stage of an addition or a removal is certain.</summary>
    public void Advance(Intent progressed, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (!_intents.TryGetValue(progressed.Number, out var open))
                return;
            _intents[progressed.Number] = open with { Intent = progressed };
            // From here on nothing of it may come back with an observation that is late.
            if (progressed is Intent.RemoveInterface { IsDetached: true } removal)
                Drop_NeedsLock(removal.Interface, now);
            Changed_NeedsLock();
        }
    }

    /// <summary>The blocks are on the interface.</summary>
    public void CompleteAssign(Intent.AssignBlocks intent, IReadOnlyList<IPNetwork> added, DateTimeOffset now)
    {
        lock (_lock)
        {
            Close_NeedsLock(intent);
            // Unknown: somebody detached it meanwhile.
            if (_interfaces.TryGetValue(intent.Interface, out var entry))
                AddBlocks_NeedsLock(entry, added, now);
        }
    }

    /// <summary>The interface is attached and wired.</summary>
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

    /// <summary>The blocks are no longer on the interface.</summary>
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

    /// <summary>The interface is gone.</summary>
    public void CompleteRemove(Intent.RemoveInterface intent, DateTimeOffset now)
    {
        lock (_lock)
        {
            Close_NeedsLock(intent);
            Drop_NeedsLock(intent.Interface, now);
        }
    }

    /// <summary>Certainly without effect, or taken back: what was to be given back is usable again.</summary>
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

    /// <summary>Nobody carries it out any more. Closed already: nothing happens.</summary>
    /// <param name="intent">Which.</param>
    /// <param name="inDoubt">
    /// The last call may have had an effect; else it certainly had none, and what is known of those before stays as it is.
    /// </param>
    /// <param name="now">The time now.</param>
    public void Pause(Intent intent, bool inDoubt, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (_intents.TryGetValue(intent.Number, out var open))
                _intents[intent.Number] = open with
                {
                    IsRunning = false,
                    DoubtSince = inDoubt || open.DoubtSince is null ? now : open.DoubtSince,
                };
        }
    }

    /// <summary>Somebody carries it out again. Null when it is closed, or somebody does already.</summary>
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
    /// Whether a release or a removal may be carried out again: not when something of it is in use by now. What the first call did is not
    /// known then, so all of it stays out of use until an observation tells.
    /// </summary>
    public bool MayRepeat(Intent intent)
    {
        lock (_lock)
        {
            return intent switch
            {
                Intent.ReleaseBlocks release => !release.Blocks.Any(range => _holders.Keys.Any(range.Contains)),
                Intent.RemoveInterface { IsDetached: false } removal => !_interfaces.TryGetValue(removal.Interface, out var entry)
                    || entry.Blocks.Values.All(block => block.Assigned == 0),
                _ => true,
            };
        }
    }

    private void RestoreIntents_NeedsLock(LedgerRecord record, Func<DateTimeOffset, DateTimeOffset> carried, DateTimeOffset now)
    {
        foreach (var intent in record.Intents)
        {
            if (!_intents.TryAdd(intent.Number, new OpenIntent(intent with { Since = carried(intent.Since) }, IsRunning: false, now)))
                continue;
            _lastIntent = Math.Max(_lastIntent, intent.Number);
        }

        foreach (var (range, at) in record.RecentlyReleased)
            _recentlyReleased[range] = carried(at);
        foreach (var (id, at) in record.RecentlyDetached)
            _recentlyDetached[id] = carried(at);
    }

    /// <summary>
    /// What an observation says of changes in doubt that nobody carries out: an assignment shows some seconds later or did not happen. What
    /// was to be given back is believed to be there, or gone, only when everything has settled since the last call that may have taken it.
    /// </summary>
    private void Resolve_NeedsLock(IReadOnlyList<InterfaceObservation> observed, DateTimeOffset askedAt, DateTimeOffset now)
    {
        foreach (var (intent, isRunning, doubtSince) in _intents.Values.ToArray())
        {
            if (isRunning || doubtSince is not { } since)
                continue;
            switch (intent)
            {
                case Intent.AssignBlocks when askedAt - since >= DoubtWindow:
                    Close_NeedsLock(intent);
                    break;
                case Intent.ReleaseBlocks release when askedAt - since >= ConsistencyWindow:
                    Close_NeedsLock(intent);
                    var there = observed.FirstOrDefault(seen => seen.Id == release.Interface)?.Blocks ?? [];
                    foreach (var range in release.Blocks)
                    {
                        if (!_index.TryGetValue(range, out var known) || known.Interface.Id != release.Interface)
                            continue;
                        if (there.Contains(range))
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
                        // Detached; what is left to do is to delete it.
                        _intents[removal.Number] = _intents[removal.Number] with
                        {
                            Intent = removal with { IsDetached = true },
                        };
                        Drop_NeedsLock(removal.Interface, now);
                        Changed_NeedsLock();
                    }

                    break;
            }
        }
    }

    /// <summary>
    /// A pod's address that no interface seems to carry may be on the one that carried it last, or, after a restart, on any, if the
    /// descriptions since were late or short. Not for ever: several looks at the metadata and the cloud lie within
    /// <see cref="OrphanWindow"/>.
    /// </summary>
    /// <returns>Of each such address the interface that it may be on; null: any.</returns>
    private HashSet<NetworkInterfaceId?> SuspectedCarriers_NeedsLock(DateTimeOffset now)
    {
        HashSet<NetworkInterfaceId?> suspects = [];
        foreach (var held in _attachments.Values.SelectMany(attachment => attachment.Addresses))
        {
            if (BlockOf_NeedsLock(held.Address) is not null)
                continue;
            var (place, since) =
                held.Place is { } believed ? (believed, now)
                : _lastPlaces.TryGetValue(held.Address, out var last) ? last
                : (null, _restoredAt ?? DateTimeOffset.MinValue);
            if (now - since < OrphanWindow)
                suspects.Add(place?.Id);
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
        _intents.Add(intent.Number, new OpenIntent(intent, IsRunning: true, DoubtSince: null));
        Changed_NeedsLock();
        return intent;
    }

    private void Close_NeedsLock(Intent intent)
    {
        if (_intents.Remove(intent.Number))
            Changed_NeedsLock();
    }
}
