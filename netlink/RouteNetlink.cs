// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink.Interop;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>
/// A NETLINK_ROUTE socket with synchronous requests and queries. It stays in the network namespace in which it was opened and is usable
/// from any thread in any namespace; calls on one instance are serialized. Calls do not block longer than the receive timeout (ETIMEDOUT).
/// </summary>
public sealed partial class RouteNetlink : IDisposable
{
    public static readonly TimeSpan DefaultReceiveTimeout = TimeSpan.FromSeconds(5);

    // Dump datagrams have at most 32 KiB (NLMSG_GOODSIZE, or the largest buffer that was offered).
    private const int BufferBytes = 64 * 1024;

    // Acknowledgements queue while the kernel processes a datagram; those of so many requests fit the receive queue even at its default
    // size.
    private const int MaxBatch = 128;

    // A dump is interrupted when a link is added or removed while it is read. During a burst of pods several attempts in a row fail; each
    // takes about a millisecond.
    internal const int MaxDumpAttempts = 20;

    // Late answers to abandoned calls and messages of other senders are skipped, up to this number per call.
    private const int MaxUnsolicited = 4096;

    private readonly Lock _lock = new();
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

    /// <summary>Opens a socket in another network namespace. The calling thread stays in its own.</summary>
    public static RouteNetlink Open(NetworkNamespace ns)
    {
        ArgumentNullException.ThrowIfNull(ns);
        return ns.Run(Open);
    }

    /// <summary>Executes one request.</summary>
    /// <exception cref="NetlinkException">The kernel rejected it.</exception>
    public void Execute(NetlinkRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        Execute([request]);
    }

