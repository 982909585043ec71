// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;

namespace VpcCni.Ipamd.Ledger;

/// <summary>A network interface attached to this node, as observed.</summary>
internal sealed record InterfaceObservation
{
    public required NetworkInterfaceId Id { get; init; }

    public required Slot Slot { get; init; }
    public required IPAddress PrimaryAddress { get; init; }
    public required string SubnetId { get; init; }

    /// <summary>Address blocks, without the addresses of the node itself.</summary>
    public required IReadOnlyList<IPNetwork> Blocks { get; init; }

    /// <summary>Whether pods get its addresses; false for one that is not managed, or of a kind without addresses for pods.</summary>
    public bool CarriesPods { get; init; } = true;

    /// <summary>Whether its subnet is no longer for pods: its pods stay, new ones do not use it, and it is removed when empty.</summary>
    public bool IsExcluded { get; init; }
}

/// <summary>
/// An interface for pods as recorded in the checkpoint, which the next daemon run may use while the cloud does not answer.
/// </summary>
/// <param name="Id">The interface.</param>
/// <param name="Slot">Its slot.</param>
/// <param name="IsExcluded">See <see cref="InterfaceObservation.IsExcluded"/>.</param>
/// <param name="Blocks">Its blocks, except those being released.</param>
internal sealed record KnownInterface(NetworkInterfaceId Id, Slot Slot, bool IsExcluded, IReadOnlyList<IPNetwork> Blocks);

/// <summary>Counts of one block at one moment.</summary>
internal readonly record struct BlockView(IPNetwork Range, int Capacity, int Assigned, int Cooling, bool IsReleasing)
{
    public int Free => IsReleasing ? 0 : Capacity - Assigned - Cooling;

    /// <summary>When the last address was released; when this daemon first saw the block, if none was ever assigned.</summary>
    public DateTimeOffset UnusedSince { get; init; }

    public bool IsUnused => Assigned == 0 && Cooling == 0 && !IsReleasing;
    public BlockShape Shape => BlockShape.Of(Range);
    public bool IsSingle => Shape.IsSingle;
    public AddressFamily Family => Shape.Family;
}

/// <summary>One interface at one moment.</summary>
internal sealed record InterfaceView
{
    public required NetworkInterfaceId Id { get; init; }
    public required Slot Slot { get; init; }
    public required IPAddress PrimaryAddress { get; init; }
    public required string SubnetId { get; init; }
    public required bool CarriesPods { get; init; }

    /// <summary>See <see cref="InterfaceObservation.IsExcluded"/>.</summary>
    public bool IsExcluded { get; init; }

    /// <summary>Whether a pod address that seems to be on no interface may be on this one, which must then stay.</summary>
    public bool MayHoldOrphans { get; init; }

    /// <summary>Whether the interface is being removed: no address of it is assigned.</summary>
    public required bool IsDraining { get; init; }

    /// <summary>When this daemon first saw it.</summary>
    public required DateTimeOffset FirstSeenAt { get; init; }

    /// <summary>When the last address was released; when this daemon first saw the interface, if none was ever assigned.</summary>
    public DateTimeOffset UnusedSince { get; init; }

    /// <summary>The blocks, in address order.</summary>
    public required IReadOnlyList<BlockView> Blocks { get; init; }

    public bool IsPrimary => Slot.IsPrimary;

    /// <summary>The families of the node's pods; numbers without a family count addresses of the lead.</summary>
    public required PodFamilies Families { get; init; }
    public int Total => TotalOf(Families.Lead);
    public int Assigned => AssignedOf(Families.Lead);
    public int Cooling => CoolingOf(Families.Lead);
    public bool IsUsable => CarriesPods && !IsExcluded && !IsDraining;

    /// <summary>Number of pods that can have an address of each family.</summary>
    public int Free => Families.All.Min(FreeOf);

    public int TotalOf(AddressFamily family) => BlocksOf(family).Sum(block => block.Capacity);

    public int AssignedOf(AddressFamily family) => BlocksOf(family).Sum(block => block.Assigned);

    public int CoolingOf(AddressFamily family) => BlocksOf(family).Sum(block => block.Cooling);

    public int FreeOf(AddressFamily family) => IsUsable ? BlocksOf(family).Sum(block => block.Free) : 0;

    private IEnumerable<BlockView> BlocksOf(AddressFamily family) => Blocks.Where(block => block.Family == family);
}

/// <summary>A pod whose address no interface of this node carries.</summary>
/// <param name="Attachment">The pod's attachment.</param>
/// <param name="LastSlot">The interface that carried the address last; null when unknown.</param>
/// <param name="Since">When it was found missing; null when that was before the first observation of this run.</param>
internal sealed record Orphan(Attachment Attachment, InterfaceSlot? LastSlot, DateTimeOffset? Since);

/// <summary>The whole ledger at one moment, for the planner and for operators.</summary>
internal sealed record LedgerView
{
    public required IReadOnlyList<InterfaceView> Interfaces { get; init; }

    /// <summary>Ends of the cooldowns of assignable addresses of the lead family, earliest first.</summary>
    public required IReadOnlyList<DateTimeOffset> CooldownEnds { get; init; }

    /// <summary>
    /// Attachments whose address no known interface carries: kept and reported, never dropped. Empty until the cloud has been observed
    /// (<see cref="IsObserved"/>), since it is unknown before.
    /// </summary>
    public required IReadOnlyList<Orphan> Orphans { get; init; }

    /// <summary>Whether this run has observed the attached interfaces through the cloud's control plane.</summary>
    public required bool IsObserved { get; init; }
    public required int Attachments { get; init; }

    /// <summary>Open changes of the cloud, running or to be resumed.</summary>
    public IReadOnlyList<OpenIntent> Intents { get; init; } = [];

    /// <summary>Times of the last new attachments of this run, oldest first; at most <see cref="IpLedger.MaxRecentAssignments"/>.</summary>
    public IReadOnlyList<DateTimeOffset> RecentAssignments { get; init; } = [];

    /// <summary>The families of the node's pods; numbers without a family count addresses of the lead.</summary>
    public required PodFamilies Families { get; init; }
    public int Total => TotalOf(Families.Lead);
    public int Assigned => AssignedOf(Families.Lead);
    public int Cooling => CoolingOf(Families.Lead);

    /// <summary>Number of pods that can have an address of each family.</summary>
    public int Free => Interfaces.Sum(item => item.Free);

    public int TotalOf(AddressFamily family) => Interfaces.Where(item => item.CarriesPods).Sum(item => item.TotalOf(family));

    public int AssignedOf(AddressFamily family) => Interfaces.Where(item => item.CarriesPods).Sum(item => item.AssignedOf(family));

    public int CoolingOf(AddressFamily family) => Interfaces.Where(item => item.CarriesPods).Sum(item => item.CoolingOf(family));

    public int FreeOf(AddressFamily family) => Interfaces.Sum(item => item.FreeOf(family));
}
