// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>
/// Reconciles our nftables table, and removes what the AWS VPC CNI left in netfilter. Has a loop of its own: it runs programs that take ten
/// milliseconds, or hang, and the repair of rules and routes must not wait for them.
/// </summary>
internal sealed partial class NatReconciler
{
    /// <summary>Interval of syncs; covers lost reports.</summary>
    private static readonly TimeSpan Resync = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Pauses between cleanups. Short at first, because the old daemon may end after ours has started and add its rules until then. Long in
    /// the end, because on a node with thousands of services each read of iptables takes most of a second.
    /// </summary>
    private static readonly Backoff CleanupPauses = new(TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(16));

    private readonly NatTable _table;
    private readonly ReferenceCleanup _cleanup;
    private readonly RepairJournal _journal;
    private readonly Action _tried;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly ILogger _logger;
    private readonly SyncSignal _changed = new();
    private readonly RetryTimer _tableDue = new();
    private readonly RetryTimer _cleanupDue = new();
    private readonly RecurrenceBackoff _returns = new();
    private int _cleanups;
    private DateTimeOffset _lastCleanup = DateTimeOffset.MinValue;
    private bool _wasClean;
    private volatile NatDeclaration? _declared;
    private volatile bool _needsCheck;
    private volatile bool _referenceSeen;
    private volatile string? _problem;
    private volatile bool _wasTried;

    /// <param name="program">Programs that change nftables.</param>
    /// <param name="journal">Counts the repairs.</param>
    /// <param name="tried">Called once, when <see cref="WasTried"/> becomes true; must be quick and not throw.</param>
    /// <param name="time">Clock of pauses.</param>
    /// <param name="random">Source of jitter.</param>
    /// <param name="logger">Gets one line for each change of the table and for each new problem.</param>
    public NatReconciler(INetfilterPrograms program, RepairJournal journal, Action tried, TimeProvider time, Random random, ILogger logger)
    {
        (_table, _cleanup) = (new NatTable(program), new ReferenceCleanup(program));
        (_journal, _tried, _time, _random, _logger) = (journal, tried, time, random, logger);
    }

    /// <summary>Why the table is not in its desired state, or old rules are left; null when neither is the case.</summary>
    public string? Problem => _problem;

    /// <summary>Whether the table has been brought into place once, or that has failed.</summary>
    public bool WasTried => _wasTried;

    /// <summary>Sets the desired table. Until then nothing is changed.</summary>
    public void Declare(NatDeclaration declared)
    {
        if (_declared == declared)
            return;
        _declared = declared;
        _changed.Raise();
    }

