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
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Tests.GrpcHarness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Cli;

/// <summary>Tests the messages when no process, or another one, serves the socket.</summary>
public sealed class DaemonFailureTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vpccni-socket-");

    private string SocketPath => Path.Combine(_folder.FullName, "ipamd.sock");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Missing_socket_means_that_the_daemon_does_not_run() =>
        await FailsAsync($"the daemon is not running: the socket {SocketPath} does not exist", SocketPath);

    [Fact]
    public async Task Stale_socket_means_that_the_daemon_does_not_run()
    {
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(SocketPath + ".dead"));
            File.Move(SocketPath + ".dead", SocketPath);
        }

        await FailsAsync($"the daemon is not running: no process listens on {SocketPath}", SocketPath);
    }

    [Fact]
    public async Task Path_that_is_too_long_is_not_a_socket()
    {
        var path = "/" + new string('a', 200);
        await FailsAsync($"{path} is not a valid socket path", path);
    }

    /// <summary>The fake's gRPC server answers "unknown service", as servers written in Go do.</summary>
    [Fact]
    public async Task Daemon_of_the_reference_is_named()
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
    public async Task Other_grpc_server_is_named_by_its_process()
    {
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, _ => { }, app => app.MapFallback(UnknownService));
        var error = await FailsAsync($"{server.SocketPath} is served by ", server.SocketPath);
        Assert.Contains($"(process {Environment.ProcessId}), which is not ipamd", error, StringComparison.Ordinal);
        Assert.DoesNotContain("aws-node", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Server_of_another_protocol_is_named_by_its_process()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            _ => { },
            app => app.MapFallback(() => "hello"),
            HttpProtocols.Http1
        );
        await FailsAsync("which closed the connection or does not speak the daemon's protocol", server.SocketPath);
    }

    /// <summary>Which error occurs depends on the timing of the request and the disconnect.</summary>
    [Theory]
    [InlineData(SocketError.ConnectionReset)]
    [InlineData(SocketError.ConnectionAborted)]
    [InlineData(SocketError.Shutdown)]
    public void Server_that_disconnects_is_reported_the_same_way(SocketError error)
    {
        var failure = new RpcException(
            new Status(StatusCode.Unavailable, "broken", new HttpRequestException("broken", new SocketException((int)error)))
        );
        Assert.StartsWith(
            "/run/x.sock is served by another program, which closed the connection",
            DaemonFailure.Of(failure, "/run/x.sock", null).What,
            StringComparison.Ordinal
        );
    }

    private static async Task<string> FailsAsync(string expected, string socket)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var commands = TestCommands.Create(new CommandConsole(output, error));
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
