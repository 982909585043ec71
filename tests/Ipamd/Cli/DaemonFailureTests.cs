// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Health.V1;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.Options;
using VpcCni.Tests.GrpcHarness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Cli;

/// <summary>What an operator reads when nobody, or somebody else, is behind the socket.</summary>
public sealed class DaemonFailureTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vpccni-socket-");

    private string SocketPath => Path.Combine(_folder.FullName, "ipamd.sock");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task No_socket_is_a_daemon_that_does_not_run() =>
        await FailsAsync($"the daemon is not running: there is no socket {SocketPath}", SocketPath);

    [Fact]
    public async Task A_socket_that_a_crash_left_is_a_daemon_that_does_not_run()
    {
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(SocketPath + ".dead"));
            File.Move(SocketPath + ".dead", SocketPath);
        }

        await FailsAsync($"the daemon is not running: nobody listens on {SocketPath}", SocketPath);
    }

    [Fact]
    public async Task A_path_that_is_too_long_is_no_socket()
    {
        var path = "/" + new string('a', 200);
        await FailsAsync($"{path} cannot be a socket", path);
    }

    /// <summary>Its plain gRPC says "unknown service", as servers written in Go do.</summary>
    [Fact]
    public async Task The_daemon_of_the_reference_is_named()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            services => services.AddGrpc(),
            app =>
            {
                app.MapGrpcService<ReferenceHealth>();
                app.MapFallback(UnknownService);
            }
        );
        var error = await FailsAsync("is served by the daemon of the AWS VPC CNI (aws-node", server.SocketPath);
        Assert.Contains($"process {Environment.ProcessId}", error, StringComparison.Ordinal);
        Assert.Contains("61679", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_gRPC_server_is_told_by_its_process()
    {
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, _ => { }, app => app.MapFallback(UnknownService));
        var error = await FailsAsync($"{server.SocketPath} is served by ", server.SocketPath);
        Assert.Contains($"(process {Environment.ProcessId}), which is no daemon of this kind", error, StringComparison.Ordinal);
        Assert.DoesNotContain("aws-node", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_of_another_protocol_is_told_by_its_process()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            _ => { },
            app => app.MapFallback(() => "hello"),
            HttpProtocols.Http1
        );
        await FailsAsync("which broke off or does not speak the daemon's protocol", server.SocketPath);
    }

    /// <summary>Which of them is seen depends on who was faster: the program that hangs up, or the request.</summary>
    [Theory]
    [InlineData(SocketError.ConnectionReset)]
    [InlineData(SocketError.ConnectionAborted)]
    [InlineData(SocketError.Shutdown)]
    public void A_server_that_hangs_up_in_the_middle_is_told_the_same_way(SocketError error)
    {
        var failure = new RpcException(
            new Status(StatusCode.Unavailable, "broken", new HttpRequestException("broken", new SocketException((int)error)))
        );
        Assert.StartsWith(
            "/run/x.sock is served by another program, which broke off",
            DaemonFailure.Of(failure, "/run/x.sock", null).What,
            StringComparison.Ordinal
        );
    }

    private static async Task<string> FailsAsync(string expected, string socket)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var commands = new DaemonCommands(
            new CommandConsole(output, error),
            "test",
            TimeProvider.System,
            _ => throw new InvalidOperationException("the daemon was started")
        );
        Assert.Equal(2, await commands.InvokeAsync(["status", "--socket", socket], new IpamdOptions()));
        Assert.Equal("", output.ToString());
        Assert.Contains(expected, error.ToString(), StringComparison.Ordinal);
        foreach (var raw in (string[])["localhost", "gRPC call", "HttpRequest", "unknown service", "Unavailable"])
            Assert.DoesNotContain(raw, error.ToString(), StringComparison.Ordinal);
        return error.ToString();
    }

    private static Task UnknownService(HttpContext context)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = "12";
        context.Response.Headers["grpc-message"] = "unknown service vpccni.v1.NodeIpam";
        return Task.CompletedTask;
    }

    private sealed class ReferenceHealth : Health.HealthBase
    {
        public override Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context) =>
            request.Service is "" or "grpc.health.v1.aws-node"
                ? Task.FromResult(new HealthCheckResponse { Status = HealthCheckResponse.Types.ServingStatus.Serving })
                : throw new RpcException(new Status(StatusCode.NotFound, "unknown service"));
    }
}
