// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// Plans the other family of dual stack: an address of it for each address of the lead family, on the same interface, since both addresses
/// of a pod leave the node by one interface. New interfaces come with both; here, existing ones get what they lack.
/// </summary>
internal sealed class PairingPlan
{
    private readonly List<PoolChange> _changes = [];

    private PairingPlan() { }

    /// <summary>No other family.</summary>
    public static readonly PairingPlan None = new() { Supply = int.MaxValue };

    public IReadOnlyList<PoolChange> Changes => _changes;

    /// <summary>Number of addresses of the other family that are free, pending or planned; unlimited without dual stack.</summary>
    public int Supply { get; private set; }

    /// <summary>Why an interface does not get what it lacks; null when each does.</summary>
    public GrowthObstacle? Obstacle { get; private set; }

    /// <param name="snapshot">The state.</param>
    /// <param name="counts">The lead family in numbers.</param>
    /// <param name="lead">What is planned for the lead family.</param>
    /// <param name="now">The time now.</param>
    public static PairingPlan Plan(PoolSnapshot snapshot, PoolCounts counts, IReadOnlyList<PoolChange> lead, DateTimeOffset now)
    {
        if (snapshot.Capacity.Other is not { } other)
            return None;
        var plan = new PairingPlan
        {
            Supply =
                counts.Usable.Sum(item => item.FreeOf(other.Shape.Family))
                + PoolCounts.PendingRequests(snapshot, other.Shape.Family, now).Sum(request => request.Addresses)
                + lead.OfType<PoolChange.AddInterface>()
                    .SelectMany(add => add.Blocks)
                    .Where(request => request.Shape.Family == other.Shape.Family)
                    .Sum(request => request.Addresses),
        };
        HashSet<NetworkInterfaceId> busy =
        [
            .. snapshot.Ledger.Intents.Select(open => open.Intent.InterfaceId).OfType<NetworkInterfaceId>(),
            .. lead.OfType<PoolChange.AssignBlocks>().Select(assign => assign.Interface),
        ];
        foreach (var item in counts.Usable)
        {
            if (busy.Contains(item.Id))
                plan.Supply += Later(snapshot, item, other, lead, now);
            else
                plan.Pair(snapshot, item, other);
        }

        if (snapshot.Obstacles.Everything is not { } everything || plan._changes.Count == 0)
            return plan;
        plan.Obstacle = everything;
        plan.Supply -= plan._changes.OfType<PoolChange.AssignBlocks>().Sum(assign => assign.Blocks.Addresses);
        plan._changes.Clear();
        return plan;
    }

    /// <summary>
    /// Number of addresses of the other family that the interface has too few; negative when it has too many. Counts all addresses, and
    /// those that no pod has: a pod of an earlier mode, or one that lost an address, has none of one family.
    /// </summary>
    private static int Missing(PoolCapacity capacity, FamilyCapacity other, InterfaceView item)
    {
        int Difference(Func<BlockView, int> count) =>
            Math.Min(Sum(item, capacity.Lead, count), BlockShape.MaxSize) - Sum(item, other, count);
        return Math.Max(Difference(block => block.Capacity), Difference(block => block.Capacity - block.Assigned));
    }

    private static int Sum(InterfaceView item, FamilyCapacity family, Func<BlockView, int> count) =>
        item.Blocks.Where(block => !block.IsReleasing && PoolCounts.Counts(block, family.Shape)).Sum(count);

    /// <summary>
    /// Number of free addresses of the lead family on an interface that no pod can get, because the other family cannot follow: the cloud
    /// has refused it, or the interface has no room for it.
    /// </summary>
    public static int Unpairable(PoolSnapshot snapshot, InterfaceView item)
    {
        if (snapshot.Capacity.Other is not { } other)
            return 0;
        var free = item
            .Blocks.Where(block => !block.IsReleasing && PoolCounts.Counts(block, snapshot.Capacity.Lead.Shape))
            .Sum(block => block.Free);
        var room = RefusalOf(snapshot, item, other) is null ? Slots(item, other) * other.Shape.Size : 0;
        return Math.Max(free - item.FreeOf(other.Shape.Family) - room, 0);
    }

    /// <summary>Why more addresses of the lead family on an interface would be of no use to pods; null when they are.</summary>
    public static GrowthObstacle? ObstacleFor(PoolSnapshot snapshot, InterfaceView item)
    {
        if (snapshot.Capacity.Other is not { } other || Missing(snapshot.Capacity, other, item) < 0)
            return null;
        return RefusalOf(snapshot, item, other) ?? (Slots(item, other) == 0 ? NoRoom(item, other) : null);
    }

