// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.GrpcHarness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Rpc.Protocol;

public sealed class StatusTests
{
    public static TheoryData<StatusCode> Failures => [.. Enum.GetValues<StatusCode>().Where(code => code != StatusCode.OK)];

    public static TheoryData<string> Details =>
        [
            "",
            "plain",
            " spaces at both ends ",
            "percent % and %41 and %zz",
            "Ünïcödé: адрес занят, アドレス, \U0001F6A2",
            "control \0\r\n\t\u007f\u001b characters",
            "comma, semicolon; \"quote\"",
            new string('x', 16_000),
        ];

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task Rpc_exception_reaches_the_client_with_code_and_text(StatusCode code)
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            (_, _) => throw new RpcException(new Status(code, $"because {code}"))
        );
        var error = await RpcOutcome.FailureOf(server.Client().AddNetworkAsync(new AddNetworkRequest()));
        Assert.Equal(new Status(code, $"because {code}"), error.Status);
    }

    [Theory]
    [MemberData(nameof(Details))]
    public async Task Detail_of_any_text_survives_the_wire(string detail)
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            (_, _) => throw new RpcException(new Status(StatusCode.NotFound, detail))
        );
        var error = await RpcOutcome.FailureOf(server.Client().AddNetworkAsync(new AddNetworkRequest()));
        Assert.Equal(detail, error.Status.Detail);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Detail_after_early_headers_survives_in_the_trailers(bool withTrailers)
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            async (_, context) =>
            {
                await context.WriteResponseHeadersAsync(new Metadata { { "early", "yes" } });
                throw new RpcException(
                    new Status(StatusCode.Aborted, "sp\u00e4ter"),
                    withTrailers ? new Metadata { { "why", "because" } } : []
                );
            }
        );
        using var call = server.Client().AddNetworkAsync(new AddNetworkRequest());
        Assert.Equal("yes", (await call.ResponseHeadersAsync).GetValue("early"));
        var error = await RpcOutcome.FailureOf(call);
        Assert.Equal((StatusCode.Aborted, "später"), (error.StatusCode, error.Status.Detail));
        Assert.Equal(withTrailers ? "because" : null, error.Trailers.GetValue("why"));
        Assert.Equal(error.Status, call.GetStatus());
    }

    [Fact]
    public async Task Other_exception_is_unknown_without_its_text_and_is_logged()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            (_, _) => throw new InvalidOperationException("the secret")
        );
        var error = await RpcOutcome.FailureOf(server.Client().AddNetworkAsync(new AddNetworkRequest()));
        Assert.Equal(new Status(StatusCode.Unknown, "Exception was thrown by handler."), error.Status);
        var (_, text, logged) = Assert.Single(server.Logs.Entries);
        Assert.Contains("AddNetwork", text, StringComparison.Ordinal);
        Assert.Equal("the secret", Assert.IsType<InvalidOperationException>(logged).Message);
    }

    [Fact]
    public async Task Other_exception_with_detailed_errors_has_its_text()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            (_, _) => throw new InvalidOperationException("the cause"),
            options => options.EnableDetailedErrors = true
        );
        var error = await RpcOutcome.FailureOf(server.Client().AddNetworkAsync(new AddNetworkRequest()));
        Assert.Equal(new Status(StatusCode.Unknown, "Exception was thrown by handler. InvalidOperationException: the cause"), error.Status);
    }

    [Fact]
    public async Task Status_set_on_the_context_counts_instead_of_the_message()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            (_, context) =>
            {
                context.Status = new Status(StatusCode.FailedPrecondition, "not ready");
                context.ResponseTrailers.Add("retry", "later");
                return Task.FromResult(new AddNetworkReply());
            }
        );
        var error = await RpcOutcome.FailureOf(server.Client().AddNetworkAsync(new AddNetworkRequest()));
        Assert.Equal(new Status(StatusCode.FailedPrecondition, "not ready"), error.Status);
        Assert.Equal("later", error.Trailers.GetValue("retry"));
    }

    [Fact]
    public async Task Text_of_status_ok_reaches_the_client()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            (_, context) =>
            {
                context.Status = new Status(StatusCode.OK, "with a remark");
                return Task.FromResult(new AddNetworkReply());
            }
        );
        using var call = server.Client().AddNetworkAsync(new AddNetworkRequest());
        await call;
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task Rpc_exception_with_ok_is_still_a_failure()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            (_, _) => throw new RpcException(new Status(StatusCode.OK, "oops"))
        );
        Assert.Equal(
            StatusCode.Internal,
            (await RpcOutcome.FailureOf(server.Client().AddNetworkAsync(new AddNetworkRequest()))).StatusCode
        );
    }
}
