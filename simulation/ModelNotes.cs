// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.MissedDels;
using VpcCni.MissedDels;

namespace VpcCni.Simulation;

/// <summary>The folder of notes of the model's node: what its plugin has left of DELs, by file. Outlives daemons.</summary>
internal sealed class ModelNotes
{
    private readonly SortedDictionary<string, MissedDelEntry> _entries = new(StringComparer.Ordinal);

    /// <summary>Of the daemon that runs.</summary>
    public Action Arrived { get; set; } = () => { };

    public IReadOnlyCollection<MissedDelEntry> Entries => _entries.Values;

    /// <summary>The plugin leaves a note; one of the same attachment is replaced.</summary>
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

/// <summary>A daemon's hold on the notes.</summary>
internal sealed class ModelMissedDels(ModelNotes notes, DaemonRun incarnation) : IMissedDels
{
    private Action _arrived = () => { };

    /// <summary>Before a look: may refuse it (<see cref="IOException"/>).</summary>
    public Action BeforeRead { get; init; } = () => { };

    /// <summary>Before a removal: may refuse it, or kill the daemon.</summary>
    public Action BeforeRemove { get; init; } = () => { };

    /// <summary>The event of a note that arrived; false: it is lost.</summary>
    public Func<bool> IsAnnounced { get; init; } = () => true;

    public Action Arrived
    {
        get => _arrived;
        set
        {
            _arrived = value;
            notes.Arrived = () =>
            {
                if (IsAnnounced())
                    incarnation.Post(() => _arrived());
            };
        }
    }

    public MissedDelReading Read()
    {
        incarnation.CheckAlive();
        BeforeRead();
        return new MissedDelReading([.. notes.Entries], Foreign: 0, Problem: null);
    }

    public void Remove(MissedDelEntry entry)
    {
        incarnation.CheckAlive();
        BeforeRemove();
        incarnation.CheckAlive();
        notes.Remove(entry);
    }
}
