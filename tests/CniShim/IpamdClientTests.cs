// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Grpc.Core;
using VpcCni.Protos.Rpc;
using VpcCni.Shim.Ipamd;
using Xunit;

namespace VpcCni.Shim.Tests;

/// <summary>Calls to the daemon over a real Unix socket, with and without failures.</summary>
public sealed class IpamdClientTests
{
    private static readonly TimeSpan LongTimeout = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task AddNetwork_returns_the_address()
    {
        await using var ipamd = await FakeIpamd.StartAsync();
        var client = Client(ipamd.SocketPath);

        var reply = client.AddNetwork(Request(), LongTimeout);

        Assert.Equal("10.250.0.10", Assert.Single(reply.IPAllocationMetadata).IPv4Addr);
        Assert.Equal(IpamdClient.OwnVersion, Assert.Single(ipamd.State.Adds).ClientVersion);
    }

    [Fact]
    public async Task AddNetwork_rejected_for_its_version_is_retried_with_the_daemons_version()
    {
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.OnAdd = (request, _) =>
                request.ClientVersion == "v1.23.1"
                    ? Task.CompletedTask
                    : throw new RpcException(
                        new Status(StatusCode.FailedPrecondition, $"wrong client version \"{request.ClientVersion}\" (!= \"v1.23.1\")")
                    )
        );
        var client = Client(ipamd.SocketPath);

