// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.WarmPool;

/// <summary>
/// What to add. Existing interfaces are filled before new ones are made. With prefix delegation, single addresses stand in where no subnet has a whole prefix, and where one more prefix would be more
/// than the node can run pods. An interface on which something is being done is left alone until that is over; the room that it has is waited for rather than made elsewhere.
/// </summary>
internal sealed class PoolGrowth
{
    private readonly PoolSnapshot _snapshot;
    private readonly PoolTargets _targets;
    private readonly PoolNumbers _numbers;
    private readonly DateTimeOffset _now;
    private readonly List<PoolAction> _actions = [];
    private readonly Dictionary<NetworkInterfaceId, int> _taken = [];
    private readonly Dictionary<string, int> _takenFromSubnet = [];
    private readonly HashSet<int> _deviceIndexes;
    private readonly HashSet<NetworkInterfaceId> _busy;
    private int _interfaces;
    private GrowthObstacle? _refused;

    private PoolGrowth(PoolSnapshot snapshot, PoolTargets targets, PoolNumbers numbers, DateTimeOffset now)
    {
        (_snapshot, _targets, _numbers, _now) = (snapshot, targets, numbers, now);
        var adds = snapshot.Ledger.Intents.Select(open => open.Intent).OfType<Intent.AddInterface>().ToArray();
        _busy = [.. snapshot.Ledger.Intents.Select(open => open.Intent.Concerned).OfType<NetworkInterfaceId>()];
        _interfaces = snapshot.Ledger.Interfaces.Count(item => item.NetworkCard == 0) + adds.Length;
        _deviceIndexes = [.. snapshot.Ledger.Interfaces.Where(item => item.NetworkCard == 0).Select(item => item.DeviceIndex).Concat(adds.Select(add => add.DeviceIndex))];
        Shortage = ShortageOf();
        if (Shortage <= 0) return;
        Deferred = snapshot.Awaited.Count;
        if (snapshot.Obstacles.Everything is { } obstacle) Obstacle = obstacle;
        else Grow();
        // Those who wait are served as soon as links are there, whatever else the targets ask for: that is what they wait for.
        if (snapshot.Awaited.Count > 0 && snapshot.Waiting.Count <= snapshot.Ledger.Free + numbers.Coming + Added + Deferred) Obstacle = snapshot.Awaited.Obstacle;
    }

    public IReadOnlyList<PoolAction> Actions => _actions;

    /// <summary>Addresses missing; not positive when none are.</summary>
    public int Shortage { get; }

    /// <summary>Addresses that the actions bring.</summary>
    public int Added { get; private set; }

    /// <summary>Addresses that can be had when what is being done to some interface is over, or its link is there.</summary>
    public int Deferred { get; private set; }
    public GrowthObstacle? Obstacle { get; private set; }

    public static PoolGrowth Plan(PoolSnapshot snapshot, PoolTargets targets, PoolNumbers numbers, DateTimeOffset now) => new(snapshot, targets, numbers, now);

    /// <summary>The reference's formulas (docs/eni-and-ip-target.md), with those who wait as demand; and an empty pool always counts as too low, else the next pod would have to wait for the cloud.</summary>
    private int ShortageOf()
    {
        if (_snapshot.IsUnschedulable) return -_numbers.Available;
        if (_targets.UsesAddressTargets) return Math.Max(Math.Max(_targets.WarmIpTarget, 1) - _numbers.Available, _targets.MinimumIpTarget - _numbers.Total - _numbers.Coming);
        var warm = _targets.UsesPrefixes ? _targets.WarmPrefixTarget * PoolTargets.PrefixSize : _targets.WarmEniTarget * _snapshot.Capacity.BlocksPerInterface;
        return Math.Max(warm, 1) - _numbers.Available;
    }

    private void Grow()
    {
        Deferred += DeferredAddresses();
        // Room that nobody can use before it is known what became of a change is no limit of the node.
        if (HasStuckRoom()) _refused = new GrowthObstacle(GrowthObstacleKind.CloudFailure, _now + PoolLimits.FirstResume, "the outcome of a change in the cloud is not known yet");
        var need = Shortage - Deferred;
        if (need <= 0) return;
        // The targets alone never exceed what the node can run.
        var room = Math.Max(_snapshot.Capacity.MaxPods - _numbers.Total - _numbers.Coming, 0);
        var left = _targets.UsesPrefixes ? GrowByPrefixes(need, room) : GrowByAddresses(need, room);
        if (left <= 0) return;
        Obstacle = room - Added <= 0
            ? new GrowthObstacle(GrowthObstacleKind.MaxPods, null, $"the node runs at most {_snapshot.Capacity.MaxPods} pods and has {_numbers.Total} addresses attached")
            : Standing() ?? new GrowthObstacle(GrowthObstacleKind.InterfaceLimit, null, Limit());
    }

