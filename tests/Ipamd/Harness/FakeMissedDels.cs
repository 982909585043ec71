// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.MissedDels;
using VpcCni.MissedDels;

namespace VpcCni.Ipamd.Tests.Harness;

/// <summary>The folder of missed DELs in memory, which can refuse to be read or to remove an entry.</summary>
internal sealed class FakeMissedDels : IMissedDels
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, MissedDelEntry> _entries = new(StringComparer.Ordinal);

    private Action? _arrived;

    public HashSet<string> Stuck { get; } = [];
    public string? Refusal { get; set; }
    public string? Unread { get; set; }
    public int Foreign { get; set; }
    public int Reads { get; private set; }

    public IReadOnlyList<MissedDelEntry> Entries
    {
        get
        {
            lock (_lock)
                return [.. _entries.Values];
        }
    }

    public void Watch(Action arrived)
    {
        if (_arrived is not null)
            throw new InvalidOperationException("the missed DELs are watched already");
        _arrived = arrived;
    }

    /// <summary>Notifies of a new record.</summary>
    public void Notify() => _arrived!();

    public void Leave(MissedDel note) => Put(new MissedDelEntry(note.ContainerId, note, null));

    public void Put(MissedDelEntry entry)
    {
        lock (_lock)
            _entries[entry.Name] = entry;
    }

    public MissedDelReading Read()
    {
        lock (_lock)
        {
            Reads++;
            return Refusal is { } refusal ? throw new IOException(refusal) : new MissedDelReading([.. _entries.Values], Foreign, Unread);
        }
    }

    public void Remove(MissedDelEntry entry)
    {
        lock (_lock)
        {
            if (Stuck.Contains(entry.Name))
                throw new IOException($"remove {entry.Name}: it is a directory that is not empty");
            _entries.Remove(entry.Name);
        }
    }
}
