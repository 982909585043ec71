// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>Outcome of a TCP probe: the source address that the server observed, and the duration.</summary>
internal sealed record TcpProbeOutcome(IPAddress ObservedSource, TimeSpan Elapsed);

/// <summary>
/// Sends packets between namespaces from this process; a socket stays in the namespace in which it was opened. Every probe throws
/// <see cref="TimeoutException"/>, which says what did not arrive, when the deadline passes.
/// </summary>
internal sealed class Probe(TimeProvider time, TimeSpan deadline)
{
    private const byte EchoRequest = 8;
    private const byte EchoReply = 0;
    private const byte Ipv6EchoRequest = 128;
    private const byte Ipv6EchoReply = 129;
    private const int IpHeaderLength = 20;
    private const int Ipv6HeaderLength = 40;
    private const int UdpHeaderLength = 8;

    /// <summary>Connects to a new server at the target, sends bytes and waits for their echo.</summary>
    public Task<TcpProbeOutcome> TcpAsync(
        NetworkNamespace from,
        NetworkNamespace to,
        IPAddress target,
        CancellationToken cancellationToken
    ) => TcpAsync(from, to, new IPEndPoint(target, 0), connectTo: null, cancellationToken);

    /// <summary>
    /// Connects to a new server through another address (a service or a node port), sends bytes and waits for their echo.
    /// </summary>
    /// <param name="from">The client's namespace.</param>
    /// <param name="to">The server's namespace.</param>
    /// <param name="listenOn">The endpoint that the server listens on; port 0 selects a free one.</param>
    /// <param name="connectTo">The endpoint that the client connects to; null for the server's.</param>
    /// <param name="cancellationToken">Cancels the probe.</param>
    public async Task<TcpProbeOutcome> TcpAsync(
        NetworkNamespace from,
        NetworkNamespace to,
        IPEndPoint listenOn,
        IPEndPoint? connectTo,
        CancellationToken cancellationToken
    )
    {
        var target = connectTo?.Address ?? listenOn.Address;
        using var limit = new CancellationTokenSource(deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        using var listener = to.OpenSocket(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        using var client = from.OpenSocket(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        var started = time.GetTimestamp();
        try
        {
            // Consecutive probes listen on the same port.
            listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            listener.Bind(listenOn);
            listener.Listen(1);
            var accepting = listener.AcceptAsync(both.Token).AsTask();
            await client.ConnectAsync(connectTo ?? listener.LocalEndPoint!, both.Token);
            using var server = await accepting;
            byte[] request = [1, 2, 3, 4],
                reply = new byte[4];
            await client.SendAsync(request, both.Token);
            await server.SendAsync(reply.AsMemory(0, await server.ReceiveAsync(reply, both.Token)), both.Token);
            var received = await client.ReceiveAsync(reply, both.Token);
            if (!request.AsSpan().SequenceEqual(reply.AsSpan(0, received)))
                throw new IOException($"{target} echoed other bytes than it was sent over TCP");
            return new TcpProbeOutcome(((IPEndPoint)server.RemoteEndPoint!).Address, time.GetElapsedTime(started));
        }
        catch (OperationCanceledException cancelled) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"no TCP connection to {target} within {deadline.TotalSeconds} s", cancelled);
        }
    }

    /// <summary>Sends an ICMP echo request and returns the time until the reply.</summary>
    public async Task<TimeSpan> PingAsync(NetworkNamespace from, IPAddress target, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var isIpv6 = target.AddressFamily == IpFamily.V6;
        using var socket = from.OpenSocket(target.AddressFamily, SocketType.Raw, isIpv6 ? ProtocolType.IcmpV6 : ProtocolType.Icmp);
        var started = time.GetTimestamp();
        // A raw socket receives every ICMP packet of its namespace; the identifier distinguishes concurrent probes.
        var identifier = (ushort)started;
        var request = new byte[16];
        request[0] = isIpv6 ? Ipv6EchoRequest : EchoRequest;
        BinaryPrimitives.WriteUInt16BigEndian(request.AsSpan(4), identifier);
        // The kernel fills in the checksum of ICMPv6, which covers the addresses.
        if (!isIpv6)
            BinaryPrimitives.WriteUInt16BigEndian(request.AsSpan(2), Checksum(request));
        try
        {
            await socket.SendToAsync(request, new IPEndPoint(target, 0), both.Token);
            var buffer = new byte[256];
            while (true)
            {
                var received = await socket.ReceiveFromAsync(buffer, Any(target.AddressFamily), both.Token);
                var header = isIpv6 ? 0 : (buffer[0] & 0x0f) * 4; // a raw IPv4 socket delivers the IP header too, an IPv6 one does not
                var isReply =
                    received.ReceivedBytes >= header + 8
                    && buffer[header] == (isIpv6 ? Ipv6EchoReply : EchoReply)
                    && BinaryPrimitives.ReadUInt16BigEndian(buffer.AsSpan(header + 4)) == identifier;
                if (isReply && ((IPEndPoint)received.RemoteEndPoint).Address.Equals(target))
                    return time.GetElapsedTime(started);
            }
        }
        catch (OperationCanceledException cancelled) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"no ICMP echo reply from {target} within {deadline.TotalSeconds} s", cancelled);
        }
    }

    private const int PollsPerDatagram = 100;

    /// <summary>
    /// Sends pairs of UDP datagrams to a new socket at the target, one with a forged source and then one with the sender's own, until one
    /// arrives. Returns whether a forged one arrived.
    /// </summary>
    /// <exception cref="TimeoutException">None arrived, so the probe proves nothing.</exception>
    public async Task<bool> IsForgedSourceDeliveredAsync(
        NetworkNamespace from,
        IPAddress forgedSource,
        NetworkNamespace to,
        IPAddress target,
        CancellationToken cancellationToken
    )
    {
        using var limit = new CancellationTokenSource(deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        using var receiver = to.OpenSocket(target.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        using var forger = from.OpenSocket(target.AddressFamily, SocketType.Raw, ProtocolType.Raw);
        using var sender = from.OpenSocket(target.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        receiver.Bind(new IPEndPoint(target, 0));
        var endPoint = (IPEndPoint)receiver.LocalEndPoint!;
        try
        {
            var buffer = new byte[16];
            while (true)
            {
                // Retry both until one arrives: UDP does not retransmit, and the probe proves nothing unless the second one can arrive.
                await forger.SendToAsync(Datagram(forgedSource, endPoint, payload: (byte)'F'), new IPEndPoint(target, 0), both.Token);
                await sender.SendToAsync(new[] { (byte)'H' }, endPoint, both.Token);
                if (!await ArrivesAsync(receiver, both.Token))
                    continue;
                // The forged datagram was sent first. If it arrived second, it is waiting in the socket's buffer.
                do
                {
                    var received = await receiver.ReceiveFromAsync(buffer, Any(target.AddressFamily), both.Token);
                    if (received.ReceivedBytes != 1)
                        throw new IOException($"{target} received {received.ReceivedBytes} bytes where 1 was sent");
                    if (buffer[0] == (byte)'F')
                        return true;
                } while (receiver.Available > 0);

                return false;
            }
        }
        catch (OperationCanceledException cancelled) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"no datagram, forged or not, reached {target} within {deadline.TotalSeconds} s", cancelled);
        }
    }

    /// <summary>Waits a tenth of the deadline for data to receive; returns whether any arrived.</summary>
    private async Task<bool> ArrivesAsync(Socket receiver, CancellationToken cancellationToken)
    {
        for (var poll = 0; poll < PollsPerDatagram; poll++)
        {
            if (receiver.Available > 0)
                return true;
            await Task.Delay(deadline / 10 / PollsPerDatagram, time, cancellationToken);
        }

        return receiver.Available > 0;
    }

    private static IPEndPoint Any(AddressFamily family) => new(IpFamily.Any(family), 0);

    private static byte[] Datagram(IPAddress source, IPEndPoint target, byte payload) =>
        target.AddressFamily == IpFamily.V6 ? Ipv6Datagram(source, target, payload) : Ipv4Datagram(source, target, payload);

    /// <summary>
    /// Builds an IPv6 packet (RFC 8200) with a UDP datagram of one byte, padded to an even number, whose checksum covers a pseudo-header of
    /// the addresses, the length and the protocol (section 8.1).
    /// </summary>
    private static byte[] Ipv6Datagram(IPAddress source, IPEndPoint target, byte payload)
    {
        const int Length = UdpHeaderLength + 1;
        var packet = new byte[Ipv6HeaderLength + Length];
        packet[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), Length);
        packet[6] = (byte)ProtocolType.Udp;
        packet[7] = 64;
        source.GetAddressBytes().CopyTo(packet, 8);
        target.Address.GetAddressBytes().CopyTo(packet, 24);
        var datagram = packet.AsSpan(Ipv6HeaderLength);
        BinaryPrimitives.WriteUInt16BigEndian(datagram, 40000);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[2..], (ushort)target.Port);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[4..], Length);
        datagram[^1] = payload;
        byte[] summed = [.. packet.AsSpan(8, 32), 0, 0, 0, Length, 0, 0, 0, (byte)ProtocolType.Udp, .. datagram, 0];
        BinaryPrimitives.WriteUInt16BigEndian(datagram[6..], Checksum(summed));
        return packet;
    }

    /// <summary>
    /// Builds an IPv4 packet (RFC 791) with a UDP datagram (RFC 768) of one byte. Its UDP checksum is 0, which means none.
    /// </summary>
    private static byte[] Ipv4Datagram(IPAddress source, IPEndPoint target, byte payload)
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
