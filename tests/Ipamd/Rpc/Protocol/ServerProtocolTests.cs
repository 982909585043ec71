// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.GrpcHarness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Rpc.Protocol;

/// <summary>
/// Sends requests that no well-behaved gRPC client sends. The server answers each, and the next call works. The statuses are those of
/// Grpc.AspNetCore.Server.
/// </summary>
public sealed class ServerProtocolTests
{
    private static readonly byte[] Good = RawCall.Frame(new AddNetworkRequest { K8SPODNAME = "pod" });

    public static TheoryData<FrameCase> BadFrames =>
        [
            new FrameCase("no message", [], null, StatusCode.Internal),
            new FrameCase("one byte", [0], null, StatusCode.Internal),
            new FrameCase("header cut off", [0, 0, 0, 0], null, StatusCode.Internal),
            new FrameCase("length without payload", [0, 0, 0, 0, 9], null, StatusCode.Internal),
            new FrameCase("payload cut off", Good[..^1], null, StatusCode.Internal),
            new FrameCase("length above two gigabytes", [0, 0xff, 0xff, 0xff, 0xff], null, StatusCode.Unknown),
            new FrameCase("length above the limit", [0, 0, 0x40, 0, 1], null, StatusCode.ResourceExhausted),
            new FrameCase("flag 2", [2, .. Good[1..]], null, StatusCode.Unknown),
            new FrameCase("flag 255", [255, .. Good[1..]], null, StatusCode.Unknown),
            new FrameCase("compressed without an encoding", [1, .. Good[1..]], null, StatusCode.Internal),
            new FrameCase("compressed as identity", [1, .. Good[1..]], "identity", StatusCode.Internal),
            new FrameCase("compressed as gzip", [1, .. Good[1..]], "gzip", StatusCode.Unimplemented),
            new FrameCase("compressed as an unknown encoding", [1, .. Good[1..]], "zap", StatusCode.Unimplemented),
            new FrameCase("two messages", [.. Good, .. Good], null, StatusCode.Internal),
            new FrameCase("a message and a byte", [.. Good, 0], null, StatusCode.Internal),
            new FrameCase("not protobuf", RawCall.Frame([0xff, 0xff, 0xff]), null, StatusCode.Unknown),
            new FrameCase("a string that is not UTF-8", RawCall.Frame([0x0a, 0x02, 0xc3, 0x28]), null, StatusCode.Unknown),
        ];

    public static TheoryData<string> BadTimeouts =>
        ["", "S", "1", "123456789S", "1s", "1h", "-1S", "+1S", "1.5S", " ", "1 S", "0x1S", "1Sx", "１S", "1S,1S"];

