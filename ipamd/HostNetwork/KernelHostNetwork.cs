// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>Implements the pool's access to the host's network on the kernel. One instance for each daemon.</summary>
internal sealed partial class KernelHostNetwork : IHostNetwork, IDisposable
{
    /// <summary>Interval of reads while a link is awaited: covers reports that were lost.</summary>
    private static readonly TimeSpan LinkPoll = TimeSpan.FromSeconds(1);

    private readonly IHostKernel _kernel;
    private readonly IKernelReports _links;
    private readonly TimeProvider _time;
    private readonly ILogger<KernelHostNetwork> _logger;
    private readonly string _vethPrefix;
    private readonly Lock _lock = new();

    /// <summary>
    /// Held while an interface is configured or removed, and while the reconciler repairs one, so that neither sees the other's half-done
    /// work.
    /// </summary>
    private readonly Lock _changing = new();

    /// <summary>One for each interface whose link is awaited.</summary>
    private readonly List<SyncSignal> _awaiting = [];
    private volatile LinkCallbacks? _callbacks;

    /// <param name="kernel">The kernel; owned and disposed by this instance.</param>
    /// <param name="vethPrefix">Prefix of the names of pods' links.</param>
    /// <param name="time">Clock of deadlines.</param>
    /// <param name="logger">Gets a line for each change.</param>
    public KernelHostNetwork(IHostKernel kernel, string vethPrefix, TimeProvider time, ILogger<KernelHostNetwork> logger)
    {
        (_kernel, _vethPrefix, _time, _logger) = (kernel, vethPrefix, time, logger);
        _links = kernel.Watch(RouteMonitorGroups.Links, OnLinkChange, exception => Log.MonitorFailed(_logger, exception));
    }

    public void WatchLinks(Action<string?> seen, Action<string> lost)
    {
        if (Interlocked.CompareExchange(ref _callbacks, new LinkCallbacks(seen, lost), null) is not null)
            throw new InvalidOperationException("the links are watched already");
    }

    public async Task EnsureInterfaceAsync(InterfaceWiring wiring, TimeSpan linkDeadline, CancellationToken cancellationToken)
    {
        // A link that appears after the deadline would never be configured.
        if (_callbacks is null)
            throw new InvalidOperationException("nothing watches the links");
        try
        {
            var link = await WaitForLinkAsync(wiring.Mac, linkDeadline, cancellationToken);
            lock (_changing)
                Wire_NeedsLock(wiring, link);
            Loosen(link.Name);
        }
        catch (NetlinkException exception)
        {
            throw new HostNetworkException($"interface {wiring.Mac} ({wiring.Slot}): {exception.Message}", exception);
        }
    }

    public void RemoveInterface(Slot slot, IPAddress primaryAddress)
    {
        // Addresses and routes go with the link; rules stay.
        if (slot.IsPrimary)
            return;
        try
        {
            lock (_changing)
            {
                Wired.Remove(primaryAddress);
                _kernel.Apply([RemoveRule(primaryAddress, RouteTables.Of(slot))]);
            }
        }
        catch (NetlinkException exception)
        {
            throw new HostNetworkException($"rule of interface {primaryAddress} ({slot}): {exception.Message}", exception);
        }
    }

    public IReadOnlyList<PodRoute> PodRoutes()
    {
        try
        {
            var links = _kernel.Links().ToDictionary(link => link.Index);
            List<PodRoute> routes = [];
            foreach (var family in IpFamily.All)
            {
                foreach (var route in _kernel.Routes(family, RouteTable.Main))
                {
                    if (route is not { Destination: { } destination, Type: RouteType.Unicast } || !IpRanges.IsSingle(destination))
                        continue;
                    // The kernel's routes are the only record of them, and no cloud ever gives one to the node.
                    if (NodeLocalAddresses.Contains(destination.BaseAddress))
                        continue;
                    var link = links.GetValueOrDefault(route.LinkIndex);
                    routes.Add(
                        new PodRoute(link?.Name ?? $"if{route.LinkIndex}", destination.BaseAddress)
                        {
                            Foreign = PodLinks.Mismatch(link, _vethPrefix),
                        }
                    );
                }
            }

            return routes;
        }
        catch (NetlinkException exception)
        {
            throw new HostNetworkException($"routes to pods: {exception.Message}", exception);
        }
    }

    public IReadOnlyList<LinkAddress> HostAddresses()
    {
        try
        {
            var links = _kernel.Links().ToDictionary(link => link.Index, link => link.Name);
            // A link that appeared between the two reads has no name here; its index identifies it.
            return
            [
                .. _kernel
                    .Addresses(AddressFamily.Unspecified)
                    .Select(item => new LinkAddress(links.GetValueOrDefault(item.LinkIndex) ?? $"if{item.LinkIndex}", item.Address)),
            ];
        }
        catch (NetlinkException exception)
        {
            throw new HostNetworkException($"addresses of the host: {exception.Message}", exception);
        }
    }

    public IReadOnlyCollection<string> HostInterfaces()
    {
        try
        {
            return [.. _kernel.Links().Where(link => link.Kind == "veth").Select(link => link.Name)];
        }
        catch (NetlinkException exception)
        {
            throw new HostNetworkException($"links of the host: {exception.Message}", exception);
        }
    }

    public NamespacePresence NamespaceAt(string path) => _kernel.NamespaceAt(path);

    public WiredInterfaces Wired { get; } = new();

