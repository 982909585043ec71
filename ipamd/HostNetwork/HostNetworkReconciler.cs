// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Ipamd.Hosting;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Ipamd.Timing;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Reconciles the kernel with the desired state of the host's network: reads the kernel when it reports a change, and once a minute in any
/// case, and applies the difference. Level-triggered: the desired state is computed again at each sync.
/// </summary>
internal sealed partial class HostNetworkReconciler : IDisposable
{
    /// <summary>Covers reports that were lost.</summary>
    private static readonly TimeSpan Resync = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Pauses between syncs without repairs while the kernel keeps reporting, as when pods come and go. Well within the second that a
    /// repair may take.
    /// </summary>
    private static readonly Backoff Pauses = new(RepairBackoff.Debounce, TimeSpan.FromMilliseconds(400));

    /// <summary>Time without reports after which the pause is the shortest again.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Time between the two reads that must both show a pod's drift: many times what the plugin takes for its one batch of requests.
    /// </summary>
    private static readonly TimeSpan Confirmation = TimeSpan.FromMilliseconds(30);

    /// <summary>
    /// Number of syncs in a row that may fail with EINTR, because tables change during each dump, without being reported.
    /// </summary>
    private const int Interruptions = 5;

    private readonly KernelHostNetwork _host;
    private readonly HostAccess _kernel;
    private readonly HostNetworkOptions _options;
    private readonly Func<HostNetworkInputs> _inputs;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly ILogger<HostNetworkReconciler> _logger;
    private readonly RepairJournal _journal;
    private readonly NatReconciler _nat;
    private readonly ChangeFilter _filter;
    private readonly KernelMonitors _monitors;
    private readonly StaleRules _stale = new();
    private readonly ConcurrentQueue<IPAddress> _abandoned = new();
    private readonly DownLinks _down = new();
    private readonly PodGateways _gateways;
    private readonly Supervisor _loops;
    private readonly SyncSignal _changed = new();
    private IReadOnlyList<AddressFamily> _families = NodeFamilies.Always;
    private volatile string? _problem;
    private bool _hasFailed;
    private bool _isSettled;
    private int _interrupted;

    /// <param name="host">The wired interfaces.</param>
    /// <param name="kernel">The kernel; owned and disposed by the reconciler.</param>
    /// <param name="netfilter">Programs that change nftables.</param>
    /// <param name="options">The operator's settings.</param>
    /// <param name="inputs">Returns the inputs of the desired state; called at each sync, on any thread.</param>
    /// <param name="repaired">
    /// Called with the counted repairs of each sync, on the thread of either loop: must be quick and not throw.
    /// </param>
    /// <param name="natTried">Called once, when <see cref="WasNatTried"/> becomes true; must be quick and not throw.</param>
    /// <param name="time">Clock of pauses.</param>
    /// <param name="random">Source of jitter.</param>
    /// <param name="logger">Gets one line for the repairs of each sync and kind.</param>
    public HostNetworkReconciler(
        KernelHostNetwork host,
        IHostKernel kernel,
        INetfilterPrograms netfilter,
        HostNetworkOptions options,
        Func<HostNetworkInputs> inputs,
        Action<RepairsMade> repaired,
        Action natTried,
        TimeProvider time,
        Random random,
        ILogger<HostNetworkReconciler> logger
    )
    {
        (_host, _options, _inputs, _time, _random, _logger) = (host, options, inputs, time, random, logger);
        (_kernel, _gateways) = (new HostAccess(kernel), new PodGateways(kernel.GatewaySeenBy));
        _journal = new RepairJournal(repaired, time, logger);
        _nat = new NatReconciler(netfilter, _journal, natTried, time, random, logger);
        _filter = new ChangeFilter(host.Wired);
        _loops = new Supervisor(time, logger);
        _monitors = new KernelMonitors(kernel, time, logger, OnChange, _nat.OnTableChange);
    }

    /// <summary>Repairs since the start.</summary>
    public RepairReport Report => _journal.Report;

    /// <summary>See <see cref="NatReconciler.WasTried"/>.</summary>
    public bool WasNatTried => _nat.WasTried;

