// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Threading.Channels;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Keeps the kernel at the declared state: looks when the kernel says that something changed, and once a minute in any case, and applies the difference. It holds no state that matters: what must be
/// is declared anew at each look.
/// </summary>
internal sealed partial class HostNetworkKeeper : IDisposable
{
    /// <summary>Covers what the kernel does not report: IPv4 routes that go with a link that goes down, and reports that were lost.</summary>
    private static readonly TimeSpan Resync = TimeSpan.FromSeconds(60);

    private const RouteMonitorGroups Groups = RouteMonitorGroups.Links | RouteMonitorGroups.Addresses | RouteMonitorGroups.Routes | RouteMonitorGroups.Rules | RouteMonitorGroups.Ipv4Configuration;

    private readonly KernelHostNetwork _host;
    private readonly NetworkNamespace? _ns;
    private readonly HostNetworkOptions _options;
    private readonly Func<HostNetworkInputs> _inputs;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly ILogger<HostNetworkKeeper> _logger;
    private readonly NatTable _nat;
    private readonly ReferenceCleanup _cleanup;
    private readonly StaleRules _stale = new();
    private readonly RepairPacing _pacing = new();
    private readonly Channel<bool> _changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private ImmutableDictionary<RepairKind, long> _repairs = ImmutableDictionary<RepairKind, long>.Empty;
    private RouteMonitor? _routes;
    private NftMonitor? _nft;
    private volatile bool _monitorsFailed = true;
    private volatile bool _natChanged;
    private (Exception Exception, DateTimeOffset RetryAt)? _natFailure;
    private TimeSpan _natPause = RepairPacing.Peace;
    private bool _isClean;
    private bool _hadNode;

    /// <param name="host">The kernel.</param>
    /// <param name="options">What the operator decided.</param>
    /// <param name="inputs">What is known now; asked at each look, from any thread.</param>
    /// <param name="time">For pauses.</param>
    /// <param name="random">For jitter.</param>
    /// <param name="logger">Repairs, one line each.</param>
    /// <param name="ns">Null: the process's own namespace; else that of <paramref name="host"/>.</param>
    public HostNetworkKeeper(
        KernelHostNetwork host, HostNetworkOptions options, Func<HostNetworkInputs> inputs, TimeProvider time, Random random, ILogger<HostNetworkKeeper> logger, NetworkNamespace? ns = null)
    {
        (_host, _options, _inputs, _time, _random, _logger, _ns) = (host, options, inputs, time, random, logger, ns);
        var program = new NetfilterProgram(ns, time);
        (_nat, _cleanup) = (new NatTable(program), new ReferenceCleanup(program));
    }

    /// <summary>How often something of each kind had to be put right because somebody else had changed it. What the first look puts there does not count.</summary>
    public IReadOnlyDictionary<RepairKind, long> Repairs => _repairs;

    /// <summary>Why the host's network is not what it must be; null when it is.</summary>
    public string? Problem { get; private set; }

