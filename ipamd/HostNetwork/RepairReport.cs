// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// How much of what the host's network must be had to be put right since the start. A value: whoever reads it sees one moment.
/// </summary>
internal sealed record RepairReport
{
    /// <summary>Every kind, also those of which nothing had to be repaired.</summary>
    public required ImmutableDictionary<RepairKind, RepairCount> Kinds { get; init; }

    /// <summary>Looks at links, addresses, routes and rules that were made whole.</summary>
    public long Looks { get; init; }

    /// <summary>When the last of them was made; null before the first.</summary>
    public DateTimeOffset? LastLook { get; init; }

    public static RepairReport Empty { get; } =
        new() { Kinds = Enum.GetValues<RepairKind>().ToImmutableDictionary(kind => kind, _ => new RepairCount()) };
}

/// <summary>Repairs of one kind.</summary>
internal sealed record RepairCount
{
    /// <summary>
    /// Objects that were put right, or taken away: what the kernel took as a change. What the first look puts there does not count.
    /// </summary>
    public long Repaired { get; init; }

    /// <summary>How often a series of repairs became a dispute with another program.</summary>
    public long Disputes { get; init; }

    /// <summary>Another program keeps undoing the repairs: they are made ever more rarely.</summary>
    public bool IsDisputed { get; init; }

    /// <summary>Null: never.</summary>
    public DateTimeOffset? LastRepair { get; init; }
}

/// <summary>Repairs of one kind that one look led to.</summary>
/// <param name="Kind">Of what.</param>
/// <param name="Count">How many; at least one.</param>
/// <param name="First">One of them, as the equivalent command.</param>
internal sealed record RepairsMade(RepairKind Kind, int Count, string First);