    /// <summary>Handles a report on a table; null when any may have changed.</summary>
    public void OnTableChange(string? table)
    {
        if (table == AwsCniRules.NftTable)
            _referenceSeen = true;
        else if (table is null or NatRules.Table)
            _needsCheck = true;
        else
            return;
        _changed.Raise();
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await SyncAsync(cancellationToken);
            await WaitAsync(cancellationToken);
            await Task.Delay(RepairBackoff.Debounce, _time, cancellationToken);
            _changed.Reset();
        }
    }

    /// <summary>Runs what is due.</summary>
    internal async Task SyncAsync(CancellationToken cancellationToken)
    {
        if (_declared is not { } declared)
            return;
        if (_needsCheck)
        {
            _needsCheck = false;
            _table.NeedsCheck = true;
        }

        if (_time.GetUtcNow() >= _tableDue.NextRun)
            _table.NeedsCheck = true;
        if (_table.IsDue(declared))
            await EnsureTableAsync(declared, cancellationToken);
        ReportTried();
        // After ours is in place, so that there is no gap.
        if (_tableDue.Failure is null)
            await CleanUpAsync(cancellationToken);
        Report();
    }

    private async Task EnsureTableAsync(NatDeclaration declared, CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        // A changed desired table is no repair: neither a dispute nor the pause after a failure of the previous one delays it.
        if (_tableDue.IsSameAsBefore(declared) && (now < _tableDue.RetryAt || now < _journal.NotBefore(RepairKind.Nat)))
            return;
        _tableDue.Begin(declared);
        try
        {
            var outcome = await _table.EnsureAsync(declared, cancellationToken);
            _tableDue.Succeeded(_time.GetUtcNow() + Jitter.Around(Resync, _random));
            if (outcome == NatOutcome.Repaired)
                _journal.Repaired(RepairKind.Nat, 1, $"nft table {string.Join(" and ", declared.Families)} {NatRules.Table}");
            else
                _journal.Unchanged(RepairKind.Nat);
            if (outcome is NatOutcome.Added or NatOutcome.Updated)
                Log.Replaced(_logger, NatRules.Table, declared.Ranges);
        }
        catch (HostNetworkException exception)
        {
            _tableDue.Failed(exception, _time.GetUtcNow());
        }
    }

    private void ReportTried()
    {
        if (_wasTried)
            return;
        _wasTried = true;
        _tried();
    }

    private async Task CleanUpAsync(CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        if (_referenceSeen && _lastCleanup + _returns.Pause < _cleanupDue.NextRun)
            _cleanupDue.NextRun = _lastCleanup + _returns.Pause;
        _referenceSeen = false;
        if (now < _cleanupDue.RetryAt || now < _cleanupDue.NextRun)
            return;
        _lastCleanup = now;
        try
        {
            var outcome = await _cleanup.RemoveAsync(cancellationToken);
            _cleanupDue.Succeeded(_time.GetUtcNow() + CleanupPauses.Ceiling(++_cleanups));
            if (!outcome.Removed)
                _returns.Clean(now);
            else if (!_wasClean)
                Log.Cleaned(_logger);
            else if (_returns.Removed(now))
                Log.CleanedAgain(_logger);
            if (outcome.Exemptions.Count > 0)
                Log.Exempted(_logger, outcome.Exemptions.Count, outcome.Exemptions[0]);
            _wasClean = true;
        }
        catch (HostNetworkException exception)
        {
            _cleanupDue.Failed(exception, _time.GetUtcNow());
        }
    }

    private void Report()
    {
        HostNetworkException[] failures = [.. new[] { _tableDue.Failure, _cleanupDue.Failure }.OfType<HostNetworkException>()];
        var problem = failures.Length == 0 ? null : string.Join("; ", failures.Select(failure => failure.Message));
        if (problem == _problem)
            return;
        if (problem is null)
            Log.Recovered(_logger);
        else
            Log.Failed(_logger, failures.Length == 1 ? failures[0] : new AggregateException(failures));
        _problem = problem;
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        var left = NextSync() - _time.GetUtcNow();
        if (left <= TimeSpan.Zero)
            return;
        await _changed.WaitAsync(left, _time, cancellationToken);
    }

    private DateTimeOffset NextSync()
    {
        if (_declared is null)
            return _time.GetUtcNow() + Resync;
        if (_tableDue.Failure is not null)
            return _tableDue.Next;
        // To be checked already: another program changed it while it was applied, or a repair is delayed.
        var table = _table.NeedsCheck ? _journal.NotBefore(RepairKind.Nat) : _tableDue.Next;
        return table < _cleanupDue.Next ? table : _cleanupDue.Next;
    }

    private static partial class Log
    {
        [LoggerMessage(76, LogLevel.Information, "the nftables table was replaced")]
        public static partial void Replaced(ILogger logger, string table, int ranges);

        [LoggerMessage(77, LogLevel.Information, "removed the rules that the AWS VPC CNI left in netfilter")]
        public static partial void Cleaned(ILogger logger);

        [LoggerMessage(
            263,
            LogLevel.Warning,
            "removed rules of the AWS VPC CNI that were in netfilter again; removals become less frequent while they come back (logged "
                + "once): does its daemon run on this node?"
        )]
        public static partial void CleanedAgain(ILogger logger);

        [LoggerMessage(
            264,
            LogLevel.Warning,
            "rules in POSTROUTING kept connections from being translated by the AWS VPC CNI and do not keep them from being "
                + "translated by us (AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS does)"
        )]
        public static partial void Exempted(ILogger logger, int count, string first);

        [LoggerMessage(265, LogLevel.Error, "source NAT is not in its desired state")]
        public static partial void Failed(ILogger logger, Exception exception);

        [LoggerMessage(266, LogLevel.Information, "source NAT is in its desired state again")]
        public static partial void Recovered(ILogger logger);
    }
}
