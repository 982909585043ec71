// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using Grpc.Core;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.GrpcHarness;
using Xunit;

namespace VpcCni.Interop.Tests.Grpc;

/// <summary>A @grpc/grpc-js client calls our server.</summary>
public sealed class JsClientTests(NodePeer peer) : IClassFixture<NodePeer>
{
    /// <summary>Without spaces at its ends: the server sends them as they are, and HTTP/2 forbids them there.</summary>
    private const string OddText = "Ünïcödé ☃ 100% \n\t%41 \U0001F6A2";

    public static TheoryData<Transport, StatusCode> EveryFailure
    {
        get
        {
            var data = new TheoryData<Transport, StatusCode>();
            foreach (var code in Enum.GetValues<StatusCode>().Where(code => code != StatusCode.OK))
                data.Add(Transport.UnixSocket, code);
            data.Add(Transport.LoopbackTcp, StatusCode.NotFound);
            return data;
        }
    }

    [Theory]
    [InlineData(Transport.UnixSocket)]
    [InlineData(Transport.LoopbackTcp)]
    public async Task Call_succeeds_with_the_message(Transport transport)
    {
        await peer.StartAsync();
        await using var server = await TestServer.StartAsync(
            transport,
            (request, _) => Task.FromResult(new AddNetworkReply { Success = true, PodENIMAC = request.Netns })
        );
        var result = await CallAsync(server, request: new JsonObject { ["Netns"] = "/run/netns/ü" });
        Assert.Equal(0, (int)result["code"]!);
        Assert.Equal("/run/netns/ü", (string?)result["reply"]!["PodENIMAC"]);
    }

    [Theory]
    [MemberData(nameof(EveryFailure))]
    public async Task Status_and_text_of_any_kind_arrive(Transport transport, StatusCode code)
    {
        await peer.StartAsync();
        await using var server = await TestServer.StartAsync(transport, (_, _) => throw new RpcException(new Status(code, OddText)));
        var result = await CallAsync(server);
        Assert.Equal((code, OddText), ((StatusCode)(int)result["code"]!, (string?)result["details"]));
    }

    [Fact]
    public async Task Exception_of_the_method_arrives_as_unknown()
    {
        await peer.StartAsync();
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, (_, _) => throw new InvalidOperationException("secret"));
        var result = await CallAsync(server);
        Assert.Equal((2, "Exception was thrown by handler."), ((int)result["code"]!, (string?)result["details"]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Metadata_travels_there_and_back(bool fails)
    {
        await peer.StartAsync();
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            async (_, context) =>
            {
                var mine = context.RequestHeaders.Where(entry => entry.Key.StartsWith("m-", StringComparison.Ordinal)).ToList();
                var headers = new Metadata();
                foreach (var entry in mine)
                {
                    headers.Add(Renamed("h-", entry));
                    context.ResponseTrailers.Add(Renamed("t-", entry));
                }

                await context.WriteResponseHeadersAsync(headers);
                return fails ? throw new RpcException(new Status(StatusCode.Aborted, "no")) : new AddNetworkReply();
            }
        );
        var result = await CallAsync(server, metadata: [Entry("m-text", "a, b; c"), Entry("m-bin", Hex("0203"))]);
        Assert.Equal(fails ? 10 : 0, (int)result["code"]!);
        foreach (var (prefix, list) in new[] { ("h-", result["headers"]!), ("t-", result["trailers"]!) })
        {
            Assert.Equal(["a, b; c"], Values(list, prefix + "m-text"));
            Assert.Equal(["0203"], Values(list, prefix + "m-bin"));
        }
    }

    [Theory]
    [InlineData(Transport.UnixSocket)]
    [InlineData(Transport.LoopbackTcp)]
    public async Task Deadline_is_seen_and_fires_on_both_sides(Transport transport)
    {
        await peer.StartAsync();
        DateTime? deadline = null;
        var fired = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(
            transport,
            async (_, context) =>
            {
                deadline = context.Deadline;
                using var registration = context.CancellationToken.Register(() => fired.TrySetResult());
                await fired.Task;
                throw new OperationCanceledException();
            }
        );
        var started = DateTime.UtcNow;
        var result = await CallAsync(server, more: arguments => arguments["deadline"] = 1000);
        Assert.Equal(StatusCode.DeadlineExceeded, (StatusCode)(int)result["code"]!);
        await fired.Task.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.InRange(deadline!.Value, started, started.AddSeconds(15));
    }

    [Fact]
    public async Task Cancellation_reaches_the_method()
    {
        await peer.StartAsync();
        var fired = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            async (_, context) =>
            {
                using var registration = context.CancellationToken.Register(() => fired.TrySetResult());
                await fired.Task;
                throw new OperationCanceledException();
            }
        );
        var result = await CallAsync(server, more: arguments => arguments["cancel"] = 1000);
        Assert.Equal(StatusCode.Cancelled, (StatusCode)(int)result["code"]!);
        await fired.Task.WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task Message_of_half_a_mebibyte_travels_and_one_of_five_is_refused()
    {
        await peer.StartAsync();
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            (request, _) => Task.FromResult(new AddNetworkReply { PodENIMAC = request.Netns })
        );
        var fits = new string('x', 512 * 1024);
        Assert.Equal(fits, (string?)(await CallAsync(server, request: new JsonObject { ["Netns"] = fits }))["reply"]!["PodENIMAC"]);
        var refused = await CallAsync(server, request: new JsonObject { ["Netns"] = new string('x', 5 * 1024 * 1024) });
        Assert.Equal(StatusCode.ResourceExhausted, (StatusCode)(int)refused["code"]!);
    }