        Assert.True(client.AddNetwork(Request(), LongTimeout).Success);
        Assert.Equal([IpamdClient.OwnVersion, "v1.23.1"], ipamd.State.Adds.Select(request => request.ClientVersion));
    }

    [Fact]
    public async Task AddNetwork_rejected_again_for_its_version_is_not_retried()
    {
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.OnAdd = (_, _) =>
                throw new RpcException(new Status(StatusCode.FailedPrecondition, "wrong client version \"a\" (!= \"b\")"))
        );
        var client = Client(ipamd.SocketPath);

        Assert.Equal(CniErrorCode.IpamdFailed, Fails(client, LongTimeout).Code);
        Assert.Equal(2, ipamd.State.Adds.Count);
    }

    [Theory]
    [InlineData(StatusCode.ResourceExhausted, 11)]
    [InlineData(StatusCode.Unavailable, 11)]
    [InlineData(StatusCode.DeadlineExceeded, 11)]
    [InlineData(StatusCode.Aborted, 11)]
    [InlineData(StatusCode.InvalidArgument, 7)]
    [InlineData(StatusCode.FailedPrecondition, 110)]
    [InlineData(StatusCode.PermissionDenied, 110)]
    [InlineData(StatusCode.Internal, 110)]
    [InlineData(StatusCode.Unknown, 110)]
    public async Task Status_of_the_daemon_maps_to_a_code_and_its_message_appears_once(StatusCode status, int expected)
    {
        const string message = "pool empty: 3 cooling, ENI limit 3 reached — größer geht nicht";
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.OnAdd = (_, _) => throw new RpcException(new Status(status, message))
        );
        var client = Client(ipamd.SocketPath);

        var error = Fails(client, LongTimeout);

        Assert.Equal(expected, (int)error.Code);
        var text = status == StatusCode.DeadlineExceeded ? error.Details : error.Message;
        Assert.Contains(message, text, StringComparison.Ordinal);
        Assert.Equal(status == StatusCode.DeadlineExceeded ? $"AddNetwork: {status}: {message}" : $"AddNetwork: {status}", error.Details);
    }

    [Fact]
    public async Task Reason_and_hint_of_the_daemon_appear_once_each()
    {
        var trailers = new Metadata { { "vpccni-reason", "SubnetExhausted" }, { "vpccni-hint", "free addresses in the subnet" } };
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.OnAdd = (_, _) => throw new RpcException(new Status(StatusCode.ResourceExhausted, "14 attached, 14 assigned"), trailers)
        );

        var error = Fails(Client(ipamd.SocketPath), LongTimeout);

        Assert.Equal("no address for the pod: 14 attached, 14 assigned; free addresses in the subnet", error.Message);
        Assert.Equal("AddNetwork: ResourceExhausted, SubnetExhausted", error.Details);
    }

    [Fact]
    public async Task Long_message_of_the_daemon_continues_in_the_details_and_is_bounded()
    {
        var message = string.Concat(Enumerable.Range(0, 1000).Select(number => $"word{number} "));
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.OnAdd = (_, _) => throw new RpcException(new Status(StatusCode.Internal, message))
        );

        var error = Fails(Client(ipamd.SocketPath), LongTimeout);

        Assert.InRange(error.Message.Length, 300, 350);
        Assert.InRange(error.Details.Length, 600, 1100);
        Assert.Single(Regex.Matches(error.Message + error.Details, "word40 ", RegexOptions.None, TimeSpan.FromSeconds(1)));
        Assert.Single(Regex.Matches(error.Message + error.Details, "word5 ", RegexOptions.None, TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public async Task Call_of_a_slow_daemon_ends_at_the_deadline()
    {
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.OnAdd = (_, context) => Task.Delay(Timeout.Infinite, context.CancellationToken)
        );
        var client = Client(ipamd.SocketPath);
        var started = Stopwatch.GetTimestamp();

        var error = Fails(client, TimeSpan.FromMilliseconds(300));

        Assert.Equal(CniErrorCode.TryAgainLater, error.Code);
        Assert.Contains(ipamd.SocketPath, error.Message, StringComparison.Ordinal);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.FromMilliseconds(250), LongTimeout);
    }

    [Fact]
    public void Call_without_a_daemon_is_code_11_and_names_the_socket()
    {
        var path = Path.Combine(Path.GetTempPath(), $"no-ipamd-{Environment.ProcessId}.sock");
        var client = Client(path);

        var error = Fails(client, LongTimeout);

        Assert.Equal(CniErrorCode.TryAgainLater, error.Code);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_of_a_silent_daemon_ends_at_the_deadline()
    {
        using var peer = new RawPeer(_ => { });
        var client = Client(peer.Path);

        var error = await Task.Run(() => Fails(client, TimeSpan.FromMilliseconds(300)));

        Assert.Equal(CniErrorCode.TryAgainLater, error.Code);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n")]
    [InlineData("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")]
    [InlineData("")]
    public async Task Peer_with_another_protocol_is_an_error_within_the_deadline(string garbage)
    {
        using var peer = new RawPeer(socket =>
        {
            socket.Send(System.Text.Encoding.Latin1.GetBytes(garbage));
            socket.Shutdown(SocketShutdown.Both);
        });
        var client = Client(peer.Path);

        var error = await Task.Run(() => Fails(client, LongTimeout));

        Assert.Contains(error.Code, (CniErrorCode[])[CniErrorCode.TryAgainLater, CniErrorCode.IpamdFailed]);
    }

    private static AddNetworkRequest Request() =>
        new()
        {
            ContainerID = "c1",
            IfName = "eth0",
            NetworkName = "aws-cni",
        };

    [Fact]
    public async Task AddNetwork_waits_for_a_starting_daemon()
    {
        var path = Path.Combine(Path.GetTempPath(), $"late-ipamd-{Environment.ProcessId}.sock");
        var log = new LogText();
        var client = Client(path, wait: LongTimeout, log);
        var adding = Task.Run(() => client.AddNetwork(Request(), LongTimeout));

        // The client has found that no daemon listens.
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() =>
            Task.FromResult(log.Text.Contains("waiting for it, up to 20 s", StringComparison.Ordinal))
        );
        await using var ipamd = await FakeIpamd.StartAsync(socketPath: path);

        Assert.Equal("10.250.0.10", Assert.Single((await adding.WaitAsync(LongTimeout)).IPAllocationMetadata).IPv4Addr);
        Assert.Single(log.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task AddNetwork_is_retried_when_the_daemon_stops_during_the_call()
    {
        var calls = 0;
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.OnAdd = (_, _) =>
                ++calls == 1 ? throw new RpcException(new Status(StatusCode.Cancelled, "the daemon stops")) : Task.CompletedTask
        );

        Assert.True(Client(ipamd.SocketPath, wait: LongTimeout).AddNetwork(Request(), LongTimeout).Success);
        Assert.Equal(2, calls);
    }

    [Theory]
    [InlineData(200, 20_000)]
    [InlineData(20_000, 200)]
    public void Wait_for_a_missing_daemon_is_bounded_by_both_limits(int waitMilliseconds, int timeoutMilliseconds)
    {
        var path = Path.Combine(Path.GetTempPath(), $"no-ipamd-{Environment.ProcessId}.sock");
        var started = Stopwatch.GetTimestamp();

        var error = Fails(Client(path, TimeSpan.FromMilliseconds(waitMilliseconds)), TimeSpan.FromMilliseconds(timeoutMilliseconds));

        Assert.Equal(CniErrorCode.TryAgainLater, error.Code);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.FromMilliseconds(100), LongTimeout / 2);
    }

    [Fact]
    public async Task AddNetwork_is_retried_after_a_GOAWAY_as_first_frame()
    {
        // GOAWAY with last stream 0 and NO_ERROR (RFC 9113, 6.8).
        byte[] goAway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        var connections = 0;
        using var peer = new RawPeer(socket =>
        {
            connections++;
            socket.Send(goAway);
        });
        var client = Client(peer.Path, wait: TimeSpan.FromMilliseconds(200));

        var error = await Task.Run(() => Fails(client, LongTimeout));

        Assert.Equal(CniErrorCode.TryAgainLater, error.Code);
        Assert.True(connections > 1, $"{connections} connections");
    }

    [Fact]
    public void Path_that_is_not_a_socket_fails_without_waiting()
    {
        var started = Stopwatch.GetTimestamp();

        Fails(Client("/proc/self/status/ipamd.sock", LongTimeout), LongTimeout);

        Assert.True(Stopwatch.GetElapsedTime(started) < LongTimeout / 2);
    }

    [Fact]
    public void Status_and_DelNetwork_fail_without_waiting_for_a_daemon()
    {
        var path = Path.Combine(Path.GetTempPath(), $"no-ipamd-{Environment.ProcessId}.sock");
        var client = Client(path, LongTimeout);
        var started = Stopwatch.GetTimestamp();

        Assert.ThrowsAny<RpcException>(() => client.GetStatus(LongTimeout));
        Assert.ThrowsAny<RpcException>(() => client.DelNetwork(new DelNetworkRequest(), LongTimeout));

        Assert.True(Stopwatch.GetElapsedTime(started) < LongTimeout / 2);
    }

    /// <summary>The log of the plugin, readable while it runs.</summary>
    private sealed class LogText : MemoryStream
    {
        private readonly Lock _lock = new();

        public string Text
        {
            get
            {
                lock (_lock)
                    return System.Text.Encoding.UTF8.GetString(ToArray());
            }
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            lock (_lock)
                Write(buffer.ToArray(), 0, buffer.Length);
        }
    }

    /// <param name="path">Path of the socket.</param>
    /// <param name="wait">How long to wait for a daemon that does not listen; none by default.</param>
    /// <param name="log">Receives the log.</param>
    private static IpamdClient Client(string path, TimeSpan wait = default, Stream? log = null)
    {
        var host = new PluginHost
        {
            Environment = _ => null,
            Stdin = Stream.Null,
            Stdout = Stream.Null,
            Stderr = Stream.Null,
            Random = new Random(),
        };
        var config = new NetworkConfig { IpamdSocket = path, IpamdWait = wait };
        var lines = new PluginLog(log ?? Stream.Null, TimeProvider.System);
        lines.Configure(config);
        return new IpamdClient(host, config, lines);
    }

    private static CniException Fails(IpamdClient client, TimeSpan timeout) =>
        IpamdErrors.ToCni(
            Assert.ThrowsAny<RpcException>(() => client.AddNetwork(Request(), timeout)),
            "AddNetwork",
            client.SocketPath,
            timeout
        );

    /// <summary>A peer on a socket that is not a daemon.</summary>
    private sealed class RawPeer : IDisposable
    {
        private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        private readonly List<Socket> _accepted = [];

        public RawPeer(Action<Socket> onAccept)
        {
            Path = System.IO.Path.Combine(Directory.CreateTempSubdirectory("raw-peer-").FullName, "s");
            _listener.Bind(new UnixDomainSocketEndPoint(Path));
            _listener.Listen();
            _ = AcceptAsync(onAccept);
        }

        public string Path { get; }

        public void Dispose()
        {
            _listener.Dispose();
            lock (_accepted)
                _accepted.ForEach(socket => socket.Dispose());
            Directory.Delete(System.IO.Path.GetDirectoryName(Path)!, recursive: true);
        }

        private async Task AcceptAsync(Action<Socket> onAccept)
        {
            try
            {
                while (true)
                {
                    var socket = await _listener.AcceptAsync();
                    lock (_accepted)
                        _accepted.Add(socket);
                    onAccept(socket);
                }
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                // The test has ended.
            }
        }
    }
}
