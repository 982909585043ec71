// SPDX-License-Identifier: Apache-2.0
using System.Text;
using System.Text.Json.Nodes;
using Grpc.Core;
using Grpc.Net.Client;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.GrpcHarness;
using Xunit;

namespace VpcCni.Interop.Tests.Grpc;

/// <summary>Our client calls a @grpc/grpc-js server.</summary>
public sealed class JsServerTests(NodePeer peer) : IClassFixture<NodePeer>
{
    private const string OddText = "Ünïcödé ☃ 100% \n\t%41 \U0001F6A2";

    public static TheoryData<Transport, StatusCode> EveryFailure => JsClientTests.EveryFailure;

    [Theory]
    [InlineData(Transport.UnixSocket)]
    [InlineData(Transport.LoopbackTcp)]
    public async Task Call_succeeds_with_the_message(Transport transport)
    {
        await using var server = await JsServer.StartAsync(peer, transport);
        var reply = await server.Client.AddNetworkAsync(new AddNetworkRequest { Netns = "/run/netns/ü" });
        Assert.Equal("/run/netns/ü", reply.PodENIMAC);
        Assert.StartsWith("grpc-dotnet", reply.PodENISubnetGW, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(EveryFailure))]
    public async Task Status_and_text_of_any_kind_arrive(Transport transport, StatusCode code)
    {
        await using var server = await JsServer.StartAsync(peer, transport);
        var orders = new Metadata
        {
            { "do", "fail" },
            { "code", $"{(int)code}" },
            { "text-bin", Encoding.UTF8.GetBytes(OddText) },
        };
        var error = await RpcOutcome.FailureOf(server.Client.AddNetworkAsync(new AddNetworkRequest(), orders));
        Assert.Equal(new Status(code, OddText), error.Status);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Metadata_of_both_kinds_travels_there_and_back(bool fails)
    {
        await using var server = await JsServer.StartAsync(peer, Transport.UnixSocket);
        byte[] allBytes = [.. Enumerable.Range(0, 256).Select(i => (byte)i)];
        var sent = new Metadata
        {
            { "m-text", "a, b; c" },
            { "m-all-bin", allBytes },
            { "m-one-bin", new byte[] { 1 } },
            { "m-many-bin", new byte[] { 4 } },
            { "m-many-bin", new byte[] { 5, 6 } },
        };
        if (fails)
        {
            sent.Add("do", "fail");
            sent.Add("code", "10");
            sent.Add("text-bin", "no"u8.ToArray());
        }

        using var call = server.Client.AddNetworkAsync(new AddNetworkRequest(), sent);
        Assert.Equal(
            fails ? StatusCode.Aborted : null,
            (await Record.ExceptionAsync(() => call.ResponseAsync) as RpcException)?.StatusCode
        );
        foreach (var (prefix, received) in new[] { ("h-", await call.ResponseHeadersAsync), ("t-", call.GetTrailers()) })
        {
            Assert.Equal("a, b; c", received.GetValue(prefix + "m-text"));
            Assert.Equal(allBytes, received.GetValueBytes(prefix + "m-all-bin"));
            Assert.Equal([1], received.GetValueBytes(prefix + "m-one-bin")!);
            Assert.Equal(
                [
                    [4],
                    [5, 6],
                ],
                received.GetAll(prefix + "m-many-bin").Select(entry => entry.ValueBytes)
            );
        }
    }

    [Theory]
    [InlineData(Transport.UnixSocket)]
    [InlineData(Transport.LoopbackTcp)]
    public async Task Deadline_is_seen_and_fires_on_both_sides(Transport transport)
    {
        await using var server = await JsServer.StartAsync(peer, transport);
        var error = await RpcOutcome.FailureOf(
            server.Client.AddNetworkAsync(new AddNetworkRequest(), new Metadata { { "do", "hang" } }, DateTime.UtcNow.AddMilliseconds(1000))
        );
        Assert.Equal(StatusCode.DeadlineExceeded, error.StatusCode);
        Assert.InRange((double)(await peer.EventAsync("entered"))["remaining"]!, -1000, 1001);
        await peer.EventAsync("cancelled");
    }

    [Fact]
    public async Task Cancellation_reaches_the_server()
    {
        await using var server = await JsServer.StartAsync(peer, Transport.UnixSocket);
        using var source = new CancellationTokenSource();
        using var call = server.Client.AddNetworkAsync(
            new AddNetworkRequest(),
            new Metadata { { "do", "hang" } },
            cancellationToken: source.Token
        );
        await peer.EventAsync("entered");
        await source.CancelAsync();
        Assert.Equal(StatusCode.Cancelled, (await RpcOutcome.FailureOf(call)).StatusCode);
        await peer.EventAsync("cancelled");
    }

    [Fact]
    public async Task Message_of_three_mebibytes_travels_and_one_of_five_is_refused_by_each_side()
    {
        await using var server = await JsServer.StartAsync(peer, Transport.UnixSocket);
        var fits = new AddNetworkRequest { Netns = new string('x', 3 * 1024 * 1024) };
        Assert.Equal(fits.Netns, (await server.Client.AddNetworkAsync(fits)).PodENIMAC);
        var large = new AddNetworkRequest { Netns = new string('x', 5 * 1024 * 1024) };
        var byServer = await RpcOutcome.FailureOf(server.Client.AddNetworkAsync(large));
        Assert.Equal(StatusCode.ResourceExhausted, byServer.StatusCode);

        await using var generous = await JsServer.StartAsync(
            peer,
            Transport.UnixSocket,
            new JsonObject { ["grpc.max_receive_message_length"] = -1 }
        );
        var byClient = await RpcOutcome.FailureOf(generous.Client.AddNetworkAsync(large));
        Assert.Equal(StatusCode.ResourceExhausted, byClient.StatusCode);
    }

    [Fact]
    public async Task Unknown_method_and_service_are_unimplemented()
    {
        await using var server = await JsServer.StartAsync(peer, Transport.UnixSocket);
        Assert.Equal(
            StatusCode.Unimplemented,
            (await RpcOutcome.FailureOf(server.Client.DelNetworkAsync(new DelNetworkRequest()))).StatusCode
        );
        var other = new ConfigServerBackend.ConfigServerBackendClient(server.Channel);
        Assert.Equal(
            StatusCode.Unimplemented,
            (await RpcOutcome.FailureOf(other.GetNetworkPolicyConfigsAsync(new Google.Protobuf.WellKnownTypes.Empty()))).StatusCode
        );
    }

    [Fact]
    public async Task Server_that_would_compress_does_not_for_us()
    {
        await using var server = await JsServer.StartAsync(
            peer,
            Transport.UnixSocket,
            new JsonObject { ["grpc.default_compression_algorithm"] = 2 }
        );
        var text = new string('x', 10_000);
        Assert.Equal(text, (await server.Client.AddNetworkAsync(new AddNetworkRequest { Netns = text })).PodENIMAC);
    }

    [Fact]
    public async Task One_hundred_calls_at_once_on_one_channel_are_told_apart()
    {
        await using var server = await JsServer.StartAsync(peer, Transport.LoopbackTcp);
        var replies = await Task.WhenAll(
            Enumerable.Range(0, 100).Select(i => server.Client.AddNetworkAsync(new AddNetworkRequest { Netns = $"{i}" }).ResponseAsync)
        );
        Assert.Equal(Enumerable.Range(0, 100).Select(i => $"{i}"), replies.Select(reply => reply.PodENIMAC));
    }

    /// <summary>A server in the peer, and our channel to it. It ends with the peer.</summary>
    private sealed class JsServer : IAsyncDisposable
    {
        private readonly string? _folder;

        private JsServer(GrpcChannel channel, string? folder)
        {
            Channel = channel;
            _folder = folder;
        }

        public GrpcChannel Channel { get; }

        public CNIBackend.CNIBackendClient Client => new(Channel);

        public static async Task<JsServer> StartAsync(NodePeer peer, Transport transport, JsonObject? options = null)
        {
            await peer.StartAsync();
            var folder = transport == Transport.UnixSocket ? Directory.CreateTempSubdirectory("grpc-js-").FullName : null;
            var path = folder is null ? null : Path.Combine(folder, "js.sock");
            var bound = await peer.SendAsync(
                "serve",
                new JsonObject { ["address"] = path is null ? "127.0.0.1:0" : $"unix:{path}", ["options"] = options ?? [] }
            );
            var channel = path is null
                ? GrpcChannel.ForAddress($"http://127.0.0.1:{(int)bound["port"]!}")
                : GrpcChannel.ForAddress(
                    "http://localhost",
                    new GrpcChannelOptions { HttpHandler = TestServer.UnixSocketHandler(path), DisposeHttpClient = true }
                );
            return new JsServer(channel, folder);
        }

        public ValueTask DisposeAsync()
        {
            Channel.Dispose();
            if (_folder is not null)
                Directory.Delete(_folder, recursive: true);
            return ValueTask.CompletedTask;
        }
    }
}