    /// <summary>Why a new interface would be of no use; null when it is.</summary>
    public static GrowthObstacle? ObstacleForNew(PoolSnapshot snapshot, string subnetId) =>
        snapshot.Capacity.Other is not { } other ? null
        : other.BlocksPerInterface == 0 ? NoRoom(item: null, other)
        : snapshot.Obstacles.ObstacleFor(subnetId, other.Shape, isNew: false);

    private static GrowthObstacle NoRoom(InterfaceView? item, FamilyCapacity other)
    {
        var name = IpFamily.Name(other.Shape.Family);
        return new GrowthObstacle(
            GrowthObstacleKind.AddressLimit,
            null,
            item is null || other.BlocksPerInterface == 0
                ? $"this instance type has no {name} addresses"
                : $"{item.Id} has all {other.BlocksPerInterface} {name} blocks that it can have"
        );
    }

    private static GrowthObstacle? RefusalOf(PoolSnapshot snapshot, InterfaceView item, FamilyCapacity other) =>
        snapshot.Obstacles.Interfaces.GetValueOrDefault((item.Id, other.Shape.Family))
        ?? snapshot.Obstacles.ObstacleFor(item.SubnetId, other.Shape, isNew: false);

    /// <summary>Number of blocks of the other family that the interface has room for.</summary>
    private static int Slots(InterfaceView item, FamilyCapacity other) =>
        Math.Max(other.BlocksPerInterface - item.Blocks.Count(block => block.Family == other.Shape.Family), 0);

    /// <summary>Number of addresses of the other family that an interface gets when its change, planned or in flight, has ended.</summary>
    private static int Later(
        PoolSnapshot snapshot,
        InterfaceView item,
        FamilyCapacity other,
        IReadOnlyList<PoolChange> lead,
        DateTimeOffset now
    )
    {
        if (RefusalOf(snapshot, item, other) is not null)
            return 0;
        BlockRequest[] coming =
        [
            .. snapshot
                .Ledger.Intents.Where(open => PoolCounts.IsPending(open, now))
                .Select(open => open.Intent.Change)
                .OfType<PoolChange.AssignBlocks>()
                .Where(assign => assign.Interface == item.Id)
                .Select(assign => assign.Blocks),
            .. lead.OfType<PoolChange.AssignBlocks>().Where(assign => assign.Interface == item.Id).Select(assign => assign.Blocks),
        ];
        int Of(FamilyCapacity family) =>
            coming.Where(request => request.Shape.Family == family.Shape.Family).Sum(request => request.Addresses);
        var missing = Missing(snapshot.Capacity, other, item) + Of(snapshot.Capacity.Lead) - Of(other);
        return Math.Min(other.Shape.CountFor(missing), Slots(item, other)) * other.Shape.Size;
    }

    /// <summary>Unused single addresses of the other family beyond those of the lead family.</summary>
    public static IEnumerable<BlockView> Unpaired(PoolCapacity capacity, InterfaceView item)
    {
        if (capacity.Other is not { } other)
            return [];
        return item
            .Blocks.Reverse()
            .Where(block => block.Family == other.Shape.Family && block.IsSingle && block.IsUnused)
            .Take(Math.Max(-Missing(capacity, other, item), 0));
    }

    private void Pair(PoolSnapshot snapshot, InterfaceView item, FamilyCapacity other)
    {
        var wanted = other.Shape.CountFor(Missing(snapshot.Capacity, other, item));
        if (wanted == 0)
            return;
        if (RefusalOf(snapshot, item, other) is { } obstacle)
        {
            Refuse(obstacle);
            return;
        }

        var count = Math.Min(wanted, Slots(item, other));
        if (count < wanted)
            Refuse(NoRoom(item, other));
        if (snapshot.Obstacles.Subnets.GetValueOrDefault((item.SubnetId, other.Shape.Family)) is { } refused)
            count = Math.Min(count, other.Shape.IsSingle ? refused.AddressesAtOnce : refused.PrefixesAtOnce);
        if (count <= 0)
            return;
        var request = new BlockRequest(other.Shape, count);
        _changes.Add(new PoolChange.AssignBlocks(item.Id, item.SubnetId, request));
        Supply += request.Addresses;
    }

    /// <summary>Keeps the obstacle that ends first: it says when a retry may help.</summary>
    private void Refuse(GrowthObstacle obstacle)
    {
        if (Obstacle is null || obstacle.EndsBefore(Obstacle))
            Obstacle = obstacle;
    }
}
