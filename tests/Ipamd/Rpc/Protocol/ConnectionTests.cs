// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.GrpcHarness;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Rpc.Protocol;

public sealed class ConnectionTests
{
    [Fact]
    public async Task Unix_socket_that_does_not_exist_is_unavailable_with_the_cause()
    {
        using var channel = GrpcChannel.ForAddress(
            "http://localhost",
            new GrpcChannelOptions { HttpHandler = TestServer.UnixSocketHandler("/nonexistent/grpc.sock"), DisposeHttpClient = true }
        );
        var error = await RpcOutcome.FailureOf(new CNIBackend.CNIBackendClient(channel).AddNetworkAsync(new AddNetworkRequest()));
        Assert.Equal(StatusCode.Unavailable, error.StatusCode);
        Assert.IsType<SocketException>(Assert.IsType<HttpRequestException>(error.Status.DebugException).InnerException);
    }

    [Theory]
    [InlineData(Transport.UnixSocket)]
    [InlineData(Transport.LoopbackTcp)]
    public async Task Socket_whose_server_stopped_is_unavailable(Transport transport)
    {
        await using var server = await TestServer.StartAsync(transport, new ScriptedBackend());
        var client = server.Client();
        await client.AddNetworkAsync(new AddNetworkRequest());
        await server.StopAsync();
        await Eventually.TrueAsync(async () =>
            (await RpcOutcome.FailureOf(client.AddNetworkAsync(new AddNetworkRequest()))).Status
                is { StatusCode: StatusCode.Unavailable, DebugException: not null }
        );
    }

    [Theory]
    [InlineData(Transport.UnixSocket)]
    [InlineData(Transport.LoopbackTcp)]
    public async Task Connection_lost_in_the_middle_of_a_call_is_unavailable(Transport transport)
    {
        await using var server = await TestServer.StartAsync(
            transport,
            async (_, context) =>
            {
                context
                    .GetHttpContext()
                    .Features.Get<Microsoft.AspNetCore.Connections.Features.IConnectionSocketFeature>()!
                    .Socket.Close(timeout: 0);
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
                return new AddNetworkReply();
            }
        );
        var error = await RpcOutcome.FailureOf(server.Client().AddNetworkAsync(new AddNetworkRequest()));
        Assert.Equal(StatusCode.Unavailable, error.StatusCode);
        Assert.NotNull(error.Status.DebugException);
    }

    [Fact]
    public async Task Connection_lost_in_the_middle_of_the_message_is_unavailable()
    {
        await using var server = await TestServer.StartRawAsync(async context =>
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.Body.WriteAsync(new byte[] { 0, 0, 0, 0, 9, 1 });
            await context.Response.Body.FlushAsync();
            context.Features.Get<Microsoft.AspNetCore.Connections.Features.IConnectionSocketFeature>()!.Socket.Close(timeout: 0);
        });
        var error = await RpcOutcome.FailureOf(server.Client().AddNetworkAsync(new AddNetworkRequest()));
        Assert.Equal(StatusCode.Unavailable, error.StatusCode);
    }

    [Fact]
    public async Task Channel_reconnects_to_a_restarted_server()
    {
        var folder = Directory.CreateTempSubdirectory("grpc-test-").FullName;
        var path = Path.Combine(folder, "link.sock");
        using var channel = GrpcChannel.ForAddress(
            "http://localhost",
            new GrpcChannelOptions { HttpHandler = TestServer.UnixSocketHandler(path), DisposeHttpClient = true }
        );
        var client = new CNIBackend.CNIBackendClient(channel);
        for (var round = 0; round < 2; round++)
        {
            await using var server = await TestServer.StartAsync(Transport.UnixSocket, new ScriptedBackend());
            File.CreateSymbolicLink(path, server.SocketPath);

            // A connection of the previous round may still be in the pool; its first call finds it broken.
            await Eventually.TrueAsync(async () =>
            {
                try
                {
                    return (await client.AddNetworkAsync(new AddNetworkRequest())).Success;
                }
                catch (RpcException error) when (error.StatusCode == StatusCode.Unavailable)
                {
                    return false;
                }
            });
            File.Delete(path);
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Peer_that_does_not_speak_http_2_fails_the_call()
    {
        using var listener = new TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        var serve = Task.Run(async () =>
        {
            using var peer = await listener.AcceptTcpClientAsync();
            await peer.GetStream().WriteAsync("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"u8.ToArray());
            await peer.GetStream().CopyToAsync(Stream.Null);
        });
        using (var channel = GrpcChannel.ForAddress($"http://{listener.LocalEndpoint}"))
        {
            var error = await RpcOutcome.FailureOf(new CNIBackend.CNIBackendClient(channel).AddNetworkAsync(new AddNetworkRequest()));
            Assert.True(error.StatusCode is StatusCode.Internal or StatusCode.Unavailable, error.Status.ToString());
            Assert.NotNull(error.Status.DebugException);
        }

        await serve.WaitAsync(TimeSpan.FromSeconds(20));
    }
}