    [Theory]
    [MemberData(nameof(BadFrames))]
    public async Task Malformed_body_has_its_status_and_the_next_call_works(FrameCase @case)
    {
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, new ScriptedBackend());
        var answer = await RawCall.PostAsync(
            server,
            @case.Body,
            call =>
            {
                if (@case.Encoding is not null)
                    call.Headers.Add(("grpc-encoding", @case.Encoding));
            }
        );
        Assert.Equal((HttpStatusCode.OK, @case.Expected), (answer.HttpStatus, answer.GrpcStatus));
        if (@case.Expected == StatusCode.Unimplemented)
            Assert.Equal(["identity"], answer.Fields["grpc-accept-encoding"].Split(',').Distinct());
        Assert.Equal(StatusCode.OK, (await RawCall.PostAsync(server, Good)).GrpcStatus);
    }

    [Theory]
    [MemberData(nameof(BadTimeouts))]
    public async Task Malformed_timeout_is_internal_and_the_method_is_not_called(string timeout)
    {
        var called = false;
        await using var server = await TestServer.StartAsync(
            Transport.LoopbackTcp,
            (_, _) =>
            {
                called = true;
                return Task.FromResult(new AddNetworkReply());
            }
        );
        if (!timeout.All(char.IsAscii))
        {
            // HTTP itself refuses it.
            await Assert.ThrowsAsync<HttpRequestException>(() => RawCall.PostAsync(server, Good, call => call.Timeout = timeout));
        }
        else
        {
            var answer = await RawCall.PostAsync(server, Good, call => call.Timeout = timeout);
            Assert.Equal(StatusCode.Internal, answer.GrpcStatus);
            Assert.Contains("grpc-timeout", answer.Message, StringComparison.Ordinal);
        }

        Assert.False(called);
    }

    [Theory]
    [InlineData("0n")]
    [InlineData("1n")]
    [InlineData("00000000S")]
    public async Task Zero_timeout_is_deadline_exceeded(string timeout)
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            async (_, context) =>
            {
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
                return new AddNetworkReply();
            }
        );
        Assert.Equal(StatusCode.DeadlineExceeded, (await RawCall.PostAsync(server, Good, call => call.Timeout = timeout)).GrpcStatus);
    }

    [Theory]
    [InlineData("/rpc.CNIBackend/Unknown")]
    [InlineData("/rpc.Unknown/AddNetwork")]
    [InlineData("/x/y")]
    public async Task Unknown_method_or_service_is_unimplemented(string path)
    {
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, new ScriptedBackend());
        var answer = await RawCall.PostAsync(server, Good, call => call.Path = path);
        Assert.Equal((HttpStatusCode.OK, StatusCode.Unimplemented), (answer.HttpStatus, answer.GrpcStatus));
    }

    [Fact]
    public async Task Request_that_is_not_grpc_reaches_the_rest_of_the_application()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            services => services.AddSingleton(new ScriptedBackend()).AddGrpc(),
            app =>
            {
                app.MapGrpcService<ScriptedBackend>();
                app.MapPost("/a/b", () => "hello");
            }
        );
        Assert.Equal(
            "hello"u8.ToArray(),
            (await RawCall.PostAsync(server, Good, call => (call.Path, call.ContentType) = ("/a/b", "text/plain"))).Body
        );
        Assert.Equal(
            HttpStatusCode.NotFound,
            (await RawCall.PostAsync(server, Good, call => (call.Path, call.ContentType) = ("/a/c", "text/plain"))).HttpStatus
        );
    }

    [Theory]
    [InlineData("application/json")]
    [InlineData("application/grpc-web")]
    [InlineData("application/grpcx")]
    [InlineData(null)]
    public async Task Other_content_type_is_415(string? contentType)
    {
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, new ScriptedBackend());
        var answer = await RawCall.PostAsync(server, Good, call => call.ContentType = contentType);
        Assert.Equal((HttpStatusCode.UnsupportedMediaType, StatusCode.Internal), (answer.HttpStatus, answer.GrpcStatus));
    }

    [Theory]
    [InlineData("application/grpc+proto")]
    [InlineData("application/grpc;charset=utf-8")]
    [InlineData("Application/GRPC")]
    public async Task Content_type_with_a_suffix_is_served(string contentType)
    {
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, new ScriptedBackend());
        Assert.Equal(StatusCode.OK, (await RawCall.PostAsync(server, Good, call => call.ContentType = contentType)).GrpcStatus);
    }

    [Fact]
    public async Task Http_1_is_426_where_the_listener_lets_it_in()
    {
        await using var server = await TestServer.StartAsync(
            Transport.LoopbackTcp,
            services => services.AddSingleton(new ScriptedBackend()).AddGrpc(),
            app => app.MapGrpcService<ScriptedBackend>(),
            HttpProtocols.Http1
        );
        var answer = await RawCall.PostAsync(server, Good, call => call.Version = HttpVersion.Version11);
        Assert.Equal((HttpStatusCode.UpgradeRequired, StatusCode.Internal), (answer.HttpStatus, answer.GrpcStatus));
    }

    [Fact]
    public async Task Http_1_on_an_http_2_listener_is_refused()
    {
        await using var server = await TestServer.StartAsync(Transport.LoopbackTcp, new ScriptedBackend());
        Assert.Equal(
            HttpStatusCode.BadRequest,
            (await RawCall.PostAsync(server, Good, call => call.Version = HttpVersion.Version11)).HttpStatus
        );
    }

    [Fact]
    public async Task Successful_answer_has_the_frame_and_the_status_in_the_trailers()
    {
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, new ScriptedBackend());
        var answer = await RawCall.PostAsync(server, Good);
        Assert.Equal(RawCall.Frame(new AddNetworkReply { Success = true, PodENIMAC = "pod" }), answer.Body);
        Assert.Equal("0", answer.Fields["grpc-status"]);
        Assert.False(answer.Fields.ContainsKey("grpc-message"));
    }

    public sealed record FrameCase(string Name, byte[] Body, string? Encoding, StatusCode Expected)
    {
        public override string ToString() => Name;
    }
}