    /// <summary>
    /// Executes requests in order, in one send. Splits the batch after 128 requests, after 64 KiB and after a veth whose peer is to be set
    /// up. The kernel processes all requests even if one fails.
    /// </summary>
    /// <param name="requests">Requests to execute.</param>
    /// <param name="unneeded">Receives the indexes of requests that failed with a tolerated error, also when the method throws.</param>
    /// <exception cref="NetlinkException">
    /// The kernel rejected at least one request. <see cref="NetlinkException.Failures"/> has all of them,
    /// <see cref="NetlinkException.Succeeded"/> the number of the others.
    /// </exception>
    public void Execute(IReadOnlyList<NetlinkRequest> requests, ICollection<int>? unneeded = null)
    {
        ArgumentNullException.ThrowIfNull(requests);
        List<NetlinkFailure>? failures = null;
        lock (_lock)
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
                // Later requests may depend on the follow-up, so the batch ends here.
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
                using var target = Open(ns);
                target.Execute(followUp);
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
        // The kernel acknowledges in the order of the requests, so any failure belongs to the next one without acknowledgement.
        int done = 0;
        try
        {
            for (int unsolicited = 0; done < count; )
            {
                var messages = Receive_NeedsLock(ref unsolicited);
                while (messages.TryRead(out var message))
                {
                    uint index = message.Header.Sequence - firstSequence;
                    if (message.Header.PortId != _socket.PortId || index >= (uint)count || message.Header.Type != Nlm.NLMSG_ERROR)
                    {
                        // Includes RTM_NEWLINK and similar messages, which some kernels echo.
                        CountUnsolicited(ref unsolicited);
                        continue;
                    }

                    if (index != (uint)done)
                        throw new MalformedMessageException($"acknowledgement of request {index}; that of {done} expected");
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
                $"{exception.Operation}: {exception.ExtendedMessage ?? "failed"}; it is unknown whether the request took effect",
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

    /// <summary>Sends a dump request and parses the answers. Repeats a dump that the kernel reports as inconsistent.</summary>
    private List<T> Dump<T>(byte[] request, ushort answerType, MessageParser<T> parse, string operation)
        where T : class
    {
        lock (_lock)
        {
            for (int attempt = 0; attempt < MaxDumpAttempts; attempt++)
            {
                Drain_NeedsLock();
                var results = new List<T>();
                if (TryDump_NeedsLock(request, answerType, parse, operation, results))
                    return results;
            }
        }

        throw new NetlinkException(operation, Errno.EINTR, $"the table changed during each of {MaxDumpAttempts} dumps");
    }

    private bool TryDump_NeedsLock<T>(byte[] request, ushort answerType, MessageParser<T> parse, string operation, List<T> results)
        where T : class
    {
        bool consistent = true;
        try
        {
            Send_NeedsLock(request);
            for (int unsolicited = 0; ; )
            {
                var messages = Receive_NeedsLock(ref unsolicited);
                while (messages.TryRead(out var message))
                {
                    if (!IsAnswer_NeedsLock(message, ref unsolicited))
                        continue;

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
        catch (IOException exception) when (exception is not NetlinkException { Operation: var failed } || failed != operation)
        {
            throw FailureOf(operation, exception);
        }
    }

    /// <summary>Requests one object. Returns null if the kernel returns <paramref name="absent"/>.</summary>
    private T? Get<T>(byte[] request, ushort answerType, MessageParser<T> parse, string operation, Errno absent)
        where T : class
    {
        lock (_lock)
        {
            Drain_NeedsLock();
            try
            {
                Send_NeedsLock(request);
                for (int unsolicited = 0; ; )
                {
                    var messages = Receive_NeedsLock(ref unsolicited);
                    while (messages.TryRead(out var message))
                    {
                        if (!IsAnswer_NeedsLock(message, ref unsolicited))
                            continue;

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
            catch (IOException exception) when (exception is not NetlinkException { Operation: var failed } || failed != operation)
            {
                throw FailureOf(operation, exception);
            }
        }
    }

    /// <summary>Returns whether a message answers the last request, and counts it if not.</summary>
    private bool IsAnswer_NeedsLock(Message message, ref int unsolicited)
    {
        if (message.Header.PortId == _socket.PortId && message.Header.Sequence == _sequence)
            return true;
        CountUnsolicited(ref unsolicited);
        return false;
    }

    /// <summary>Returns a failure of the socket or a malformed answer as the failure of an operation.</summary>
    private static NetlinkException FailureOf(string operation, IOException exception) =>
        exception is NetlinkException socket
            ? new NetlinkException(operation, socket.Errno, $"{socket.Operation}: {socket.ExtendedMessage ?? "failed"}", socket)
            : new NetlinkException(operation, Errno.EBADMSG, exception.Message, exception);

    private void Send_NeedsLock(byte[] request)
    {
        MessageStamp.Write(request, 0, ++_sequence);
        _answersPending = true;
        _socket.Send(request);
    }

    private MessageReader Receive_NeedsLock(ref int unsolicited)
    {
        while (true)
        {
            var datagram = _socket.Receive(_buffer);
            if (datagram.Length > _buffer.Length)
                throw new MalformedMessageException($"a datagram of {datagram.Length} octets was truncated to {_buffer.Length}");
            // Any process may send to this port; only the kernel is port 0.
            if (datagram.SenderPortId == 0)
                return new MessageReader(_buffer.AsSpan(0, datagram.Length));
            CountUnsolicited(ref unsolicited);
        }
    }

    /// <summary>
    /// Discards answers to an abandoned call. They may still arrive, and an unread dump makes the next dump fail with EBUSY.
    /// </summary>
    private void Drain_NeedsLock()
    {
        if (!_answersPending)
            return;
        for (int datagrams = 0; datagrams < MaxUnsolicited; datagrams++)
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
                // The notice that answers were dropped; reading clears it.
            }
        }

        throw new NetlinkException("netlink receive", Errno.EBADMSG, $"more than {MaxUnsolicited} unsolicited datagrams");
    }

    private static void CountUnsolicited(ref int unsolicited)
    {
        if (++unsolicited > MaxUnsolicited)
            throw new MalformedMessageException($"more than {MaxUnsolicited} unsolicited messages");
    }
}
