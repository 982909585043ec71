// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Counts and logs repairs, and delays those of a kind that another program keeps undoing. Each kind has its own backoff: a dispute over an
/// MTU must not delay the pods' rules. Thread-safe.
/// </summary>
/// <param name="repaired">Called with counted repairs; must be quick and not throw.</param>
/// <param name="time">Clock of the backoff.</param>
/// <param name="logger">Gets one line for the repairs of each sync and kind.</param>
internal sealed partial class RepairJournal(Action<RepairsMade> repaired, TimeProvider time, ILogger logger)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<RepairKind, RepairBackoff> _backoff = Enum.GetValues<RepairKind>()
        .ToDictionary(kind => kind, _ => new RepairBackoff());
    private volatile RepairReport _report = RepairReport.Empty;

    public RepairReport Report => _report;

    /// <summary>When repairs of this kind may be made; in the past without a dispute.</summary>
    public DateTimeOffset NotBefore(RepairKind kind)
    {
        lock (_lock)
            return _backoff[kind].NotBefore;
    }

    /// <summary>Records what the first sync added: logged, and not counted as a repair.</summary>
    public void Added(RepairKind kind, int count, string first) => Log.Added(logger, kind, count, first);

    public void Repaired(RepairKind kind, int count, string first)
    {
        var now = time.GetUtcNow();
        bool begins,
            disputed;
        lock (_lock)
        {
            begins = _backoff[kind].Repaired(now);
            disputed = _backoff[kind].IsDispute;
            var earlier = _report.Kinds[kind];
            Set_NeedsLock(
                kind,
                new RepairCount
                {
                    Repaired = earlier.Repaired + count,
                    Disputes = earlier.Disputes + (begins ? 1 : 0),
                    IsDisputed = disputed,
                    LastRepair = now,
                }
            );
        }

        if (begins)
            Log.Dispute(logger, kind, RepairBackoff.Patience, RepairBackoff.Pauses.Longest.TotalSeconds);
        else if (!disputed && kind == RepairKind.Leftover)
            Log.Removed(logger, count, first);
        else if (!disputed)
            Log.Repaired(logger, kind, count, first);
        repaired(new RepairsMade(kind, count, first));
    }

    /// <summary>Records a sync with no repair of this kind.</summary>
    public void Unchanged(RepairKind kind)
    {
        lock (_lock)
        {
            if (!_backoff[kind].Right(time.GetUtcNow()))
                return;
            Set_NeedsLock(kind, _report.Kinds[kind] with { IsDisputed = false });
        }

        Log.DisputeEnded(logger, kind);
    }

    /// <summary>Records a completed sync.</summary>
    public void Synced()
    {
        lock (_lock)
            _report = _report with { Syncs = _report.Syncs + 1, LastSync = time.GetUtcNow() };
    }

    private void Set_NeedsLock(RepairKind kind, RepairCount count) => _report = _report with { Kinds = _report.Kinds.SetItem(kind, count) };

    private static partial class Log
    {
        [LoggerMessage(72, LogLevel.Warning, "repaired what another program had changed")]
        public static partial void Repaired(ILogger logger, RepairKind repair, int count, string first);

        [LoggerMessage(
            73,
            LogLevel.Error,
            "another program keeps undoing repairs of what this node's pods need: repairs become less frequent"
        )]
        public static partial void Dispute(ILogger logger, RepairKind repair, int times, double longestPauseSeconds);

        [LoggerMessage(260, LogLevel.Information, "repairs are not undone any more: repairs are made at once again")]
        public static partial void DisputeEnded(ILogger logger, RepairKind repair);

        [LoggerMessage(261, LogLevel.Information, "removed rules or routes that are not needed any more")]
        public static partial void Removed(ILogger logger, int count, string first);

        [LoggerMessage(262, LogLevel.Information, "added what was missing at the start")]
        public static partial void Added(ILogger logger, RepairKind repair, int count, string first);
    }
}
