// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// What was repaired: counts it, says it once a look and kind, and says when repairs of a kind must wait because another program keeps
/// undoing them. Each kind on its own: a quarrel over an MTU must not delay the pods' rules. From any thread.
/// </summary>
internal sealed partial class RepairJournal(TimeProvider time, ILogger logger)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<RepairKind, RepairBackoff> _pacing = Enum.GetValues<RepairKind>()
        .ToDictionary(kind => kind, _ => new RepairBackoff());
    private volatile RepairReport _report = RepairReport.Empty;

    public RepairReport Report => _report;

    /// <summary>Told of what was counted; must be quick and not throw.</summary>
    public Action<RepairsMade>? Told { get; set; }

    /// <summary>When repairs of this kind may be made; a time in the past is now.</summary>
    public DateTimeOffset NotBefore(RepairKind kind)
    {
        lock (_lock)
            return _pacing[kind].NotBefore;
    }

    /// <summary>Until the first whole look everything that is missing was never there: said, but not counted.</summary>
    public void PutThere(RepairKind kind, int count, string first) => Log.PutThere(logger, kind, count, first);

    public void Repaired(RepairKind kind, int count, string first)
    {
        var now = time.GetUtcNow();
        bool begins,
            disputed;
        lock (_lock)
        {
            begins = _pacing[kind].Repaired(now);
            disputed = _pacing[kind].IsDispute;
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
            Log.Dispute(logger, kind, RepairBackoff.Patience, RepairBackoff.LongestPause.TotalSeconds);
        else if (!disputed && kind == RepairKind.Leftover)
            Log.Removed(logger, count, first);
        else if (!disputed)
            Log.Repaired(logger, kind, count, first);
        Told?.Invoke(new RepairsMade(kind, count, first));
    }

    /// <summary>Of this kind nothing had to be repaired.</summary>
    public void Right(RepairKind kind)
    {
        lock (_lock)
        {
            if (!_pacing[kind].Right(time.GetUtcNow()))
                return;
            Set_NeedsLock(kind, _report.Kinds[kind] with { IsDisputed = false });
        }

        Log.Peace(logger, kind);
    }

    /// <summary>A look was made to its end.</summary>
    public void Looked()
    {
        lock (_lock)
            _report = _report with { Looks = _report.Looks + 1, LastLook = time.GetUtcNow() };
    }

    private void Set_NeedsLock(RepairKind kind, RepairCount count) => _report = _report with { Kinds = _report.Kinds.SetItem(kind, count) };

    private static partial class Log
    {
        [LoggerMessage(72, LogLevel.Warning, "repaired what another program had changed")]
        public static partial void Repaired(ILogger logger, RepairKind repair, int count, string first);

        [LoggerMessage(
            73,
            LogLevel.Error,
            "another program undoes what this node's pods need: repairs are made ever less often from now on"
        )]
        public static partial void Dispute(ILogger logger, RepairKind repair, int times, double longestPauseSeconds);

        [LoggerMessage(260, LogLevel.Information, "what another program kept undoing stays as it must be again: repairs are made at once")]
        public static partial void Peace(ILogger logger, RepairKind repair);

        [LoggerMessage(261, LogLevel.Information, "removed rules or routes that nothing needs any more")]
        public static partial void Removed(ILogger logger, int count, string first);

        [LoggerMessage(262, LogLevel.Information, "added what was missing at the start")]
        public static partial void PutThere(ILogger logger, RepairKind repair, int count, string first);
    }
}
