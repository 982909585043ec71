// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>
/// The pool in numbers, as the targets count it: addresses of the lead family. Without prefix delegation, leftover prefixes count only as
/// far as pods use them, so that the pool moves to single addresses and the prefixes empty. With it, single addresses count in full: they
/// replace prefixes where a subnet has no whole one, and are released first.
/// </summary>
internal sealed record PoolCounts
{
    /// <summary>Interfaces that pods get addresses from.</summary>
    public required IReadOnlyList<InterfaceView> Usable { get; init; }

    /// <summary>Number of attached addresses.</summary>
    public required int Total { get; init; }

    /// <summary>Number of addresses that can be assigned now.</summary>
    public required int Free { get; init; }

    /// <summary>Number of addresses that leave cooldown within <see cref="PoolLimits.GrowthHorizon"/>.</summary>
    public required int CooldownEnding { get; init; }

    /// <summary>Number of addresses that pending changes will add.</summary>
    public required int Pending { get; init; }

    /// <summary>Number of wholly free prefixes.</summary>
    public required int FreePrefixes { get; init; }

    /// <summary>Number of prefixes that pending changes will add.</summary>
    public required int PendingPrefixes { get; init; }

    /// <summary>Number of free single addresses.</summary>
    public required int FreeSingles { get; init; }

    /// <summary>Addresses available to the next ADDs: free, pending and leaving cooldown, less the pending ADDs. May be negative.</summary>
    public required int Available { get; init; }

    public static PoolCounts Of(PoolSnapshot snapshot, DateTimeOffset now)
    {
        var lead = snapshot.Capacity.Lead.Shape;
        var carrying = snapshot.Ledger.Interfaces.Where(item => item is { CarriesPods: true, IsDraining: false }).ToArray();
        var usable = carrying.Where(item => item.IsUsable).ToArray();
        var usableBlocks = usable
            .SelectMany(item => item.Blocks)
            .Where(block => block.Family == lead.Family && !block.IsReleasing)
            .ToArray();
        var counted = usableBlocks.Where(block => Counts(block, lead)).ToArray();
        var used = usableBlocks.Except(counted).Sum(block => block.Assigned) + carrying.Except(usable).Sum(item => item.Assigned);
        var free = counted.Sum(block => block.Free) - usable.Sum(item => PairingPlan.Unpairable(snapshot, item));
        var pending = PendingRequests(snapshot, lead.Family, now).ToArray();
        var pendingAddresses = pending.Sum(request => request.Addresses);
        var cooldownEnding = snapshot.Ledger.CooldownEnds.Count(end => end <= now + PoolLimits.GrowthHorizon);
        return new PoolCounts
        {
            Usable = usable,
            Total = counted.Sum(block => block.Capacity) + used,
            Free = free,
            CooldownEnding = cooldownEnding,
            Pending = pendingAddresses,
            FreePrefixes = counted.Count(block => !block.IsSingle && block.IsUnused),
            PendingPrefixes = pending.Where(request => !request.Shape.IsSingle).Sum(request => request.Count),
            FreeSingles = counted.Where(block => block.IsSingle).Sum(block => block.Free),
            Available = free + cooldownEnding + pendingAddresses - snapshot.Waiting.Count,
        };
    }

    /// <summary>Whether a block counts: of the shape that the pool grows by, or a single address beside prefixes.</summary>
    /// <param name="block">The block.</param>
    /// <param name="shape">The shape that the pool grows by.</param>
    public static bool Counts(BlockView block, BlockShape shape) => block.Family == shape.Family && (block.IsSingle || !shape.IsSingle);

    /// <summary>The requests for blocks of a family in pending changes.</summary>
    public static IEnumerable<BlockRequest> PendingRequests(PoolSnapshot snapshot, AddressFamily family, DateTimeOffset now) =>
        snapshot
            .Ledger.Intents.Where(open => IsPending(open, now))
            .SelectMany(open => open.Intent.Change.Requests)
            .Where(request => request.Shape.Family == family);

    /// <summary>
    /// Whether the change will add blocks. A change with an unknown outcome counts for <see cref="IpLedger.OutcomeWindow"/>.
    /// </summary>
    public static bool IsPending(OpenIntent open, DateTimeOffset now) =>
        open.Intent.IsAdding && (open.IsRunning || open.OutcomeUnknownSince is not { } since || now - since < IpLedger.OutcomeWindow);
}
