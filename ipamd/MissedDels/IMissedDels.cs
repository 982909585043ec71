// SPDX-License-Identifier: Apache-2.0
using VpcCni.MissedDels;

namespace VpcCni.Ipamd.MissedDels;

/// <summary>A record of a missed DEL, or a file with the name of one.</summary>
/// <param name="Name">Name of the file.</param>
/// <param name="Del">The DEL; null if the file is invalid.</param>
/// <param name="Problem">Why the file is invalid; null if it is valid.</param>
internal sealed record MissedDelEntry(string Name, MissedDel? Del, string? Problem);

/// <summary>Content of the folder at one moment.</summary>
/// <param name="Entries">Files with the name of a record.</param>
/// <param name="Foreign">Number of other files.</param>
/// <param name="Problem">Why some file could not be read at the moment; null if all could be read.</param>
internal sealed record MissedDelReading(IReadOnlyList<MissedDelEntry> Entries, int Foreign, string? Problem);

/// <summary>
/// Port to the records that the plugin leaves of DELs. Production: a folder. Tests: memory, with reads and removals that fail.
/// </summary>
internal interface IMissedDels
{
    /// <summary>Notifies of new records from now on. Call it once, before <see cref="Read"/>.</summary>
    /// <param name="arrived">
    /// Called on any thread when there may be a new record. Only a hint: it may be missing or unfounded.
    /// </param>
    /// <exception cref="InvalidOperationException">The records are watched already.</exception>
    void Watch(Action arrived);

    /// <exception cref="IOException">The folder cannot be read.</exception>
    /// <exception cref="InvalidOperationException">Nothing watches the records, see <see cref="Watch"/>.</exception>
    MissedDelReading Read();

    /// <summary>Removes a record that was read; a newer one under its name stays.</summary>
    /// <exception cref="IOException">The record was not removed.</exception>
    void Remove(MissedDelEntry entry);
}