    /// <summary>Why the host's network is not in its desired state, or does not stay in it; null when it is and does.</summary>
    public string? Problem
    {
        get
        {
            string?[] all = [_problem, _nat.Problem, Dispute, _loops.Problem];
            return all.Any(problem => problem is not null) ? string.Join("; ", all.OfType<string>()) : null;
        }
    }

    private string? Dispute
    {
        get
        {
            RepairKind[] kinds = [.. Report.Kinds.Where(item => item.Value.IsDisputed).Select(item => item.Key).Order()];
            return kinds.Length == 0
                ? null
                : $"another program keeps undoing repairs ({string.Join(", ", kinds)}), which become less frequent";
        }
    }

    /// <summary>Records released addresses that no plugin tears down: their rules are removed soon. Thread-safe.</summary>
    public void Abandoned(IEnumerable<IPAddress> addresses)
    {
        foreach (var address in addresses)
            _abandoned.Enqueue(address);
        RequestSync();
    }

    /// <summary>Requests a sync, because an input of the desired state changed. Thread-safe.</summary>
    public void RequestSync() => _changed.Raise();

    /// <summary>Reconciles until cancelled; pods keep their network. A defect in one of the two loops does not end the other.</summary>
    public Task RunAsync(CancellationToken cancellationToken) =>
        Task.WhenAll(
            _loops.RunAsync("repair of routes and rules", SyncLoopAsync, cancellationToken),
            _loops.RunAsync("repair of NAT", _nat.RunAsync, cancellationToken)
        );

    public void Dispose()
    {
        _monitors.Dispose();
        _kernel.Dispose();
    }

    /// <summary>Runs one sync of the kernel and of nftables.</summary>
    internal async Task SyncAsync(CancellationToken cancellationToken)
    {
        await SyncKernelAsync(cancellationToken);
        await _nat.SyncAsync(cancellationToken);
    }

    private async Task SyncLoopAsync(CancellationToken cancellationToken)
    {
        var syncs = 1;
        while (true)
        {
            var again = await SyncKernelAsync(cancellationToken);
            var limit = Jitter.Around(Resync, _random);
            // A failed sync is retried sooner than one without drift is repeated.
            if (_hasFailed)
                limit = RepairBackoff.CalmAfter;
            if (again is { } repairs && repairs - _time.GetUtcNow() is var left && left < limit)
                limit = left > RepairBackoff.Debounce ? left : RepairBackoff.Debounce;
            var started = _time.GetTimestamp();
            await _changed.WaitAsync(limit, _time, cancellationToken);
            syncs = again is not null || _time.GetElapsedTime(started) > Quiet ? 1 : syncs + 1;
            await Task.Delay(Pauses.Ceiling(syncs), _time, cancellationToken);
            _changed.Reset();
        }
    }

    /// <returns>When to sync again because of repairs that were made or delayed; null for none.</returns>
    private async Task<DateTimeOffset?> SyncKernelAsync(CancellationToken cancellationToken)
    {
        List<Exception> failures = [];
        // What only an operator or another program can change: reported, and not retried sooner.
        List<Exception> problems = [];
        DateTimeOffset? again = null;
        // Without reports the syncs go on, at their interval.
        Try(() => _monitors.EnsureRoutes(), failures);
        // Without reports on tables they are read once a minute, so this is no failure of the sync.
        List<Exception> monitorFailures = [];
        Try(
            () =>
            {
                if (_monitors.EnsureTables())
                    _nat.OnTableChange(table: null);
            },
            monitorFailures
        );
        try
        {
            var (state, repairs) = Compare();
            if (repairs.Pods.Count > 0)
            {
                await Task.Delay(Confirmation, _time, cancellationToken);
                (state, var later) = Compare();
                repairs = later.Confirmed(repairs);
            }

            again = Apply(repairs, failures);
            problems.AddRange(repairs.Problems.Select(problem => new HostNetworkException(problem)));
            _isSettled |= state.Inputs.Node is not null;
            _interrupted = 0;
            _journal.Synced();
        }
        catch (NetlinkException exception) when (exception.Errno == Errno.EINTR && _interrupted++ < Interruptions)
        {
            // Many links come and go at the moment, so that no dump is consistent.
            again = _time.GetUtcNow();
        }
        catch (Exception exception) when (exception is NetlinkException or HostNetworkException)
        {
            failures.Add(exception);
        }

        _hasFailed = failures.Count > 0;
        SetProblem([.. failures, .. problems, .. monitorFailures]);
        return again;
    }

