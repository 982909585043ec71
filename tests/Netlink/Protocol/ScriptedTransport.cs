// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using VpcCni.Netlink.Interop;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink.Tests.Protocol;

/// <summary>
/// A transport that answers by script: one reaction per datagram sent. Answers that are not received stay queued, as in a socket.
/// </summary>
internal sealed class ScriptedTransport : INetlinkTransport
{
    public const uint Port = 4711;

    private readonly Queue<Func<MessageHeader[], IEnumerable<object>>> _script = new();
    private readonly Queue<object> _answers = new();

    public uint PortId => Port;
    public List<byte[]> Sent { get; } = [];
    public bool Disposed { get; private set; }

    /// <summary>
    /// Answers the next datagram with (octets), (octets, sender) or exceptions, in order. The reaction receives the headers of the messages
    /// sent.
    /// </summary>
    public ScriptedTransport Then(Func<MessageHeader[], IEnumerable<object>> reaction)
    {
        _script.Enqueue(reaction);
        return this;
    }

    /// <summary>Acknowledges each message of the next datagram with these errors, in order, and further messages with success.</summary>
    public ScriptedTransport ThenAcknowledge(params int[] errnos) =>
        Then(headers => headers.Select((header, index) => (object)Acknowledge(header.Sequence, index < errnos.Length ? errnos[index] : 0)));

    public void Send(ReadOnlySpan<byte> messages)
    {
        Sent.Add(messages.ToArray());
        var headers = new List<MessageHeader>();
        var reader = new MessageReader(messages);
        while (reader.TryRead(out var message))
            headers.Add(message.Header);
        if (!_script.TryDequeue(out var reaction))
            throw new InvalidOperationException("the script has no reaction to this send");
        foreach (object answer in reaction([.. headers]))
            _answers.Enqueue(answer);
    }

    public Datagram Receive(Span<byte> buffer) =>
        TryReceive(buffer, out var datagram)
            ? datagram
            : throw new NetlinkException("netlink receive", Errno.ETIMEDOUT, "the script has no more answers");

    public bool TryReceive(Span<byte> buffer, out Datagram datagram)
    {
        datagram = default;
        if (!_answers.TryDequeue(out object? answer))
            return false;
        if (answer is Exception exception)
            throw exception;
        var (octets, sender) = answer is (byte[] foreign, uint from) ? (foreign, from) : ((byte[])answer, 0u);
        octets.AsSpan(0, Math.Min(octets.Length, buffer.Length)).CopyTo(buffer);
        datagram = new Datagram(octets.Length, sender);
        return true;
    }

    public void Dispose() => Disposed = true;

    public static byte[] Acknowledge(uint sequence, int errno, string? text = null, uint port = Port)
    {
        byte[] tlv = text is null
            ? []
            : [.. BitConverter.GetBytes((ushort)(5 + text.Length)), 1, 0, .. System.Text.Encoding.UTF8.GetBytes(text), 0];
        byte[] body = [.. BitConverter.GetBytes(-errno), .. BitConverter.GetBytes(MessageHeader.Size), .. new byte[12], .. tlv];
        return Frame(Nlm.NLMSG_ERROR, (ushort)(Nlm.NLM_F_CAPPED | (text is null ? 0 : Nlm.NLM_F_ACK_TLVS)), sequence, body, port);
    }

    public static byte[] Done(uint sequence, int errno = 0) =>
        Frame(Nlm.NLMSG_DONE, Nlm.NLM_F_MULTI, sequence, BitConverter.GetBytes(-errno));

    /// <summary>Returns a recorded answer with another sequence number and additional flags.</summary>
    public static byte[] Recorded(string fixture, int index, uint sequence, ushort flags = 0)
    {
        byte[] message = Fixture.Load(fixture)[index];
        var header = MemoryMarshal.Read<MessageHeader>(message);
        return Frame(header.Type, (ushort)(header.Flags | flags), sequence, message[MessageHeader.Size..]);
    }

    private static byte[] Frame(ushort type, ushort flags, uint sequence, byte[] body, uint port = Port)
    {
        byte[] message = new byte[MessageHeader.Size + ((body.Length + 3) & ~3)];
        MemoryMarshal.Write(
            message,
            new MessageHeader
            {
                Length = (uint)(MessageHeader.Size + body.Length),
                Type = type,
                Flags = flags,
                Sequence = sequence,
                PortId = port,
            }
        );
        body.CopyTo(message, MessageHeader.Size);
        return message;
    }
}
