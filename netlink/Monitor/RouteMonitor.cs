// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink.Interop;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>
/// Reports changes of links, addresses, routes, rules and neighbours in one network namespace, in the order in which the kernel made them.
/// It misses nothing that happens after <see cref="Start"/> returned: subscribe first, then dump.
/// </summary>
public sealed class RouteMonitor : IDisposable
{
    private readonly MonitorThread _thread;
    private readonly Action<RouteNotification> _onNotification;

    private RouteMonitor(NetlinkSocket socket, Action<RouteNotification> onNotification, Action<Exception> onError)
    {
        _onNotification = onNotification;
        _thread = new MonitorThread(socket, "route-monitor", Deliver, () => onNotification(new RouteNotification.Overflow()), onError);
    }

    /// <param name="ns">Null: the caller's namespace.</param>
    /// <param name="onNotification">
    /// Called on the monitor's own thread, one at a time; while it runs, reports queue in the kernel, and overflow if it takes long.
    /// </param>
    /// <param name="onError">
    /// Called with what <paramref name="onNotification"/> threw, with reports that cannot be parsed (the monitor goes on in both cases),
    /// and with the failure of the socket, after which the monitor has ended. Must not throw.
    /// </param>
    public static RouteMonitor Start(
        NetworkNamespace? ns,
        RouteMonitorGroups groups,
        Action<RouteNotification> onNotification,
        Action<Exception> onError
    )
    {
        ArgumentNullException.ThrowIfNull(onNotification);
        ArgumentNullException.ThrowIfNull(onError);
        if (groups == RouteMonitorGroups.None)
            throw new ArgumentException("nothing to monitor: name at least one group", nameof(groups));
        var socket = ns is null ? Open() : ns.Run(Open);
        var monitor = new RouteMonitor(socket, onNotification, onError);
        monitor._thread.Start();
        return monitor;

        NetlinkSocket Open() => NetlinkSocket.Open((uint)groups, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The socket failed, and was reported to <c>onError</c>: no report comes any more.</summary>
    public bool HasEnded => _thread.HasEnded;

    /// <summary>Ends the reports: when it returns, no callback runs any more, unless it was called from within one.</summary>
    public void Dispose() => _thread.Dispose();

    private void Deliver(Message message)
    {
        if (NotificationMessage.Parse(message) is { } notification)
            _onNotification(notification);
    }
}
