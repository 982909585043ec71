// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// Plans what to add. Fills existing interfaces before it adds new ones. With prefix delegation, the last prefix may exceed max pods, since
/// it takes one slot and one call; single addresses replace prefixes where no subnet has a whole one. Skips interfaces with an open intent
/// and waits for their free slots instead of adding slots elsewhere.
/// </summary>
internal sealed class GrowthPlan
{
    private readonly PoolSnapshot _snapshot;
    private readonly PoolTargets _targets;
    private readonly PoolCounts _counts;
    private readonly DateTimeOffset _now;
    private readonly List<PoolAction> _actions = [];
    private readonly Dictionary<NetworkInterfaceId, int> _taken = [];
    private readonly Dictionary<string, int> _takenFromSubnet = [];
    private readonly Dictionary<string, int> _prefixesFromSubnet = [];
    private readonly Dictionary<string, int?> _free = [];
    private readonly HashSet<int> _deviceIndexes;
    private readonly HashSet<NetworkInterfaceId> _busy;
    private int _interfaces;
    private GrowthObstacle? _refused;
    private bool _isSubnetExhausted;

    private GrowthPlan(PoolSnapshot snapshot, PoolTargets targets, PoolCounts counts, DateTimeOffset now)
    {
        (_snapshot, _targets, _counts, _now) = (snapshot, targets, counts, now);
        var adds = snapshot.Ledger.Intents.Select(open => open.Intent).OfType<Intent.AddInterface>().ToArray();
        _busy = [.. snapshot.Ledger.Intents.Select(open => open.Intent.InterfaceId).OfType<NetworkInterfaceId>()];
        _interfaces = snapshot.Ledger.Interfaces.Count(item => item.NetworkCard == 0) + adds.Length;
        _deviceIndexes =
        [
            .. snapshot
                .Ledger.Interfaces.Where(item => item.NetworkCard == 0)
                .Select(item => item.DeviceIndex)
                .Concat(adds.Select(add => add.DeviceIndex)),
        ];
        foreach (var subnet in snapshot.Subnets)
            _free[subnet.Id] = subnet.FreeAddresses;
        Shortage = ShortageOf();
        if (Shortage <= 0)
            return;
        Deferred = snapshot.Awaited.Count;
        Grow();
        if (snapshot.Obstacles.Everything is { } everything)
            Stop(everything);
        // Pending ADDs wait for these links, and are served once they appear, whatever else the targets ask for.
        if (snapshot.Awaited.Count > 0 && !IsBeyondReach)
            Obstacle = snapshot.Awaited.Obstacle;
    }

    public IReadOnlyList<PoolAction> Actions => _actions;

    /// <summary>Number of missing addresses; zero or negative when none is missing.</summary>
    public int Shortage { get; }

    /// <summary>Number of addresses that <see cref="Actions"/> add.</summary>
    public int Added { get; private set; }

    /// <summary>Number of addresses that become available when open intents end or links appear.</summary>
    public int Deferred { get; private set; }
    public GrowthObstacle? Obstacle { get; private set; }

    public static GrowthPlan Plan(PoolSnapshot snapshot, PoolTargets targets, PoolCounts counts, DateTimeOffset now) =>
        new(snapshot, targets, counts, now);

    /// <summary>
    /// The reference's formulas (docs/eni-and-ip-target.md), with pending ADDs as demand. An empty pool always counts as too low; otherwise
    /// the next pod would have to wait for the cloud.
    /// </summary>
    private int ShortageOf()
    {
        if (_snapshot.IsUnschedulable)
            return -_counts.Available;
        if (_targets.UsesAddressTargets)
            return Math.Max(
                Math.Max(_targets.WarmIpTarget, 1) - _counts.Available,
                _targets.MinimumIpTarget - _counts.Total - _counts.Pending
            );
        var warm = _targets.UsesPrefixes
            ? _targets.WarmPrefixTarget * PoolTargets.PrefixSize
            : _targets.WarmEniTarget * _snapshot.Capacity.BlocksPerInterface;
        return Math.Max(warm, 1) - _counts.Available;
    }