    /// <summary>The wired interfaces; none of them is being configured while this is read.</summary>
    public IReadOnlyList<InterfaceWiring> Wirings
    {
        get
        {
            lock (_changing)
                return Wired.All;
        }
    }

    /// <summary>Runs an action on an interface, unless it was removed or its desired state has changed.</summary>
    public void WhileWired(InterfaceWiring wiring, Action body)
    {
        lock (_changing)
        {
            if (Wired.Contains(wiring))
                body();
        }
    }

    private void Wire_NeedsLock(InterfaceWiring wiring, LinkInfo link)
    {
        // First, so that the reconciler repairs it from now on.
        var superseded = Wired.Add(wiring, link.Index);
        // Of interfaces that were replaced without being removed: their rules lead to a table that is another interface's now.
        HostChange[] stale =
        [
            .. superseded
                .Where(earlier => !earlier.IsPrimary && !earlier.PrimaryAddress.Equals(wiring.PrimaryAddress))
                .Select(earlier => RemoveRule(earlier.PrimaryAddress, earlier.RouteTable)),
        ];
        var requests = InterfaceDiff.Compute(wiring, Observe(wiring, link), wiring.Families);
        if (requests.Count + stale.Length == 0)
            return;
        _kernel.Apply([.. stale, .. requests.Select(repair => repair.Change)]);
        Log.Wired(_logger, link.Name, wiring.Slot.DeviceIndex, wiring.RouteTable, requests.Count);
    }

    private static HostChange RemoveRule(IPAddress primaryAddress, int table) =>
        new HostChange.RemoveRule(InterfaceDiff.FromInterface(primaryAddress, table)).Tolerating(Errno.ENOENT);

    /// <summary>
    /// Sets the reverse path filter to loose. Without it only node ports of other interfaces fail, and in a container /proc/sys may be
    /// read-only, so a failure is logged here and reported by the reconciler.
    /// </summary>
    private void Loosen(string link)
    {
        try
        {
            var filter = KernelSettings.OfLink(IpFamily.V4, link, KernelSettings.ReversePathFilter);
            if (_kernel.Read(filter) != "2")
                _kernel.Write(filter, "2");
        }
        catch (HostNetworkException exception)
        {
            Log.NotLoosened(_logger, link, exception);
        }
    }

    public void Dispose()
    {
        _links.Dispose();
        _kernel.Dispose();
    }

    private InterfaceState Observe(InterfaceWiring wiring, LinkInfo link)
    {
        var family = wiring.PrimaryAddress.AddressFamily;
        return new InterfaceState
        {
            Link = link,
            Addresses = _kernel.Addresses(family, link.Index),
            Routes = wiring.IsPrimary
                ? []
                :
                [
                    .. wiring.Families.SelectMany(item => _kernel.Routes(item, wiring.RouteTable)),
                    .. wiring
                        .Families.SelectMany(item => _kernel.Routes(item, RouteTable.Main))
                        .Where(route => route.LinkIndex == link.Index),
                ],
            Rules = wiring.IsPrimary ? [] : _kernel.Rules(family),
        };
    }

    /// <summary>
    /// Waits for the link of an attached interface, which appears when the driver has probed the device: milliseconds to seconds after the
    /// attachment.
    /// </summary>
    private async Task<LinkInfo> WaitForLinkAsync(string mac, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var address = MacAddress.Parse(mac);
        var started = _time.GetTimestamp();
        var changed = new SyncSignal();
        lock (_lock)
            _awaiting.Add(changed);
        try
        {
            while (true)
            {
                changed.Reset();
                if (_kernel.FindLink(address) is { } link)
                    return link;
                var left = deadline - _time.GetElapsedTime(started);
                if (left <= TimeSpan.Zero)
                    throw new HostNetworkException(
                        "there is no link with MAC "
                            + $"{mac}{(deadline > TimeSpan.Zero ? $", {deadline.TotalSeconds:0} s after its interface was attached" : "")}"
                    );
                await changed.WaitAsync(left < LinkPoll ? left : LinkPoll, _time, cancellationToken);
            }
        }
        finally
        {
            lock (_lock)
                _awaiting.Remove(changed);
        }
    }

    private void OnLinkChange(RouteNotification change)
    {
        SignalLinkChange();
        if (change is RouteNotification.LinkChanged { Change: RouteChange.Set, Link.Mac: { } mac })
            _callbacks?.Seen(mac.ToString());
        else if (change is RouteNotification.LinkChanged { Change: RouteChange.Removed, Link.Mac: { } lost })
            _callbacks?.Lost(lost.ToString());
        else if (change is RouteNotification.Overflow)
            _callbacks?.Seen(null);
    }

    private void SignalLinkChange()
    {
        lock (_lock)
        {
            foreach (var changed in _awaiting)
                changed.Raise();
        }
    }

    /// <summary>The callbacks of <see cref="WatchLinks"/>. Reports before it concern links that the first observation reads.</summary>
    private sealed record LinkCallbacks(Action<string?> Seen, Action<string> Lost);

    private static partial class Log
    {
        [LoggerMessage(70, LogLevel.Information, "interface wired")]
        public static partial void Wired(ILogger logger, string link, int device, int table, int changes);

        [LoggerMessage(79, LogLevel.Warning, "the reverse path filter could not be set to loose")]
        public static partial void NotLoosened(ILogger logger, string link, Exception exception);

        [LoggerMessage(71, LogLevel.Error, "link notifications failed: a new interface is seen up to a second later")]
        public static partial void MonitorFailed(ILogger logger, Exception exception);
    }
}
