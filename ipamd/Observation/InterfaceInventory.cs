// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Observation;

/// <summary>
/// Observes: asks the cloud for this node's interfaces, wires those that carry pods, and tells the ledger. Remembers what the last
/// observation said of each interface, which the pool needs to detach it and to create the next one like it.
/// </summary>
internal sealed partial class InterfaceInventory(
    ICloud cloud,
    IHostNetwork host,
    IpLedger ledger,
    InterfacePolicy policy,
    InterfacePlacement placement,
    bool mayChange,
    TimeProvider time,
    ILogger<InterfaceInventory> logger
)
{
    private readonly Lock _lock = new();

    /// <summary>
    /// Held from deciding which interfaces are excluded until the ledger has it, so that an older decision never comes after a newer one.
    /// </summary>
    private readonly Lock _verdicts = new();
    private readonly Dictionary<NetworkInterfaceId, CloudInterface> _known = [];

    /// <summary>When this daemon took over those that a late description may lack.</summary>
    private readonly Dictionary<NetworkInterfaceId, DateTimeOffset> _adopted = [];

    /// <summary>Security groups that this daemon gave, and when: a late description may still show those before.</summary>
    private readonly Dictionary<NetworkInterfaceId, (IReadOnlyList<string> Groups, DateTimeOffset At)> _groups = [];

    /// <summary>Those of ours that would outlive the node.</summary>
    private readonly HashSet<NetworkInterfaceId> _untied = [];
    private readonly AwaitedLinks _awaited = new(time);
    private bool _allWired = true;

    /// <summary>Those that are attached and not wired.</summary>
    public AwaitedLinks Awaited => _awaited;

    public CloudInterface? Find(NetworkInterfaceId id)
    {
        lock (_lock)
            return _known.GetValueOrDefault(id);
    }

    /// <summary>The primary interface. Null before the first observation.</summary>
    public CloudInterface? Primary
    {
        get
        {
            lock (_lock)
                return _known.Values.FirstOrDefault(item => item is { DeviceIndex: 0, NetworkCard: 0 });
        }
    }

    /// <summary>
    /// Whether this is the MAC address of an interface of the node, and nothing of ours takes it away: then a link that goes means that
    /// somebody else does.
    /// </summary>
    public bool IsTakenAway(string mac)
    {
        NetworkInterfaceId[] ids;
        lock (_lock)
            ids =
            [
                .. _known.Values.Where(item => string.Equals(item.Mac, mac, StringComparison.OrdinalIgnoreCase)).Select(item => item.Id),
            ];
        return ids.Length > 0 && !ledger.OpenIntents().Any(open => open.Intent.InterfaceId is { } concerned && ids.Contains(concerned));
    }

    /// <summary>Somebody else's detachment of an interface was under way at the last observation: it is over soon.</summary>
    public bool IsAnyLeaving
    {
        get
        {
            NetworkInterfaceId[] leaving;
            lock (_lock)
                leaving = [.. _known.Values.Where(item => item.State == CloudInterfaceState.Detaching).Select(item => item.Id)];
            return leaving.Length > 0
                && !ledger.OpenIntents().Any(open => open.Intent.InterfaceId is { } concerned && leaving.Contains(concerned));
        }
    }

    /// <summary>There is something that <see cref="PresumeAsync"/> could confirm.</summary>
    public bool MayPresume => ledger.Remembered.Count > 0;

    /// <summary>Some interface carries addresses for pods.</summary>
    public bool HasAddresses => ledger.View(time.GetUtcNow()).Total > 0;

    /// <summary>
    /// False: an interface that should carry pods could not be wired, or one of ours would outlive the node. Worth looking again soon.
    /// </summary>
    public bool AllMended
    {
        get
        {
            lock (_lock)
                return _allWired && _untied.Count == 0;
        }
    }

    /// <summary>See <see cref="IpLedger.ConfirmPlacesAt"/>.</summary>
    public DateTimeOffset? ConfirmPlacesAt => ledger.ConfirmPlacesAt;

    /// <summary>One authoritative observation; the ledger equals it afterwards, as far as it has settled.</summary>
    /// <exception cref="CloudException">The cloud did not answer; nothing changed.</exception>
    /// <returns>How the ledger differed.</returns>
    public async Task<ObservationChanges> ObserveAsync(CancellationToken cancellationToken)
    {
        var askedAt = time.GetUtcNow();
        var unfinished = ledger
            .OpenIntents()
            .Select(open => open.Intent)
            .OfType<Intent.AddInterface>()
            .Select(add => add.Created)
            .ToHashSet();
        var attached = (await cloud.DescribeAttachedInterfacesAsync(cancellationToken))
            .Where(item => item.DeviceIndex is not null)
            .ToArray();
        // A node always has a primary interface: an answer without one is not the truth about this node, and acting on it would orphan
        // every pod.
        if (!attached.Any(item => item is { DeviceIndex: 0, NetworkCard: 0 }))
            throw new CloudException(
                CloudErrorKind.Transient,
                "DescribeAttachedInterfaces",
                "NoPrimaryInterface",
                "the answer shows no primary interface"
            );
        List<(CloudInterface Item, bool CarriesPods)> observed = [];
        var allWired = true;
        HashSet<NetworkInterfaceId> mended = [],
            untied = [];
        foreach (var item in attached)
        {
            // Created by us and not finished: whoever does that wires it, and may yet take it back.
            if (unfinished.Contains(item.Id))
                continue;
            if (mayChange)
                (await MendAsync(item, cancellationToken) ? mended : untied).Add(item.Id);
            // A description may be late: the kernel knows whether it is attached.
            var carriesPods = policy.CarriesPods(item) && item.State is CloudInterfaceState.InUse or CloudInterfaceState.Attaching;
            if (carriesPods && !await TryWireAsync(item, cancellationToken))
                carriesPods = allWired = false;
            observed.Add((item, carriesPods));
        }

        _awaited.Keep(observed.Select(seen => seen.Item.Id).ToHashSet());
        Remember(attached, mended, untied, allWired);
        ObservationChanges changes;
        lock (_verdicts)
            changes = ledger.Observe([.. observed.Select(seen => ToObservation(seen.Item, seen.CarriesPods))], time.GetUtcNow(), askedAt);
        if (!changes.Any)
            return changes;
        Log.Observed(
            logger,
            attached.Length,
            changes.InterfacesAdded.Count,
            changes.InterfacesLost.Count,
            changes.BlocksAdded,
            changes.BlocksLost
        );
        foreach (var loss in changes.Losses)
            Log.Lost(logger, loss.Sentence);
        return changes;
    }

    /// <summary>
    /// While the cloud has not been observed: takes as attached what the checkpoint held and the instance metadata shows, both, so that a
    /// restart goes on serving although the cloud does not answer (docs/adr/0019).
    /// </summary>
    /// <returns>Addresses that pods may have or get; 0 when there is nothing to serve, or the cloud has been observed meanwhile.</returns>
    /// <exception cref="CloudException">The metadata service did not answer.</exception>
    public async Task<int> PresumeAsync(CancellationToken cancellationToken)
    {
        var remembered = ledger.Remembered.Select(item => item.Id).ToHashSet();
        if (remembered.Count == 0)
            return 0;
        var shown = (await cloud.ReadMetadataInterfacesAsync(cancellationToken))
            .Where(item => item.DeviceIndex is not null && item.State == CloudInterfaceState.InUse && remembered.Contains(item.Id))
            .ToArray();
        List<InterfaceObservation> presumed = [];
        foreach (var item in shown)
            presumed.Add(ToObservation(item, carriesPods: await TryWireAsync(item, cancellationToken)));
        lock (_verdicts)
        {
            lock (_lock)
            {
                _known.Clear();
                foreach (var item in shown)
                    _known[item.Id] = item;
            }

            return ledger.Presume(presumed, time.GetUtcNow());
        }
    }

    /// <summary>Whether the instance metadata shows what the ledger holds. No control-plane call.</summary>
    /// <exception cref="CloudException">The metadata service did not answer.</exception>
    public async Task<(bool Agrees, string Fingerprint)> CompareHintAsync(CancellationToken cancellationToken)
    {
        var hints = await cloud.HintAttachedInterfacesAsync(cancellationToken);
        var byId = hints
            .GroupBy(hint => hint.Id)
            .ToDictionary(group => group.Key, group => (IReadOnlyList<System.Net.IPNetwork>)[.. group.SelectMany(hint => hint.Blocks)]);
        var fingerprint = string.Join(
            ';',
            byId.OrderBy(pair => pair.Key.Value, StringComparer.Ordinal)
                .Select(pair =>
                    $"{pair.Key.Value}={string.Join(',', pair.Value.Select(range => range.ToString()).Order(StringComparer.Ordinal))}"
                )
        );
        return (ledger.MatchesHint(byId, time.GetUtcNow()), fingerprint);
    }

    /// <summary>
    /// Takes over an interface that this daemon just created and attached: wired first, so that no pod gets an address that is not routed.
    /// </summary>
    public async Task AdoptAsync(Intent.AddInterface intent, CloudInterface created, CancellationToken cancellationToken)
    {
        await host.EnsureInterfaceAsync(policy.Wiring(created), PoolLimits.LinkDeadline, cancellationToken);
        lock (_lock)
        {
            _known[created.Id] = created;
            _adopted[created.Id] = time.GetUtcNow();
            if (!created.DeleteOnTermination)
                _untied.Add(created.Id);
        }

        lock (_verdicts)
            ledger.CompleteAdd(intent, ToObservation(created, carriesPods: true), time.GetUtcNow());
    }

    /// <summary>
    /// What <see cref="InterfacePlacement.IsExcluded"/> depends on has changed: from now on no pod gets an address of an interface that is
    /// excluded now.
    /// </summary>
    /// <param name="readmits">
    /// Interfaces that were excluded get pods again: for a caller who has just held what the kernel shows in use.
    /// </param>
    /// <returns>Whether some are left that would get pods again.</returns>
    public bool ApplyPlacement(bool readmits)
    {
        lock (_verdicts)
        {
            CloudInterface[] known;
            lock (_lock)
                known = [.. _known.Values];
            var verdicts = known.ToDictionary(item => item.Id, placement.IsExcluded);
            var waits = !readmits && verdicts.Any(verdict => !verdict.Value && ledger.IsExcluded(verdict.Key));
            ledger.Exclude(readmits ? verdicts : verdicts.Where(verdict => verdict.Value).ToDictionary());
            return waits;
        }
    }

    /// <summary>
    /// Interfaces that carry pods and have other security groups than they shall have, each with those. The primary one is its owner's.
    /// </summary>
    public IReadOnlyList<(NetworkInterfaceId Id, IReadOnlyList<string> Groups)> WithOtherGroups()
    {
        if (Primary is not { } primary)
            return [];
        var adopted = ledger
            .View(time.GetUtcNow())
            .Interfaces.Where(item => item is { CarriesPods: true, IsPrimary: false, IsDraining: false })
            .Select(item => item.Id)
            .ToHashSet();
        List<(NetworkInterfaceId, IReadOnlyList<string>)> others = [];
        lock (_lock)
        {
            foreach (var item in _known.Values.Where(item => adopted.Contains(item.Id) && policy.CarriesPods(item)))
            {
                if (
                    placement.GroupsFor(item, primary) is { Count: > 0 } wanted
                    && !wanted.ToHashSet(StringComparer.Ordinal).SetEquals(item.SecurityGroupIds)
                )
                    others.Add((item.Id, wanted));
            }
        }

        return others;
    }

    /// <summary>An interface has been given these.</summary>
    public void GroupsSet(NetworkInterfaceId id, IReadOnlyList<string> groups)
    {
        lock (_lock)
        {
            if (!_known.TryGetValue(id, out var item))
                return;
            _known[id] = item with { SecurityGroupIds = groups };
            _groups[id] = (groups, time.GetUtcNow());
        }
    }

    public void Forget(NetworkInterfaceId id)
    {
        lock (_lock)
        {
            _known.Remove(id);
            _adopted.Remove(id);
            _groups.Remove(id);
            _untied.Remove(id);
        }
    }

    private void Remember(
        IReadOnlyList<CloudInterface> attached,
        HashSet<NetworkInterfaceId> mended,
        HashSet<NetworkInterfaceId> untied,
        bool allWired
    )
    {
        lock (_lock)
        {
            // What was taken over while the question was under way, or so shortly before that the answer may lack it, is kept.
            foreach (var (id, at) in _adopted.ToArray())
            {
                if (time.GetUtcNow() - at >= IpLedger.ConsistencyWindow)
                    _adopted.Remove(id);
            }

            foreach (var gone in _known.Keys.Where(id => !_adopted.ContainsKey(id) && attached.All(item => item.Id != id)).ToArray())
                _known.Remove(gone);
            foreach (
                var id in _groups
                    .Where(pair => time.GetUtcNow() - pair.Value.At >= IpLedger.ConsistencyWindow)
                    .Select(pair => pair.Key)
                    .ToArray()
            )
                _groups.Remove(id);
            foreach (var item in attached)
                _known[item.Id] = _groups.TryGetValue(item.Id, out var given) ? item with { SecurityGroupIds = given.Groups } : item;
            _untied.RemoveWhere(id => !_known.ContainsKey(id) || mended.Contains(id));
            _untied.UnionWith(untied);
            _allWired = allWired;
        }
    }

    /// <summary>
    /// What a crash may have left out: an interface of ours that would outlive the node, or one that pods use without the tags by which it
    /// is known. False where it may succeed if it is tried again soon.
    /// </summary>
    private async Task<bool> MendAsync(CloudInterface item, CancellationToken cancellationToken)
    {
        try
        {
            if (policy.IsOurs(item) && !item.DeleteOnTermination)
                await cloud.SetDeleteOnTerminationAsync(item.Id, item.AttachmentId!, cancellationToken);
            if (policy.CarriesPods(item) && !policy.HasOwnerTag(item))
                await cloud.TagInterfaceAsync(item.Id, createdAt: null, cancellationToken);
            return true;
        }
        catch (CloudException exception)
        {
            Log.NotMended(logger, item.Id, exception);
            return exception.Kind
                is not (CloudErrorKind.Transient or CloudErrorKind.Throttled or CloudErrorKind.NotFound or CloudErrorKind.Conflict);
        }
    }

    private async Task<bool> TryWireAsync(CloudInterface item, CancellationToken cancellationToken)
    {
        _awaited.Begin(item);
        try
        {
            await host.EnsureInterfaceAsync(policy.Wiring(item), TimeSpan.Zero, cancellationToken);
            _awaited.Wired(item.Id);
            return true;
        }
        catch (HostNetworkException exception)
        {
            // The others still serve; the next observation tries again, and the link that appears asks for it.
            _awaited.Failed(item.Id, exception.Message);
            Log.NotWired(logger, item.Id, exception);
            return false;
        }
    }

    private InterfaceObservation ToObservation(CloudInterface item, bool carriesPods) =>
        new()
        {
            Id = item.Id,
            DeviceIndex = item.DeviceIndex!.Value,
            NetworkCard = item.NetworkCard,
            PrimaryAddress = item.PrimaryAddress,
            SubnetId = item.SubnetId,
            Blocks = item.Blocks,
            CarriesPods = carriesPods,
            // An observation ends no exclusion: that takes a look at the kernel.
            IsExcluded = placement.IsExcluded(item) || ledger.IsExcluded(item.Id),
        };

    private static partial class Log
    {
        [LoggerMessage(20, LogLevel.Information, "the attached interfaces were observed")]
        public static partial void Observed(ILogger logger, int interfaces, int added, int lost, int blocksAdded, int blocksLost);

        [LoggerMessage(21, LogLevel.Error, "pods lost their addresses and have no network until they are recreated")]
        public static partial void Lost(ILogger logger, string loss);

        [LoggerMessage(
            23,
            LogLevel.Warning,
            "the interface could not be tagged, or tied to the node's life: tried again at the next observation"
        )]
        public static partial void NotMended(ILogger logger, NetworkInterfaceId eni, Exception exception);

        [LoggerMessage(
            22,
            LogLevel.Warning,
            "the interface is attached but could not be wired: no pod gets its addresses until that is done, which is tried again "
                + "when its link appears"
        )]
        public static partial void NotWired(ILogger logger, NetworkInterfaceId eni, Exception exception);
    }
}
