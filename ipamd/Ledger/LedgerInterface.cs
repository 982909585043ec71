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
}

/// <summary>Counts of one block at one moment.</summary>
internal readonly record struct BlockView(IPNetwork Range, int Capacity, int Assigned, int Cooling, bool IsReleasing)
{
    public int Free => IsReleasing ? 0 : Capacity - Assigned - Cooling;
    public bool IsUnused => Assigned == 0 && Cooling == 0;
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

    /// <summary>On its way out: nothing new is assigned from it.</summary>
    public required bool IsDraining { get; init; }

    /// <summary>When this daemon first saw it.</summary>
    public required DateTimeOffset SeenAt { get; init; }

    /// <summary>In address order.</summary>
    public required IReadOnlyList<BlockView> Blocks { get; init; }

    public bool IsPrimary => DeviceIndex == 0 && NetworkCard == 0;
    public int Total => Blocks.Sum(block => block.Capacity);
    public int Assigned => Blocks.Sum(block => block.Assigned);
    public int Cooling => Blocks.Sum(block => block.Cooling);
    public int Free => CarriesPods && !IsDraining ? Blocks.Sum(block => block.Free) : 0;
}

/// <summary>The whole ledger at one moment: what the planner plans on and what an operator is shown.</summary>
internal sealed record LedgerView
{
    public required IReadOnlyList<InterfaceView> Interfaces { get; init; }

    /// <summary>When each cooling address becomes free, soonest first.</summary>
    public required IReadOnlyList<DateTimeOffset> CooldownEnds { get; init; }

    /// <summary>Attachments whose address no known interface carries: kept and reported, never dropped.</summary>
    public required IReadOnlyList<Attachment> Orphans { get; init; }
    public required int Attachments { get; init; }

    public int Total => Interfaces.Where(item => item.CarriesPods).Sum(item => item.Total);
    public int Assigned => Interfaces.Where(item => item.CarriesPods).Sum(item => item.Assigned);
    public int Cooling => Interfaces.Where(item => item.CarriesPods).Sum(item => item.Cooling);
    public int Free => Interfaces.Sum(item => item.Free);
}
