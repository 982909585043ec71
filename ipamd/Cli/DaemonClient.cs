// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using Grpc.Net.Client;
using VpcCni.Ipamd.Hosting;
using VpcCni.Protos.V1;
using Health = Grpc.Health.V1.Health;

namespace VpcCni.Ipamd.Cli;

/// <summary>A client of the running daemon.</summary>
internal sealed class DaemonClient : IDisposable
{
    private readonly GrpcChannel _channel;

    /// <param name="socketPath">Path of the daemon's Unix socket.</param>
    /// <param name="deadline">Deadline of each call.</param>
    public DaemonClient(string socketPath, DateTime deadline)
    {
        SocketPath = socketPath;
        Deadline = deadline;
        _channel = DaemonChannel.Connect(socketPath, Connected);
        Node = new NodeIpam.NodeIpamClient(_channel);
        Health = new Health.HealthClient(_channel);
    }

    public string SocketPath { get; }
    public DateTime Deadline { get; }
    public NodeIpam.NodeIpamClient Node { get; }
    public Health.HealthClient Health { get; }

    /// <summary>Process id of the socket's server; null before a connection, or if the process is in another PID namespace.</summary>
    public int? Server { get; private set; }

    public void Dispose() => _channel.Dispose();

    private void Connected(Socket socket) => Server = PeerCredentials.FromSocket(socket).ProcessId is var process and > 0 ? process : null;
}
