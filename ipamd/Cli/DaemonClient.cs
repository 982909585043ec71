// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using Grpc.Health.V1;
using Grpc.Net.Client;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary>A connection to the running daemon, for the commands that ask it something.</summary>
internal sealed class DaemonClient : IDisposable
{
    private readonly GrpcChannel _channel;

    /// <param name="socketPath">The daemon's Unix socket.</param>
    /// <param name="deadline">Of every call.</param>
    public DaemonClient(string socketPath, DateTime deadline)
    {
        Deadline = deadline;
        _channel = Connect(socketPath);
        Node = new NodeIpam.NodeIpamClient(_channel);
        Health = new Health.HealthClient(_channel);
    }

    public DateTime Deadline { get; }
    public NodeIpam.NodeIpamClient Node { get; }
    public Health.HealthClient Health { get; }

    public void Dispose() => _channel.Dispose();

    /// <summary>A channel over a Unix socket: the address only fills the request's authority.</summary>
    internal static GrpcChannel Connect(string socketPath) => GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions
    {
        HttpHandler = new SocketsHttpHandler
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
        },
        DisposeHttpClient = true,
    });
}
