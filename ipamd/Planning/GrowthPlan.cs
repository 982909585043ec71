// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

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
    private readonly FamilyCapacity _lead;
    private readonly List<PoolChange> _changes = [];
    private readonly Dictionary<NetworkInterfaceId, int> _taken = [];
    private readonly Dictionary<string, int> _takenFromSubnet = [];
    private readonly Dictionary<string, int> _prefixesFromSubnet = [];
    private readonly Dictionary<string, int?> _free = [];
    private readonly HashSet<Slot> _slots;
    private readonly HashSet<NetworkInterfaceId> _busy;
    private int _interfaces;
    private GrowthObstacle? _refused;
    private bool _isSubnetExhausted;

    private GrowthPlan(PoolSnapshot snapshot, PoolTargets targets, PoolCounts counts, DateTimeOffset now)
    {
        (_snapshot, _targets, _counts, _now) = (snapshot, targets, counts, now);
        _lead = snapshot.Capacity.Lead;
        var adds = snapshot.Ledger.Intents.Select(open => open.Intent.Change).OfType<PoolChange.AddInterface>().ToArray();
        _busy = [.. snapshot.Ledger.Intents.Select(open => open.Intent.InterfaceId).OfType<NetworkInterfaceId>()];
        Slot[] attached = [.. snapshot.Ledger.Interfaces.Select(item => item.Slot).Where(slot => slot.NetworkCard == 0)];
        _interfaces = attached.Length + adds.Length;
        _slots = [.. attached, .. adds.Select(add => add.Slot)];
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

    public IReadOnlyList<PoolChange> Changes => _changes;

    /// <summary>Number of missing addresses; zero or negative when none is missing.</summary>
    public int Shortage { get; }

    /// <summary>Number of addresses that <see cref="Changes"/> add.</summary>
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
        // Single addresses of another mode serve pods until the prefix is there, and do not stand in for it.
        if (_snapshot.Capacity.HasOneBlockForAll)
            return 1 - (_counts.Available - _counts.FreeSingles);
        if (_targets.UsesAddressTargets)
            return Math.Max(
                Math.Max(_targets.WarmIpTarget, 1) - _counts.Available,
                _targets.MinimumIpTarget - _counts.Total - _counts.Pending
            );
        var warm = _lead.Shape.IsSingle ? _targets.WarmEniTarget * _lead.BlocksPerInterface : _targets.WarmPrefixTarget * _lead.Shape.Size;
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
                    _now + PoolLimits.Resumes.First,
                    "the outcome of a change in the cloud is not known yet"
                )
            );
        }

        var need = Shortage - Deferred;
        if (need <= 0)
            return;
        // The targets alone never exceed what the node can run.
        var room = Math.Max(_snapshot.Capacity.MaxPods - _counts.Total - _counts.Pending, _snapshot.Capacity.HasOneBlockForAll ? 1 : 0);
        var left = _lead.Shape.IsSingle ? GrowByAddresses(need, room) : GrowByPrefixes(need, room);
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
    private bool HasRoom => _changes.Count > 0 || _counts.Pending > 0 || Deferred > _snapshot.Awaited.Count;

    /// <summary>
    /// Drops all changes. When the node has no room anyway, it reports that instead of throttling, because it outlasts the throttling.
    /// </summary>
    private void Stop(GrowthObstacle everything)
    {
        var hasNoRoom = Obstacle is { Until: null, MayEndAnyMoment: false } && !HasRoom;
        if (everything.Kind != GrowthObstacleKind.Throttled || !hasNoRoom)
            Obstacle = everything;
        _changes.Clear();
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
        if (_lead.BlocksPerInterface == 0)
            return $"this instance type has no {IpFamily.Name(_lead.Shape.Family)} addresses";
        if (_snapshot.Capacity.HasOneBlockForAll)
            return "the primary interface gets no prefix now, and pods have addresses of no other";
        var excluded = _snapshot.Ledger.Interfaces.Count(item => item is { CarriesPods: true, IsExcluded: true, IsPrimary: false });
        return $"all {_snapshot.Capacity.MaxInterfaces} interfaces of this node are attached"
            + (_snapshot.Capacity.UsesPrimary ? "" : ", the primary one carries no pods")
            + (excluded > 0 ? $", {excluded} are in subnets that new pods do not use and are removed when empty" : "")
            + $", and carry {_lead.BlocksPerInterface} blocks each";
    }

    private int GrowByAddresses(int need, int room)
    {
        // Interface mode fills whole interfaces, as the reference does; address targets add only what is missing.
        var fill = !_targets.UsesAddressTargets && !_snapshot.IsUnschedulable;
        var left = need;
        var ahead = Refill.Ahead(_snapshot, _targets, _now);
        left -= FillExisting(_lead.Single, left, room, fill, ahead);
        left -= FillNew(_lead.Single, left, room - Added, fill, ahead);
        return left;
    }

    private int GrowByPrefixes(int need, int room)
    {
        var prefixes = _lead.Shape.CountFor(need);
        if (!_targets.UsesAddressTargets && !_snapshot.IsUnschedulable && !_snapshot.Capacity.HasOneBlockForAll)
            prefixes = Math.Max(prefixes, _targets.WarmPrefixTarget - _counts.FreePrefixes - _counts.PendingPrefixes);
        prefixes = Math.Min(prefixes, _lead.Shape.CountFor(room));
        var added = 0;
        if (prefixes > 0)
        {
            added += FillExisting(_lead.Shape, prefixes * _lead.Shape.Size, int.MaxValue, fill: false);
            added += FillNew(_lead.Shape, (prefixes * _lead.Shape.Size) - added, int.MaxValue, fill: false);
        }

        var left = Math.Min(_snapshot.Capacity.HasOneBlockForAll ? 1 - _counts.Available : need, room) - added;
        if (left > 0 && _isSubnetExhausted)
        {
            // Single addresses fill free slots. They justify a new interface only when an ADD is pending or nothing is free.
            added += FillExisting(_lead.Single, left, room - added, fill: false);
            var mustGrow = _counts.Available + added < 0 || (_counts.Free + _counts.Pending + added == 0);
            if (mustGrow)
                added += FillNew(_lead.Single, Math.Max(-(_counts.Available + added), 1), room - added, fill: false);
        }

        return need - added;
    }

    /// <summary>
    /// Fills existing interfaces and returns the number of addresses added. Adds up to <paramref name="ahead"/> addresses to calls that are
    /// needed anyway.
    /// </summary>
    private int FillExisting(BlockShape shape, int wanted, int room, bool fill, int ahead = 0)
    {
        var placed = 0;
        foreach (var item in _counts.Usable.Where(item => item.IsPrimary || !_snapshot.Capacity.HasOneBlockForAll))
        {
            if (placed >= wanted)
                break;
            if (Slots(item) is not (var slots and > 0))
                continue;
            var refusal =
                _snapshot.Obstacles.Interfaces.GetValueOrDefault((item.Id, shape.Family)) ?? PairingPlan.ObstacleFor(_snapshot, item);
            if (refusal is { } full)
            {
                Refuse(full);
                continue;
            }

            var count = Count(shape, item.SubnetId, isNew: false, slots, wanted + ahead - placed, room - placed, fill);
            if (count == 0)
                continue;
            _taken[item.Id] = _taken.GetValueOrDefault(item.Id) + count;
            Take(item.SubnetId, shape, count, isNew: false);
            _changes.Add(new PoolChange.AssignBlocks(item.Id, item.SubnetId, new BlockRequest(shape, count)));
            placed += count * shape.Size;
        }

        Added += placed;
        return placed;
    }

    /// <summary>Adds interfaces and returns the number of addresses added. Adds none for <paramref name="ahead"/> alone.</summary>
    private int FillNew(BlockShape shape, int wanted, int room, bool fill, int ahead = 0)
    {
        var placed = 0;
        if (_snapshot.Capacity.HasOneBlockForAll)
            return 0;
        for (var index = 1; placed < wanted && _interfaces < _snapshot.Capacity.MaxInterfaces; index++)
        {
            var slot = new Slot(NetworkCard: 0, index);
            if (_slots.Contains(slot))
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
                .Select(candidate => (candidate, CountOnNew(shape, candidate.Id, wanted + ahead - placed, room - placed, fill)))
                .FirstOrDefault(choice => choice.Item2 > 0);
            if (subnet is null)
                break;
            Take(subnet.Id, shape, count, isNew: true);
            _changes.Add(new PoolChange.AddInterface(slot, subnet.Id, subnet.SecurityGroupIds, Blocks(new BlockRequest(shape, count))));
            _slots.Add(slot);
            _interfaces++;
            placed += count * shape.Size;
        }

        Added += placed;
        return placed;
    }

    /// <summary>
    /// Number of blocks to request from one subnet; 0 when it has none. Bounded by the subnet's known free addresses less a new interface's
    /// own address, since the cloud gives all or nothing. The number of whole prefixes is unknown, so an existing interface asks for all it
    /// needs.
    /// </summary>
    private int Count(BlockShape shape, string subnetId, bool isNew, int slots, int wanted, int room, bool fill)
    {
        var size = shape.Size;
        var count = fill ? slots : Math.Min(slots, shape.CountFor(wanted));
        count = Math.Max(Math.Min(count, size == 1 ? room : int.MaxValue), 0);
        if (count == 0)
            return 0;
        if (_snapshot.Obstacles.ObstacleFor(subnetId, shape, isNew) is { } obstacle)
        {
            RefuseSubnet(obstacle);
            return 0;
        }

        // A description counts free IPv4 addresses; a subnet's IPv6 range has 2^64.
        var isUnknown = shape.Family == IpFamily.V6 || (size > 1 && !isNew);
        var free = isUnknown ? int.MaxValue : Math.Max(Left(subnetId) - (isNew ? 1 : 0), 0) / size;
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

        if (_snapshot.Obstacles.Subnets.GetValueOrDefault((subnetId, shape.Family)) is not { } refused || count == 0)
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

    private int CountOnNew(BlockShape shape, string subnetId, int wanted, int room, bool fill)
    {
        if (PairingPlan.ObstacleForNew(_snapshot, subnetId) is not { } obstacle)
            return Count(shape, subnetId, isNew: true, _lead.BlocksPerInterface, wanted, room, fill);
        Refuse(obstacle);
        return 0;
    }

    private void Take(string subnetId, BlockShape shape, int count, bool isNew)
    {
        _takenFromSubnet[subnetId] = _takenFromSubnet.GetValueOrDefault(subnetId) + (isNew ? 1 : 0) + (count * shape.Size);
        if (!shape.IsSingle)
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

    /// <summary>Free places for blocks on an interface; 0 while it has an open intent or a change in this plan.</summary>
    private int Slots(InterfaceView item) =>
        _busy.Contains(item.Id) || _taken.ContainsKey(item.Id) ? 0 : _lead.BlocksPerInterface - Used(item);

    /// <summary>Number of blocks of the lead family.</summary>
    private int Used(InterfaceView item) => item.Blocks.Count(block => block.Family == _lead.Shape.Family);

    /// <summary>
    /// The blocks of a new interface: in dual stack with as many addresses of the other family.
    /// </summary>
    private IReadOnlyList<BlockRequest> Blocks(BlockRequest lead)
    {
        if (_snapshot.Capacity.Other is not { } other)
            return [lead];
        var count = Math.Min(other.Shape.CountFor(lead.Addresses), other.BlocksPerInterface);
        return count > 0 ? [lead, new BlockRequest(other.Shape, count)] : [lead];
    }

    private int DeferredAddresses()
    {
        var slots = 0;
        foreach (var open in _snapshot.Ledger.Intents)
        {
            if (!IsExpected(open))
                continue;
            slots += open.Intent.Change.Match(
                assign => Room(assign.Interface) - Lead(assign.Blocks),
                add => open.Intent.IsAdding ? _lead.BlocksPerInterface - add.Blocks.Sum(Lead) : 0,
                release => Room(release.Interface),
                remove => 0
            );
        }

        return slots * _lead.Shape.Size;
    }

    private int Lead(BlockRequest request) => request.Shape.Family == _lead.Shape.Family ? request.Count : 0;

    private bool HasStuckRoom() =>
        _snapshot.Ledger.Intents.Any(open => !IsExpected(open) && open.Intent.InterfaceId is { } id && Room(id) > 0);

    /// <summary>Whether the intent is running, or its outcome will show within <see cref="IpLedger.OutcomeWindow"/>.</summary>
    private bool IsExpected(OpenIntent open) =>
        open.IsRunning || open.OutcomeUnknownSince is not { } since || _now - since < IpLedger.OutcomeWindow;

    private int Room(NetworkInterfaceId id) =>
        _counts.Usable.FirstOrDefault(item => item.Id == id) is { } item
        && !_snapshot.Obstacles.Interfaces.ContainsKey((id, _lead.Shape.Family))
        && _snapshot.Obstacles.ObstacleFor(item.SubnetId, _lead.Shape, isNew: false) is null
            ? Math.Max(_lead.BlocksPerInterface - Used(item), 0)
            : 0;
}
