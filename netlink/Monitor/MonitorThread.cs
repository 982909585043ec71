// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink.Interop;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>
/// Reads what the kernel multicasts on one socket, on a thread of its own, and hands it over message by message. What the messages mean is
/// its owner's business.
/// </summary>
internal sealed class MonitorThread : IDisposable
{
    private const int BufferBytes = 64 * 1024;

    // Many times what the queue holds.
    private const int MaxQueued = 1_000_000;

    private readonly NetlinkSocket _socket;
    private readonly WakeEvent _stop;
    private readonly MessageHandler _onMessage;
    private readonly Action _onOverflow;
    private readonly Action<Exception> _onError;
    private readonly Thread _thread;
    private int _disposed;
    private volatile bool _hasEnded;

    /// <param name="socket">Subscribed, without a receive timeout. Taken over, also when this throws.</param>
    /// <param name="name">Of the thread.</param>
    /// <param name="onMessage">Called for each message, one at a time.</param>
    /// <param name="onOverflow">Called when reports were lost, before any that is newer than the loss.</param>
    /// <param name="onError">
    /// Called with what the other two threw, with datagrams that are no netlink, and with the failure of the socket, after which the thread
    /// has ended. Must not throw.
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

    /// <summary>The socket failed, and was reported: nothing is read any more.</summary>
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

    /// <summary>When it returns, no callback runs any more, unless it was called from within one.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        _stop.Set();
        // From within a callback the thread cannot wait for itself; it cleans up when it has unwound.
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
            EmptyQueue(buffer);
            Guarded(_onOverflow);
            return;
        }

        // Only the kernel is believed.
        if (datagram.SenderPortId != 0)
            return;
        try
        {
            if (datagram.Length > buffer.Length)
                throw new MalformedMessageException($"a datagram of {datagram.Length} octets was cut off at {buffer.Length}");
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
    /// A socket that has overflowed stays deaf until its queue was empty once (NETLINK_S_CONGESTED, net/netlink/af_netlink.c), and says so
    /// only once. What is queued is older than the loss, so it goes; only then may the subscriber look at everything again, or changes
    /// after that look would be lost without a word.
    /// </summary>
    private void EmptyQueue(byte[] buffer)
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
                // Overflowed again before it was empty: still the same loss.
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

    private void Guarded(Action body)
    {
        try
        {
            body();
        }
        catch (Exception exception)
        {
            _onError(exception);
        }
    }

    private static NetlinkException Malformed(MalformedMessageException exception) =>
        new("netlink notification", Errno.EBADMSG, exception.Message, exception);
}
