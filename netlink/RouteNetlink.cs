// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink.Interop;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>
/// A NETLINK_ROUTE socket: changes and questions, synchronous. It belongs for life to the network namespace in which it was opened and can
/// be used from any thread and any namespace; calls on one instance are serialised. Every call ends: the kernel answers at once, or the
/// receive timeout does (ETIMEDOUT).
/// </summary>
public sealed partial class RouteNetlink : IDisposable
{
    public static readonly TimeSpan DefaultReceiveTimeout = TimeSpan.FromSeconds(5);

    // The kernel builds dump datagrams of at most 32 KiB (NLMSG_GOODSIZE, or the largest buffer that was offered).
    private const int BufferBytes = 64 * 1024;

    // Acknowledgements pile up while the kernel works through a datagram; this many are sure to fit the receive queue, even at its default
    // size.
    private const int MaxBatch = 128;

    // Any link that comes or goes while a dump is read in pieces interrupts it. In a burst of pods several attempts in a row are lost; each
    // costs a millisecond or so.
    internal const int MaxDumpAttempts = 20;

    // Answers to calls that were given up, and messages that are not from the kernel, are skipped; so many in one call are an attack or a
    // bug.
    private const int MaxStrays = 4096;

    private readonly Lock _gate = new();
    private readonly INetlinkTransport _socket;
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(BufferBytes);
    private uint _sequence;
    private bool _answersPending;

    internal RouteNetlink(INetlinkTransport socket) => _socket = socket;

    /// <summary>Opens a socket in the caller's network namespace.</summary>
    public static RouteNetlink Open() => Open(DefaultReceiveTimeout);

