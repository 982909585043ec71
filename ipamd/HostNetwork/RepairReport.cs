// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Repairs of the host's network since the start. An immutable snapshot.
/// </summary>
internal sealed record RepairReport
{
    /// <summary>Counts of every kind, zero included.</summary>
    public required ImmutableDictionary<RepairKind, RepairCount> Kinds { get; init; }

    /// <summary>Number of completed syncs of links, addresses, routes and rules.</summary>
    public long Syncs { get; init; }

    /// <summary>Time of the last completed sync; null before the first.</summary>
    public DateTimeOffset? LastSync { get; init; }

    public static RepairReport Empty { get; } =
        new() { Kinds = Enum.GetValues<RepairKind>().ToImmutableDictionary(kind => kind, _ => new RepairCount()) };
}

/// <summary>Repairs of one kind.</summary>
internal sealed record RepairCount
{
    /// <summary>
    /// Number of repairs that changed the kernel's state, without those of the first sync.
    /// </summary>
    public long Repaired { get; init; }

    /// <summary>Number of disputes with another program.</summary>
    public long Disputes { get; init; }

    /// <summary>Whether another program keeps undoing the repairs, which are delayed.</summary>
    public bool IsDisputed { get; init; }

    /// <summary>Time of the last repair; null for none.</summary>
    public DateTimeOffset? LastRepair { get; init; }
}

/// <summary>Repairs of one kind in one sync.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Count">At least one.</param>
/// <param name="First">The first one, as the equivalent command.</param>
internal sealed record RepairsMade(RepairKind Kind, int Count, string First);
