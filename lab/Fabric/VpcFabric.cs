// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Text;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// The network that makes a VPC real on one machine. Callers say what is attached and which addresses each ENI owns
/// (<see cref="IVpcFabric"/>); one worker brings the kernel to that state, within milliseconds, as often as needed. Changes that arrive
/// together are applied together, so nothing queues up.
/// </summary>
internal sealed partial class VpcFabric : IVpcFabric, IAsyncDisposable
{
    /// <summary>
    /// After this many failures in a row the fabric waits for the next change instead of trying again, and reports the failure in its
    /// status.
    /// </summary>
    private const int MaxAttempts = 5;

    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(100);

    private readonly FabricNames _names;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly RouterNamespace _router;
    private readonly HostNamespace _internet;
    private readonly HostNamespace _onPremises;
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _changed = new(0);
    private readonly Task _worker;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, HostNamespace> _nodes = [];
    private ImmutableDictionary<string, EniAttachment> _wanted = ImmutableDictionary<string, EniAttachment>.Empty;
    private ImmutableList<IPNetwork> _ranges;
    private long _wantedVersion;
    private long _appliedVersion;
    private string? _failure;
    private TaskCompletionSource _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Touched by the worker only.
    private readonly Dictionary<string, (EniAttachment Eni, EniLink Link)> _plugged = [];
    private readonly Dictionary<string, EniAttachment> _guarded = [];

    private VpcFabric(
        FabricNames names,
        FabricOptions options,
        RouterNamespace router,
        HostNamespace internet,
        HostNamespace onPremises,
        TimeProvider time,
        ILogger logger
    )
    {
        _names = names;
        _time = time;
        _logger = logger;
        _router = router;
        _internet = internet;
        _onPremises = onPremises;
        _ranges = [.. options.VpcRanges];
        _worker = WorkAsync();
    }

    public NetworkNamespace Router => _router.Network;

    public NetworkNamespace Internet => _internet.Network;

    public NetworkNamespace OnPremises => _onPremises.Network;

    /// <summary>The failure that keeps the kernel from the wanted state, or null.</summary>
    public string? Failure
    {
        get
        {
            lock (_lock)
                return _failure;
        }
    }

    /// <summary>Builds the router and the outside hosts. On failure nothing is left behind.</summary>
    public static async Task<VpcFabric> CreateAsync(
        FabricOptions options,
        TimeProvider time,
        ILogger logger,
        CancellationToken cancellationToken
    )
    {
        var names = new FabricNames(options.LabName);
        if (options.VpcRanges.Select(FabricAddresses.Problem).FirstOrDefault(problem => problem is not null) is { } wrong)
            throw new FabricException(wrong);
        if (FabricNamespaces.Find(names) is { Count: > 0 } inTheWay)
            throw new FabricException(
                $"lab '{options.LabName}' has left namespaces behind: {string.Join(", ", inTheWay)}. Remove them with: vpc-lab down "
                    + $"--name {options.LabName}"
            );
        HostNamespace? internet = null,
            onPremises = null;
        try
        {
            internet = HostNamespace.Create(names.Internet);
            onPremises = HostNamespace.Create(names.OnPremises);
            var router = await RouterNamespace.CreateAsync(names, options, internet, onPremises, time, cancellationToken);
            return new VpcFabric(names, options, router, internet, onPremises, time, logger);
        }
        catch
        {
            internet?.Dispose();
            onPremises?.Dispose();
            FabricNamespaces.RemoveAll(names);
            throw;
        }
    }

    /// <summary>Makes the namespace of a node; its ENIs are plugged in by <see cref="Attach"/>.</summary>
    public NetworkNamespace AddNode(string node)
    {
        var host = HostNamespace.Create(_names.Node(node));
        host.BecomeNode();
        lock (_lock)
            _nodes.Add(node, host);
        return host.Network;
    }

    public void Attach(EniAttachment eni)
    {
        lock (_lock)
            Change(_wanted.SetItem(eni.EniId, eni with { Addresses = Carried(eni.Addresses) }));
    }

    public void Detach(string eniId)
    {
        lock (_lock)
            Change(_wanted.Remove(eniId));
    }

    public void SetAddresses(string eniId, IReadOnlyList<IPNetwork> addresses)
    {
        lock (_lock)
        {
            if (_wanted.TryGetValue(eniId, out var eni))
                Change(_wanted.SetItem(eniId, eni with { Addresses = Carried(addresses) }));
        }
    }

    public void SetRanges(IReadOnlyList<IPNetwork> ranges)
    {
        lock (_lock)
        {
            _ranges = [.. ranges];
            Change(_wanted);
        }
    }

    /// <summary>
    /// Completes when the kernel shows everything that was wanted at the time of the call; throws <see cref="FabricException"/> when that
    /// failed for good.
    /// </summary>
    public async Task SettledAsync(CancellationToken cancellationToken)
    {
        long target;
        lock (_lock)
            target = _wantedVersion;
        while (true)
        {
            Task next;
            lock (_lock)
            {
                if (_appliedVersion >= target)
                    return;
                if (_failure is { } failure)
                    throw new FabricException(failure);
                next = _settled.Task;
            }

            await next.WaitAsync(cancellationToken);
        }
    }

