// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// Sends router advertisements (RFC 4861, section 4.2) on the links of a router: when a link is added, when a host solicits them, and
/// periodically. They announce a default router whose hosts get their addresses by DHCPv6 (flag M), and no prefix, as a VPC's router does:
/// a subnet's /64 is not on-link, so every packet goes through the router. Thread-safe.
/// </summary>
internal sealed partial class RouterAdvertiser : IAsyncDisposable
{
    /// <summary>
    /// Time between two periodic advertisements, below RFC 4861's minimum of 3 s: hosts that have lost their default route, for example by
    /// enabling forwarding before accept_ra=2, get it again soon.
    /// </summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private const byte RouterSolicitation = 133;
    private const byte RouterAdvertisement = 134;
    private const byte ManagedFlag = 0x80;
    private const byte HopLimit = 64;

    /// <summary>AdvDefaultLifetime in seconds, the default of RFC 4861.</summary>
    private const ushort LifetimeSeconds = 1800;

    private static readonly IPAddress AllNodes = IPAddress.Parse("ff02::1");

    private readonly NetworkNamespace _network;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Socket _receiver;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<int, (Socket Sender, byte[] Advertisement)> _links = [];
    private readonly Task _periodic;
    private readonly Task _solicited;

    public RouterAdvertiser(NetworkNamespace network, TimeProvider time, ILogger logger)
    {
        _network = network;
        _time = time;
        _logger = logger;
        _receiver = network.OpenSocket(AddressFamily.InterNetworkV6, SocketType.Raw, ProtocolType.IcmpV6);
        try
        {
            _receiver.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        }
        catch
        {
            _receiver.Dispose();
            throw;
        }

        _periodic = SendPeriodicallyAsync();
        _solicited = AnswerSolicitationsAsync();
    }

    /// <summary>Starts advertising on a link, and sends the first advertisement at once.</summary>
    /// <param name="linkIndex">Index of the link in the router's namespace.</param>
    /// <param name="source">A link-local address of the router on this link; hosts use it as their default gateway.</param>
    /// <param name="mac">The MAC of the router's end, so that hosts need not resolve the source.</param>
    public void Add(int linkIndex, IPAddress source, MacAddress mac)
    {
        var sender = _network.OpenSocket(AddressFamily.InterNetworkV6, SocketType.Raw, ProtocolType.IcmpV6);
        try
        {
            // Hosts ignore advertisements that were forwarded (RFC 4861, section 6.1.2).
            sender.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.MulticastTimeToLive, 255);
            sender.Bind(new IPEndPoint(new IPAddress(source.GetAddressBytes(), linkIndex), 0));
        }
        catch
        {
            sender.Dispose();
            throw;
        }

        lock (_lock)
        {
            if (_links.Remove(linkIndex, out var old))
                old.Sender.Dispose();
            _links.Add(linkIndex, (sender, Advertisement(mac)));
        }

        Send(linkIndex);
    }

    /// <summary>Stops advertising on a link; no-op if it has not been added.</summary>
    public void Remove(int linkIndex)
    {
        lock (_lock)
        {
            if (_links.Remove(linkIndex, out var link))
                link.Sender.Dispose();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_periodic, _solicited);
        lock (_lock)
        {
            foreach (var (sender, _) in _links.Values)
                sender.Dispose();
            _links.Clear();
        }

        _receiver.Dispose();
        _stopping.Dispose();
    }

    private async Task SendPeriodicallyAsync()
    {
        using var timer = new PeriodicTimer(Interval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token))
            {
                int[] links;
                lock (_lock)
                    links = [.. _links.Keys];
                foreach (var link in links)
                    Send(link);
            }
        }
        catch (OperationCanceledException)
        {
            // The lab is stopping.
        }
    }

    private async Task AnswerSolicitationsAsync()
    {
        var buffer = new byte[1280];
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var received = await _receiver.ReceiveFromAsync(
                    buffer,
                    SocketFlags.None,
                    new IPEndPoint(IPAddress.IPv6Any, 0),
                    _stopping.Token
                );
                // A raw IPv6 socket delivers the packet without its IP header. The scope of a link-local source is the link; without one
                // (a host without an address) the periodic advertisement has to do.
                var source = ((IPEndPoint)received.RemoteEndPoint).Address;
                if (received.ReceivedBytes > 0 && buffer[0] == RouterSolicitation && source.IsIPv6LinkLocal)
                    Send((int)source.ScopeId);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (SocketException error)
            {
                LogFailed(_logger, error, "receive solicitations"); // hosts still get the periodic advertisements
                return;
            }
        }
    }

    private void Send(int linkIndex)
    {
        lock (_lock)
        {
            if (!_links.TryGetValue(linkIndex, out var link))
                return;
            try
            {
                link.Sender.SendTo(link.Advertisement, new IPEndPoint(new IPAddress(AllNodes.GetAddressBytes(), linkIndex), 0));
            }
            catch (SocketException error)
                when (error.SocketErrorCode
                        is SocketError.NetworkDown
                            or SocketError.NetworkUnreachable
                            or SocketError.AddressNotAvailable
                            or SocketError.HostUnreachable
                )
            {
                // The other end of the link is down; its host solicits an advertisement when it comes up.
            }
            catch (SocketException error)
            {
                LogFailed(_logger, error, $"send an advertisement on link {linkIndex}");
            }
        }
    }

    /// <summary>
    /// The advertisement with one option, the source's link-layer address (RFC 4861, section 4.6.1). The kernel fills in the checksum.
    /// </summary>
    private static byte[] Advertisement(MacAddress mac)
    {
        const int Length = 16;
        const byte SourceLinkLayerAddress = 1;
        var packet = new byte[Length + 2 + MacAddress.Length];
        packet[0] = RouterAdvertisement;
        packet[4] = HopLimit;
        packet[5] = ManagedFlag;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(6), LifetimeSeconds);
        packet[Length] = SourceLinkLayerAddress;
        packet[Length + 1] = 1; // in units of 8 octets
        mac.CopyTo(packet.AsSpan(Length + 2));
        return packet;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The router failed to {What}")]
    private static partial void LogFailed(ILogger logger, Exception error, string what);
}
