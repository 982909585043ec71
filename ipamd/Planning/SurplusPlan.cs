// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>What the pool has beyond its targets, as an operator is told.</summary>
/// <param name="Addresses">Of the interfaces and blocks that may go.</param>
/// <param name="Interfaces">Of them, whole interfaces.</param>
/// <param name="Why">Why it is still there.</param>
/// <param name="GoesAt">When the first of it goes; null when nobody can say.</param>
internal sealed record SurplusReport(int Addresses, int Interfaces, string Why, DateTimeOffset? GoesAt);

/// <summary>
/// Which surplus goes now and which later, nobody waiting: blocks that do not fit the mode or the subnets, then whole interfaces, then
/// blocks.
/// </summary>
internal sealed class SurplusPlan
{
    private readonly PoolTargets _targets;
    private readonly PoolCounts _numbers;
    private readonly InterfaceView[] _idle;
    private readonly DateTimeOffset _now;
    private readonly Retention _retention;

    /// <param name="idle">Interfaces that nothing is being done to.</param>
    /// <param name="over">Free addresses beyond the targets.</param>
    public SurplusPlan(PoolSnapshot snapshot, PoolTargets targets, PoolCounts numbers, InterfaceView[] idle, int over, DateTimeOffset now)
    {
        (_targets, _numbers, _idle, _now) = (targets, numbers, idle, now);
        _retention = new Retention(snapshot);
        if (Unneeded(over) is { Count: > 0 } misfits)
        {
            Actions = misfits;
            Addresses = misfits.OfType<PoolAction.ReleaseBlocks>().Sum(action => action.Blocks.Sum(AddressBlocks.Count));
            return;
        }

        InterfaceView[] removable = snapshot.IsUnschedulable ? [] : [.. Removable(over)];
        HasSpareInterface = removable.Any(item => !item.IsExcluded && item.Total > 0);
        var freePrefixes = numbers.FreePrefixes;
        // Of several spare interfaces that are too many together, only some go.
        foreach (
            var item in removable
                .OrderByDescending(item => item.DeviceIndex)
                .Where(item => item.IsExcluded || item.Total == 0 || item.Total <= over)
        )
        {
            Interfaces++;
            Addresses += item.Total;
            if (item.IsExcluded)
                continue;
            over -= item.Total;
            freePrefixes -= item.Blocks.Count(block => !block.IsSingle);
        }

        // One interface at a time: each costs two calls and some seconds, and demand may return meanwhile.
        if (removable.Where(item => _retention.GoesAt(item) <= now).MaxBy(item => item.DeviceIndex) is { } ripe)
        {
            Actions = [new PoolAction.RemoveInterface(ripe.Id)];
            return;
        }

        if (removable.MinBy(_retention.GoesAt) is { } next)
            (NextAt, Why) = (_retention.GoesAt(next), _retention.Why(next));
        // What will go with an interface does not go block by block before.
        var others = idle.Where(item => item.IsUsable && !removable.Contains(item));
        // Without address targets and prefixes nothing but whole interfaces is given back, as in the reference.
        if (targets.UsesAddressTargets)
            Release(others, over, block => PoolCounts.Counts(block, targets));
        else if (targets.UsesPrefixes)
            Release(others, Math.Min((freePrefixes - targets.WarmPrefixTarget) * PoolTargets.PrefixSize, over), block => !block.IsSingle);
    }

    public IReadOnlyList<PoolAction> Actions { get; private set; } = [];

    /// <summary>When time alone makes more of it go; null when only an event can.</summary>
    public DateTimeOffset? NextAt { get; private set; }

    /// <summary>Why what does not go now is still there.</summary>
    public string Why { get; } = Retention.ForLoad;

    /// <summary>A whole interface is more than the targets ask for.</summary>
    public bool HasSpareInterface { get; }

    /// <summary>Addresses that go now or later.</summary>
    public int Addresses { get; private set; }

    /// <summary>Interfaces that go now or later.</summary>
    public int Interfaces { get; private set; }

    private IEnumerable<InterfaceView> Removable(int over) =>
        _idle.Where(item =>
            !item.IsPrimary && !item.MayHoldOrphans && ShrinkPlan.IsUnused(item) && (item.IsExcluded || IsSpare(item, over))
        );

    /// <summary>
    /// Unused blocks that the mode does not count, those of an interface whose subnet is excluded, and stand-ins that are no longer needed.
    /// </summary>
    private List<PoolAction> Unneeded(int over)
    {
        // Stand-ins go when whole prefixes alone are enough.
        var arePrefixesEnough =
            _targets.UsesAddressTargets
            || _numbers.Free - _numbers.FreeSingles >= Math.Max(_targets.WarmPrefixTarget, 1) * PoolTargets.PrefixSize;
        var surplusSingles = _targets.UsesPrefixes && _numbers.FreeSingles <= over && arePrefixesEnough;
        return ShrinkPlan.ReleaseAll(
            _idle,
            (item, block) =>
                (item.IsExcluded && item.IsPrimary) || !PoolCounts.Counts(block, _targets) || (surplusSingles && block.IsSingle)
        );
    }

    /// <summary>
    /// The others are enough without it. One that brings nothing is spare: what the pool is short of is put on it long before it is taken
    /// for idle.
    /// </summary>
    private bool IsSpare(InterfaceView item, int over)
    {
        var addresses = item.Blocks.Sum(block => block.Capacity);
        if (addresses == 0)
            return true;
        if (addresses > over)
            return false;
        return _targets.UsesAddressTargets
            || !_targets.UsesPrefixes
            || _numbers.FreePrefixes - item.Blocks.Count(block => !block.IsSingle) >= _targets.WarmPrefixTarget;
    }

    /// <summary>
    /// Emptiest interface first, so that it may become removable; highest address first, since the ledger hands out the lowest. Only what
    /// nobody has held for a while; what would follow soon goes in the same call.
    /// </summary>
    private void Release(IEnumerable<InterfaceView> interfaces, int over, Func<BlockView, bool> mayGo)
    {
        (InterfaceView Item, BlockView Block, DateTimeOffset At)[] candidates =
        [
            .. interfaces
                .OrderBy(item => item.Assigned + item.Cooling)
                .ThenByDescending(item => item.DeviceIndex)
                .SelectMany(item =>
                    item.Blocks.Reverse()
                        .Where(block => block.IsUnused && mayGo(block) && block.Capacity <= over)
                        .Select(block => (item, block, _retention.GoesAt(item, block)))
                ),
        ];
        if (candidates.Length == 0)
            return;
        var first = candidates.Min(candidate => candidate.At);
        var until = first > _now ? first : _now + PoolLimits.ReleaseTogether;
        var blocks = new Dictionary<NetworkInterfaceId, List<IPNetwork>>();
        foreach (var (item, block, at) in candidates.OrderBy(candidate => candidate.At > until))
        {
            if (block.Capacity > over)
                continue;
            over -= block.Capacity;
            Addresses += block.Capacity;
            if (first > _now)
                NextAt = NextAt < first ? NextAt : first;
            else if (at > until)
                NextAt = NextAt < at ? NextAt : at;
            else if (blocks.TryGetValue(item.Id, out var list))
                list.Add(block.Range);
            else
                blocks[item.Id] = [block.Range];
        }

        Actions = [.. blocks.Select(pair => new PoolAction.ReleaseBlocks(pair.Key, pair.Value))];
    }
}