    private void Grow()
    {
        Deferred += DeferredAddresses();
        // Slots behind a change with an unknown outcome are unusable for now, which is not the node's limit.
        if (HasStuckRoom())
        {
            Refuse(
                new GrowthObstacle(
                    GrowthObstacleKind.CloudFailure,
                    _now + PoolLimits.FirstResume,
                    "the outcome of a change in the cloud is not known yet"
                )
            );
        }

        var need = Shortage - Deferred;
        if (need <= 0)
            return;
        // The targets alone never exceed what the node can run.
        var room = Math.Max(_snapshot.Capacity.MaxPods - _counts.Total - _counts.Pending, 0);
        var left = _targets.UsesPrefixes ? GrowByPrefixes(need, room) : GrowByAddresses(need, room);
        if (left <= 0)
            return;
        Obstacle =
            room - Added <= 0
                ? new GrowthObstacle(
                    GrowthObstacleKind.MaxPods,
                    null,
                    $"the node runs at most {_snapshot.Capacity.MaxPods} pods and has {_counts.Total} addresses attached"
                )
                : CurrentObstacle() ?? new GrowthObstacle(GrowthObstacleKind.InterfaceLimit, null, Limit());
        // For pending ADDs the outcome of the retry in progress decides, not the obstacles to the rest of the plan.
        if (_snapshot.Obstacles.Retried is { } retried && _snapshot.Waiting.Count > 0 && HasRoom && !IsBeyondReach)
            Obstacle = retried;
    }

    /// <summary>Whether free, pending and planned addresses together cannot serve every pending ADD.</summary>
    private bool IsBeyondReach => _snapshot.Waiting.Count > _snapshot.Ledger.Free + _counts.Pending + Added + Deferred;

    /// <summary>Whether something is being added, or would be.</summary>
    private bool HasRoom => _actions.Count > 0 || _counts.Pending > 0 || Deferred > _snapshot.Awaited.Count;

    /// <summary>
    /// Drops all actions. When the node has no room anyway, it reports that instead of throttling, because it outlasts the throttling.
    /// </summary>
    private void Stop(GrowthObstacle everything)
    {
        var hasNoRoom = Obstacle is { Until: null, MayEndAnyMoment: false } && !HasRoom;
        if (everything.Kind != GrowthObstacleKind.Throttled || !hasNoRoom)
            Obstacle = everything;
        _actions.Clear();
        (Added, Deferred) = (0, _snapshot.Awaited.Count);
    }

    /// <summary>
    /// The obstacle of the existing interfaces, since it says when to retry; without one, why no interface can be added. Pending ADDs keep
    /// waiting when either may end at any moment.
    /// </summary>
    private GrowthObstacle? CurrentObstacle() =>
        _refused is null ? _snapshot.PlacementObstacle
        : _snapshot.PlacementObstacle is { MayEndAnyMoment: true } ? _refused with { MayEndAnyMoment = true }
        : _refused;

    private string Limit()
    {
        var excluded = _snapshot.Ledger.Interfaces.Count(item => item is { CarriesPods: true, IsExcluded: true, IsPrimary: false });
        return $"all {_snapshot.Capacity.MaxInterfaces} interfaces of this node are attached"
            + (_snapshot.Capacity.UsesPrimary ? "" : ", the primary one carries no pods")
            + (excluded > 0 ? $", {excluded} are in subnets that new pods do not use and are removed when empty" : "")
            + $", and carry {_snapshot.Capacity.BlocksPerInterface} blocks each";
    }

    private int GrowByAddresses(int need, int room)
    {
        // Interface mode fills whole interfaces, as the reference does; address targets add only what is missing.
        var fill = !_targets.UsesAddressTargets && !_snapshot.IsUnschedulable;
        var left = need;
        var ahead = Refill.Ahead(_snapshot, _targets, _now);
        left -= FillExisting(BlockKind.Ipv4Address, left, room, fill, ahead);
        left -= FillNew(BlockKind.Ipv4Address, left, room - Added, fill, ahead);
        return left;
    }

