// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink.Interop;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>
/// Reads the multicast messages of one socket on a thread of its own and passes them to a callback, one at a time. Does not interpret them.
/// </summary>
internal sealed class MonitorThread : IDisposable
{
    private const int BufferBytes = 64 * 1024;

    // Upper bound of the datagrams that are discarded after an overflow; far more than the receive queue can contain.
    private const int MaxQueued = 1_000_000;

    private readonly NetlinkSocket _socket;
    private readonly WakeEvent _stop;
    private readonly MessageHandler _onMessage;
    private readonly Action _onOverflow;
    private readonly Action<Exception> _onError;
    private readonly Thread _thread;
    private int _disposed;
    private volatile bool _hasEnded;

    /// <param name="socket">A subscribed socket without receive timeout. The monitor owns it, even if the constructor throws.</param>
    /// <param name="name">Name of the thread.</param>
    /// <param name="onMessage">Called for each message, one at a time.</param>
    /// <param name="onOverflow">Called after notifications were lost, before any newer one is passed on.</param>
    /// <param name="onError">
    /// Called with exceptions of the other two callbacks, with malformed datagrams, and with the failure of the socket, which ends the
    /// thread. Must not throw.
    /// </param>
    public MonitorThread(NetlinkSocket socket, string name, MessageHandler onMessage, Action onOverflow, Action<Exception> onError)
    {
        try
        {
            _stop = new WakeEvent();
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        (_socket, _onMessage, _onOverflow, _onError) = (socket, onMessage, onOverflow, onError);
        _thread = new Thread(Read) { IsBackground = true, Name = name };
    }

    public delegate void MessageHandler(Message message);

    /// <summary>The socket failed and the failure was reported; no further messages are read.</summary>
    public bool HasEnded => _hasEnded;

    public void Start()
    {
        try
        {
            _thread.Start();
        }
        catch
        {
            _socket.Dispose();
            _stop.Dispose();
            throw;
        }
    }

    /// <summary>Stops the thread. No callback runs after it returns, unless it is called from within one.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        _stop.Set();
        // A callback that disposes the monitor runs on the thread itself, which cannot join itself; it cleans up when the callback returns.
        if (Thread.CurrentThread != _thread)
            _thread.Join();
    }

    private void Read()
    {
        var buffer = new byte[BufferBytes];
        try
        {
            while (_socket.WaitReadable(_stop))
                ReadDatagram(buffer);
        }
        catch (NetlinkException exception)
        {
            _hasEnded = true;
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
            if (!_socket.TryReceive(buffer, out datagram))
                return;
        }
        catch (NetlinkException exception) when (exception.Errno == Errno.ENOBUFS)
        {
            DiscardQueue(buffer);
            ReportOverflow();
            return;
        }

        // Any process may send to this port; only the kernel is port 0.
        if (datagram.SenderPortId != 0)
            return;
        try
        {
            if (datagram.Length > buffer.Length)
                throw new MalformedMessageException($"a datagram of {datagram.Length} octets was truncated to {buffer.Length}");
            var messages = new MessageReader(buffer.AsSpan(0, datagram.Length));
            while (Volatile.Read(ref _disposed) == 0 && messages.TryRead(out var message))
                Deliver(message);
        }
        catch (MalformedMessageException exception)
        {
            _onError(Malformed(exception));
        }
    }

    /// <summary>
    /// Discards the queue after an overflow. The kernel reports an overflow once and delivers nothing more until the queue is empty
    /// (NETLINK_S_CONGESTED, net/netlink/af_netlink.c). Queued notifications are older than the loss. The subscriber may resync only after
    /// that, or it would miss later changes.
    /// </summary>
    private void DiscardQueue(byte[] buffer)
    {
        for (int datagrams = 0; datagrams < MaxQueued; datagrams++)
        {
            try
            {
                if (!_socket.TryReceive(buffer, out _))
                    return;
            }
            catch (NetlinkException exception) when (exception.Errno == Errno.ENOBUFS)
            {
                // Another overflow before the queue was empty counts as the same loss.
            }
        }

        throw new NetlinkException("netlink notification", Errno.ENOBUFS, $"the queue was not empty after {MaxQueued} datagrams");
    }

    private void Deliver(Message message)
    {
        try
        {
            _onMessage(message);
        }
        catch (MalformedMessageException exception)
        {
            _onError(Malformed(exception));
        }
        catch (Exception exception)
        {
            _onError(exception);
        }
    }

    private void ReportOverflow()
    {
        try
        {
            _onOverflow();
        }
        catch (Exception exception)
        {
            _onError(exception);
        }
    }

    private static NetlinkException Malformed(MalformedMessageException exception) =>
        new("netlink notification", Errno.EBADMSG, exception.Message, exception);
}
