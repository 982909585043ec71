// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// What to add. Existing interfaces are filled before new ones are made. With prefix delegation, single addresses stand in where no subnet
/// has a whole prefix: the last prefix may exceed what the node can run, since it takes one slot and one call. An interface on which
/// something is being done is left alone until that is over; the room that it has is waited for rather than made elsewhere.
/// </summary>
internal sealed class GrowthPlan
{
    private readonly PoolSnapshot _snapshot;
    private readonly PoolTargets _targets;
    private readonly PoolCounts _numbers;
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
    private bool _isSubnetShort;

    private GrowthPlan(PoolSnapshot snapshot, PoolTargets targets, PoolCounts numbers, DateTimeOffset now)
    {
        (_snapshot, _targets, _numbers, _now) = (snapshot, targets, numbers, now);
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
        // Those who wait are served as soon as links are there, whatever else the targets ask for: that is what they wait for.
        if (snapshot.Awaited.Count > 0 && !IsBeyondReach)
            Obstacle = snapshot.Awaited.Obstacle;
    }

    public IReadOnlyList<PoolAction> Actions => _actions;

    /// <summary>Addresses missing; not positive when none are.</summary>
    public int Shortage { get; }

    /// <summary>Addresses that the actions bring.</summary>
    public int Added { get; private set; }

    /// <summary>Addresses that can be had when what is being done to some interface is over, or its link is there.</summary>
    public int Deferred { get; private set; }
    public GrowthObstacle? Obstacle { get; private set; }

    public static GrowthPlan Plan(PoolSnapshot snapshot, PoolTargets targets, PoolCounts numbers, DateTimeOffset now) =>
        new(snapshot, targets, numbers, now);

    /// <summary>
    /// The reference's formulas (docs/eni-and-ip-target.md), with those who wait as demand; and an empty pool always counts as too low,
    /// else the next pod would have to wait for the cloud.
    /// </summary>
    private int ShortageOf()
    {
        if (_snapshot.IsUnschedulable)
            return -_numbers.Available;
        if (_targets.UsesAddressTargets)
            return Math.Max(
                Math.Max(_targets.WarmIpTarget, 1) - _numbers.Available,
                _targets.MinimumIpTarget - _numbers.Total - _numbers.Pending
            );
        var warm = _targets.UsesPrefixes
            ? _targets.WarmPrefixTarget * PoolTargets.PrefixSize
            : _targets.WarmEniTarget * _snapshot.Capacity.BlocksPerInterface;
        return Math.Max(warm, 1) - _numbers.Available;
    }

    private void Grow()
    {
        Deferred += DeferredAddresses();
        // Room that nobody can use before it is known what became of a change is no limit of the node.
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
        var room = Math.Max(_snapshot.Capacity.MaxPods - _numbers.Total - _numbers.Pending, 0);
        var left = _targets.UsesPrefixes ? GrowByPrefixes(need, room) : GrowByAddresses(need, room);
        if (left <= 0)
            return;
        Obstacle =
            room - Added <= 0
                ? new GrowthObstacle(
                    GrowthObstacleKind.MaxPods,
                    null,
                    $"the node runs at most {_snapshot.Capacity.MaxPods} pods and has {_numbers.Total} addresses attached"
                )
                : Standing() ?? new GrowthObstacle(GrowthObstacleKind.InterfaceLimit, null, Limit());
        // Those who wait get what is tried again at this moment: its outcome decides, and not what stands against the rest.
        if (_snapshot.Obstacles.Retried is { } retried && _snapshot.Waiting.Count > 0 && HasRoom && !IsBeyondReach)
            Obstacle = retried;
    }

    /// <summary>Some of those who wait cannot be served by anything that is free, under way or planned.</summary>
    private bool IsBeyondReach => _snapshot.Waiting.Count > _snapshot.Ledger.Free + _numbers.Pending + Added + Deferred;

    /// <summary>Something is being added, or would be.</summary>
    private bool HasRoom => _actions.Count > 0 || _numbers.Pending > 0 || Deferred > _snapshot.Awaited.Count;

