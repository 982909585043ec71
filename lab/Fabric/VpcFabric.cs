// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Net;
using System.Text;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// A VPC's network on one machine. Callers set which interfaces are attached and which addresses each owns (<see cref="IVpcFabric"/>); a
/// worker applies that state to the kernel within milliseconds. It applies changes that arrive together in one pass. Thread-safe.
/// </summary>
internal sealed partial class VpcFabric : IVpcFabric, IAsyncDisposable
{
    /// <summary>
    /// Number of consecutive failures after which the worker stops retrying until the next change, and reports the failure.
    /// </summary>
    private const int MaxAttempts = 5;

    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ActivationPoll = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan ActivationDeadline = TimeSpan.FromSeconds(10);

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
    private ImmutableDictionary<string, FabricInterface> _desired = ImmutableDictionary<string, FabricInterface>.Empty;
    private ImmutableList<IPNetwork> _ranges;
    private ImmutableList<FabricRoute> _routes = [];
    private long _desiredVersion;
    private long _appliedVersion;
    private string? _failure;
    private TaskCompletionSource _stateChanged = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Used by the worker only.
    private readonly Dictionary<string, InterfaceLink> _links = [];
    private readonly Dictionary<string, FabricInterface> _guards = [];

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
        _worker = RunAsync();
    }

    public NetworkNamespace Router => _router.Network;

    public NetworkNamespace Internet => _internet.Network;

    public NetworkNamespace OnPremises => _onPremises.Network;

    /// <summary>Why the worker stopped retrying to apply the desired state; null if it has not.</summary>
    public string? Failure
    {
        get
        {
            lock (_lock)
                return _failure;
        }
    }

    /// <summary>Creates the router and the outside hosts. On failure, removes what it created.</summary>
    /// <exception cref="FabricException">
    /// The options are invalid, namespaces of this lab exist, or the kernel rejected a request.
    /// </exception>
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
        if (FabricNamespaces.Find(names) is { Count: > 0 } existing)
            throw new FabricException(
                $"namespaces of lab '{options.LabName}' exist already: {string.Join(", ", existing)}. Remove them with: vpc-lab down "
                    + $"--name {options.LabName}"
            );
        HostNamespace? internet = null,
            onPremises = null;
        try
        {
            internet = HostNamespace.Create(names.Internet);
            onPremises = HostNamespace.Create(names.OnPremises);
            var router = await RouterNamespace.CreateAsync(names, options, internet, onPremises, time, logger, cancellationToken);
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

    /// <summary>Creates the namespace of a node. <see cref="Attach"/> adds its interfaces.</summary>
    public NetworkNamespace AddNode(string node)
    {
        var host = HostNamespace.Create(_names.Node(node));
        host.ConfigureAsNode(_router.HasIpv6);
        lock (_lock)
            _nodes.Add(node, host);
        return host.Network;
    }

    public void Attach(FabricInterface nic)
    {
        lock (_lock)
            Change(_desired.SetItem(nic.InterfaceId, Supported(nic)));
    }

    public void Detach(string interfaceId)
    {
        lock (_lock)
            Change(_desired.Remove(interfaceId));
    }

    public void SetAddresses(string interfaceId, IReadOnlyList<IPNetwork> addresses)
    {
        lock (_lock)
        {
            if (_desired.TryGetValue(interfaceId, out var nic))
                Change(_desired.SetItem(interfaceId, Supported(nic with { Addresses = addresses })));
        }
    }

    public void SetForwarding(string interfaceId, bool mayForward)
    {
        lock (_lock)
        {
            if (_desired.TryGetValue(interfaceId, out var nic))
                Change(_desired.SetItem(interfaceId, nic with { MayForward = mayForward }));
        }
    }

    public void SetRoutes(IReadOnlyList<FabricRoute> routes)
    {
        lock (_lock)
        {
            _routes = [.. routes];
            Change(_desired);
        }
    }

    public void SetRanges(IReadOnlyList<IPNetwork> ranges)
    {
        lock (_lock)
        {
            _ranges = [.. ranges];
            Change(_desired);
        }
    }

    /// <summary>
    /// Waits until the worker has applied everything that was desired at the time of the call.
    /// </summary>
    /// <exception cref="FabricException">The worker has stopped retrying.</exception>
    public async Task WaitUntilAppliedAsync(CancellationToken cancellationToken)
    {
        long target;
        lock (_lock)
            target = _desiredVersion;
        while (true)
        {
            Task next;
            lock (_lock)
            {
                if (_appliedVersion >= target)
                    return;
                if (_failure is { } failure)
                    throw new FabricException(failure);
                next = _stateChanged.Task;
            }

            await next.WaitAsync(cancellationToken);
        }
    }

    /// <summary>
    /// Reads the router's drop counters. An interface's counter starts when it is attached, the others when the lab starts.
    /// </summary>
    public async Task<RouterDrops> ReadDropsAsync(CancellationToken cancellationToken)
    {
        string[] nics;
        lock (_lock)
            nics = [.. _desired.Keys];
        List<string> counters = [];
        foreach (var family in RouterFirewall.Families(_router.HasIpv6))
            counters.Add(await _router.Nft.ListCountersAsync(family, RouterFirewall.Table, cancellationToken));
        return RouterFirewall.ParseCounters(counters, nics);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _worker;
        await _router.DisposeAsync();
        _internet.Dispose();
        _onPremises.Dispose();
        foreach (var node in _nodes.Values)
            node.Dispose();
        FabricNamespaces.RemoveAll(_names);
        _stopping.Dispose();
        _changed.Dispose();
    }

    /// <summary>Sets the desired state and wakes the worker. The caller holds the lock.</summary>
    private void Change(ImmutableDictionary<string, FabricInterface> desired)
    {
        _desired = desired;
        _desiredVersion++;
        _failure = null;
        if (_changed.CurrentCount == 0)
            _changed.Release();
    }

    /// <summary>Removes what the fabric does not carry: IPv6 if the VPC has no IPv6 range, or the subnet has none.</summary>
    private FabricInterface Supported(FabricInterface nic)
    {
        var subnet = _router.HasIpv6 ? nic.Ipv6Subnet : null;
        return nic with
        {
            Ipv6Subnet = subnet,
            Addresses = [.. nic.Addresses.Where(address => subnet is not null || !FabricAddresses.IsIpv6(address))],
        };
    }

    private async Task RunAsync()
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
                    _failure = $"the fabric failed {MaxAttempts} times to apply the VPC's state: {error.Message}";
                NotifyWaiters();
            }
        }
    }

    private async Task ApplyAsync(CancellationToken cancellationToken)
    {
        ImmutableDictionary<string, FabricInterface> desired;
        ImmutableList<IPNetwork> ranges;
        ImmutableList<FabricRoute> routes;
        Dictionary<string, HostNamespace> nodes;
        long version;
        lock (_lock)
        {
            (desired, ranges, routes) = (_desired, _ranges, _routes);
            (nodes, version) = (new Dictionary<string, HostNamespace>(_nodes), _desiredVersion);
        }

        await _router.SetRangesAsync(ranges, cancellationToken);
        // Remove links before their guards, and add guards before links, so that a link never carries unchecked traffic.
        foreach (var (id, link) in _links.ToArray())
        {
            if (desired.TryGetValue(id, out var now) && SameLink(link.Nic, now))
                continue;
            link.Unplug();
            _links.Remove(id);
        }

        await ApplyGuardsAsync(desired, cancellationToken);
        foreach (var (id, nic) in desired)
        {
            if (_links.TryGetValue(id, out var link))
            {
                if (!SameState(link.Nic, nic))
                    link.Update(nic);
            }
            else
            {
                if (!nodes.TryGetValue(nic.Node, out var node))
                    throw new FabricException($"interface {id} is attached to node '{nic.Node}', which the fabric does not have");
                var plugged = InterfaceLink.Plug(_router, node, nic);
                _links[id] = plugged;
                if (nic.IsPrimary)
                    await WaitUntilRunningAsync(plugged, cancellationToken);
            }
        }

        _router.Routes.Apply(routes, _links, [.. ranges, .. FabricAddresses.OnPremisesNetworks]);
        lock (_lock)
            _appliedVersion = version;
        NotifyWaiters();
    }

    /// <summary>
    /// Waits until the kernel has activated both ends of a link that are up. Until then, which under load is up to a second, it drops what
    /// they send.
    /// </summary>
    private async Task WaitUntilRunningAsync(InterfaceLink link, CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        while (!link.IsRunning)
        {
            if (_time.GetElapsedTime(started) > ActivationDeadline)
                throw new FabricException($"link {link.Name} of {link.Nic.Node} is not running after {ActivationDeadline.TotalSeconds} s");
            await Task.Delay(ActivationPoll, _time, cancellationToken);
        }
    }

    /// <summary>Updates all guards to the desired state in one nft transaction.</summary>
    private async Task ApplyGuardsAsync(ImmutableDictionary<string, FabricInterface> desired, CancellationToken cancellationToken)
    {
        var script = new StringBuilder();
        foreach (var (id, nic) in _guards)
        {
            if (!desired.TryGetValue(id, out var now) || !SameLink(nic, now))
                RouterFirewall.AppendRemoval(script, nic, _router.HasIpv6);
        }

        foreach (var (id, nic) in desired)
        {
            if (!_guards.TryGetValue(id, out var before) || !SameLink(before, nic) || !SameState(before, nic))
                RouterFirewall.AppendGuard(script, nic, _router.HasIpv6);
        }

        if (script.Length > 0)
            await _router.Nft.ApplyAsync(script.ToString(), cancellationToken);
        _guards.Clear();
        foreach (var (id, nic) in desired)
            _guards[id] = nic;
    }

    /// <summary>Whether two attachments are equal except for what changes without a new link: addresses and forwarding.</summary>
    private static bool SameLink(FabricInterface one, FabricInterface other) =>
        one with { Addresses = other.Addresses, MayForward = other.MayForward } == other;

    /// <summary>Whether addresses and forwarding of two attachments are equal.</summary>
    private static bool SameState(FabricInterface one, FabricInterface other) =>
        one.MayForward == other.MayForward && one.Addresses.SequenceEqual(other.Addresses);

    private void NotifyWaiters()
    {
        TaskCompletionSource changed;
        lock (_lock)
        {
            changed = _stateChanged;
            _stateChanged = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.SetResult();
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The fabric failed to apply a change of the VPC, attempt {Attempt}")]
    private partial void LogApplyFailed(Exception error, int attempt);
}
