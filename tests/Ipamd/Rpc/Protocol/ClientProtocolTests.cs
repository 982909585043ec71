// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.GrpcHarness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Rpc.Protocol;

/// <summary>
/// Sends answers that no well-behaved gRPC server sends. The client turns each into an RpcException with a status. The statuses are those
/// of Grpc.Net.Client.
/// </summary>
public sealed class ClientProtocolTests
{
    private static readonly byte[] Good = RawCall.Frame(new AddNetworkReply { Success = true });

    public static TheoryData<AnswerCase> Answers =>
        [
            new AnswerCase("HTTP 400", StatusCode.Internal, "400") { Http = 400 },
            new AnswerCase("HTTP 401", StatusCode.Unauthenticated, "401") { Http = 401 },
            new AnswerCase("HTTP 403", StatusCode.PermissionDenied, "403") { Http = 403 },
            new AnswerCase("HTTP 404", StatusCode.Unimplemented, "404") { Http = 404 },
            new AnswerCase("HTTP 418", StatusCode.Unknown, "418") { Http = 418 },
            new AnswerCase("HTTP 429", StatusCode.Unavailable, "429") { Http = 429 },
            new AnswerCase("HTTP 500", StatusCode.Unknown, "500") { Http = 500 },
            new AnswerCase("HTTP 502", StatusCode.Unavailable, "502") { Http = 502 },
            new AnswerCase("HTTP 503", StatusCode.Unavailable, "503") { Http = 503 },
            new AnswerCase("HTTP 504", StatusCode.Unavailable, "504") { Http = 504 },
            new AnswerCase("HTTP 503 with a grpc-status", StatusCode.Aborted, "said so")
            {
                Http = 503,
                Headers = { ["grpc-status"] = "10", ["grpc-message"] = "said so" },
            },
            new AnswerCase("HTTP 503 with grpc-status 0", StatusCode.Internal, "") { Http = 503, Headers = { ["grpc-status"] = "0" } },
            new AnswerCase("no content type", StatusCode.Cancelled, "") { ContentType = null },
            new AnswerCase("wrong content type", StatusCode.Cancelled, "") { ContentType = "text/html" },
            new AnswerCase("no status at all", StatusCode.Cancelled, "") { Body = Good },
            new AnswerCase("headers only", StatusCode.Cancelled, ""),
            new AnswerCase("status is not a number", StatusCode.Cancelled, "") { Body = Good, Trailers = { ["grpc-status"] = "x" } },
            new AnswerCase("status without a name", (StatusCode)17, "") { Body = Good, Trailers = { ["grpc-status"] = "17" } },
            new AnswerCase("negative status", (StatusCode)(-1), "") { Body = Good, Trailers = { ["grpc-status"] = "-1" } },
            new AnswerCase("OK without a message", StatusCode.Internal, "") { Trailers = { ["grpc-status"] = "0" } },
            new AnswerCase("OK without a message, trailers only", StatusCode.Internal, "") { Headers = { ["grpc-status"] = "0" } },
            new AnswerCase("OK with two messages", StatusCode.Internal, "")
            {
                Body = [.. Good, .. Good],
                Trailers = { ["grpc-status"] = "0" },
            },
            new AnswerCase("failure after a message", StatusCode.DataLoss, "lost")
            {
                Body = Good,
                Trailers = { ["grpc-status"] = "15", ["grpc-message"] = "lost" },
            },
            new AnswerCase("failure after half a message", StatusCode.Internal, "")
            {
                Body = Good[..^1],
                Trailers = { ["grpc-status"] = "15", ["grpc-message"] = "lost" },
            },
            new AnswerCase("OK after half a message", StatusCode.Internal, "") { Body = Good[..^1], Trailers = { ["grpc-status"] = "0" } },
            new AnswerCase("OK after half a header", StatusCode.Internal, "") { Body = [0, 0], Trailers = { ["grpc-status"] = "0" } },
            new AnswerCase("message above the limit", StatusCode.Internal, "")
            {
                Body = [0, 0xff, 0, 0, 0],
                Trailers = { ["grpc-status"] = "0" },
            },
            new AnswerCase("compressed as gzip", StatusCode.Unimplemented, "")
            {
                Body = [1, .. Good[1..]],
                Headers = { ["grpc-encoding"] = "gzip" },
                Trailers = { ["grpc-status"] = "0" },
            },
            new AnswerCase("compressed without an encoding", StatusCode.Internal, "")
            {
                Body = [1, .. Good[1..]],
                Trailers = { ["grpc-status"] = "0" },
            },
            new AnswerCase("flag 7", StatusCode.Internal, "") { Body = [7, .. Good[1..]], Trailers = { ["grpc-status"] = "0" } },
            new AnswerCase("not protobuf", StatusCode.Unavailable, "")
            {
                Body = RawCall.Frame([0xff, 0xff]),
                Trailers = { ["grpc-status"] = "0" },
            },
            new AnswerCase("lower-case escapes", StatusCode.NotFound, "gr\u00fcn")
            {
                Headers = { ["grpc-status"] = "5", ["grpc-message"] = "gr%c3%bcn" },
            },
            new AnswerCase("broken escapes stay", StatusCode.NotFound, "100% %4 %zz %")
            {
                Headers = { ["grpc-status"] = "5", ["grpc-message"] = "100% %4 %zz %" },
            },
            new AnswerCase("escapes that are not UTF-8", StatusCode.NotFound, "%ff")
            {
                Headers = { ["grpc-status"] = "5", ["grpc-message"] = "%ff" },
            },
        ];