    /// <summary>
    /// Nothing is added now. A node that has no room for more anyway is told that, since it stays so when the obstacle ends.
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
    /// What is refused on the interfaces that are there says when to try again; without that, why there are no others. Those who wait go on
    /// waiting when either may end at any moment.
    /// </summary>
    private GrowthObstacle? Standing() =>
        _refused is null ? _snapshot.NoPlace
        : _snapshot.NoPlace is { MayEndAnyMoment: true } ? _refused with { MayEndAnyMoment = true }
        : _refused;

    private string Limit()
    {
        var excluded = _snapshot.Ledger.Interfaces.Count(item => item is { CarriesPods: true, IsExcluded: true, IsPrimary: false });
        return $"all {_snapshot.Capacity.MaxInterfaces} interfaces of this node are attached"
            + (_snapshot.Capacity.UsesPrimary ? "" : ", the primary one carries no pods")
            + (excluded > 0 ? $", {excluded} are in subnets that new pods do not use and go when they are empty" : "")
            + $", and carry {_snapshot.Capacity.BlocksPerInterface} blocks each";
    }

    private int GrowByAddresses(int need, int room)
    {
        // In interface mode whole interfaces are filled, as in the reference; with address targets just what is missing is added.
        var fill = !_targets.UsesAddressTargets && !_snapshot.IsUnschedulable;
        var left = need;
        var ahead = Refill.Ahead(_snapshot, _targets, _now);
        left -= Place(BlockKind.Ipv4Address, left, room, fill, ahead);
        left -= PlaceOnNew(BlockKind.Ipv4Address, left, room - Added, fill, ahead);
        return left;
    }

    private int GrowByPrefixes(int need, int room)
    {
        const int size = PoolTargets.PrefixSize;
        var prefixes = (need + size - 1) / size;
        if (!_targets.UsesAddressTargets && !_snapshot.IsUnschedulable)
            prefixes = Math.Max(prefixes, _targets.WarmPrefixTarget - _numbers.FreePrefixes - _numbers.ComingPrefixes);
        prefixes = Math.Min(prefixes, (room + size - 1) / size);
        var added = 0;
        if (prefixes > 0)
        {
            added += Place(BlockKind.Ipv4Prefix, prefixes * size, int.MaxValue, fill: false);
            added += PlaceOnNew(BlockKind.Ipv4Prefix, (prefixes * size) - added, int.MaxValue, fill: false);
        }

        var left = Math.Min(need, room) - added;
        if (left > 0 && _isSubnetShort)
        {
            // Stand-ins fill what room there is. A new interface is not made for them unless somebody waits or nothing is free.
            added += Place(BlockKind.Ipv4Address, left, room - added, fill: false);
            var starving = _numbers.Available + added < 0 || (_numbers.Free + _numbers.Pending + added == 0);
            if (starving)
                added += PlaceOnNew(BlockKind.Ipv4Address, Math.Max(-(_numbers.Available + added), 1), room - added, fill: false);
        }

        return need - added;
    }

