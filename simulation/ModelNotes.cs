// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.MissedDels;
using VpcCni.MissedDels;

namespace VpcCni.Simulation;

/// <summary>The folder of the plugin's notes of missed DELs on the model's node. Outlives daemons.</summary>
internal sealed class ModelNotes
{
    private readonly SortedDictionary<string, MissedDelEntry> _entries = new(StringComparer.Ordinal);

    /// <summary>Called when a note arrives; set by the running daemon.</summary>
    public Action Arrived { get; set; } = () => { };

    public IReadOnlyCollection<MissedDelEntry> Entries => _entries.Values;

    /// <summary>Adds a note of the plugin; replaces one of the same attachment.</summary>
    public void Leave(MissedDel note)
    {
        var name = $"{note.NetworkName}/{note.ContainerId}/{note.InterfaceName}";
        Put(new MissedDelEntry(name, note, null));
    }

    public void Put(MissedDelEntry entry)
    {
        _entries[entry.Name] = entry;
        Arrived();
    }

    public void Remove(MissedDelEntry entry)
    {
        if (_entries.TryGetValue(entry.Name, out var present) && present == entry)
            _entries.Remove(entry.Name);
    }
}

/// <summary>A daemon's access to the notes.</summary>
internal sealed class ModelMissedDels(ModelNotes notes, DaemonRun run) : IMissedDels
{
    private bool _isWatched;

    /// <summary>Called before a read; may throw <see cref="IOException"/>.</summary>
    public Action BeforeRead { get; init; } = () => { };

    /// <summary>Called before a removal; may throw <see cref="IOException"/>, or kill the daemon.</summary>
    public Action BeforeRemove { get; init; } = () => { };

    /// <summary>Whether the event of a note's arrival is delivered; false when it is lost.</summary>
    public Func<bool> IsAnnounced { get; init; } = () => true;

    public void Watch(Action arrived)
    {
        if (_isWatched)
            throw new InvalidOperationException("the notes are watched already");
        _isWatched = true;
        notes.Arrived = () =>
        {
            if (IsAnnounced())
                run.Post(arrived);
        };
    }

    public MissedDelReading Read()
    {
        run.CheckAlive();
        BeforeRead();
        return new MissedDelReading([.. notes.Entries], Foreign: 0, Problem: null);
    }

    public void Remove(MissedDelEntry entry)
    {
        run.CheckAlive();
        BeforeRemove();
        run.CheckAlive();
        notes.Remove(entry);
    }
}
