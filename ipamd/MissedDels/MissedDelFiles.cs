// SPDX-License-Identifier: Apache-2.0
using VpcCni.MissedDels;

namespace VpcCni.Ipamd.MissedDels;

/// <summary>
/// The folder beside the daemon's socket. Made at the first read, so that the plugin finds one that is right; opened again for each.
/// </summary>
internal sealed partial class MissedDelFiles(string socketPath, TimeProvider time, ILogger<MissedDelFiles> logger)
    : IMissedDels,
        IDisposable
{
    /// <summary>Twice what plugins write; what is beyond is not looked at.</summary>
    private const int MostNames = 2 * MissedDelFolder.MaxFiles;

    /// <summary>A plugin that is at work needs microseconds from the first to the last byte of a note.</summary>
    internal static readonly TimeSpan UnfinishedFor = TimeSpan.FromMinutes(1);

    /// <summary>Since when notes have been seen that are being written.</summary>
    private readonly Dictionary<string, long> _unfinished = new(StringComparer.Ordinal);

    private FileSystemWatcher? _watcher;
    private ulong _watched;
    private volatile bool _isWatchLost = true;

    public Action Arrived { get; set; } = () => { };

    public MissedDelReading Read()
    {
        using var folder = MissedDelFolder.Open(socketPath);
        // Before the look: what comes after it is announced.
        Watch(folder);
        List<MissedDelEntry> entries = [];
        List<string> unfinished = [];
        var foreign = 0;
        string? problem = null;
        foreach (var name in folder.Names(MostNames))
        {
            try
            {
                if (MissedDelFolder.IsUnfinished(name))
                    unfinished.Add(name);
                else if (!MissedDelFolder.IsNote(name))
                    foreign++;
                else if (ReadEntry(folder, name) is { } entry)
                    entries.Add(entry);
            }
            catch (IOException exception)
            {
                // The others must not wait for it.
                problem ??= exception.Message;
            }
        }

        RemoveAbandoned(folder, unfinished);
        return new MissedDelReading(entries, foreign, problem);
    }

    public void Remove(MissedDelEntry entry)
    {
        using var folder = MissedDelFolder.Open(socketPath);
        // The DEL of a newer ADD of the same attachment may have been missed, too.
        if (ReadEntry(folder, entry.Name) is { } present && present.Note == entry.Note)
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

    /// <summary>What a plugin that was killed had begun to write.</summary>
    private void RemoveAbandoned(MissedDelFolder folder, List<string> unfinished)
    {
        foreach (var gone in _unfinished.Keys.Except(unfinished, StringComparer.Ordinal).ToArray())
            _unfinished.Remove(gone);
        foreach (var name in unfinished)
        {
            if (!_unfinished.TryGetValue(name, out var seen))
                _unfinished[name] = time.GetTimestamp();
            else if (time.GetElapsedTime(seen) >= UnfinishedFor)
                folder.Remove(name);
        }
    }

    private void Watch(MissedDelFolder folder)
    {
        if (!_isWatchLost && _watched == folder.Inode)
            return;
        _watcher?.Dispose();
        _watcher = null;
        try
        {
            _watcher = new FileSystemWatcher(folder.Path, MissedDelFolder.FileName("*")) { NotifyFilter = NotifyFilters.FileName };
            _watcher.Created += (_, _) => Arrived();
            _watcher.Renamed += (_, _) => Arrived();
            _watcher.Error += (_, _) => _isWatchLost = true;
            (_isWatchLost, _watched) = (false, folder.Inode);
            _watcher.EnableRaisingEvents = true;
        }
        catch (Exception exception) when (exception is IOException or ArgumentException)
        {
            // The second: the folder went away. The next look finds another one.
            _isWatchLost = true;
            Log.NotWatched(logger, folder.Path, exception.Message);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(150, LogLevel.Warning, "notes of missed DELs are not announced and are found up to half a minute later")]
        public static partial void NotWatched(ILogger logger, string path, string error);
    }
}