    /// <summary>
    /// Fills up the interfaces that are there. Returns the addresses added. What is <paramref name="ahead"/> goes along with a call that is
    /// made anyway.
    /// </summary>
    private int Place(BlockKind kind, int wanted, int room, bool fill, int ahead = 0)
    {
        var placed = 0;
        foreach (var item in _numbers.Usable)
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

    /// <summary>Adds interfaces, none for what is <paramref name="ahead"/> alone. Returns the addresses added.</summary>
    private int PlaceOnNew(BlockKind kind, int wanted, int room, bool fill, int ahead = 0)
    {
        var placed = 0;
        for (var index = 1; placed < wanted && _interfaces < _snapshot.Capacity.MaxInterfaces; index++)
        {
            if (_deviceIndexes.Contains(index))
                continue;
            if (_snapshot.NoPlace is not null)
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
    /// Blocks to ask one subnet for; 0 when it has none. No more than it has beside a new interface's own address, as far as that is known,
    /// since the cloud gives all or nothing. How many whole prefixes it has is not described: an interface that is there asks for them.
    /// </summary>
    private int Count(BlockKind kind, string subnetId, bool isNew, int slots, int wanted, int room, bool fill)
    {
        var size = PoolCounts.SizeOf(kind);
        var count = fill ? slots : Math.Min(slots, (wanted + size - 1) / size);
        count = Math.Max(Math.Min(count, size == 1 ? room : int.MaxValue), 0);
        if (count == 0)
            return 0;
        if (_snapshot.Obstacles.Against(subnetId, kind, isNew) is { } obstacle)
        {
            Lacks(obstacle);
            return 0;
        }

        var has = size > 1 && !isNew ? int.MaxValue : Math.Max(Left(subnetId) - (isNew ? 1 : 0), 0) / size;
        if (has < count)
        {
            var need = isNew ? "another interface" : "all that is needed";
            Lacks(
                new GrowthObstacle(
                    GrowthObstacleKind.SubnetExhausted,
                    _now + PoolLimits.SubnetBackoff,
                    $"subnet {subnetId} has {_free[subnetId]} free addresses, too few for {need}"
                )
            );
            count = has;
        }

        if (_snapshot.Obstacles.Subnets.GetValueOrDefault(subnetId) is not { } refused || count == 0)
            return count;
        var (bound, mayAsk) =
            size > 1
                ? (refused.Prefixes, refused.PrefixesAtOnce - _prefixesFromSubnet.GetValueOrDefault(subnetId))
                : (refused.Addresses, refused.AddressesAtOnce - _takenFromSubnet.GetValueOrDefault(subnetId) - (isNew ? 1 : 0));
        if (bound is null || mayAsk >= count)
            return count;
        // Some may be had, and the rest is asked for when they have been.
        Refuse(bound with { MayEndAnyMoment = true });
        return Math.Max(mayAsk, 0);
    }

    private int CountOnNew(BlockKind kind, string subnetId, int wanted, int room, bool fill) =>
        Count(kind, subnetId, isNew: true, _snapshot.Capacity.BlocksPerInterface, wanted, room, fill);

    private void Take(string subnetId, BlockKind kind, int count, bool isNew)
    {
        _takenFromSubnet[subnetId] = _takenFromSubnet.GetValueOrDefault(subnetId) + (isNew ? 1 : 0) + (count * PoolCounts.SizeOf(kind));
        if (kind == BlockKind.Ipv4Prefix)
            _prefixesFromSubnet[subnetId] = _prefixesFromSubnet.GetValueOrDefault(subnetId) + count;
    }

    /// <summary>Addresses that a subnet still has when the plan is carried out; the largest number where that is not known.</summary>
    private int Left(string subnetId) =>
        _free.GetValueOrDefault(subnetId) is { } free ? free - _takenFromSubnet.GetValueOrDefault(subnetId) : int.MaxValue;

    private void Lacks(GrowthObstacle obstacle)
    {
        _isSubnetShort = true;
        Refuse(obstacle);
    }

    /// <summary>The one that ends first says when waiting may help again.</summary>
    private void Refuse(GrowthObstacle obstacle)
    {
        if (_refused is null || obstacle.EndsBefore(_refused))
            _refused = obstacle;
    }

    /// <summary>Blocks that an interface has room for now; 0 while something is being done to it or planned for it.</summary>
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

    /// <summary>Somebody carries it out, or its outcome shows in a moment.</summary>
    private bool IsExpected(OpenIntent open) => open.IsRunning || open.DoubtSince is not { } since || _now - since < IpLedger.DoubtWindow;

    private int Room(NetworkInterfaceId id) =>
        _numbers.Usable.FirstOrDefault(item => item.Id == id) is { } item
        && !_snapshot.Obstacles.Interfaces.ContainsKey(id)
        && _snapshot.Obstacles.Against(item.SubnetId, _targets.UsesPrefixes ? BlockKind.Ipv4Prefix : BlockKind.Ipv4Address, isNew: false)
            is null
            ? Math.Max(_snapshot.Capacity.BlocksPerInterface - item.Blocks.Count, 0)
            : 0;
}
