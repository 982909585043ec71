// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>The pool's surplus beyond its targets, as operators see it.</summary>
/// <param name="Addresses">Number of addresses, those of whole interfaces included.</param>
/// <param name="Interfaces">Number of whole interfaces.</param>
/// <param name="Why">Why the surplus is still attached.</param>
/// <param name="RemovableAt">When the first of it is released; null when unknown.</param>
internal sealed record SurplusReport(int Addresses, int Interfaces, string Why, DateTimeOffset? RemovableAt);

/// <summary>
/// Decides which surplus is released now and which later, while no ADD is pending: blocks that do not fit the mode or the subnets, then
/// whole interfaces, then blocks.
/// </summary>
internal sealed class SurplusPlan
{
    private readonly PoolTargets _targets;
    private readonly PoolCounts _counts;
    private readonly InterfaceView[] _idle;
    private readonly DateTimeOffset _now;
    private readonly Retention _retention;
    private readonly PoolCapacity _capacity;

    /// <param name="idle">Interfaces without an open intent.</param>
    /// <param name="surplus">Number of free addresses beyond the targets.</param>
    public SurplusPlan(PoolSnapshot snapshot, PoolTargets targets, PoolCounts counts, InterfaceView[] idle, int surplus, DateTimeOffset now)
    {
        (_targets, _counts, _idle, _now) = (targets, counts, idle, now);
        _capacity = snapshot.Capacity;
        _retention = new Retention(snapshot);
        if (Unneeded(surplus) is { Count: > 0 } unneeded)
        {
            Changes = unneeded;
            Addresses = unneeded.OfType<PoolChange.ReleaseBlocks>().Sum(change => change.Blocks.Where(IsLead).Sum(BlockShape.SizeOf));
            return;
        }

        InterfaceView[] removable = snapshot.IsUnschedulable ? [] : [.. Removable(surplus)];
        HasSpareInterface = removable.Any(item => !item.IsExcluded && item.Total > 0);
        var freePrefixes = counts.FreePrefixes;
        // Of several spare interfaces that together exceed the surplus, only some are removed.
        foreach (
            var item in removable
                .OrderByDescending(item => item.Slot)
                .Where(item => item.IsExcluded || item.Total == 0 || item.Total <= surplus)
        )
        {
            Interfaces++;
            Addresses += item.Total;
            if (item.IsExcluded)
                continue;
            surplus -= item.Total;
            freePrefixes -= Prefixes(item);
        }

        // One interface at a time: each costs two calls and some seconds, and demand may return meanwhile.
        if (removable.Where(item => _retention.RemovableAt(item) <= now).MaxBy(item => item.Slot) is { } due)
        {
            Changes = [ShrinkPlan.Remove(due)];
            return;
        }

        if (removable.MinBy(_retention.RemovableAt) is { } next)
            (NextAt, Why) = (_retention.RemovableAt(next), _retention.Why(next));
        // Blocks of a removable interface are released with it and not before.
        var others = idle.Where(item => item.IsUsable && !removable.Contains(item));
        // Without address targets and prefixes only whole interfaces are removed, as in the reference.
        if (targets.UsesAddressTargets || _capacity.HasOneBlockForAll)
            Release(
                others.Where(item => !(_capacity.HasOneBlockForAll && item.IsPrimary)),
                surplus,
                block => PoolCounts.Counts(block, Lead)
            );
        else if (!Lead.IsSingle)
            Release(
                others,
                Math.Min((freePrefixes - targets.WarmPrefixTarget) * Lead.Size, surplus),
                block => block.Family == Lead.Family && !block.IsSingle
            );
    }

    public IReadOnlyList<PoolChange> Changes { get; private set; } = [];

    /// <summary>When time alone makes the next release due; null when only an event can.</summary>
    public DateTimeOffset? NextAt { get; private set; }

    /// <summary>Why the part that is not released now is still attached.</summary>
    public string Why { get; } = Retention.KeptForLoad;

