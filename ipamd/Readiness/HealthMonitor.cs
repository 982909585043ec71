// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Readiness;

/// <summary>Health of the node at one moment.</summary>
/// <param name="Level">Level of the worst cause.</param>
/// <param name="Causes">Causes, worst first.</param>
internal sealed record HealthReport(HealthLevel Level, IReadOnlyList<LastingCause> Causes)
{
    /// <summary><c>READY</c>, or the level with its first cause: <c>DEGRADED SubnetExhausted: ...</c>.</summary>
    public string Headline =>
        Causes.Count == 0 ? LevelText(Level) : $"{LevelText(Level)} {Causes[0].Cause.Reason}: {Causes[0].Cause.Detail}";

    /// <summary>The level as text, for people.</summary>
    public static string LevelText(HealthLevel level) =>
        level switch
        {
            HealthLevel.Ready => "READY",
            HealthLevel.Degraded => "DEGRADED",
            HealthLevel.NotReady => "NOT READY",
            _ => throw new InvalidOperationException($"unnamed level {level}"),
        };
}

/// <summary>A cause and its start.</summary>
internal readonly record struct LastingCause(HealthCause Cause, DateTimeOffset Since);

/// <summary>
/// Determines the node's health on request and every few seconds, tracks the start of each cause, and reports changes of the level or of
/// the reasons with one log line and one callback each. Thread-safe.
/// </summary>
/// <param name="state">State of the daemon.</param>
/// <param name="ledger">Ledger of the pool.</param>
/// <param name="changed">Called with each change and its time.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Logs each change.</param>
internal sealed partial class HealthMonitor(
    DaemonState state,
    IpLedger ledger,
    Action<HealthReport, DateTimeOffset> changed,
    TimeProvider time,
    ILogger<HealthMonitor> logger
)
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>A starting daemon is briefly not ready, which is not worth reporting.</summary>
    private static readonly TimeSpan StartGrace = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly Dictionary<HealthReason, DateTimeOffset> _since = [];
    private string? _checkpointFailure;
    private (GrowthObstacleKind Kind, string Detail)? _observationFailure;
    private (HealthLevel Level, string Reasons)? _lastReported;

    /// <summary>Records an event; subscribes to the pool's events.</summary>
    public void Observe(PoolEvent poolEvent)
    {
        switch (poolEvent)
        {
            case PoolEvent.CheckpointWritten written:
                lock (_lock)
                    _checkpointFailure = written.Failure;
                break;
            case PoolEvent.Observed:
                lock (_lock)
                    _observationFailure = null;
                break;
            case PoolEvent.ObserveFailed failed:
                lock (_lock)
                    _observationFailure = (CloudObstacles.KindOf(failed.Failure), failed.Reason);
                break;
            default:
                break;
        }
    }

    /// <summary>Returns the current health.</summary>
    public HealthReport Report()
    {
        var now = time.GetUtcNow();
        lock (_lock)
        {
            var causes = NodeHealth.Of(Facts_NeedsLock(now));
            foreach (var over in _since.Keys.Where(reason => causes.All(cause => cause.Reason != reason)).ToArray())
                _since.Remove(over);
            foreach (var cause in causes)
                _since.TryAdd(cause.Reason, now);
            LastingCause[] lasting =
            [
                .. causes
                    .Select(cause => new LastingCause(cause, _since[cause.Reason]))
                    .Where(item => now - item.Since >= item.Cause.MinimumDuration),
            ];
            return new HealthReport(lasting.Length == 0 ? HealthLevel.Ready : lasting[0].Cause.Level, lasting);
        }
    }

    /// <summary>Reports the change since the last call, if there is one.</summary>
    public void ReportChange()
    {
        var report = Report();
        var now = time.GetUtcNow();
        if (state.Phase == DaemonPhase.Stopping)
            return;
        if (report.Causes is [{ Cause.Reason: HealthReason.Starting }, ..] && now - state.StartedAt < StartGrace)
            return;
        lock (_lock)
        {
            var current = (report.Level, Reasons: string.Join(',', Reasons(report)));
            if (_lastReported == current)
                return;
            var isFirst = _lastReported is null;
            _lastReported = current;
            // The daemon reports a healthy start itself.
            if (isFirst && report.Level == HealthLevel.Ready)
                return;
        }

        if (report.Level == HealthLevel.Ready)
            Log.Ready(logger);
        else
            Log.Unhealthy(
                logger,
                HealthReport.LevelText(report.Level),
                string.Join(", ", Reasons(report)),
                string.Join("; ", report.Causes.Select(item => item.Cause.Detail))
            );
        changed(report, now);
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            ReportChange();
            await Task.Delay(Interval, time, cancellationToken);
        }
    }

    /// <summary>Several causes may have the same reason: a failed observation and a pool that cannot grow.</summary>
    private static IEnumerable<HealthReason> Reasons(HealthReport report) => report.Causes.Select(item => item.Cause.Reason).Distinct();

    private HealthFacts Facts_NeedsLock(DateTimeOffset now) =>
        new()
        {
            Phase = state.Phase,
            IsReady = state.Ready,
            StartObstacle = state.StartObstacle,
            WaitsForNat = state.WaitsForNat,
            Ledger = ledger.View(now),
            Plan = state.Pool?.LastPlan,
            MaxPods = state.Pool?.Capacity.MaxPods ?? 0,
            CheckpointFailure = _checkpointFailure,
            ObservationFailure = _observationFailure,
            HostNetworkProblem = state.Facts.HostNetworkProblem(),
            InstallationProblem = state.Facts.InstallationProblem(),
            DefectProblem = state.Facts.DefectProblem(),
            LogProblem = state.Facts.LogProblem(),
            MissedDelProblem = state.Facts.MissedDelProblem(),
            ClusterProblem = state.Facts.ClusterProblem(),
        };

    private static partial class Log
    {
        [LoggerMessage(107, LogLevel.Warning, "the node does not serve pods as it should")]
        public static partial void Unhealthy(ILogger logger, string level, string reasons, string detail);

        [LoggerMessage(108, LogLevel.Information, "the node serves pods as it should")]
        public static partial void Ready(ILogger logger);
    }
}
