// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using Grpc.Net.Client;

namespace VpcCni.Ipamd.Cli;

/// <summary>
/// A channel to the daemon over its Unix socket. The address only fills the request's authority. Proxies of the environment are not used, and answers are not unpacked: the package would do both.
/// </summary>
internal static class DaemonChannel
{
    public static GrpcChannel Connect(string socketPath) => GrpcChannel.ForAddress("http://localhost", OptionsFor(socketPath));

    internal static GrpcChannelOptions OptionsFor(string socketPath) => new()
    {
        HttpHandler = new SocketsHttpHandler { UseProxy = false, UseCookies = false, ConnectCallback = (_, cancellationToken) => ConnectAsync(socketPath, cancellationToken) },
        DisposeHttpClient = true,
        CompressionProviders = [],
    };

    private static async ValueTask<Stream> ConnectAsync(string socketPath, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