    /// <summary>Something that the declared state depends on changed.</summary>
    public void Poke() => _changed.Writer.TryWrite(true);

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                var resync = Resync * (0.9 + (_random.NextDouble() * 0.2));
                await LookAsync(cancellationToken);
                await WaitAsync(resync, cancellationToken);
                await Task.Delay(_pacing.Pause, _time, cancellationToken);
                while (_changed.Reader.TryRead(out _))
                {
                    // Seen by the look that comes now.
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The daemon stops; pods keep their network.
        }
    }

    public void Dispose()
    {
        _routes?.Dispose();
        _nft?.Dispose();
    }

    /// <summary>One look and what follows from it.</summary>
    internal async Task LookAsync(CancellationToken cancellationToken)
    {
        List<Exception> failures = [];
        EnsureMonitors(failures);
        if (_natChanged)
        {
            _natChanged = false;
            _nat.IsDoubtful = true;
        }

        try
        {
            var observed = _host.Observe(_inputs());
            // After the kernel was looked at: an address that is held now may have been given out since.
            var state = new HostNetworkState { Inputs = _inputs(), Options = _options, Interfaces = _host.Wirings };
            var repaired = Apply(HostNetworkDiff.Compute(state, observed), failures);
            // Whatever became of the rest: a node without translation reaches nothing outside of the VPC.
            repaired |= await TryNatAsync(state, observed, failures, cancellationToken);
            if (!repaired) _pacing.Right(_time.GetUtcNow());
            else if (_pacing.Repaired(_time.GetUtcNow())) Log.Dispute(_logger, RepairPacing.Patience, RepairPacing.LongestPause.TotalSeconds);
        }
        catch (Exception exception) when (exception is NetlinkException or HostNetworkException)
        {
            failures.Add(exception);
        }

        Report(failures);
    }

    private void Report(List<Exception> failures)
    {
        var problem = failures.Count == 0 ? null : string.Join("; ", failures.Select(failure => failure.Message));
        if (problem == Problem) return;
        if (problem is null) Log.Recovered(_logger);
        else Log.Failed(_logger, failures.Count == 1 ? failures[0] : new AggregateException(failures));
        Problem = problem;
    }

    /// <summary>A program that fails, or hangs until its deadline, is not started again at every change of a busy node: routes and rules must not wait for it.</summary>
    private async Task<bool> TryNatAsync(HostNetworkState state, ObservedHost observed, List<Exception> failures, CancellationToken cancellationToken)
    {
        if (_natFailure is { } earlier && _time.GetUtcNow() < earlier.RetryAt)
        {
            failures.Add(earlier.Exception);
            return false;
        }

        try
        {
            var repaired = await EnsureNatAsync(state, observed, cancellationToken);
            (_natFailure, _natPause) = (null, RepairPacing.Peace);
            return repaired;
        }
        catch (Exception exception) when (exception is NetlinkException or HostNetworkException)
        {
            failures.Add(exception);
            _natFailure = (exception, _time.GetUtcNow() + _natPause);
            _natPause = _natPause * 2 < Resync ? _natPause * 2 : Resync;
            return false;
        }
    }

    private static void Try(Action body, List<Exception> failures)
    {
        try
        {
            body();
        }
        catch (Exception exception) when (exception is NetlinkException or HostNetworkException)
        {
            failures.Add(exception);
        }
    }

    private async Task WaitAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        // A failure is tried again sooner than a look is repeated that found everything right.
        using var timer = new CancellationTokenSource(Problem is null ? limit : RepairPacing.Peace, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            await _changed.Reader.WaitToReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            _natChanged = true;
        }
    }

    /// <summary>One thing that the kernel refuses keeps nothing else from being repaired.</summary>
    private bool Apply(HostRepairs repairs, List<Exception> failures)
    {
        Repair[] requests = [.. repairs.Requests, .. _stale.Condemn(repairs.Stale, _time.GetUtcNow()).Select(RuleDiff.Remove)];
        if (requests.Length + repairs.Settings.Count == 0) return false;
        Try(() => _host.Apply(requests), failures);
        foreach (var repair in requests) Count(repair.Kind, repair.Description);
        Try(() => Withdraw(repairs.Pods), failures);
        Try(() => _host.Apply(repairs.Settings), failures);
        foreach (var setting in repairs.Settings) Count(RepairKind.Setting, $"net.ipv4.conf.{setting.Link}.{setting.Name}={setting.Value}");
        return true;
    }

    /// <summary>A pod that went away while it was repaired must not keep what it just got: nobody would remove it.</summary>
    private void Withdraw(IReadOnlyList<(PodEndpoint Pod, int LinkIndex)> repaired)
    {
        if (repaired.Count == 0) return;
        var links = _host.LinkIndexes();
        var held = _inputs().Pods.Select(pod => pod.Address).ToHashSet();
        Repair[] gone = [.. repaired.Where(item => !links.Contains(item.LinkIndex) || !held.Contains(item.Pod.Address)).SelectMany(item => HostNetworkState.RulesOf(item.Pod)).Select(RuleDiff.Remove)];
        if (gone.Length > 0) _host.Apply(gone);
    }

    private async Task<bool> EnsureNatAsync(HostNetworkState state, ObservedHost observed, CancellationToken cancellationToken)
    {
        if (state.Inputs.Node is not { VpcRanges.Count: > 0 } node) return false;
        var link = observed.Find(node.PrimaryMac) ?? throw new HostNetworkException($"there is no link with the primary interface's MAC {node.PrimaryMac}");
        var outcome = await _nat.EnsureAsync(NatRules.Script(new NatSettings(link.Name, node.PrimaryAddress, node.VpcRanges, _options)), cancellationToken);
        _hadNode = true;
        if (outcome == NatOutcome.Repaired) Count(RepairKind.Nat, $"table ip {NatRules.Table}");
        else if (outcome != NatOutcome.Right) Log.NatReplaced(_logger, NatRules.Table, node.VpcRanges.Count);
        if (!_isClean)
        {
            if (await _cleanup.RemoveAsync(cancellationToken)) Log.Cleaned(_logger);
            _isClean = true;
        }

        return outcome == NatOutcome.Repaired;
    }

    private void Count(RepairKind kind, string what)
    {
        // Until the first whole look everything that is missing was never there.
        if (!_hadNode) return;
        ImmutableInterlocked.AddOrUpdate(ref _repairs, kind, 1, static (_, count) => count + 1);
        if (_pacing.IsDispute) return;
        Log.Repaired(_logger, kind, what);
    }

    /// <summary>Without them every look is made all the same, only more rarely.</summary>
    private void EnsureMonitors(List<Exception> failures)
    {
        if (!_monitorsFailed) return;
        Dispose();
        Try(
            () =>
            {
                _routes = RouteMonitor.Start(_ns, Groups, OnChange, OnMonitorError);
                _nft = NftMonitor.Start(_ns, OnTableChange, OnMonitorError);
                _monitorsFailed = false;
            },
            failures);
    }

    /// <summary>What appears is looked at where it may be in the way; what pods bring with them is not.</summary>
    private void OnChange(RouteNotification change)
    {
        var matters = change switch
        {
            RouteNotification.RuleChanged rule => rule.Change == RouteChange.Removed || rule.Rule.Priority is RouteTables.FromInterfacePriority,
            RouteNotification.RouteChanged route => route.Route.Table != RouteTables.Local && (route.Change == RouteChange.Removed || route.Route.Table != RouteTables.Main || route.Route.Destination?.PrefixLength < 32),
            RouteNotification.LinkChanged link => _host.IsWired(link.Link),
            RouteNotification.AddressChanged address => _host.IsWired(address.Address.LinkIndex),
            RouteNotification.ConfigurationChanged setting => setting.LinkIndex < 0 || _host.IsWired(setting.LinkIndex),
            _ => true,
        };
        if (matters) Poke();
    }

    private void OnTableChange(string? table)
    {
        if (table is not (null or NatRules.Table)) return;
        _natChanged = true;
        Poke();
    }

    private void OnMonitorError(Exception exception)
    {
        Log.MonitorFailed(_logger, exception);
        _monitorsFailed = true;
        Poke();
    }

    private static partial class Log
    {
        [LoggerMessage(72, LogLevel.Warning, "repaired: {Kind}: {What}; another program had changed it")]
        public static partial void Repaired(ILogger logger, RepairKind kind, string what);

        [LoggerMessage(73, LogLevel.Error, "another program undoes what this node's pods need: repaired more than {Times} times in a row; from now on ever less often, down to every {Seconds} s")]
        public static partial void Dispute(ILogger logger, int times, double seconds);

        [LoggerMessage(74, LogLevel.Error, "the host's network is not what it must be")]
        public static partial void Failed(ILogger logger, Exception exception);

        [LoggerMessage(75, LogLevel.Information, "the host's network is what it must be again")]
        public static partial void Recovered(ILogger logger);

        [LoggerMessage(76, LogLevel.Information, "nftables table {Table} replaced: {Ranges} ranges of the VPC")]
        public static partial void NatReplaced(ILogger logger, string table, int ranges);

        [LoggerMessage(77, LogLevel.Information, "rules that the AWS VPC CNI left in netfilter are removed")]
        public static partial void Cleaned(ILogger logger);

        [LoggerMessage(78, LogLevel.Warning, "the kernel's notifications failed; they are asked for again, and a look each minute covers the time until then")]
        public static partial void MonitorFailed(ILogger logger, Exception exception);
    }
}
