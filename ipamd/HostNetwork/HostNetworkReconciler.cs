// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Ipamd.Hosting;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Keeps the kernel at the declared state: looks when the kernel says that something changed, and once a minute in any case, and applies
/// the difference. It holds no state that matters: what must be is declared anew at each look.
/// </summary>
internal sealed partial class HostNetworkReconciler : IDisposable
{
    /// <summary>Covers reports that were lost.</summary>
    private static readonly TimeSpan Resync = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Between looks that find nothing to do while the kernel reports on and on, as when pods come and go: still well within the second
    /// that a repair may take.
    /// </summary>
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(400);

    /// <summary>Without reports for this long, the next one is looked at at once.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(1);

    /// <summary>
    /// What looks broken of a pod must look broken for this long: many times what the plugin takes for its one batch of requests.
    /// </summary>
    private static readonly TimeSpan Confirmation = TimeSpan.FromMilliseconds(30);

    /// <summary>Looks in a row that may fail because the kernel's tables change too fast to be read.</summary>
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

    /// <param name="host">What is wired in the kernel.</param>
    /// <param name="kernel">Of the reconciler alone; disposed with it.</param>
    /// <param name="netfilter">The programs that change nftables.</param>
    /// <param name="options">What the operator decided.</param>
    /// <param name="inputs">What is known now; called at each sync, from any thread.</param>
    /// <param name="time">For pauses.</param>
    /// <param name="random">For jitter.</param>
    /// <param name="logger">Repairs, one line for each sync and kind.</param>
    public HostNetworkReconciler(
        KernelHostNetwork host,
        IHostKernel kernel,
        INetfilterPrograms netfilter,
        HostNetworkOptions options,
        Func<HostNetworkInputs> inputs,
        TimeProvider time,
        Random random,
        ILogger<HostNetworkReconciler> logger
    )
    {
        (_host, _options, _inputs, _time, _random, _logger) = (host, options, inputs, time, random, logger);
        (_kernel, _gateways) = (new HostAccess(kernel), new PodGateways(kernel.GatewaySeenBy));
        _journal = new RepairJournal(time, logger);
        _nat = new NatReconciler(netfilter, _journal, time, random, logger);
        _filter = new ChangeFilter(host.Wired);
        _loops = new Supervisor(time, logger);
        _monitors = new KernelMonitors(kernel, time, logger, OnChange, _nat.OnTableChange);
    }

    /// <summary>What had to be put right because somebody else had changed it.</summary>
    public RepairReport Report => _journal.Report;

    /// <summary>Told of each repair that is counted, on the reconciler's thread: must be quick and not throw.</summary>
    public Action<RepairsMade>? Repaired
    {
        get => _journal.Told;
        set => _journal.Told = value;
    }