    /// <summary>What is refused on the interfaces that are there says when to try again; without that, why there are no others. Those who wait go on waiting when either may end at any moment.</summary>
    private GrowthObstacle? Standing()
        => _refused is null ? _snapshot.NoPlace
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
        left -= Place(BlockKind.Ipv4Address, left, room, fill);
        left -= PlaceOnNew(BlockKind.Ipv4Address, left, room - Added, fill);
        return left;
    }

    private int GrowByPrefixes(int need, int room)
    {
        const int size = PoolTargets.PrefixSize;
        var prefixes = (need + size - 1) / size;
        if (!_targets.UsesAddressTargets && !_snapshot.IsUnschedulable) prefixes = Math.Max(prefixes, _targets.WarmPrefixTarget - _numbers.FreePrefixes - _numbers.ComingPrefixes);
        var singles = 0;
        if (prefixes > room / size)
        {
            // The last prefix would be more than the node can run: single addresses instead, where the interfaces that are there have room for them.
            prefixes = room / size;
            singles = Math.Max(Math.Min(need, room) - (prefixes * size), 0);
            if (singles > 0 && singles > _numbers.Usable.Sum(item => Slots(item)) - prefixes)
            {
                prefixes++;
                singles = 0;
            }
        }

        var added = 0;
        if (prefixes > 0)
        {
            added += Place(BlockKind.Ipv4Prefix, prefixes * size, int.MaxValue, fill: false);
            added += PlaceOnNew(BlockKind.Ipv4Prefix, (prefixes * size) - added, int.MaxValue, fill: false);
        }

        if (singles > 0) added += Place(BlockKind.Ipv4Address, singles, room - added, fill: false);
        var left = Math.Min(need, room) - added;
        if (left > 0 && _refused?.Kind == GrowthObstacleKind.SubnetExhausted)
        {
            // Stand-ins fill what room there is. A new interface is not made for them unless somebody waits or nothing is free.
            added += Place(BlockKind.Ipv4Address, left, room - added, fill: false);
            var starving = _numbers.Available + added < 0 || (_numbers.Free + _numbers.Coming + added == 0);
            if (starving) added += PlaceOnNew(BlockKind.Ipv4Address, Math.Max(-(_numbers.Available + added), 1), room - added, fill: false);
        }

        return need - added;
    }

    /// <summary>Fills up the interfaces that are there. Returns the addresses added.</summary>
    private int Place(BlockKind kind, int wanted, int room, bool fill)
    {
        var placed = 0;
        foreach (var item in _numbers.Usable)
        {
            if (placed >= wanted) break;
            if (Slots(item) is not (var slots and > 0)) continue;
            if (_snapshot.Obstacles.Interfaces.GetValueOrDefault(item.Id) is { } full)
            {
                _refused ??= full;
                continue;
            }

            var count = Count(kind, item.SubnetId, isNew: false, slots, wanted - placed, room - placed, fill);
            if (count == 0) continue;
            _taken[item.Id] = _taken.GetValueOrDefault(item.Id) + count;
            _actions.Add(new PoolAction.AssignBlocks(item.Id, item.SubnetId, new BlockRequest(kind, count)));
            placed += count * PoolNumbers.SizeOf(kind);
        }

        Added += placed;
        return placed;
    }

    /// <summary>Adds interfaces. Returns the addresses added.</summary>
    private int PlaceOnNew(BlockKind kind, int wanted, int room, bool fill)
    {
        var placed = 0;
        for (var index = 1; placed < wanted && _interfaces < _snapshot.Capacity.MaxInterfaces; index++)
        {
            if (_deviceIndexes.Contains(index)) continue;
            if (_snapshot.NoPlace is not null) break;
            if (_snapshot.Obstacles.NewInterfaces is { } obstacle)
            {
                _refused ??= obstacle;
                break;
            }

            var (subnet, count) = _snapshot.Subnets
                .OrderByDescending(LeftForBlocks)
                .Select(candidate => (candidate, CountOnNew(kind, candidate, wanted - placed, room - placed, fill)))
                .FirstOrDefault(choice => choice.Item2 > 0);
            if (subnet is null) break;
            _takenFromSubnet[subnet.Id] = _takenFromSubnet.GetValueOrDefault(subnet.Id) + 1 + (count * PoolNumbers.SizeOf(kind));
            _actions.Add(new PoolAction.AddInterface(index, subnet.Id, new BlockRequest(kind, count)));
            _deviceIndexes.Add(index);
            _interfaces++;
            placed += count * PoolNumbers.SizeOf(kind);
        }

        Added += placed;
        return placed;
    }

    /// <summary>Blocks for a new interface in a subnet: no more than it has beside the interface's own address, as far as that is known, since the cloud gives all or nothing.</summary>
    private int CountOnNew(BlockKind kind, SubnetCandidate subnet, int wanted, int room, bool fill)
    {
        // A subnet that refused less than it was described with is left alone for a while; of one that nobody described, less may be had.
        var isKnown = subnet.FreeAddresses is not null;
        var count = Count(kind, subnet.Id, isNew: isKnown, _snapshot.Capacity.BlocksPerInterface, wanted, room, fill);
        var left = Math.Max(LeftForBlocks(subnet), 0) / PoolNumbers.SizeOf(kind);
        if (count > 0 && left == 0)
            _refused ??= new GrowthObstacle(GrowthObstacleKind.SubnetExhausted, _now + PoolLimits.SubnetBackoff, $"subnet {subnet.Id} has {subnet.FreeAddresses} free addresses, too few for another interface");
        return Math.Min(count, left);
    }

    /// <summary>Addresses that a subnet has for the blocks of one more interface.</summary>
    private int LeftForBlocks(SubnetCandidate subnet) => subnet.FreeAddresses is { } free ? free - _takenFromSubnet.GetValueOrDefault(subnet.Id) - 1 : int.MaxValue;

    /// <summary>Blocks to ask one subnet for; 0 when it has none.</summary>
    private int Count(BlockKind kind, string subnetId, bool isNew, int slots, int wanted, int room, bool fill)
    {
        if (_snapshot.Obstacles.Against(subnetId, kind, isNew) is { } obstacle)
        {
            // The soonest one to end says when waiting may help again.
            if (_refused is null || obstacle.Until < _refused.Until) _refused = obstacle;
            return 0;
        }

        var size = PoolNumbers.SizeOf(kind);
        var count = fill ? slots : Math.Min(slots, (wanted + size - 1) / size);
        return Math.Max(Math.Min(Math.Min(count, size == 1 ? room : int.MaxValue), _snapshot.Obstacles.AtOnce(subnetId, kind)), 0);
    }

    /// <summary>Blocks that an interface has room for now; 0 while something is being done to it or planned for it.</summary>
    private int Slots(InterfaceView item) => _busy.Contains(item.Id) || _taken.ContainsKey(item.Id) ? 0 : _snapshot.Capacity.BlocksPerInterface - item.Blocks.Count;

    private int DeferredAddresses()
    {
        var slots = 0;
        foreach (var open in _snapshot.Ledger.Intents)
        {
            if (!IsExpected(open)) continue;
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

    private bool HasStuckRoom()
        => _snapshot.Ledger.Intents.Any(open => !IsExpected(open) && open.Intent.Concerned is { } id && Room(id) > 0);

    /// <summary>Somebody carries it out, or its outcome shows in a moment.</summary>
    private bool IsExpected(OpenIntent open) => open.IsRunning || open.DoubtSince is not { } since || _now - since < IpLedger.DoubtWindow;

    private int Room(NetworkInterfaceId id)
        => _numbers.Usable.FirstOrDefault(item => item.Id == id) is { } item && !_snapshot.Obstacles.Interfaces.ContainsKey(id)
            && _snapshot.Obstacles.Against(item.SubnetId, _targets.UsesPrefixes ? BlockKind.Ipv4Prefix : BlockKind.Ipv4Address, isNew: false) is null
            ? Math.Max(_snapshot.Capacity.BlocksPerInterface - item.Blocks.Count, 0)
            : 0;
}
