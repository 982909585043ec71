// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using Grpc.Net.Client;

namespace VpcCni.Ipamd.Cli;

/// <summary>
/// Creates gRPC channels to the daemon over its Unix socket. The URL only supplies the request's authority. Proxies of the environment and
/// compression, which the package would use, are off.
/// </summary>
internal static class DaemonChannel
{
    /// <param name="socketPath">Path of the daemon's Unix socket.</param>
    /// <param name="connected">Called with each new connection.</param>
    public static GrpcChannel Connect(string socketPath, Action<Socket>? connected = null) =>
        GrpcChannel.ForAddress("http://localhost", OptionsFor(socketPath, connected));

    internal static GrpcChannelOptions OptionsFor(string socketPath, Action<Socket>? connected = null) =>
        new()
        {
            HttpHandler = new SocketsHttpHandler
            {
                UseProxy = false,
                UseCookies = false,
                ConnectCallback = (_, cancellationToken) => ConnectAsync(socketPath, connected, cancellationToken),
            },
            DisposeHttpClient = true,
            CompressionProviders = [],
        };

    private static async ValueTask<Stream> ConnectAsync(string socketPath, Action<Socket>? connected, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellationToken);
            connected?.Invoke(socket);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
