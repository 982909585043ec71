// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink.Interop;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>
/// Reports changes of links, addresses, routes, rules and neighbours of one network namespace, in the order of the kernel. Reports every
/// change after <see cref="Start"/> returns, so start the monitor before dumping.
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

    /// <param name="ns">Namespace to monitor; that of the caller if null.</param>
    /// <param name="onNotification">
    /// Called on the thread of the monitor, one at a time. While it runs, notifications queue in the kernel, and the queue may overflow.
    /// </param>
    /// <param name="onError">
    /// Called with exceptions of <paramref name="onNotification"/> and with malformed notifications, after which the monitor continues, and
    /// with the failure of the socket, which ends the monitor. Must not throw.
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

    /// <summary>The socket failed and <c>onError</c> was called; no further notifications follow.</summary>
    public bool HasEnded => _thread.HasEnded;

    /// <summary>Stops the monitor. No callback runs after it returns, unless it is called from within one.</summary>
    public void Dispose() => _thread.Dispose();

    private void Deliver(Message message)
    {
        if (NotificationMessage.Parse(message) is { } notification)
            _onNotification(notification);
    }
}