    /// <summary>What the router has dropped since the lab started (per ENI: since it was attached).</summary>
    public async Task<RouterDrops> ReadDropsAsync(CancellationToken cancellationToken)
    {
        string[] enis;
        lock (_lock)
            enis = [.. _wanted.Keys];
        return RouterFirewall.ParseCounters(await _router.Nft.ListCountersAsync(RouterFirewall.Table, cancellationToken), enis);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _worker;
        _router.Dispose();
        _internet.Dispose();
        _onPremises.Dispose();
        foreach (var node in _nodes.Values)
            node.Dispose();
        FabricNamespaces.RemoveAll(_names);
        _stopping.Dispose();
        _changed.Dispose();
    }

    /// <summary>Caller holds the lock.</summary>
    private void Change(ImmutableDictionary<string, EniAttachment> wanted)
    {
        _wanted = wanted;
        _wantedVersion++;
        _failure = null;
        if (_changed.CurrentCount == 0)
            _changed.Release();
    }

    private static IReadOnlyList<IPNetwork> Carried(IReadOnlyList<IPNetwork> addresses) =>
        [.. addresses.Where(address => address.BaseAddress.AddressFamily == AddressFamily.InterNetwork)];

    private async Task WorkAsync()
    {
        var failures = 0;
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                if (failures == 0)
                    await _changed.WaitAsync(_stopping.Token);
                else
                    await Task.Delay(RetryPause * failures, _time, _stopping.Token);
                await ApplyAsync(_stopping.Token);
                failures = 0;
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                LogApplyFailed(error, ++failures);
                if (failures < MaxAttempts)
                    continue;
                failures = 0;
                lock (_lock)
                    _failure = $"the fabric does not follow the VPC after {MaxAttempts} attempts: {error.Message}";
                Announce();
            }
        }
    }

    private async Task ApplyAsync(CancellationToken cancellationToken)
    {
        ImmutableDictionary<string, EniAttachment> wanted;
        ImmutableList<IPNetwork> ranges;
        Dictionary<string, HostNamespace> nodes;
        long version;
        lock (_lock)
            (wanted, ranges, nodes, version) = (_wanted, _ranges, new Dictionary<string, HostNamespace>(_nodes), _wantedVersion);

        _router.SetRanges(ranges);
        // Links go first: once a link is gone nothing needs its guard. Guards come before links: a link never carries unchecked traffic.
        foreach (var (id, plugged) in _plugged.ToArray())
        {
            if (wanted.TryGetValue(id, out var now) && SameLink(plugged.Eni, now))
                continue;
            plugged.Link.Unplug();
            _plugged.Remove(id);
        }

        await GuardAsync(wanted, cancellationToken);
        foreach (var (id, eni) in wanted)
        {
            if (_plugged.TryGetValue(id, out var plugged))
            {
                if (!plugged.Eni.Addresses.SequenceEqual(eni.Addresses))
                    plugged.Link.Route(eni.Addresses);
                _plugged[id] = (eni, plugged.Link);
            }
            else
            {
                if (!nodes.TryGetValue(eni.Node, out var node))
                    throw new FabricException($"ENI {id} is attached to node '{eni.Node}', which the fabric does not know");
                _plugged[id] = (eni, EniLink.Plug(_router, node, eni));
            }
        }

        lock (_lock)
            _appliedVersion = version;
        Announce();
    }

    /// <summary>One nft transaction that brings all guards to the wanted state.</summary>
    private async Task GuardAsync(ImmutableDictionary<string, EniAttachment> wanted, CancellationToken cancellationToken)
    {
        var script = new StringBuilder();
        foreach (var (id, eni) in _guarded)
        {
            if (!wanted.TryGetValue(id, out var now) || !SameLink(eni, now))
                RouterFirewall.AppendRemoval(script, eni);
        }

        foreach (var (id, eni) in wanted)
        {
            if (!_guarded.TryGetValue(id, out var before) || !SameLink(before, eni) || !before.Addresses.SequenceEqual(eni.Addresses))
                RouterFirewall.AppendGuard(script, eni);
        }

        if (script.Length > 0)
            await _router.Nft.ApplyAsync(script.ToString(), cancellationToken);
        _guarded.Clear();
        foreach (var (id, eni) in wanted)
            _guarded[id] = eni;
    }

    /// <summary>Whether two attachments are the same but for their addresses.</summary>
    private static bool SameLink(EniAttachment one, EniAttachment other) => one with { Addresses = other.Addresses } == other;

    private void Announce()
    {
        TaskCompletionSource settled;
        lock (_lock)
        {
            settled = _settled;
            _settled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        settled.SetResult();
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "the fabric could not follow a change of the VPC (attempt {Attempt})")]
    private partial void LogApplyFailed(Exception error, int attempt);
}