    private int GrowByPrefixes(int need, int room)
    {
        const int size = PoolTargets.PrefixSize;
        var prefixes = (need + size - 1) / size;
        if (!_targets.UsesAddressTargets && !_snapshot.IsUnschedulable)
            prefixes = Math.Max(prefixes, _targets.WarmPrefixTarget - _counts.FreePrefixes - _counts.PendingPrefixes);
        prefixes = Math.Min(prefixes, (room + size - 1) / size);
        var added = 0;
        if (prefixes > 0)
        {
            added += FillExisting(BlockKind.Ipv4Prefix, prefixes * size, int.MaxValue, fill: false);
            added += FillNew(BlockKind.Ipv4Prefix, (prefixes * size) - added, int.MaxValue, fill: false);
        }

        var left = Math.Min(need, room) - added;
        if (left > 0 && _isSubnetExhausted)
        {
            // Single addresses fill free slots. They justify a new interface only when an ADD is pending or nothing is free.
            added += FillExisting(BlockKind.Ipv4Address, left, room - added, fill: false);
            var mustGrow = _counts.Available + added < 0 || (_counts.Free + _counts.Pending + added == 0);
            if (mustGrow)
                added += FillNew(BlockKind.Ipv4Address, Math.Max(-(_counts.Available + added), 1), room - added, fill: false);
        }

        return need - added;
    }

    /// <summary>
    /// Fills existing interfaces and returns the number of addresses added. Adds up to <paramref name="ahead"/> addresses to calls that are
    /// needed anyway.
    /// </summary>
    private int FillExisting(BlockKind kind, int wanted, int room, bool fill, int ahead = 0)
    {
        var placed = 0;
        foreach (var item in _counts.Usable)
        {
            if (placed >= wanted)
                break;
            if (Slots(item) is not (var slots and > 0))
                continue;
            if (_snapshot.Obstacles.Interfaces.GetValueOrDefault(item.Id) is { } full)
            {
                Refuse(full);
                continue;
            }

            var count = Count(kind, item.SubnetId, isNew: false, slots, wanted + ahead - placed, room - placed, fill);
            if (count == 0)
                continue;
            _taken[item.Id] = _taken.GetValueOrDefault(item.Id) + count;
            Take(item.SubnetId, kind, count, isNew: false);
            _actions.Add(new PoolAction.AssignBlocks(item.Id, item.SubnetId, new BlockRequest(kind, count)));
            placed += count * PoolCounts.SizeOf(kind);
        }

        Added += placed;
        return placed;
    }

    /// <summary>Adds interfaces and returns the number of addresses added. Adds none for <paramref name="ahead"/> alone.</summary>
    private int FillNew(BlockKind kind, int wanted, int room, bool fill, int ahead = 0)
    {
        var placed = 0;
        for (var index = 1; placed < wanted && _interfaces < _snapshot.Capacity.MaxInterfaces; index++)
        {
            if (_deviceIndexes.Contains(index))
                continue;
            if (_snapshot.PlacementObstacle is not null)
                break;
            if (_snapshot.Obstacles.NewInterfaces is { } obstacle)
            {
                Refuse(obstacle);
                break;
            }

            var (subnet, count) = _snapshot
                .Subnets.OrderByDescending(candidate => Left(candidate.Id))
                .Select(candidate => (candidate, CountOnNew(kind, candidate.Id, wanted + ahead - placed, room - placed, fill)))
                .FirstOrDefault(choice => choice.Item2 > 0);
            if (subnet is null)
                break;
            Take(subnet.Id, kind, count, isNew: true);
            _actions.Add(new PoolAction.AddInterface(index, subnet.Id, new BlockRequest(kind, count)));
            _deviceIndexes.Add(index);
            _interfaces++;
            placed += count * PoolCounts.SizeOf(kind);
        }

        Added += placed;
        return placed;
    }

    /// <summary>
    /// Number of blocks to request from one subnet; 0 when it has none. Bounded by the subnet's known free addresses less a new interface's
    /// own address, since the cloud gives all or nothing. The number of whole prefixes is unknown, so an existing interface asks for all it
    /// needs.
    /// </summary>
    private int Count(BlockKind kind, string subnetId, bool isNew, int slots, int wanted, int room, bool fill)
    {
        var size = PoolCounts.SizeOf(kind);
        var count = fill ? slots : Math.Min(slots, (wanted + size - 1) / size);
        count = Math.Max(Math.Min(count, size == 1 ? room : int.MaxValue), 0);
        if (count == 0)
            return 0;
        if (_snapshot.Obstacles.ObstacleFor(subnetId, kind, isNew) is { } obstacle)
        {
            RefuseSubnet(obstacle);
            return 0;
        }

        var free = size > 1 && !isNew ? int.MaxValue : Math.Max(Left(subnetId) - (isNew ? 1 : 0), 0) / size;
        if (free < count)
        {
            var need = isNew ? "another interface" : "all that is needed";
            RefuseSubnet(
                new GrowthObstacle(
                    GrowthObstacleKind.SubnetExhausted,
                    _now + PoolLimits.SubnetBackoff,
                    $"subnet {subnetId} has {_free[subnetId]} free addresses, too few for {need}"
                )
            );
            count = free;
        }

        if (_snapshot.Obstacles.Subnets.GetValueOrDefault(subnetId) is not { } refused || count == 0)
            return count;
        var (refusal, available) =
            size > 1
                ? (refused.Prefixes, refused.PrefixesAtOnce - _prefixesFromSubnet.GetValueOrDefault(subnetId))
                : (refused.Addresses, refused.AddressesAtOnce - _takenFromSubnet.GetValueOrDefault(subnetId) - (isNew ? 1 : 0));
        if (refusal is null || available >= count)
            return count;
        // Part of it can be assigned now; the rest is requested afterwards.
        Refuse(refusal with { MayEndAnyMoment = true });
        return Math.Max(available, 0);
    }

