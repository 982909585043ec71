// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Ipamd.Ledger;

/// <summary>What the ledger is told of a network interface that is attached to this node.</summary>
internal sealed record InterfaceObservation
{
    public required NetworkInterfaceId Id { get; init; }

    /// <summary>0 is the primary interface.</summary>
    public required int DeviceIndex { get; init; }
    public int NetworkCard { get; init; }
    public required IPAddress PrimaryAddress { get; init; }
    public required string SubnetId { get; init; }

    /// <summary>Address blocks without the primary address.</summary>
    public required IReadOnlyList<IPNetwork> Blocks { get; init; }

    /// <summary>False: its addresses are never given to pods (not managed by us, a trunk, an EFA-only interface).</summary>
    public bool CarriesPods { get; init; } = true;

    /// <summary>Its subnet must not be used for pods any more: it carries those that it has, and goes when the last one has gone.</summary>
    public bool IsExcluded { get; init; }
}

/// <summary>
/// An interface for pods as it was when the checkpoint was written: what the next daemon may presume as long as the cloud does not answer.
/// </summary>
/// <param name="Id">The interface.</param>
/// <param name="DeviceIndex">With the card, where it was attached.</param>
/// <param name="NetworkCard">See <paramref name="DeviceIndex"/>.</param>
/// <param name="IsExcluded">See <see cref="InterfaceObservation.IsExcluded"/>.</param>
/// <param name="Blocks">Those that were not on their way back to the cloud.</param>
internal sealed record KnownInterface(
    NetworkInterfaceId Id,
    int DeviceIndex,
    int NetworkCard,
    bool IsExcluded,
    IReadOnlyList<IPNetwork> Blocks
);

/// <summary>Counts of one block at one moment.</summary>
internal readonly record struct BlockView(IPNetwork Range, int Capacity, int Assigned, int Cooling, bool IsReleasing)
{
    public int Free => IsReleasing ? 0 : Capacity - Assigned - Cooling;

    /// <summary>When its last holder gave an address back; when this daemon first saw it, if there was none.</summary>
    public DateTimeOffset UnheldSince { get; init; }

    public bool IsUnused => Assigned == 0 && Cooling == 0 && !IsReleasing;
    public bool IsSingle => AddressBlocks.IsSingle(Range);
}

/// <summary>One interface at one moment.</summary>
internal sealed record InterfaceView
{
    public required NetworkInterfaceId Id { get; init; }
    public required int DeviceIndex { get; init; }
    public required int NetworkCard { get; init; }
    public required IPAddress PrimaryAddress { get; init; }
    public required string SubnetId { get; init; }
    public required bool CarriesPods { get; init; }

    /// <summary>See <see cref="InterfaceObservation.IsExcluded"/>.</summary>
    public bool IsExcluded { get; init; }

    /// <summary>A pod's address that no interface seems to carry may be on this one: it stays.</summary>
    public bool MayHoldOrphans { get; init; }

    /// <summary>On its way out: nothing new is assigned from it.</summary>
    public required bool IsDraining { get; init; }

    /// <summary>When this daemon first saw it.</summary>
    public required DateTimeOffset SeenAt { get; init; }

    /// <summary>When the last holder of one of its addresses gave it back; when this daemon first saw it, if there was none.</summary>
    public DateTimeOffset UnheldSince { get; init; }

    /// <summary>In address order.</summary>
    public required IReadOnlyList<BlockView> Blocks { get; init; }

    public bool IsPrimary => DeviceIndex == 0 && NetworkCard == 0;
    public int Total => Blocks.Sum(block => block.Capacity);
    public int Assigned => Blocks.Sum(block => block.Assigned);
    public int Cooling => Blocks.Sum(block => block.Cooling);
    public bool IsUsable => CarriesPods && !IsExcluded && !IsDraining;
    public int Free => IsUsable ? Blocks.Sum(block => block.Free) : 0;
}

/// <summary>A pod whose address no interface of this node carries.</summary>
/// <param name="Attachment">What it holds.</param>
/// <param name="LastPlace">The interface that carried it last; null when none is known.</param>
/// <param name="Since">When it was found missing; null when that was before the first observation of this run.</param>
internal sealed record Orphan(Attachment Attachment, InterfaceSlot? LastPlace, DateTimeOffset? Since);

/// <summary>The whole ledger at one moment: what the planner plans on and what an operator is shown.</summary>
internal sealed record LedgerView
{
    public required IReadOnlyList<InterfaceView> Interfaces { get; init; }

    /// <summary>When each cooling address that can be given out again becomes free, soonest first.</summary>
    public required IReadOnlyList<DateTimeOffset> CooldownEnds { get; init; }

    /// <summary>
    /// Attachments whose address no known interface carries: kept and reported, never dropped. Empty until the cloud has been observed
    /// (<see cref="IsObserved"/>): before that nobody can say.
    /// </summary>
    public required IReadOnlyList<Orphan> Orphans { get; init; }

    /// <summary>The cloud's control plane has said in this run what is attached.</summary>
    public required bool IsObserved { get; init; }
    public required int Attachments { get; init; }

    /// <summary>What is being done, or has to be done, in the cloud.</summary>
    public IReadOnlyList<OpenIntent> Intents { get; init; } = [];

    /// <summary>
    /// When the last attachments of this run were made, oldest first; at most <see cref="IpLedger.MaxRecentAssignments"/>.
    /// </summary>
    public IReadOnlyList<DateTimeOffset> RecentAssignments { get; init; } = [];

    public int Total => Interfaces.Where(item => item.CarriesPods).Sum(item => item.Total);
    public int Assigned => Interfaces.Where(item => item.CarriesPods).Sum(item => item.Assigned);
    public int Cooling => Interfaces.Where(item => item.CarriesPods).Sum(item => item.Cooling);
    public int Free => Interfaces.Sum(item => item.Free);
}
