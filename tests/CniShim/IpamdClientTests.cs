// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Grpc.Core;
using VpcCni.Protos.Rpc;
using VpcCni.Shim.Ipamd;
using Xunit;

namespace VpcCni.Shim.Tests;

/// <summary>The daemon's good and bad days, over a real Unix socket.</summary>
public sealed class IpamdClientTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task AddNetwork_gets_the_address()
    {
        await using var ipamd = await FakeIpamd.StartAsync();
        var client = Client(ipamd.SocketPath);

        var reply = client.AddNetwork(Request(), Patience);

        Assert.Equal("10.250.0.10", Assert.Single(reply.IPAllocationMetadata).IPv4Addr);
        Assert.Equal(IpamdClient.OwnVersion, Assert.Single(ipamd.State.Adds).ClientVersion);
    }

    [Fact]
    public async Task AddNetwork_refused_for_its_version_is_repeated_under_the_one_that_the_daemon_wants()
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

        Assert.True(client.AddNetwork(Request(), Patience).Success);
        Assert.Equal([IpamdClient.OwnVersion, "v1.23.1"], ipamd.State.Adds.Select(request => request.ClientVersion));
    }

    [Fact]
    public async Task AddNetwork_refused_for_its_version_again_is_not_repeated_forever()
    {
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.OnAdd = (_, _) =>
                throw new RpcException(new Status(StatusCode.FailedPrecondition, "wrong client version \"a\" (!= \"b\")"))
        );
        var client = Client(ipamd.SocketPath);

        Assert.Equal(CniErrorCode.IpamdFailed, Fails(client, Patience).Code);
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
    public async Task Status_of_the_daemon_becomes_a_code_and_its_words_are_said_once(StatusCode status, int expected)
    {
        const string words = "pool empty: 3 cooling, ENI limit 3 reached — größer geht nicht";
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.OnAdd = (_, _) => throw new RpcException(new Status(status, words))
        );
        var client = Client(ipamd.SocketPath);

        var error = Fails(client, Patience);

        Assert.Equal(expected, (int)error.Code);
        var says = status == StatusCode.DeadlineExceeded ? error.Details : error.Message;
        Assert.Contains(words, says, StringComparison.Ordinal);
        Assert.Equal(status == StatusCode.DeadlineExceeded ? $"AddNetwork: {status}: {words}" : $"AddNetwork: {status}", error.Details);
    }

    [Fact]
    public async Task Reason_and_hint_of_the_daemon_are_each_said_once()
    {
        var trailers = new Metadata { { "vpccni-reason", "SubnetExhausted" }, { "vpccni-hint", "free addresses in the subnet" } };
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.OnAdd = (_, _) => throw new RpcException(new Status(StatusCode.ResourceExhausted, "14 attached, 14 assigned"), trailers)
        );

        var error = Fails(Client(ipamd.SocketPath), Patience);

        Assert.Equal("no address for the pod: 14 attached, 14 assigned; free addresses in the subnet", error.Message);
        Assert.Equal("AddNetwork: ResourceExhausted, SubnetExhausted", error.Details);
    }

    [Fact]
    public async Task Long_words_of_the_daemon_go_on_in_the_details_and_are_bounded()
    {
        var words = string.Concat(Enumerable.Range(0, 1000).Select(number => $"word{number} "));
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.OnAdd = (_, _) => throw new RpcException(new Status(StatusCode.Internal, words))
        );

        var error = Fails(Client(ipamd.SocketPath), Patience);

        Assert.InRange(error.Message.Length, 300, 350);
        Assert.InRange(error.Details.Length, 600, 1100);
        Assert.Single(Regex.Matches(error.Message + error.Details, "word40 ", RegexOptions.None, TimeSpan.FromSeconds(1)));
        Assert.Single(Regex.Matches(error.Message + error.Details, "word5 ", RegexOptions.None, TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public async Task Daemon_that_is_slow_is_given_up_at_the_deadline()
    {
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.OnAdd = (_, context) => Task.Delay(Timeout.Infinite, context.CancellationToken)
        );
        var client = Client(ipamd.SocketPath);
        var started = Stopwatch.GetTimestamp();

        var error = Fails(client, TimeSpan.FromMilliseconds(300));

        Assert.Equal(CniErrorCode.TryAgainLater, error.Code);
        Assert.Contains(ipamd.SocketPath, error.Message, StringComparison.Ordinal);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.FromMilliseconds(250), Patience);
    }

    [Fact]
    public void Daemon_that_does_not_run_is_code_11_naming_the_socket()
    {
        var path = Path.Combine(Path.GetTempPath(), $"no-ipamd-{Environment.ProcessId}.sock");
        var client = Client(path);

        var error = Fails(client, Patience);

        Assert.Equal(CniErrorCode.TryAgainLater, error.Code);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Daemon_that_accepts_and_says_nothing_is_given_up_at_the_deadline()
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
    public async Task Daemon_that_speaks_something_else_is_an_error_within_the_deadline(string garbage)
    {
        using var peer = new RawPeer(socket =>
        {
            socket.Send(System.Text.Encoding.Latin1.GetBytes(garbage));
            socket.Shutdown(SocketShutdown.Both);
        });
        var client = Client(peer.Path);

        var error = await Task.Run(() => Fails(client, Patience));

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
    public async Task AddNetwork_waits_for_a_daemon_that_starts()
    {
        var path = Path.Combine(Path.GetTempPath(), $"late-ipamd-{Environment.ProcessId}.sock");
        var log = new LogText();
        var client = Client(path, wait: Patience, log);
        var adding = Task.Run(() => client.AddNetwork(Request(), Patience));

        // It has seen that nobody is there.
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() =>
            Task.FromResult(log.Text.Contains("waiting for it, up to 20 s", StringComparison.Ordinal))
        );
        await using var ipamd = await FakeIpamd.StartAsync(socketPath: path);

        Assert.Equal("10.250.0.10", Assert.Single((await adding.WaitAsync(Patience)).IPAllocationMetadata).IPv4Addr);
        Assert.Single(log.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task AddNetwork_is_repeated_when_the_daemon_stops_in_the_middle_of_it()
    {
        var calls = 0;
        await using var ipamd = await FakeIpamd.StartAsync(state =>
            state.OnAdd = (_, _) =>
                ++calls == 1 ? throw new RpcException(new Status(StatusCode.Cancelled, "the daemon stops")) : Task.CompletedTask
        );

        Assert.True(Client(ipamd.SocketPath, wait: Patience).AddNetwork(Request(), Patience).Success);
        Assert.Equal(2, calls);
    }

    [Theory]
    [InlineData(200, 20_000)]
    [InlineData(20_000, 200)]
    public void Daemon_that_stays_away_is_waited_for_no_longer_than_allowed(int waitMilliseconds, int timeoutMilliseconds)
    {
        var path = Path.Combine(Path.GetTempPath(), $"no-ipamd-{Environment.ProcessId}.sock");
        var started = Stopwatch.GetTimestamp();

        var error = Fails(Client(path, TimeSpan.FromMilliseconds(waitMilliseconds)), TimeSpan.FromMilliseconds(timeoutMilliseconds));

        Assert.Equal(CniErrorCode.TryAgainLater, error.Code);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.FromMilliseconds(100), Patience / 2);
    }

    [Fact]
    public async Task AddNetwork_is_repeated_when_a_stopping_daemon_sends_it_away_with_its_first_frame()
    {
        // GOAWAY, last stream 0, NO_ERROR (RFC 9113, 6.8).
        byte[] goAway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        var connections = 0;
        using var peer = new RawPeer(socket =>
        {
            connections++;
            socket.Send(goAway);
        });
        var client = Client(peer.Path, wait: TimeSpan.FromMilliseconds(200));

        var error = await Task.Run(() => Fails(client, Patience));

        Assert.Equal(CniErrorCode.TryAgainLater, error.Code);
        Assert.True(connections > 1, $"{connections} connections");
    }

    [Fact]
    public void Path_that_is_no_socket_is_not_waited_for()
    {
        var started = Stopwatch.GetTimestamp();

        Fails(Client("/proc/self/status/ipamd.sock", Patience), Patience);

        Assert.True(Stopwatch.GetElapsedTime(started) < Patience / 2);
    }

    [Fact]
    public void Status_and_DelNetwork_wait_for_nobody()
    {
        var path = Path.Combine(Path.GetTempPath(), $"no-ipamd-{Environment.ProcessId}.sock");
        var client = Client(path, Patience);
        var started = Stopwatch.GetTimestamp();

        Assert.ThrowsAny<RpcException>(() => client.GetStatus(Patience));
        Assert.ThrowsAny<RpcException>(() => client.DelNetwork(new DelNetworkRequest(), Patience));

        Assert.True(Stopwatch.GetElapsedTime(started) < Patience / 2);
    }

    /// <summary>What the plugin logs, read while it runs.</summary>
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

    /// <param name="path">Of the socket.</param>
    /// <param name="wait">For a daemon that is away; not at all unless given.</param>
    /// <param name="log">Gets the log; nothing unless given.</param>
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

    /// <summary>A socket with something at the other end that is no daemon.</summary>
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
                // The test is over.
            }
        }
    }
}
