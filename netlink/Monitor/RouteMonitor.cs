// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink.Interop;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>
/// Reports changes of links, addresses, routes, rules and neighbours in one network namespace, in the order in which the kernel made them. It misses nothing that
/// happens after <see cref="Start"/> returned: subscribe first, then dump.
/// </summary>
public sealed class RouteMonitor : IDisposable
{
    private const int BufferBytes = 64 * 1024;

    // Many times what the queue holds.
    private const int MaxQueued = 1_000_000;

    private readonly NetlinkSocket _socket;
    private readonly WakeEvent _stop = new();
    private readonly Action<RouteNotification> _onNotification;
    private readonly Action<Exception> _onError;
    private readonly Thread _thread;
    private int _disposed;

    private RouteMonitor(NetlinkSocket socket, Action<RouteNotification> onNotification, Action<Exception> onError)
    {
        _socket = socket;
        _onNotification = onNotification;
        _onError = onError;
        _thread = new Thread(Read) { IsBackground = true, Name = "route-monitor" };
    }

    /// <param name="ns">Null: the caller's namespace.</param>
    /// <param name="onNotification">Called on the monitor's own thread, one at a time; while it runs, reports queue in the kernel, and overflow if it takes long.</param>
    /// <param name="onError">
    /// Called with what <paramref name="onNotification"/> threw, with reports that cannot be parsed (the monitor goes on in both cases), and with the failure of the socket, after which
    /// the monitor has ended. Must not throw.
    /// </param>
    public static RouteMonitor Start(NetworkNamespace? ns, RouteMonitorGroups groups, Action<RouteNotification> onNotification, Action<Exception> onError)
    {
        ArgumentNullException.ThrowIfNull(onNotification);
        ArgumentNullException.ThrowIfNull(onError);
        if (groups == RouteMonitorGroups.None) throw new ArgumentException("nothing to monitor: name at least one group", nameof(groups));
        var socket = ns is null ? Open() : ns.Run(Open);
        try
        {
            var monitor = new RouteMonitor(socket, onNotification, onError);
            monitor._thread.Start();
            return monitor;
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        NetlinkSocket Open() => NetlinkSocket.Open((uint)groups, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Ends the reports: when it returns, no callback runs any more, unless it was called from within one.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        _stop.Set();
        // From within a callback the thread cannot wait for itself; it cleans up when it has unwound.
        if (Thread.CurrentThread != _thread) _thread.Join();
    }

    private void Read()
    {
        var buffer = new byte[BufferBytes];
        try
        {
            while (_socket.WaitReadable(_stop)) ReadDatagram(buffer);
        }
        catch (NetlinkException exception)
        {
            _onError(exception);
        }
        finally
        {
            _socket.Dispose();
            _stop.Dispose();
        }
    }

    private void ReadDatagram(byte[] buffer)
    {
        Datagram datagram;
        try
        {
            if (!_socket.TryReceive(buffer, out datagram)) return;
        }
        catch (NetlinkException exception) when (exception.Errno == Errno.ENOBUFS)
        {
            EmptyQueue(buffer);
            Deliver(new RouteNotification.Overflow());
            return;
        }

        // Only the kernel is believed.
        if (datagram.SenderPortId != 0) return;
        try
        {
            if (datagram.Length > buffer.Length) throw new MalformedMessageException($"a datagram of {datagram.Length} octets was cut off at {buffer.Length}");
            var messages = new MessageReader(buffer.AsSpan(0, datagram.Length));
            while (Volatile.Read(ref _disposed) == 0 && messages.TryRead(out var message))
            {
                if (NotificationMessage.Parse(message) is { } notification) Deliver(notification);
            }
        }
        catch (MalformedMessageException exception)
        {
            _onError(new NetlinkException("netlink notification", Errno.EBADMSG, exception.Message, exception));
        }
    }

    /// <summary>
    /// A socket that has overflowed stays deaf until its queue was empty once (NETLINK_S_CONGESTED, net/netlink/af_netlink.c), and says so only once. What is queued
    /// is older than the loss, so it goes; only then may the subscriber look at everything again, or changes after that look would be lost without a word.
    /// </summary>
    private void EmptyQueue(byte[] buffer)
    {
        for (int datagrams = 0; datagrams < MaxQueued; datagrams++)
        {
            try
            {
                if (!_socket.TryReceive(buffer, out _)) return;
            }
            catch (NetlinkException exception) when (exception.Errno == Errno.ENOBUFS)
            {
                // Overflowed again before it was empty: still the same loss.
            }
        }

        throw new NetlinkException("netlink notification", Errno.ENOBUFS, $"the queue was not empty after {MaxQueued} datagrams");
    }

    private void Deliver(RouteNotification notification)
    {
        try
        {
            _onNotification(notification);
        }
        catch (Exception exception)
        {
            _onError(exception);
        }
    }
}
