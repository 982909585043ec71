// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// The pool in numbers, as the targets count it. Without prefix delegation prefixes that are left over from it count only as far as they
/// are used, so that the pool turns to single addresses and the prefixes empty; with it, single addresses count fully, since they stand in
/// where a subnet has no whole prefix, and are the first to go back.
/// </summary>
internal sealed record PoolCounts
{
    /// <summary>Interfaces that pods get addresses from.</summary>
    public required IReadOnlyList<InterfaceView> Usable { get; init; }

    /// <summary>Addresses attached.</summary>
    public required int Total { get; init; }

    /// <summary>Addresses that can be handed out now.</summary>
    public required int Free { get; init; }

    /// <summary>Addresses that leave cooldown before the cloud could answer.</summary>
    public required int CooldownEnding { get; init; }

    /// <summary>Addresses that changes under way will bring.</summary>
    public required int Pending { get; init; }

    /// <summary>Wholly free prefixes.</summary>
    public required int FreePrefixes { get; init; }

    /// <summary>Prefixes that changes under way will bring.</summary>
    public required int ComingPrefixes { get; init; }

    /// <summary>Free single addresses, with prefix delegation.</summary>
    public required int FreeSingles { get; init; }

    /// <summary>Available to those who come next: what is free or will be in a moment, less those who wait.</summary>
    public required int Available { get; init; }

    public static PoolCounts Of(PoolSnapshot snapshot, PoolTargets targets, DateTimeOffset now)
    {
        var carrying = snapshot.Ledger.Interfaces.Where(item => item is { CarriesPods: true, IsDraining: false }).ToArray();
        var usable = carrying.Where(item => item.IsUsable).ToArray();
        var blocks = usable.SelectMany(item => item.Blocks).Where(block => !block.IsReleasing).ToArray();
        var counted = blocks.Where(block => Counts(block, targets)).ToArray();
        var used = blocks.Except(counted).Sum(block => block.Assigned) + carrying.Except(usable).Sum(item => item.Assigned);
        var free = counted.Sum(block => block.Free);
        var coming = snapshot.Ledger.Intents.Where(open => WillCome(open, now)).Select(open => Brings(open.Intent)).ToArray();
        var comingAddresses = coming.Sum(brought => brought.Count * SizeOf(brought.Kind));
        var soon = snapshot.Ledger.CooldownEnds.Count(end => end <= now + PoolLimits.GrowthHorizon);
        return new PoolCounts
        {
            Usable = usable,
            Total = counted.Sum(block => block.Capacity) + used,
            Free = free,
            CooldownEnding = soon,
            Pending = comingAddresses,
            FreePrefixes = counted.Count(block => !block.IsSingle && block.IsUnused),
            ComingPrefixes = coming.Where(brought => brought.Kind == BlockKind.Ipv4Prefix).Sum(brought => brought.Count),
            FreeSingles = counted.Where(block => block.IsSingle).Sum(block => block.Free),
            Available = free + soon + comingAddresses - snapshot.Waiting.Count,
        };
    }

    public static int SizeOf(BlockKind kind) => kind is BlockKind.Ipv4Prefix or BlockKind.Ipv6Prefix ? PoolTargets.PrefixSize : 1;

    /// <summary>Blocks of the kind that the pool grows by, and stand-ins for them.</summary>
    public static bool Counts(BlockView block, PoolTargets targets) => targets.UsesPrefixes || block.IsSingle;

    /// <summary>A change whose answer is lost counts a little longer: the truth about it is on its way.</summary>
    public static bool WillCome(OpenIntent open, DateTimeOffset now) =>
        open.Intent is Intent.AssignBlocks or Intent.AddInterface { IsUndoing: false }
        && (open.IsRunning || open.DoubtSince is not { } since || now - since < IpLedger.DoubtWindow);

    public static BlockRequest Brings(Intent intent) =>
        intent switch
        {
            Intent.AssignBlocks assign => assign.Blocks,
            Intent.AddInterface add => add.Blocks,
            _ => throw new InvalidOperationException($"{intent} brings nothing"),
        };
}
