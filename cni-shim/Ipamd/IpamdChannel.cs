// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;

namespace VpcCni.Shim.Ipamd;

/// <summary>A gRPC channel over the daemon's Unix socket. No TLS: the file's permissions and the peer's credentials are the access control.</summary>
internal sealed class IpamdChannel(CallInvoker invoker, IDisposable owner) : IDisposable
{
    public CallInvoker Invoker { get; } = invoker;

    public static IpamdChannel Open(string socketPath)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, cancellationToken) =>
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
            },
        };
        var channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
        return new IpamdChannel(channel.CreateCallInvoker(), channel);
    }

    public void Dispose() => owner.Dispose();
}
