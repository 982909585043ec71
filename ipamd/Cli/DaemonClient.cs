// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using Grpc.Net.Client;
using VpcCni.Ipamd.Hosting;
using VpcCni.Protos.V1;
using Health = Grpc.Health.V1.Health;

namespace VpcCni.Ipamd.Cli;

/// <summary>A connection to the running daemon, for the commands that ask it something.</summary>
internal sealed class DaemonClient : IDisposable
{
    private readonly GrpcChannel _channel;

    /// <param name="socketPath">The daemon's Unix socket.</param>
    /// <param name="deadline">Of every call.</param>
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

    /// <summary>The process that serves the socket; null while nobody was reached, or where its pid namespace is out of sight.</summary>
    public int? Server { get; private set; }

    public void Dispose() => _channel.Dispose();

    private void Connected(Socket socket) => Server = PeerCredentials.FromSocket(socket).ProcessId is var process and > 0 ? process : null;
}