    /// <summary>Reads the kernel and compares. Reports are subscribed before, so that later changes lead to another sync.</summary>
    private (HostNetworkState State, HostRepairs Repairs) Compare()
    {
        // Read first: an interface that is configured meanwhile is not drift.
        var wired = _host.Wirings;
        _gateways.BeginSync();
        // Pods of an earlier daemon run may have node-local addresses although the option is off now. No later pod gets one.
        if (!_isSettled && !_families.Contains(IpFamily.V6) && HasNodeLocal(_kernel.MainRoutes(IpFamily.V6), IpFamily.V6))
            _families = IpFamily.All;
        var observed = _kernel.Observe(wired, _families);
        // Read after the kernel: an address that is in use now may have been assigned meanwhile.
        var state = new HostNetworkState
        {
            Inputs = _inputs(),
            Options = _options,
            Interfaces = wired,
        };
        if (state.Families is var families && families.Except(_families).Any())
        {
            _families = families;
            observed = _kernel.Observe(wired, _families);
        }

        var index = new HostIndex(observed);
        var pods = PodWirings.Of(state, index);
        List<string> problems = [];
        observed = observed with
        {
            RestorableLinks = _down.Restorable(
                pods.Select(item => item.Link).DistinctBy(link => link.Index),
                _filter.HasBeenUp,
                _time.GetUtcNow()
            ),
            GatewayMacs = _gateways.Different(pods, observed.Links),
            Ipv6 =
                state.Inputs.Node is { } node && _families.Contains(IpFamily.V6) && index.Links(node.PrimaryMac) is [var primary]
                    ? ReadIpv6Settings(primary.Name, problems)
                    : null,
        };
        _filter.Synced(state, observed, pods);
        var repairs = HostNetworkDiff.Compute(state, observed, index, pods);
        if (DeclareNat(state, observed) is { } problem)
            problems.Add(problem);
        return (state, repairs with { Problems = [.. repairs.Problems, .. problems] });
    }

    /// <summary>Reads the node's parameters of IPv6. A file that cannot be read does not stop the repair of routes and rules.</summary>
    private Ipv6Settings? ReadIpv6Settings(string primaryLink, List<string> problems)
    {
        try
        {
            return _kernel.Ipv6Settings(primaryLink);
        }
        catch (HostNetworkException exception)
        {
            problems.Add(exception.Message);
            return null;
        }
    }

    /// <summary>Sets the desired NAT table, once the metadata has been read.</summary>
    /// <returns>Why that is not possible; null otherwise.</returns>
    private string? DeclareNat(HostNetworkState state, ObservedHost observed)
    {
        if (state.Inputs.Node is not { VpcRanges.Count: > 0 } node)
            return null;
        var links = LinkLookup.Of(node.PrimaryMac, observed.Links);
        if (links is not [var link])
            return links.Count == 0
                ? $"there is no link with the primary interface's MAC {node.PrimaryMac}"
                : $"the primary interface's MAC {node.PrimaryMac} is that of {HostNetworkDiff.Names(links)}";
        // Pods of an earlier daemon run keep what they have.
        var options = state.EffectiveOptions with
        {
            Ipv4Egress = _options.Ipv4Egress || HasNodeLocal(observed.Routes, IpFamily.V4),
            Ipv6Egress = _options.Ipv6Egress || HasNodeLocal(observed.Routes, IpFamily.V6),
        };
        _nat.Declare(NatDeclaration.Of(new NatSettings(link.Name, node.PrimaryAddress, node.Ipv6Address, node.VpcRanges, options)));
        return _options.Ipv6Egress && node.Ipv6Address is null
            ? "ENABLE_V6_EGRESS is true and the node has no IPv6 address, so pods reach no IPv6 destination"
            : null;
    }

    private static bool HasNodeLocal(IReadOnlyList<RouteInfo> routes, AddressFamily family) =>
        routes.Any(route =>
            route is { Table: RouteTables.Main, Destination: { } destination }
            && route.Family == family
            && NodeLocalAddresses.Contains(destination.BaseAddress)
        );