    [Theory]
    [MemberData(nameof(Answers))]
    public async Task Odd_answer_has_its_status(AnswerCase @case)
    {
        await using var server = await TestServer.StartRawAsync(@case.RespondAsync);
        var error = await RpcOutcome.FailureOf(server.Client().AddNetworkAsync(new AddNetworkRequest()));
        Assert.Equal(@case.Expected, error.StatusCode);
        Assert.Contains(@case.Detail, error.Status.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0x0, StatusCode.Internal)]
    [InlineData(0x1, StatusCode.Internal)]
    [InlineData(0x2, StatusCode.Internal)]
    [InlineData(0x8, StatusCode.Cancelled)]
    [InlineData(0xb, StatusCode.ResourceExhausted)]
    [InlineData(0xc, StatusCode.PermissionDenied)]
    public async Task Stream_reset_by_the_server_is_mapped_by_its_code(int errorCode, StatusCode expected)
    {
        await using var server = await TestServer.StartRawAsync(async context =>
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.Body.FlushAsync();
            context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpResetFeature>()!.Reset(errorCode);
        });
        var error = await RpcOutcome.FailureOf(server.Client().AddNetworkAsync(new AddNetworkRequest()));
        Assert.Equal(expected, error.StatusCode);
        Assert.NotNull(error.Status.DebugException);
    }

    [Fact]
    public async Task Request_has_the_headers_of_the_protocol()
    {
        var seen = new Dictionary<string, string>();
        await using var server = await TestServer.StartRawAsync(context =>
        {
            foreach (var (name, value) in context.Request.Headers)
                seen[name.ToLowerInvariant()] = value.ToString();
            seen["path"] = context.Request.Path;
            seen["method"] = context.Request.Method;
            return Task.CompletedTask;
        });
        await RpcOutcome.FailureOf(
            server
                .Client()
                .AddNetworkAsync(
                    new AddNetworkRequest(),
                    new Metadata { { "blob-bin", new byte[] { 1, 2 } } },
                    DateTime.UtcNow.AddSeconds(30)
                )
        );
        Assert.Equal(("POST", "/rpc.CNIBackend/AddNetwork"), (seen["method"], seen["path"]));
        Assert.Equal("application/grpc", seen["content-type"]);
        Assert.Equal("trailers", seen["te"]);
        Assert.Equal("identity", seen["grpc-accept-encoding"].TrimEnd(','));
        Assert.Equal("AQI=", seen["blob-bin"]);
        Assert.Matches("^[0-9]{1,8}[SMmun]$", seen["grpc-timeout"]);
    }

    public sealed record AnswerCase(string Name, StatusCode Expected, string Detail)
    {
        public int Http { get; init; } = 200;

        public string? ContentType { get; init; } = "application/grpc";

        public Dictionary<string, string> Headers { get; } = [];

        public byte[] Body { get; init; } = [];

        public Dictionary<string, string> Trailers { get; } = [];

        public override string ToString() => Name;

        internal async Task RespondAsync(HttpContext context)
        {
            context.Response.StatusCode = Http;
            if (ContentType is not null)
                context.Response.ContentType = ContentType;
            foreach (var (name, value) in Headers)
                context.Response.Headers[name] = value;
            if (Body.Length > 0 || Trailers.Count > 0)
                await context.Response.Body.WriteAsync(Body);
            foreach (var (name, value) in Trailers)
                context.Response.AppendTrailer(name, value);
        }
    }
}