    /// <summary>Whether the targets are met without one whole interface.</summary>
    public bool HasSpareInterface { get; }

    /// <summary>Number of addresses released now or later.</summary>
    public int Addresses { get; private set; }

    /// <summary>Number of interfaces removed now or later.</summary>
    public int Interfaces { get; private set; }

    private BlockShape Lead => _capacity.Lead.Shape;

    private bool IsLead(IPNetwork block) => BlockShape.Of(block).Family == Lead.Family;

    private int Prefixes(InterfaceView item) => item.Blocks.Count(block => block.Family == Lead.Family && !block.IsSingle);

    private IEnumerable<InterfaceView> Removable(int surplus) =>
        _idle.Where(item =>
            !item.IsPrimary && !item.MayHoldOrphans && ShrinkPlan.IsUnused(item) && (item.IsExcluded || IsSpare(item, surplus))
        );

    /// <summary>
    /// Unused blocks that the mode does not count, blocks of an excluded primary interface, and single addresses that prefixes make
    /// unnecessary.
    /// </summary>
    private List<PoolChange> Unneeded(int surplus)
    {
        // Single addresses are unnecessary when whole prefixes alone are enough.
        var inPrefixes = _counts.Free - _counts.FreeSingles;
        var arePrefixesEnough = _capacity.HasOneBlockForAll
            ? inPrefixes > 0
            : _targets.UsesAddressTargets || inPrefixes >= Math.Max(_targets.WarmPrefixTarget, 1) * Lead.Size;
        var surplusSingles = !Lead.IsSingle && _counts.FreeSingles <= surplus && arePrefixesEnough;
        return ShrinkPlan.ReleaseAll(
            _idle,
            (item, block) =>
                block.Family == Lead.Family
                    ? (item.IsExcluded && item.IsPrimary) || ShrinkPlan.IsUncounted(block, Lead) || (surplusSingles && block.IsSingle)
                    : PairingPlan.Unpaired(_capacity, item).Contains(block)
        );
    }

    /// <summary>
    /// Whether the targets are met without this interface. One without addresses is spare: a shortage would have put blocks on it long
    /// before it counts as idle.
    /// </summary>
    private bool IsSpare(InterfaceView item, int surplus)
    {
        var addresses = item.Total;
        if (addresses == 0)
            return true;
        if (addresses > surplus)
            return false;
        return _targets.UsesAddressTargets || Lead.IsSingle || _counts.FreePrefixes - Prefixes(item) >= _targets.WarmPrefixTarget;
    }

    /// <summary>
    /// Releases blocks from the emptiest interface first, so that it may become removable, and from the highest address down, since the
    /// ledger assigns the lowest. Takes only blocks unused for a while; blocks that would follow soon join the same call.
    /// </summary>
    private void Release(IEnumerable<InterfaceView> interfaces, int surplus, Func<BlockView, bool> mayRelease)
    {
        (InterfaceView Item, BlockView Block, DateTimeOffset At)[] candidates =
        [
            .. interfaces
                .OrderBy(item => item.Assigned + item.Cooling)
                .ThenByDescending(item => item.Slot)
                .SelectMany(item =>
                    item.Blocks.Reverse()
                        .Where(block => block.IsUnused && mayRelease(block) && block.Capacity <= surplus)
                        .Select(block => (item, block, _retention.RemovableAt(item, block)))
                ),
        ];
        if (candidates.Length == 0)
            return;
        var first = candidates.Min(candidate => candidate.At);
        var until = first > _now ? first : _now + PoolLimits.ReleaseTogether;
        var blocks = new Dictionary<NetworkInterfaceId, List<IPNetwork>>();
        foreach (var (item, block, at) in candidates.OrderBy(candidate => candidate.At > until))
        {
            if (block.Capacity > surplus)
                continue;
            surplus -= block.Capacity;
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

        Changes = [.. blocks.Select(pair => new PoolChange.ReleaseBlocks(pair.Key, pair.Value))];
    }
}