    /// <inheritdoc cref="Open()"/>
    public static RouteNetlink Open(TimeSpan receiveTimeout)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(receiveTimeout, TimeSpan.FromMilliseconds(1));
        return new RouteNetlink(NetlinkSocket.Open(groups: 0, receiveTimeout));
    }

    /// <summary>Opens a socket in another network namespace, without moving the caller there.</summary>
    public static RouteNetlink Open(NetworkNamespace ns)
    {
        ArgumentNullException.ThrowIfNull(ns);
        return ns.Run(Open);
    }

    /// <summary>Executes one request.</summary>
    /// <exception cref="NetlinkException">The kernel refused it.</exception>
    public void Execute(NetlinkRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        Execute([request]);
    }

    /// <summary>
    /// Executes requests in order, in one send (more only beyond 128 requests or 64 KiB, and after a veth whose peer has to be up). The
    /// kernel works through all of them even if one fails.
    /// </summary>
    /// <param name="requests">What to do.</param>
    /// <param name="unneeded">
    /// Gets the places of those that the kernel refused with an error that they tolerate: nothing had to be done. Also when this throws.
    /// </param>
    /// <exception cref="NetlinkException">
    /// At least one was refused. It names the first, lists all in <see cref="NetlinkException.Failures"/>, and counts the others.
    /// </exception>
    public void Execute(IReadOnlyList<NetlinkRequest> requests, ICollection<int>? unneeded = null)
    {
        ArgumentNullException.ThrowIfNull(requests);
        List<NetlinkFailure>? failures = null;
        lock (_gate)
        {
            Drain_NeedsLock();
            for (int next = 0; next < requests.Count; )
                next = ExecuteDatagram_NeedsLock(requests, next, unneeded, ref failures);
        }

        if (failures is not null)
            throw new NetlinkException(failures, requests.Count - failures.Count);
    }

    public void Dispose() => _socket.Dispose();

    private int ExecuteDatagram_NeedsLock(
        IReadOnlyList<NetlinkRequest> requests,
        int start,
        ICollection<int>? unneeded,
        ref List<NetlinkFailure>? failures
    )
    {
        uint firstSequence = _sequence + 1;
        int next = start,
            length = 0;
        var leases = default(DescriptorLeases);
        try
        {
            for (; next < requests.Count && next - start < MaxBatch; next++)
            {
                var request = requests[next];
                if (length + request.Message.Length > BufferBytes)
                    break;
                var slot = _buffer.AsSpan(length, request.Message.Length);
                request.Message.CopyTo(slot);
                MessageStamp.Write(slot, Nlm.NLM_F_ACK, ++_sequence);
                if (request.Target is { } target)
                    leases.Write(target.Handle, slot[request.TargetOffset..]);
                length += slot.Length;
                if (request.FollowUp is null)
                    continue;
                // What comes after may rely on it.
                next++;
                break;
            }

            _answersPending = true;
            _socket.Send(_buffer.AsSpan(0, length));
        }
        finally
        {
            leases.Release();
        }

        ReadAcknowledgements_NeedsLock(requests, start, next - start, firstSequence, unneeded, ref failures);
        if (requests[next - 1].FollowUp is { } followUp && (failures is null || failures[^1].Index != next - 1))
            ExecuteFollowUp_NeedsLock(requests, next - 1, followUp, ref failures);
        return next;
    }

    private void ExecuteFollowUp_NeedsLock(
        IReadOnlyList<NetlinkRequest> requests,
        int index,
        NetlinkRequest followUp,
        ref List<NetlinkFailure>? failures
    )
    {
        try
        {
            if (requests[index].Target is { } ns)
            {
                using var there = Open(ns);
                there.Execute(followUp);
                return;
            }

            List<NetlinkFailure>? followUpFailures = null;
            ExecuteDatagram_NeedsLock([followUp], 0, unneeded: null, ref followUpFailures);
            if (followUpFailures is not null)
                throw new NetlinkException(followUpFailures, succeeded: 0);
        }
        catch (NetlinkException exception)
        {
            (failures ??= []).Add(
                new NetlinkFailure(
                    index,
                    $"{requests[index].Description}; {exception.Operation}",
                    exception.Errno,
                    exception.ExtendedMessage
                )
            );
        }
    }

    private void ReadAcknowledgements_NeedsLock(
        IReadOnlyList<NetlinkRequest> requests,
        int start,
        int count,
        uint firstSequence,
        ICollection<int>? unneeded,
        ref List<NetlinkFailure>? failures
    )
    {
        // Acknowledgements come in the order of the requests, so the next one expected names whatever goes wrong.
        int done = 0;
        try
        {
            for (int strays = 0; done < count; )
            {
                var messages = Receive_NeedsLock(ref strays);
                while (messages.TryRead(out var message))
                {
                    uint place = message.Header.Sequence - firstSequence;
                    if (message.Header.PortId != _socket.PortId || place >= (uint)count || message.Header.Type != Nlm.NLMSG_ERROR)
                    {
                        // Also here: RTM_NEWLINK and the like that some kernels echo.
                        CountStray(ref strays);
                        continue;
                    }

                    if (place != (uint)done)
                        throw new MalformedMessageException($"acknowledgement of request {place} while that of {done} was due");
                    var request = requests[start + done];
                    var acknowledgement = Acknowledgement.Read(message);
                    if (acknowledgement.Errno != Errno.None)
                    {
                        if (request.Tolerates(acknowledgement.Errno))
                            unneeded?.Add(start + done);
                        else
                            (failures ??= []).Add(
                                new NetlinkFailure(start + done, request.Description, acknowledgement.Errno, acknowledgement.Text)
                            );
                    }

                    done++;
                }
            }

            _answersPending = false;
        }
        catch (NetlinkException exception)
        {
            throw new NetlinkException(
                requests[start + done].Description,
                exception.Errno,
                $"{exception.Operation}: {exception.ExtendedMessage ?? "failed"}; whether it took effect is not known",
                exception
            );
        }
        catch (MalformedMessageException exception)
        {
            throw new NetlinkException(
                requests[Math.Min(start + done, requests.Count - 1)].Description,
                Errno.EBADMSG,
                exception.Message,
                exception
            );
        }
    }

    /// <summary>Sends a dump request and parses every answer; a dump that the kernel calls inconsistent is repeated.</summary>
    private List<T> Dump<T>(byte[] request, ushort answerType, MessageParser<T> parse, string operation)
        where T : class
    {
        lock (_gate)
        {
            for (int attempt = 0; attempt < MaxDumpAttempts; attempt++)
            {
                Drain_NeedsLock();
                var results = new List<T>();
                if (TryDump_NeedsLock(request, answerType, parse, operation, results))
                    return results;
            }
        }

        throw new NetlinkException(operation, Errno.EINTR, $"the table changed during each of {MaxDumpAttempts} dumps of it");
    }

    private bool TryDump_NeedsLock<T>(byte[] request, ushort answerType, MessageParser<T> parse, string operation, List<T> results)
        where T : class
    {
        bool consistent = true;
        try
        {
            Send_NeedsLock(request);
            for (int strays = 0; ; )
            {
                var messages = Receive_NeedsLock(ref strays);
                while (messages.TryRead(out var message))
                {
                    if (message.Header.PortId != _socket.PortId || message.Header.Sequence != _sequence)
                    {
                        CountStray(ref strays);
                        continue;
                    }

                    if ((message.Header.Flags & Nlm.NLM_F_DUMP_INTR) != 0)
                        consistent = false;
                    if (message.Header.Type == answerType)
                    {
                        if (parse(message) is { } result)
                            results.Add(result);
                    }
                    else if (message.Header.Type is Nlm.NLMSG_DONE or Nlm.NLMSG_ERROR)
                    {
                        var outcome =
                            message.Header.Type == Nlm.NLMSG_DONE ? Acknowledgement.ReadDone(message) : Acknowledgement.Read(message);
                        _answersPending = false;
                        if (outcome.Errno is not (Errno.None or Errno.EINTR))
                            throw new NetlinkException(operation, outcome.Errno, outcome.Text);
                        return consistent && outcome.Errno == Errno.None;
                    }
                    else if (message.Header.Type == Nlm.NLMSG_OVERRUN)
                    {
                        throw new MalformedMessageException("the kernel lost data (NLMSG_OVERRUN)");
                    }
                }
            }
        }
        catch (NetlinkException exception) when (exception.Operation != operation)
        {
            throw new NetlinkException(
                operation,
                exception.Errno,
                $"{exception.Operation}: {exception.ExtendedMessage ?? "failed"}",
                exception
            );
        }
        catch (MalformedMessageException exception)
        {
            throw new NetlinkException(operation, Errno.EBADMSG, exception.Message, exception);
        }
    }

    /// <summary>Asks for one object; null if the kernel says there is none (<paramref name="absent"/>).</summary>
    private T? Get<T>(byte[] request, ushort answerType, MessageParser<T> parse, string operation, Errno absent)
        where T : class
    {
        lock (_gate)
        {
            Drain_NeedsLock();
            try
            {
                Send_NeedsLock(request);
                for (int strays = 0; ; )
                {
                    var messages = Receive_NeedsLock(ref strays);
                    while (messages.TryRead(out var message))
                    {
                        if (message.Header.PortId != _socket.PortId || message.Header.Sequence != _sequence)
                        {
                            CountStray(ref strays);
                            continue;
                        }

                        _answersPending = false;
                        if (message.Header.Type == answerType)
                            return parse(message);
                        if (message.Header.Type != Nlm.NLMSG_ERROR)
                            throw new MalformedMessageException($"answer of type {message.Header.Type}; {answerType} expected");
                        var outcome = Acknowledgement.Read(message);
                        if (outcome.Errno == absent)
                            return null;
                        throw new NetlinkException(operation, outcome.Errno, outcome.Text);
                    }
                }
            }
            catch (NetlinkException exception) when (exception.Operation != operation)
            {
                throw new NetlinkException(
                    operation,
                    exception.Errno,
                    $"{exception.Operation}: {exception.ExtendedMessage ?? "failed"}",
                    exception
                );
            }
            catch (MalformedMessageException exception)
            {
                throw new NetlinkException(operation, Errno.EBADMSG, exception.Message, exception);
            }
        }
    }

    private void Send_NeedsLock(byte[] request)
    {
        MessageStamp.Write(request, 0, ++_sequence);
        _answersPending = true;
        _socket.Send(request);
    }

    private MessageReader Receive_NeedsLock(ref int strays)
    {
        while (true)
        {
            var datagram = _socket.Receive(_buffer);
            if (datagram.Length > _buffer.Length)
                throw new MalformedMessageException($"a datagram of {datagram.Length} octets was cut off at {_buffer.Length}");
            // Any process may send to our port; only the kernel (port 0) is believed.
            if (datagram.SenderPortId == 0)
                return new MessageReader(_buffer.AsSpan(0, datagram.Length));
            CountStray(ref strays);
        }
    }

    /// <summary>
    /// After a call that was given up, its answers may still be on the way, and an unread dump would make the next one fail with EBUSY.
    /// </summary>
    private void Drain_NeedsLock()
    {
        if (!_answersPending)
            return;
        for (int datagrams = 0; datagrams < MaxStrays; datagrams++)
        {
            try
            {
                if (_socket.TryReceive(_buffer, out _))
                    continue;
                _answersPending = false;
                return;
            }
            catch (NetlinkException exception) when (exception.Errno == Errno.ENOBUFS)
            {
                // The report that answers were dropped; reading it clears it.
            }
        }

        throw new NetlinkException("netlink receive", Errno.EBADMSG, $"more than {MaxStrays} datagrams that nobody asked for");
    }

    private static void CountStray(ref int strays)
    {
        if (++strays > MaxStrays)
            throw new MalformedMessageException($"more than {MaxStrays} messages that nobody asked for");
    }
}