    /// <summary>Why the host's network is not what it must be, or does not stay so; null when it is and does.</summary>
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
                : $"another program keeps undoing what is repaired ({string.Join(", ", kinds)}): it is repaired ever less often";
        }
    }

    /// <summary>These addresses were released, and no plugin tears them down: their rules go at once. From any thread.</summary>
    public void Abandoned(IEnumerable<IPAddress> addresses)
    {
        foreach (var address in addresses)
            _abandoned.Enqueue(address);
        RequestSync();
    }

    /// <summary>Something that the declared state depends on changed.</summary>
    public void RequestSync() => _changed.Raise();

    /// <summary>Runs until cancelled; pods keep their network. A defect of one of the two loops does not end the other.</summary>
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

    /// <summary>One look at everything, and what follows from it.</summary>
    internal async Task SyncAsync(CancellationToken cancellationToken)
    {
        await SyncKernelAsync(cancellationToken);
        await _nat.SyncAsync(cancellationToken);
    }

    private async Task SyncLoopAsync(CancellationToken cancellationToken)
    {
        var pause = RepairBackoff.Debounce;
        while (true)
        {
            var again = await SyncKernelAsync(cancellationToken);
            var limit = Resync * (0.9 + (_random.NextDouble() * 0.2));
            // A failure is tried again sooner than a look is repeated that found everything right.
            if (_hasFailed)
                limit = RepairBackoff.Peace;
            if (again is { } repairs && repairs - _time.GetUtcNow() is var left && left < limit)
                limit = left > RepairBackoff.Debounce ? left : RepairBackoff.Debounce;
            var started = _time.GetTimestamp();
            await _changed.WaitAsync(limit, _time, cancellationToken);
            pause =
                again is not null || _time.GetElapsedTime(started) > Quiet ? RepairBackoff.Debounce
                : pause * 2 < LongestPause ? pause * 2
                : LongestPause;
            await Task.Delay(pause, _time, cancellationToken);
            _changed.Reset();
        }
    }

    /// <returns>When to look again because of what was repaired, or could not be yet; null when all is right.</returns>
    private async Task<DateTimeOffset?> SyncKernelAsync(CancellationToken cancellationToken)
    {
        List<Exception> failures = [];
        DateTimeOffset? again = null;
        // Without them every look is made all the same, only more rarely.
        Try(() => _monitors.EnsureRoutes(), failures);
        // The table is looked at once a minute without reports: nothing else has to be looked at more often for that.
        List<Exception> unheard = [];
        Try(
            () =>
            {
                if (_monitors.EnsureTables())
                    _nat.OnTableChange(table: null);
            },
            unheard
        );
        try
        {
            var (state, repairs) = Look();
            if (repairs.Pods.Count > 0)
            {
                await Task.Delay(Confirmation, _time, cancellationToken);
                (state, var later) = Look();
                repairs = later.Confirmed(repairs);
            }

            again = Apply(repairs, failures);
            failures.AddRange(repairs.Problems.Select(problem => new HostNetworkException(problem)));
            _isSettled |= state.Inputs.Node is not null;
            _interrupted = 0;
            _journal.Looked();
        }
        catch (NetlinkException exception) when (exception.Errno == Errno.EINTR && _interrupted++ < Interruptions)
        {
            // So many links come and go that no dump of them is whole: in a moment it is.
            again = _time.GetUtcNow();
        }
        catch (Exception exception) when (exception is NetlinkException or HostNetworkException)
        {
            failures.Add(exception);
        }

        _hasFailed = failures.Count > 0;
        Say([.. failures, .. unheard]);
        return again;
    }

    /// <summary>Subscribed before, so that what changes from here on leads to another look.</summary>
    private (HostNetworkState State, HostRepairs Repairs) Look()
    {
        // What is wired before the look: an interface that is being wired meanwhile is not broken.
        var wired = _host.Wirings;
        _gateways.BeginSync();
        var observed = _kernel.Observe(wired, _families);
        // After the kernel was looked at: an address that is held now may have been given out since.
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
        observed = observed with
        {
            RestorableLinks = _down.Restorable(
                pods.Select(item => item.Link).DistinctBy(link => link.Index),
                _filter.HasBeenUp,
                _time.GetUtcNow()
            ),
            GatewayMacs = _gateways.Different(pods, observed.Links),
            Ipv6 =
                state.Inputs.Node is { } node
                && _families.Contains(AddressFamily.InterNetworkV6)
                && index.Links(node.PrimaryMac) is [var primary]
                    ? _kernel.Ipv6Settings(primary.Name)
                    : null,
        };
        _filter.Looked(state, observed, pods);
        var repairs = HostNetworkDiff.Compute(state, observed, index, pods);
        return Declare(state, observed) is { } problem
            ? (state, repairs with { Problems = [.. repairs.Problems, problem] })
            : (state, repairs);
    }

    /// <summary>Tells the reconciler of the NAT table what it must be. Not before the metadata has answered.</summary>
    private string? Declare(HostNetworkState state, ObservedHost observed)
    {
        if (state.Inputs.Node is not { VpcRanges.Count: > 0 } node)
            return null;
        var links = LinkLookup.Of(node.PrimaryMac, observed.Links);
        if (links is not [var link])
            return links.Count == 0
                ? $"there is no link with the primary interface's MAC {node.PrimaryMac}"
                : $"the primary interface's MAC {node.PrimaryMac} is that of {HostNetworkDiff.Names(links)}";
        _nat.Declare(NatDeclaration.Of(new NatSettings(link.Name, node.PrimaryAddress, node.VpcRanges, _options)));
        return null;
    }

    /// <summary>One thing that the kernel refuses keeps nothing else from being repaired.</summary>
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

        pass.Apply(Condemned(repairs.Stale));
        foreach (var setting in repairs.Settings)
            Try(() => pass.Apply(setting), failures);
        pass.End(_isSettled);
        return ((DateTimeOffset?[])[_stale.Due, _down.Due, pass.LookAgain]).Min();
    }

    /// <summary>Nobody holds them for long; that it is still so is asked once more, as an address may be given out at any time.</summary>
    private Repair[] Condemned(IReadOnlyList<RuleInfo> stale)
    {
        List<IPAddress> abandoned = [];
        while (_abandoned.TryDequeue(out var address))
            abandoned.Add(address);
        if (abandoned.Count > 0)
            _stale.Repaired(abandoned, _time.GetUtcNow());
        var condemned = _stale.SelectExpired(stale, _time.GetUtcNow());
        if (condemned.Count == 0)
            return [];
        var held = _inputs().Pods.Select(pod => pod.Address).ToHashSet();
        return
        [
            .. condemned
                .Where(rule => (rule.Destination ?? rule.Source) is { } host && !held.Contains(host.BaseAddress))
                .Select(RuleDiff.Remove),
        ];
    }

    /// <summary>A pod that went away while it was repaired must not keep what it just got: nobody would remove it.</summary>
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
        // Unless somebody has the address again, with a link of his own, whose rules these are then.
        var routed = gone.Select(pod => pod.Address.AddressFamily)
            .Distinct()
            .SelectMany(_kernel.MainRoutes)
            .Where(route => route.Destination is not null && links.Contains(route.LinkIndex))
            .Select(route => route.Destination!.Value)
            .ToHashSet();
        pass.Apply([
            .. gone.Where(pod => !held.Contains(pod.Address) || !routed.Contains(PodPath.Host(pod.Address)))
                .SelectMany(pod => PodPath.Rules(pod.Address, pod.Egress))
                .Select(RuleDiff.Remove),
        ]);
    }

    private void Say(List<Exception> failures)
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
        [LoggerMessage(74, LogLevel.Error, "the host's network is not what it must be")]
        public static partial void Failed(ILogger logger, Exception exception);

        [LoggerMessage(75, LogLevel.Information, "the host's network is what it must be again")]
        public static partial void Recovered(ILogger logger);
    }
}
