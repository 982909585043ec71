// SPDX-License-Identifier: Apache-2.0
using VpcCni.MissedDels;

namespace VpcCni.Ipamd.MissedDels;

/// <summary>
/// Reads the folder of missed DELs beside the daemon's socket. The first read creates it, so that the plugin finds it with the right
/// permissions; each read opens it again.
/// </summary>
internal sealed partial class MissedDelFiles(string socketPath, TimeProvider time, ILogger<MissedDelFiles> logger)
    : IMissedDels,
        IDisposable
{
    /// <summary>Maximum number of files to read: twice what plugins write.</summary>
    private const int MaxNames = 2 * MissedDelFolder.MaxFiles;

    /// <summary>Age after which an unfinished record is abandoned. A running plugin needs microseconds to write one.</summary>
    internal static readonly TimeSpan AbandonedAfter = TimeSpan.FromMinutes(1);

    /// <summary>When each unfinished record was first seen.</summary>
    private readonly Dictionary<string, long> _unfinished = new(StringComparer.Ordinal);

    private Action? _arrived;
    private FileSystemWatcher? _watcher;
    private ulong _watched;
    private volatile bool _isWatchLost = true;

    public void Watch(Action arrived)
    {
        if (Interlocked.CompareExchange(ref _arrived, arrived, null) is not null)
            throw new InvalidOperationException("the missed DELs are watched already");
    }

    public MissedDelReading Read()
    {
        var arrived = _arrived ?? throw new InvalidOperationException("nothing watches the missed DELs");
        using var folder = MissedDelFolder.Open(socketPath);
        // Watch before reading, so that nothing in between is missed.
        Watch(folder, arrived);
        List<MissedDelEntry> entries = [];
        List<string> unfinished = [];
        var foreign = 0;
        string? problem = null;
        foreach (var name in folder.Names(MaxNames))
        {
            try
            {
                if (MissedDelFolder.IsUnfinished(name))
                    unfinished.Add(name);
                else if (!MissedDelFolder.IsRecord(name))
                    foreign++;
                else if (ReadEntry(folder, name) is { } entry)
                    entries.Add(entry);
            }
            catch (IOException exception)
            {
                // Continue with the other files.
                problem ??= exception.Message;
            }
        }

        RemoveAbandoned(folder, unfinished);
        return new MissedDelReading(entries, foreign, problem);
    }

    public void Remove(MissedDelEntry entry)
    {
        using var folder = MissedDelFolder.Open(socketPath);
        // Do not remove a newer record: the DEL of a later ADD of this attachment may have been missed, too.
        if (ReadEntry(folder, entry.Name) is { } present && present.Del == entry.Del)
            folder.Remove(entry.Name);
    }

    public void Dispose() => _watcher?.Dispose();

    private static MissedDelEntry? ReadEntry(MissedDelFolder folder, string name)
    {
        try
        {
            return folder.Read(name) is { } content ? new MissedDelEntry(name, MissedDelFormat.Read(content), null) : null;
        }
        catch (FormatException exception)
        {
            return new MissedDelEntry(name, null, exception.Message);
        }
    }

    /// <summary>Removes records that a killed plugin left unfinished.</summary>
    private void RemoveAbandoned(MissedDelFolder folder, List<string> unfinished)
    {
        foreach (var gone in _unfinished.Keys.Except(unfinished, StringComparer.Ordinal).ToArray())
            _unfinished.Remove(gone);
        foreach (var name in unfinished)
        {
            if (!_unfinished.TryGetValue(name, out var seen))
                _unfinished[name] = time.GetTimestamp();
            else if (time.GetElapsedTime(seen) >= AbandonedAfter)
                folder.Remove(name);
        }
    }

    private void Watch(MissedDelFolder folder, Action arrived)
    {
        if (!_isWatchLost && _watched == folder.Inode)
            return;
        _watcher?.Dispose();
        _watcher = null;
        try
        {
            _watcher = new FileSystemWatcher(folder.Path, MissedDelFolder.FileName("*")) { NotifyFilter = NotifyFilters.FileName };
            _watcher.Created += (_, _) => arrived();
            _watcher.Renamed += (_, _) => arrived();
            _watcher.Error += (_, _) => _isWatchLost = true;
            (_isWatchLost, _watched) = (false, folder.Inode);
            _watcher.EnableRaisingEvents = true;
        }
        catch (Exception exception) when (exception is IOException or ArgumentException)
        {
            // ArgumentException: the folder was removed. The next read creates it again.
            _isWatchLost = true;
            Log.NotWatched(logger, folder.Path, exception.Message);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(150, LogLevel.Warning, "missed DELs are not notified and are found up to half a minute later")]
        public static partial void NotWatched(ILogger logger, string path, string error);
    }
}