    private int CountOnNew(BlockKind kind, string subnetId, int wanted, int room, bool fill) =>
        Count(kind, subnetId, isNew: true, _snapshot.Capacity.BlocksPerInterface, wanted, room, fill);

    private void Take(string subnetId, BlockKind kind, int count, bool isNew)
    {
        _takenFromSubnet[subnetId] = _takenFromSubnet.GetValueOrDefault(subnetId) + (isNew ? 1 : 0) + (count * PoolCounts.SizeOf(kind));
        if (kind == BlockKind.Ipv4Prefix)
            _prefixesFromSubnet[subnetId] = _prefixesFromSubnet.GetValueOrDefault(subnetId) + count;
    }

    /// <summary>Free addresses of a subnet after this plan; <see cref="int.MaxValue"/> when unknown.</summary>
    private int Left(string subnetId) =>
        _free.GetValueOrDefault(subnetId) is { } free ? free - _takenFromSubnet.GetValueOrDefault(subnetId) : int.MaxValue;

    private void RefuseSubnet(GrowthObstacle obstacle)
    {
        _isSubnetExhausted = true;
        Refuse(obstacle);
    }

    /// <summary>Keeps the obstacle that ends first: it says when a retry may help.</summary>
    private void Refuse(GrowthObstacle obstacle)
    {
        if (_refused is null || obstacle.EndsBefore(_refused))
            _refused = obstacle;
    }

    /// <summary>Free block slots of an interface; 0 while it has an open intent or an action of this plan.</summary>
    private int Slots(InterfaceView item) =>
        _busy.Contains(item.Id) || _taken.ContainsKey(item.Id) ? 0 : _snapshot.Capacity.BlocksPerInterface - item.Blocks.Count;

    private int DeferredAddresses()
    {
        var slots = 0;
        foreach (var open in _snapshot.Ledger.Intents)
        {
            if (!IsExpected(open))
                continue;
            slots += open.Intent switch
            {
                Intent.AddInterface { IsUndoing: false } add => _snapshot.Capacity.BlocksPerInterface - add.Blocks.Count,
                Intent.AssignBlocks assign => Room(assign.Interface) - assign.Blocks.Count,
                Intent.ReleaseBlocks release => Room(release.Interface),
                _ => 0,
            };
        }

        return slots * _targets.BlockSize;
    }

    private bool HasStuckRoom() =>
        _snapshot.Ledger.Intents.Any(open => !IsExpected(open) && open.Intent.InterfaceId is { } id && Room(id) > 0);

    /// <summary>Whether the intent is running, or its outcome will show within <see cref="IpLedger.OutcomeWindow"/>.</summary>
    private bool IsExpected(OpenIntent open) =>
        open.IsRunning || open.OutcomeUnknownSince is not { } since || _now - since < IpLedger.OutcomeWindow;

    private int Room(NetworkInterfaceId id) =>
        _counts.Usable.FirstOrDefault(item => item.Id == id) is { } item
        && !_snapshot.Obstacles.Interfaces.ContainsKey(id)
        && _snapshot.Obstacles.ObstacleFor(
            item.SubnetId,
            _targets.UsesPrefixes ? BlockKind.Ipv4Prefix : BlockKind.Ipv4Address,
            isNew: false
        )
            is null
            ? Math.Max(_snapshot.Capacity.BlocksPerInterface - item.Blocks.Count, 0)
            : 0;
}
