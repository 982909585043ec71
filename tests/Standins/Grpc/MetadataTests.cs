// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.GrpcHarness;
using Xunit;

namespace VpcCni.Standins.Tests.Grpc;

public sealed class MetadataTests
{
    private static readonly byte[] AllBytes = [.. Enumerable.Range(0, 256).Select(i => (byte)i)];

    [Theory]
    [InlineData(Transport.UnixSocket)]
    [InlineData(Transport.LoopbackTcp)]
    public async Task Entries_of_both_kinds_travel_as_headers_and_trailers(Transport transport)
    {
        await using var server = await TestServer.StartAsync(transport, async (_, context) =>
        {
            await context.WriteResponseHeadersAsync(Copy(context.RequestHeaders, "h-"));
            foreach (var entry in Copy(context.RequestHeaders, "t-")) context.ResponseTrailers.Add(entry);
            return new AddNetworkReply();
        });
        var sent = new Metadata
        {
            { "m-text", "a value, with a comma" },
            { "M-Upper", "lower-cased name" },
            { "m-twice", "one" },
            { "m-twice", "two" },
            { "m-all-bin", AllBytes },
            { "m-empty-bin", Array.Empty<byte>() },
            { "m-twice-bin", new byte[] { 1 } },
            { "m-twice-bin", new byte[] { 2, 3 } },
        };
        using var call = server.Client().AddNetworkAsync(new AddNetworkRequest(), sent);
        await call;
        var headers = await call.ResponseHeadersAsync;
        foreach (var (prefix, received) in new[] { ("h-", headers), ("t-", call.GetTrailers()) })
        {
            Assert.Equal("a value, with a comma", received.GetValue(prefix + "m-text"));
            Assert.Equal("lower-cased name", received.GetValue(prefix + "m-upper"));
            Assert.Equal("one, two", string.Join(", ", received.GetAll(prefix + "m-twice").Select(entry => entry.Value)));
            Assert.Equal(AllBytes, received.GetValueBytes(prefix + "m-all-bin"));
            Assert.Equal([], received.GetValueBytes(prefix + "m-empty-bin")!);
            Assert.Equal([[1], [2, 3]], received.GetAll(prefix + "m-twice-bin").Select(entry => entry.ValueBytes));
        }
    }

    [Fact]
    public async Task Repeated_text_of_the_server_arrives_as_several_entries()
    {
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, (_, context) =>
        {
            context.ResponseTrailers.Add("twice", "one");
            context.ResponseTrailers.Add("twice", "two");
            context.ResponseTrailers.Add("empty", "");
            return Task.FromResult(new AddNetworkReply());
        });
        using var call = server.Client().AddNetworkAsync(new AddNetworkRequest());
        await call;
        Assert.Equal(["one", "two"], call.GetTrailers().GetAll("twice").Select(entry => entry.Value));
        Assert.Equal("", call.GetTrailers().GetValue("empty"));
    }

    [Fact]
    public async Task Server_sees_the_user_agent_and_no_header_of_the_protocol()
    {
        Metadata? seen = null;
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, (_, context) =>
        {
            seen = context.RequestHeaders;
            return Task.FromResult(new AddNetworkReply());
        });
        await server.Client().AddNetworkAsync(new AddNetworkRequest(), deadline: DateTime.UtcNow.AddMinutes(1));
        var entry = Assert.Single(seen!);
        Assert.Equal("user-agent", entry.Key);
        Assert.StartsWith("grpc-csharp", entry.Value, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("text", "grün")]
    [InlineData("text", "new\nline")]
    [InlineData("grpc-timeout", "1S")]
    [InlineData("te", "gzip")]
    [InlineData("content-type", "text/plain")]
    public async Task Entry_that_cannot_travel_fails_the_call_on_the_side_that_sends_it(string key, string value)
    {
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, (request, context) =>
        {
            if (request.IfName.Length > 0) context.ResponseTrailers.Add(key, value);
            return Task.FromResult(new AddNetworkReply());
        });
        var client = server.Client();
        var sentByClient = await RpcOutcome.FailureOf(client.AddNetworkAsync(new AddNetworkRequest(), new Metadata { { key, value } }));
        var sentByServer = await RpcOutcome.FailureOf(client.AddNetworkAsync(new AddNetworkRequest { IfName = "eth0" }));
        Assert.All([sentByClient, sentByServer], error =>
        {
            Assert.Equal(StatusCode.Internal, error.StatusCode);
            Assert.Contains($"'{key}'", error.Status.Detail, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task Headers_written_twice_are_refused()
    {
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, async (_, context) =>
        {
            await context.WriteResponseHeadersAsync([]);
            await Assert.ThrowsAsync<InvalidOperationException>(() => context.WriteResponseHeadersAsync([]));
            return new AddNetworkReply { Success = true };
        });
        Assert.True((await server.Client().AddNetworkAsync(new AddNetworkRequest())).Success);
    }

    [Fact]
    public async Task Early_headers_arrive_while_the_method_runs()
    {
        var release = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, async (_, context) =>
        {
            await context.WriteResponseHeadersAsync(new Metadata { { "queue", "3" } });
            await release.Task;
            return new AddNetworkReply();
        });
        using var call = server.Client().AddNetworkAsync(new AddNetworkRequest());
        Assert.Equal("3", (await call.ResponseHeadersAsync.WaitAsync(TimeSpan.FromSeconds(20))).GetValue("queue"));
        Assert.False(call.ResponseAsync.IsCompleted);
        release.SetResult();
        await call;
    }

    [Theory]
    [InlineData("")]
    [InlineData("white space")]
    [InlineData("ümlaut")]
    [InlineData(":path")]
    public void Name_outside_the_alphabet_is_refused(string key) => Assert.Throws<ArgumentException>(() => new Metadata.Entry(key, "x"));

    [Fact]
    public void Kind_of_value_must_fit_the_name()
    {
        Assert.Throws<ArgumentException>(() => new Metadata.Entry("text", [1]));
        Assert.Throws<ArgumentException>(() => new Metadata.Entry("bytes-bin", "x"));
        Assert.Throws<InvalidOperationException>(() => new Metadata.Entry("bytes-bin", [1]).Value);
        Assert.Equal("abc"u8.ToArray(), new Metadata.Entry("text", "abc").ValueBytes);
        Assert.Throws<InvalidOperationException>(() => Metadata.Empty.Add("a", "b"));
    }

    private static Metadata Copy(Metadata source, string prefix)
    {
        var copy = new Metadata();
        foreach (var entry in source.Where(entry => entry.Key.StartsWith("m-", StringComparison.Ordinal)))
            copy.Add(entry.IsBinary ? new Metadata.Entry(prefix + entry.Key, entry.ValueBytes) : new Metadata.Entry(prefix + entry.Key, entry.Value));
        return copy;
    }
}
