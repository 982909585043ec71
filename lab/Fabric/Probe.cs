// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>What the server of a TCP probe saw.</summary>
internal sealed record TcpProbeOutcome(IPAddress SeenSource, TimeSpan Elapsed);

/// <summary>
/// Sends real packets between namespaces from inside this process: a socket belongs for life to the namespace in which it was opened. Every
/// wait ends at the probe's deadline, with a <see cref="TimeoutException"/> that says what did not arrive.
/// </summary>
internal sealed class Probe(TimeProvider time, TimeSpan deadline)
{
    private const int EchoRequest = 8;
    private const int IpHeaderLength = 20;
    private const int UdpHeaderLength = 8;

    /// <summary>Connects, sends a line and waits for its echo; tells which source the server saw.</summary>
    public Task<TcpProbeOutcome> TcpAsync(
        NetworkNamespace from,
        NetworkNamespace to,
        IPAddress target,
        CancellationToken cancellationToken
    ) => TcpAsync(from, to, new IPEndPoint(target, 0), asked: null, cancellationToken);

    /// <summary>As above, to a server that is known under another address: a service or a node port.</summary>
    /// <param name="from">The client.</param>
    /// <param name="to">The server.</param>
    /// <param name="served">Where the server listens; port 0: any.</param>
    /// <param name="asked">Where the client connects to; null: where the server listens.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task<TcpProbeOutcome> TcpAsync(
        NetworkNamespace from,
        NetworkNamespace to,
        IPEndPoint served,
        IPEndPoint? asked,
        CancellationToken cancellationToken
    )
    {
        var target = asked?.Address ?? served.Address;
        using var limit = new CancellationTokenSource(deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        using var listener = to.OpenSocket(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        using var client = from.OpenSocket(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        var started = time.GetTimestamp();
        try
        {
            // Probes follow each other on one port.
            listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            listener.Bind(served);
            listener.Listen(1);
            var accepting = listener.AcceptAsync(both.Token).AsTask();
            await client.ConnectAsync(asked ?? listener.LocalEndPoint!, both.Token);
            using var server = await accepting;
            byte[] question = [1, 2, 3, 4],
                answer = new byte[4];
            await client.SendAsync(question, both.Token);
            await server.SendAsync(answer.AsMemory(0, await server.ReceiveAsync(answer, both.Token)), both.Token);
            var received = await client.ReceiveAsync(answer, both.Token);
            if (!question.AsSpan().SequenceEqual(answer.AsSpan(0, received)))
                throw new IOException($"{target} echoed something else over TCP");
            return new TcpProbeOutcome(((IPEndPoint)server.RemoteEndPoint!).Address, time.GetElapsedTime(started));
        }
        catch (OperationCanceledException cancelled) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"no TCP connection to {target} within {deadline.TotalSeconds} s", cancelled);
        }
    }

    /// <summary>One ICMP echo; the time until the answer.</summary>
    public async Task<TimeSpan> PingAsync(NetworkNamespace from, IPAddress target, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        using var socket = from.OpenSocket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Icmp);
        var started = time.GetTimestamp();
        // Identifier: unique enough among probes at the same time, because a raw socket sees every ICMP packet of its namespace.
        var identifier = (ushort)started;
        var request = new byte[16];
        request[0] = EchoRequest;
        BinaryPrimitives.WriteUInt16BigEndian(request.AsSpan(4), identifier);
        BinaryPrimitives.WriteUInt16BigEndian(request.AsSpan(2), Checksum(request));
        try
        {
            await socket.SendToAsync(request, new IPEndPoint(target, 0), both.Token);
            var buffer = new byte[256];
            while (true)
            {
                var received = await socket.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0), both.Token);
                var header = (buffer[0] & 0x0f) * 4; // a raw IPv4 socket delivers the IP header too
                var isAnswer =
                    received.ReceivedBytes >= header + 8
                    && buffer[header] == 0
                    && BinaryPrimitives.ReadUInt16BigEndian(buffer.AsSpan(header + 4)) == identifier;
                if (isAnswer && ((IPEndPoint)received.RemoteEndPoint).Address.Equals(target))
                    return time.GetElapsedTime(started);
            }
        }
        catch (OperationCanceledException cancelled) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"no ICMP answer from {target} within {deadline.TotalSeconds} s", cancelled);
        }
    }

    private const int LooksPerDatagram = 100;

    /// <summary>
    /// Sends UDP datagrams, each time one with a forged source and then one with the sender's own, to a fresh socket at the target, until
    /// one arrives. Returns whether the forged one arrived; throws when the honest one did not, because then nothing is proven.
    /// </summary>
    public async Task<bool> ForgedArrivesAsync(
        NetworkNamespace from,
        IPAddress forgedSource,
        NetworkNamespace to,
        IPAddress target,
        CancellationToken cancellationToken
    )
    {
        using var limit = new CancellationTokenSource(deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        using var receiver = to.OpenSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using var forger = from.OpenSocket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Raw);
        using var honest = from.OpenSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        receiver.Bind(new IPEndPoint(target, 0));
        var endPoint = (IPEndPoint)receiver.LocalEndPoint!;
        try
        {
            var buffer = new byte[16];
            while (true)
            {
                // Both again until one arrives: nothing repeats a datagram that was lost on the way, and without an honest one nothing is
                // proven.
                await forger.SendToAsync(Datagram(forgedSource, endPoint, payload: (byte)'F'), new IPEndPoint(target, 0), both.Token);
                await honest.SendToAsync(new[] { (byte)'H' }, endPoint, both.Token);
                if (!await ArrivesAsync(receiver, both.Token))
                    continue;
                var received = await receiver.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0), both.Token);
                if (received.ReceivedBytes != 1)
                    throw new IOException($"{target} received {received.ReceivedBytes} bytes where 1 was sent");
                // Sent first, the forged one arrives first; should it have taken a longer way, it is found waiting.
                return buffer[0] == (byte)'F' || receiver.Available > 0;
            }
        }
        catch (OperationCanceledException cancelled) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException(
                $"not even a datagram with an honest source reached {target} within {deadline.TotalSeconds} s",
                cancelled
            );
        }
    }

    /// <summary>Something is there to be received, or comes within a fraction of the deadline.</summary>
    private async Task<bool> ArrivesAsync(Socket receiver, CancellationToken cancellationToken)
    {
        for (var look = 0; look < LooksPerDatagram; look++)
        {
            if (receiver.Available > 0)
                return true;
            await Task.Delay(deadline / 10 / LooksPerDatagram, time, cancellationToken);
        }

        return receiver.Available > 0;
    }

    /// <summary>An IPv4 packet (RFC 791) with a UDP datagram (RFC 768) of one byte; a UDP checksum of zero means none.</summary>
    private static byte[] Datagram(IPAddress source, IPEndPoint target, byte payload)
    {
        var packet = new byte[IpHeaderLength + UdpHeaderLength + 1];
        packet[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
        packet[8] = 64;
        packet[9] = (byte)ProtocolType.Udp;
        source.GetAddressBytes().CopyTo(packet, 12);
        target.Address.GetAddressBytes().CopyTo(packet, 16);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(10), Checksum(packet.AsSpan(0, IpHeaderLength)));
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(IpHeaderLength), 40000);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(IpHeaderLength + 2), (ushort)target.Port);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(IpHeaderLength + 4), UdpHeaderLength + 1);
        packet[^1] = payload;
        return packet;
    }

    /// <summary>The internet checksum (RFC 1071) of an even number of bytes.</summary>
    private static ushort Checksum(ReadOnlySpan<byte> data)
    {
        uint sum = 0;
        for (var i = 0; i < data.Length; i += 2)
            sum += BinaryPrimitives.ReadUInt16BigEndian(data[i..]);
        while (sum > ushort.MaxValue)
            sum = (sum & 0xffff) + (sum >> 16);
        return (ushort)~sum;
    }
}