    /// <summary>Applies the repairs; a failure of one does not stop the others.</summary>
    private DateTimeOffset? Apply(HostRepairs repairs, List<Exception> failures)
    {
        var pass = new RepairPass(_journal, _kernel, _time.GetUtcNow(), failures);
        foreach (var item in repairs.Interfaces)
            _host.WhileWired(item.Wiring, () => pass.Apply(item.Requests));
        pass.Apply(repairs.Node);
        var pods = pass.Apply([.. repairs.Pods.SelectMany(item => item.Requests)]);
        if (pods.Count > 0)
        {
            _stale.Repaired(repairs.Pods.Select(item => item.Pod.Address), _time.GetUtcNow());
            Try(() => Rollback(repairs.Pods, pass), failures);
        }

        pass.Apply(SelectRemovable(repairs.Stale));
        foreach (var setting in repairs.Settings)
            Try(() => pass.Apply(setting), failures);
        pass.End(_isSettled);
        return ((DateTimeOffset?[])[_stale.Due, _down.Due, pass.NextSync]).Min();
    }

    /// <summary>
    /// Stale rules to remove. Checks the attachments again right before the removal, because an address may be assigned at any time.
    /// </summary>
    private Repair[] SelectRemovable(IReadOnlyList<RuleInfo> stale)
    {
        List<IPAddress> abandoned = [];
        while (_abandoned.TryDequeue(out var address))
            abandoned.Add(address);
        if (abandoned.Count > 0)
            _stale.Repaired(abandoned, _time.GetUtcNow());
        var expired = _stale.SelectExpired(stale, _time.GetUtcNow());
        if (expired.Count == 0)
            return [];
        var held = _inputs().Pods.Select(pod => pod.Address).ToHashSet();
        return
        [
            .. expired
                .Where(rule => (rule.Destination ?? rule.Source) is { } host && !held.Contains(host.BaseAddress))
                .Select(RuleDiff.Remove),
        ];
    }

    /// <summary>Removes the rules of pods that ended while they were repaired: nothing else would remove them.</summary>
    private void Rollback(IReadOnlyList<PodRepairs> repaired, RepairPass pass)
    {
        var links = _kernel.LinkIndexes();
        var held = _inputs().Pods.Select(pod => pod.Address).ToHashSet();
        PodEndpoint[] gone =
        [
            .. repaired.Where(item => !links.Contains(item.LinkIndex) || !held.Contains(item.Pod.Address)).Select(item => item.Pod),
        ];
        if (gone.Length == 0)
            return;
        // Unless another pod has the address by now, with a link of its own: then the rules are its.
        var routed = gone.Select(pod => pod.Address.AddressFamily)
            .Distinct()
            .SelectMany(_kernel.MainRoutes)
            .Where(route => route.Destination is not null && links.Contains(route.LinkIndex))
            .Select(route => route.Destination!.Value)
            .ToHashSet();
        pass.Apply([
            .. gone.Where(pod => !held.Contains(pod.Address) || !routed.Contains(IpRanges.Single(pod.Address)))
                .SelectMany(pod => PodPath.Rules(pod.Address, pod.Egress))
                .Select(RuleDiff.Remove),
        ]);
    }

    private void SetProblem(List<Exception> failures)
    {
        var problem = failures.Count == 0 ? null : string.Join("; ", failures.Select(failure => failure.Message));
        if (problem == _problem)
            return;
        if (problem is null)
            Log.Recovered(_logger);
        else
            Log.Failed(_logger, failures.Count == 1 ? failures[0] : new AggregateException(failures));
        _problem = problem;
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

    private void OnChange(RouteNotification change)
    {
        if (change is RouteNotification.LinkChanged { Link.Kind: "veth" } veth)
            _gateways.Reported(veth);
        if (_filter.Matters(change))
            RequestSync();
    }

    private static partial class Log
    {
        [LoggerMessage(74, LogLevel.Error, "the host's network is not in its desired state")]
        public static partial void Failed(ILogger logger, Exception exception);

        [LoggerMessage(75, LogLevel.Information, "the host's network is in its desired state again")]
        public static partial void Recovered(ILogger logger);
    }
}
