// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Text;
using VpcCni.Netlink;
using VpcCni.Netlink.Interop;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.Netlink;

/// <summary>
/// Two namespaces with the same preparation: `ip` makes a change in one, this library in the other. The requests are equal octet for octet,
/// and so is the output of `ip -j` afterwards.
/// </summary>
public sealed class TwinTests
{
    private static readonly string[] Views =
    [
        "link show",
        "addr show",
        "route show table all",
        "rule show",
        "neigh show nud permanent",
        "neigh show nud noarp",
    ];

    private static readonly TimeSpan ViewTimeout = TimeSpan.FromSeconds(5);

    public static TheoryData<TwinCase> Cases => TwinCases.All;

    [Theory]
    [MemberData(nameof(Cases), DisableDiscoveryEnumeration = true)]
    public async Task Request_is_the_same_as_that_of_ip_and_so_is_its_effect(TwinCase row)
    {
        Iproute.Need();
        Requirement.NeedProgram("strace");
        ArgumentNullException.ThrowIfNull(row);
        using var theirs = NetworkNamespace.CreateAnonymous();
        using var ours = NetworkNamespace.CreateAnonymous();
        using var theirPeer = NetworkNamespace.CreateAnonymous();
        using var ourPeer = NetworkNamespace.CreateAnonymous();
        Prepare(theirs, row);
        Prepare(ours, row);

        using var transport = ours.Run(() => new RecordingTransport(NetlinkSocket.Open(0, RouteNetlink.DefaultReceiveTimeout)));
        using var netlink = new RouteNetlink(transport);
        var errno = Errno.None;
        try
        {
            netlink.Execute(row.Ours(ourPeer));
        }
        catch (NetlinkException exception)
        {
            errno = exception.Errno;
        }

        // `ip` takes a namespace by path: that of the descriptor.
        string path = $"/proc/{Environment.ProcessId}/fd/{theirPeer.Handle.DangerousGetHandle()}";
        var (message, exitCode, error) = Strace.LastRequest(theirs, row.Ip.Replace("PEER", path, StringComparison.Ordinal));

        Assert.Equal(Dump(Normalise(message)), Dump(Normalise(Assert.Single(transport.Sent))));
        if (row.Errno != TwinCases.AnyOutcome)
            Assert.Equal(row.Errno, errno);
        Assert.True(exitCode == 0 == (errno == Errno.None), $"ip: {exitCode} {error}; we: {errno}");
        await SameView(theirs, ours);
        await SameView(theirPeer, ourPeer);
    }

    /// <summary>Carrier and operational state follow a change with a delay (net/core/link_watch.c).</summary>
    private static async Task SameView(NetworkNamespace theirs, NetworkNamespace ours)
    {
        string expected = "",
            actual = "";
        try
        {
            await Eventually.TrueAsync(
                () =>
                {
                    expected = View(theirs);
                    actual = View(ours);
                    return expected == actual;
                },
                ViewTimeout
            );
        }
        catch (TimeoutException)
        {
            Assert.Equal(expected, actual);
        }
    }

    private static void Prepare(NetworkNamespace ns, TwinCase row)
    {
        string[] commands = (TwinCases.Preparation + ";" + row.Before).Split(';', StringSplitOptions.RemoveEmptyEntries);
        // A batch of 'ip' cannot change the family, which is a global option.
        ns.IpBatch("", commands.Where(command => !command.StartsWith('-')));
        foreach (string command in commands.Where(command => command.StartsWith('-')))
            ns.Ip(command);
    }

    /// <summary>
    /// Returns the output of 'ip', one object per line, sorted: the order of the multicast routes and neighbours that the kernel adds for
    /// IPv6 varies.
    /// </summary>
    private static string View(NetworkNamespace ns)
    {
        string shown = ns.IpBatch("-j -d", Views) + "\n" + ns.Ip("-6 -j rule show");
        var lines = shown
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .SelectMany(line => Iproute.Array(line))
            .Select(node => node!.ToJsonString())
            .Where(line => !line.Contains("\"dst\":\"ff", StringComparison.Ordinal));
        return string.Join('\n', lines.Order(StringComparer.Ordinal));
    }

    /// <summary>
    /// Clears the sequence number (ip sends the time) and the descriptor of the namespace in IFLA_NET_NS_FD at any depth.
    /// </summary>
    private static byte[] Normalise(byte[] message)
    {
        byte[] result = [.. message];
        result.AsSpan(8, 4).Clear();
        bool isLink = BinaryPrimitives.ReadUInt16LittleEndian(result.AsSpan(4)) is 16 or 17;
        for (int at = 32; isLink && at + 8 <= result.Length; at += 4)
        {
            if (result.AsSpan(at, 4).SequenceEqual((ReadOnlySpan<byte>)[8, 0, 28, 0]))
                result.AsSpan(at + 4, 4).Clear();
        }

        return result;
    }

    /// <summary>Formats four octets per line, so that a failed comparison shows the position.</summary>
    private static string Dump(byte[] message)
    {
        var text = new StringBuilder();
        for (int at = 0; at < message.Length; at += 4)
            text.AppendLine(Convert.ToHexString(message.AsSpan(at, Math.Min(4, message.Length - at))));
        return text.ToString();
    }

    /// <summary>A real socket that records the datagrams sent.</summary>
    private sealed class RecordingTransport(NetlinkSocket socket) : INetlinkTransport
    {
        public List<byte[]> Sent { get; } = [];
        public uint PortId => socket.PortId;

        public void Send(ReadOnlySpan<byte> messages)
        {
            Sent.Add(messages.ToArray());
            socket.Send(messages);
        }

        public Datagram Receive(Span<byte> buffer) => socket.Receive(buffer);

        public bool TryReceive(Span<byte> buffer, out Datagram datagram) => socket.TryReceive(buffer, out datagram);

        public void Dispose() => socket.Dispose();
    }
}
