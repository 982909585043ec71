// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>
/// Keeps our nftables table, and keeps what the AWS VPC CNI wrote away. Beside the looks at rules and routes, which take a millisecond and
/// must not stand in line behind programs that take ten, or hang.
/// </summary>
internal sealed partial class NatReconciler
{
    /// <summary>What the kernel does not report, or was lost.</summary>
    private static readonly TimeSpan Resync = TimeSpan.FromSeconds(60);

    /// <summary>The old daemon may end after ours has started, and put its rules back until then.</summary>
    private static readonly TimeSpan FirstCleanupPause = TimeSpan.FromMinutes(1);

    /// <summary>On a node with thousands of services each look at iptables costs a good part of a second.</summary>
    private static readonly TimeSpan LongestCleanupPause = TimeSpan.FromMinutes(16);

    private readonly NatTable _table;
    private readonly ReferenceCleanup _cleanup;
    private readonly RepairJournal _journal;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly ILogger _logger;
    private readonly SyncSignal _changed = new();
    private readonly RetryTimer _tableDue = new();
    private readonly RetryTimer _cleanupDue = new();
    private readonly RecurrenceBackoff _returns = new();
    private TimeSpan _cleanupPause = FirstCleanupPause;
    private DateTimeOffset _lastCleanup = DateTimeOffset.MinValue;
    private bool _wasClean;
    private volatile NatDeclaration? _declared;
    private volatile bool _isDoubtful;
    private volatile bool _referenceSeen;
    private volatile string? _problem;

    public NatReconciler(INetfilterPrograms program, RepairJournal journal, TimeProvider time, Random random, ILogger logger)
    {
        (_table, _cleanup) = (new NatTable(program), new ReferenceCleanup(program));
        (_journal, _time, _random, _logger) = (journal, time, random, logger);
    }

    /// <summary>Why the table is not what it must be, or old rules are left; null when neither is so.</summary>
    public string? Problem => _problem;

    /// <summary>What the table must be. Before the first time nothing is touched.</summary>
    public void Declare(NatDeclaration declared)
    {
        if (_declared == declared)
            return;
        _declared = declared;
        _changed.Raise();
    }

    /// <summary>A table changed; null: any may have.</summary>
    public void OnTableChange(string? table)
    {
        if (table == AwsCniRules.NftTable)
            _referenceSeen = true;
        else if (table is null or NatRules.Table)
            _isDoubtful = true;
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

    /// <summary>What is due now.</summary>
    internal async Task SyncAsync(CancellationToken cancellationToken)
    {
        if (_declared is not { } declared)
            return;
        if (_isDoubtful)
        {
            _isDoubtful = false;
            _table.IsDoubtful = true;
        }

        if (_time.GetUtcNow() >= _tableDue.NextRun)
            _table.IsDoubtful = true;
        if (_table.IsDue(declared))
            await EnsureTableAsync(declared, cancellationToken);
        // Not before ours is in place: there would be a gap.
        if (_tableDue.Failure is null)
            await CleanUpAsync(cancellationToken);
        Report();
    }

    private async Task EnsureTableAsync(NatDeclaration declared, CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        // What must be another table now is no repair, and waits for no dispute; nor for the end of a pause after it could not be made as
        // it was to be before.
        if (_tableDue.IsSameAsBefore(declared) && (now < _tableDue.RetryAt || now < _journal.NotBefore(RepairKind.Nat)))
            return;
        _tableDue.Begin(declared);
        try
        {
            var outcome = await _table.EnsureAsync(declared, cancellationToken);
            _tableDue.Succeeded(_time.GetUtcNow() + (Resync * (0.9 + (_random.NextDouble() * 0.2))));
            if (outcome == NatOutcome.Repaired)
                _journal.Repaired(RepairKind.Nat, 1, $"nft table ip {NatRules.Table}");
            else
                _journal.Right(RepairKind.Nat);
            if (outcome is NatOutcome.PutThere or NatOutcome.Updated)
                Log.Replaced(_logger, NatRules.Table, declared.Ranges);
        }
        catch (HostNetworkException exception)
        {
            _tableDue.Failed(exception, _time.GetUtcNow());
        }
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
            _cleanupDue.Succeeded(_time.GetUtcNow() + _cleanupPause);
            _cleanupPause = _cleanupPause * 2 < LongestCleanupPause ? _cleanupPause * 2 : LongestCleanupPause;
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
        var left = NextLook() - _time.GetUtcNow();
        if (left <= TimeSpan.Zero)
            return;
        await _changed.WaitAsync(left, _time, cancellationToken);
    }

    private DateTimeOffset NextLook()
    {
        if (_declared is null)
            return _time.GetUtcNow() + Resync;
        if (_tableDue.Failure is not null)
            return _tableDue.Next;
        // In doubt already: somebody changed it while it was put there, or a repair waits.
        var table = _table.IsDoubtful ? _journal.NotBefore(RepairKind.Nat) : _tableDue.Next;
        return table < _cleanupDue.Next ? table : _cleanupDue.Next;
    }

    private static partial class Log
    {
        [LoggerMessage(76, LogLevel.Information, "the nftables table was replaced")]
        public static partial void Replaced(ILogger logger, string table, int ranges);

        [LoggerMessage(77, LogLevel.Information, "rules that the AWS VPC CNI left in netfilter are removed")]
        public static partial void Cleaned(ILogger logger);

        [LoggerMessage(
            263,
            LogLevel.Warning,
            "rules of the AWS VPC CNI were in netfilter again, and are removed again, ever less often while they come back (said "
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

        [LoggerMessage(265, LogLevel.Error, "source NAT is not what it must be")]
        public static partial void Failed(ILogger logger, Exception exception);

        [LoggerMessage(266, LogLevel.Information, "source NAT is what it must be again")]
        public static partial void Recovered(ILogger logger);
    }
}