    [Theory]
    [InlineData("/rpc.CNIBackend/Nothing")]
    [InlineData("/rpc.Nobody/AddNetwork")]
    public async Task Unknown_method_is_unimplemented(string path)
    {
        await peer.StartAsync();
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, new ScriptedBackend());
        var result = await CallAsync(server, more: arguments => arguments["pathOverride"] = path);
        Assert.Equal(StatusCode.Unimplemented, (StatusCode)(int)result["code"]!);
    }

    [Theory]
    [InlineData(1, "deflate")]
    [InlineData(2, "gzip")]
    public async Task Compressed_request_is_unimplemented_and_names_what_is_supported(int algorithm, string name)
    {
        await peer.StartAsync();
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, new ScriptedBackend());
        var result = await CallAsync(
            server,
            new JsonObject { ["Netns"] = new string('x', 1000) },
            more: arguments => arguments["options"] = new JsonObject { ["grpc.default_compression_algorithm"] = algorithm }
        );
        Assert.Equal(StatusCode.Unimplemented, (StatusCode)(int)result["code"]!);
        Assert.Contains($"'{name}'. Supported encodings: identity", (string?)result["details"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Server_that_is_gone_is_unavailable_and_one_hundred_calls_before_that_were_served()
    {
        await peer.StartAsync();
        var server = await TestServer.StartAsync(
            Transport.LoopbackTcp,
            (request, _) => Task.FromResult(new AddNetworkReply { PodENIMAC = request.Netns })
        );
        var results = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => CallAsync(server, new JsonObject { ["Netns"] = $"{i}" })));
        Assert.Equal(Enumerable.Range(0, 100).Select(i => $"{i}"), results.Select(result => (string?)result["reply"]!["PodENIMAC"]));
        var address = server.Address.Authority;
        await server.DisposeAsync();
        var gone = await peer.SendAsync("call", Arguments(address, null, null));
        Assert.Equal(StatusCode.Unavailable, (StatusCode)(int)gone["code"]!);
    }

    private static Metadata.Entry Renamed(string prefix, Metadata.Entry entry) =>
        entry.IsBinary ? new Metadata.Entry(prefix + entry.Key, entry.ValueBytes) : new Metadata.Entry(prefix + entry.Key, entry.Value);

    private static JsonArray Entry(string name, JsonNode value) => [name, value];

    private static JsonObject Hex(string hex) => new() { ["hex"] = hex };

    private static IEnumerable<string?> Values(JsonNode list, string name) =>
        list.AsArray()
            .Where(entry => (string?)entry![0] == name)
            .Select(entry => entry![1] is JsonObject bytes ? (string?)bytes["hex"] : (string?)entry[1]);

    private static JsonObject Arguments(string address, JsonObject? request, JsonArray? metadata) =>
        new()
        {
            ["address"] = address,
            ["method"] = "AddNetwork",
            ["request"] = request ?? [],
            ["metadata"] = metadata ?? [],
        };

    private Task<JsonObject> CallAsync(
        TestServer server,
        JsonObject? request = null,
        JsonArray? metadata = null,
        Action<JsonObject>? more = null
    )
    {
        var arguments = Arguments(
            server.Transport == Transport.UnixSocket ? $"unix:{server.SocketPath}" : server.Address.Authority,
            request,
            metadata
        );
        more?.Invoke(arguments);
        return peer.SendAsync("call", arguments);
    }
}
