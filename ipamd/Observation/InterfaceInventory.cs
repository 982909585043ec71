// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Observation;

/// <summary>
/// Observes this node's interfaces in the cloud, configures the links of those that carry pods, and updates the ledger. Keeps the last
/// description of each interface, for security groups and later changes.
/// </summary>
internal sealed partial class InterfaceInventory(
    CloudPorts cloud,
    IHostNetwork host,
    IpLedger ledger,
    WiringPolicy wiring,
    InterfacePlacement placement,
    bool mayChange,
    TimeProvider time,
    ILogger<InterfaceInventory> logger
)
{
    private readonly Lock _lock = new();

    /// <summary>
    /// Held from choosing the excluded interfaces until the ledger has them, so that an older choice never overwrites a newer one.
    /// </summary>
    private readonly Lock _exclusionLock = new();
    private readonly Dictionary<NetworkInterfaceId, CloudInterface> _known = [];

    /// <summary>When this daemon added the interfaces that a late description may lack.</summary>
    private readonly Dictionary<NetworkInterfaceId, DateTimeOffset> _adopted = [];

    /// <summary>Security groups that this daemon set, and when: a late description may still show the previous ones.</summary>
    private readonly Dictionary<NetworkInterfaceId, (IReadOnlyList<string> Groups, DateTimeOffset At)> _groups = [];

    /// <summary>Interfaces whose addition left something out.</summary>
    private readonly HashSet<NetworkInterfaceId> _incomplete = [];
    private readonly AwaitedLinks _awaited = new(time);
    private bool _isEachLinkConfigured = true;

    /// <summary>Attached interfaces whose link is not configured.</summary>
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
                return _known.Values.FirstOrDefault(item => item.IsPrimary);
        }
    }

    /// <summary>The primary interface's security groups; empty before the first observation.</summary>
    public IReadOnlyList<string> PrimaryGroups => Primary?.SecurityGroupIds ?? [];

    /// <summary>
    /// Whether the MAC address belongs to an interface of the node that this daemon is not changing, so that someone else detaches it when
    /// its link disappears.
    /// </summary>
    public bool IsDetachedExternally(string mac)
    {
        NetworkInterfaceId[] ids;
        lock (_lock)
            ids =
            [
                .. _known.Values.Where(item => string.Equals(item.Mac, mac, StringComparison.OrdinalIgnoreCase)).Select(item => item.Id),
            ];
        return ids.Length > 0 && !ledger.OpenIntents().Any(open => open.Intent.InterfaceId is { } changing && ids.Contains(changing));
    }

    /// <summary>Whether the last observation showed a detachment by someone else in progress, which ends soon.</summary>
    public bool IsAnyDetaching
    {
        get
        {
            NetworkInterfaceId[] detaching;
            lock (_lock)
                detaching = [.. _known.Values.Where(item => item.IsDetaching).Select(item => item.Id)];
            return detaching.Length > 0
                && !ledger.OpenIntents().Any(open => open.Intent.InterfaceId is { } changing && detaching.Contains(changing));
        }
    }

    /// <summary>Whether the checkpoint has interfaces that <see cref="ApplyHintAsync"/> could confirm.</summary>
    public bool CanApplyHint => ledger.CheckpointInterfaces.Count > 0;

    /// <summary>Whether some interface has addresses for pods.</summary>
    public bool HasAddresses => ledger.View(time.GetUtcNow()).Total > 0;

    /// <summary>
    /// Whether every interface for pods has its link configured and none is incomplete. When false, observe again soon.
    /// </summary>
    public bool IsRepaired
    {
        get
        {
            lock (_lock)
                return _isEachLinkConfigured && _incomplete.Count == 0;
        }
    }

    /// <summary>See <see cref="IpLedger.ConfirmSlotsAt"/>.</summary>
    public DateTimeOffset? ConfirmSlotsAt => ledger.ConfirmSlotsAt;

    /// <summary>Observes the cloud once and updates the ledger to match, except for recent changes.</summary>
    /// <exception cref="CloudException">The cloud did not answer; nothing changed.</exception>
    /// <returns>How the ledger differed.</returns>
    public async Task<ObservationChanges> ObserveAsync(CancellationToken cancellationToken)
    {
        var askedAt = time.GetUtcNow();
        var unfinished = ledger.OpenIntents().Select(open => open.Intent.Created).ToHashSet();
        var attached = await cloud.Node.DescribeAttachedInterfacesAsync(cancellationToken);
        // A node always has a primary interface. An answer without one is not about this node, and applying it would orphan every pod.
        if (!attached.Any(item => item.IsPrimary))
            throw new CloudException(
                CloudErrorKind.Transient,
                "DescribeAttachedInterfaces",
                "NoPrimaryInterface",
                "the answer shows no primary interface"
            );
        List<(CloudInterface Item, bool CarriesPods)> observed = [];
        var isEachLinkConfigured = true;
        HashSet<NetworkInterfaceId> repaired = [],
            failed = [];
        foreach (var item in attached)
        {
            // Created by this daemon and not finished: its addition configures the link, and may yet be undone.
            if (unfinished.Contains(item.Id))
                continue;
            if (mayChange)
                (await RepairAsync(item, cancellationToken) ? repaired : failed).Add(item.Id);
            // The description may be late: the kernel shows whether it is attached.
            var carriesPods = item is { CarriesPods: true, IsDetaching: false };
            if (carriesPods && !await TryConfigureLinkAsync(item, cancellationToken))
                carriesPods = isEachLinkConfigured = false;
            observed.Add((item, carriesPods));
        }

        _awaited.Keep(observed.Select(seen => seen.Item.Id).ToHashSet());
        Store(attached, repaired, failed, isEachLinkConfigured);
        ObservationChanges changes;
        lock (_exclusionLock)
            changes = ledger.Observe([.. observed.Select(seen => ToObservation(seen.Item, seen.CarriesPods))], time.GetUtcNow(), askedAt);
        if (!changes.Any)
            return changes;
        Log.Observed(
            logger,
            attached.Count,
            changes.InterfacesAdded.Count,
            changes.InterfacesLost.Count,
            changes.BlocksAdded,
            changes.BlocksLost
        );
        foreach (var loss in changes.Losses)
            Log.Lost(logger, loss.Description);
        return changes;
    }

    /// <summary>
    /// Before the first observation, applies the interfaces that both checkpoint and instance metadata have, so that a restarted daemon
    /// serves pods although the cloud does not answer (docs/adr/0019).
    /// </summary>
    /// <returns>Number of addresses that pods have or may get; 0 when there are none, or the cloud has been observed meanwhile.</returns>
    /// <exception cref="CloudException">The metadata service did not answer.</exception>
    public async Task<int> ApplyHintAsync(CancellationToken cancellationToken)
    {
        var checkpointIds = ledger.CheckpointInterfaces.Select(item => item.Id).ToHashSet();
        if (checkpointIds.Count == 0)
            return 0;
        var shown = (await cloud.Node.ReadMetadataInterfacesAsync(cancellationToken))
            .Where(item => checkpointIds.Contains(item.Id))
            .ToArray();
        List<InterfaceObservation> matching = [];
        foreach (var item in shown)
            matching.Add(ToObservation(item, carriesPods: await TryConfigureLinkAsync(item, cancellationToken)));
        lock (_exclusionLock)
        {
            lock (_lock)
            {
                _known.Clear();
                foreach (var item in shown)
                    _known[item.Id] = item;
            }

            return ledger.ApplyHint(matching, time.GetUtcNow());
        }
    }

    /// <summary>Compares the instance metadata with the ledger. Makes no control-plane call.</summary>
    /// <exception cref="CloudException">The metadata service did not answer.</exception>
    public async Task<(bool Agrees, string Fingerprint)> CompareHintAsync(CancellationToken cancellationToken)
    {
        var hints = await cloud.Node.HintAttachedInterfacesAsync(cancellationToken);
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
    /// Takes over an interface that this daemon created and attached. Configures its link first, so that no pod gets an address that is not
    /// routed.
    /// </summary>
    /// <exception cref="HostNetworkException">The link could not be configured.</exception>
    public async Task AdoptAsync(Intent intent, CloudInterface created, CancellationToken cancellationToken)
    {
        await host.EnsureInterfaceAsync(wiring.Of(created), PoolLimits.LinkDeadline, cancellationToken);
        lock (_lock)
        {
            _known[created.Id] = created;
            _adopted[created.Id] = time.GetUtcNow();
            if (created.IsIncomplete)
                _incomplete.Add(created.Id);
        }

        lock (_exclusionLock)
            ledger.CompleteAdd(intent, ToObservation(created, carriesPods: true), time.GetUtcNow());
    }

    /// <summary>
    /// Applies a change of <see cref="InterfacePlacement.IsExcluded"/>: from now on no pod gets an address of an excluded interface.
    /// </summary>
    /// <param name="readmits">
    /// Whether interfaces that are no longer excluded get pods again; only for a caller that has just reserved the addresses in use.
    /// </param>
    /// <returns>Whether interfaces remain that should get pods again.</returns>
    public bool ApplyPlacement(bool readmits)
    {
        lock (_exclusionLock)
        {
            CloudInterface[] known;
            lock (_lock)
                known = [.. _known.Values];
            var exclusions = known.ToDictionary(item => item.Id, placement.IsExcluded);
            var remain = !readmits && exclusions.Any(pair => !pair.Value && ledger.IsExcluded(pair.Key));
            ledger.Exclude(readmits ? exclusions : exclusions.Where(pair => pair.Value).ToDictionary());
            return remain;
        }
    }

    /// <summary>
    /// Interfaces for pods whose security groups differ from the desired ones, with the desired ones. Skips the primary interface, whose
    /// owner decides.
    /// </summary>
    public IReadOnlyList<(NetworkInterfaceId Id, IReadOnlyList<string> Groups)> WithOutdatedGroups()
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
            foreach (var item in _known.Values.Where(item => adopted.Contains(item.Id) && item.CarriesPods))
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

    /// <summary>Records security groups that this daemon set.</summary>
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
            _incomplete.Remove(id);
        }
    }

    private void Store(
        IReadOnlyList<CloudInterface> attached,
        HashSet<NetworkInterfaceId> repaired,
        HashSet<NetworkInterfaceId> failed,
        bool isEachLinkConfigured
    )
    {
        lock (_lock)
        {
            // Interfaces added while the description was requested, or shortly before, may be missing in it and are kept.
            foreach (var (id, at) in _adopted.ToArray())
            {
                if (time.GetUtcNow() - at >= IpLedger.ConsistencyWindow)
                    _adopted.Remove(id);
            }

            foreach (var missing in _known.Keys.Where(id => !_adopted.ContainsKey(id) && attached.All(item => item.Id != id)).ToArray())
                _known.Remove(missing);
            foreach (
                var id in _groups
                    .Where(pair => time.GetUtcNow() - pair.Value.At >= IpLedger.ConsistencyWindow)
                    .Select(pair => pair.Key)
                    .ToArray()
            )
                _groups.Remove(id);
            foreach (var item in attached)
                _known[item.Id] = _groups.TryGetValue(item.Id, out var recent) ? item with { SecurityGroupIds = recent.Groups } : item;
            _incomplete.RemoveWhere(id => !_known.ContainsKey(id) || repaired.Contains(id));
            _incomplete.UnionWith(failed);
            _isEachLinkConfigured = isEachLinkConfigured;
        }
    }

    /// <summary>Repairs what a crash may have left out. Returns false when a retry soon may succeed.</summary>
    private async Task<bool> RepairAsync(CloudInterface item, CancellationToken cancellationToken)
    {
        try
        {
            if (item.IsIncomplete)
                await cloud.Interfaces.RepairAsync(item, cancellationToken);
            return true;
        }
        catch (CloudException exception)
        {
            Log.RepairFailed(logger, item.Id, exception);
            return exception.Kind
                is not (CloudErrorKind.Transient or CloudErrorKind.Throttled or CloudErrorKind.NotFound or CloudErrorKind.Conflict);
        }
    }

    private async Task<bool> TryConfigureLinkAsync(CloudInterface item, CancellationToken cancellationToken)
    {
        _awaited.Begin(item);
        try
        {
            await host.EnsureInterfaceAsync(wiring.Of(item), TimeSpan.Zero, cancellationToken);
            _awaited.Wired(item.Id);
            return true;
        }
        catch (HostNetworkException exception)
        {
            // The other interfaces still serve pods. The next observation retries, and the link requests one when it appears.
            _awaited.Failed(item.Id, exception.Message);
            Log.LinkNotConfigured(logger, item.Id, exception);
            return false;
        }
    }

    private InterfaceObservation ToObservation(CloudInterface item, bool carriesPods) =>
        new()
        {
            Id = item.Id,
            Slot = item.Slot,
            PrimaryAddress = item.PrimaryAddress,
            SubnetId = item.SubnetId,
            Blocks = item.Blocks,
            CarriesPods = carriesPods,
            // An observation ends no exclusion: that requires a check of the kernel.
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
            "the interface could not be tagged, or set to be deleted with the instance: the next observation retries it"
        )]
        public static partial void RepairFailed(ILogger logger, NetworkInterfaceId eni, Exception exception);

        [LoggerMessage(
            22,
            LogLevel.Warning,
            "the interface is attached but its link could not be configured: no pod gets its addresses until a retry succeeds, when "
                + "the link appears or at the next observation"
        )]
        public static partial void LinkNotConfigured(ILogger logger, NetworkInterfaceId eni, Exception exception);
    }
}
