// SPDX-License-Identifier: Apache-2.0
using VpcCni.MissedDels;

namespace VpcCni.Ipamd.MissedDels;

/// <summary>A note, or what lies under the name of one.</summary>
/// <param name="Name">Of the file.</param>
/// <param name="Note">Null when it is none.</param>
/// <param name="Problem">Why it is none; null for a note.</param>
internal sealed record MissedDelEntry(string Name, MissedDel? Note, string? Problem);

/// <summary>What lies in the folder at one moment.</summary>
/// <param name="Entries">Notes and what has the name of one.</param>
/// <param name="Foreign">How many other things there are.</param>
/// <param name="Problem">Why one of the entries could not be read now, which says nothing of the entry; null when all could be.</param>
internal sealed record MissedDelReading(IReadOnlyList<MissedDelEntry> Entries, int Foreign, string? Problem);

/// <summary>Where the plugin leaves notes of DELs. Production: a folder. Tests: memory, with reads and removals that fail.</summary>
internal interface IMissedDels
{
    /// <summary>Called when there may be a new note, on any thread. A hint: one may come without it, and it without one.</summary>
    Action Arrived { get; set; }

    /// <exception cref="IOException">It cannot be read.</exception>
    MissedDelReading Read();

    /// <summary>Removes what was read. What took its place since then stays.</summary>
    /// <exception cref="IOException">It is still there.</exception>
    void Remove(MissedDelEntry entry);
}
