// SPDX-License-Identifier: Apache-2.0
using Grpc.Net.Client;
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
        Deadline = deadline;
        _channel = DaemonChannel.Connect(socketPath);
        Node = new NodeIpam.NodeIpamClient(_channel);
        Health = new Health.HealthClient(_channel);
    }

    public DateTime Deadline { get; }
    public NodeIpam.NodeIpamClient Node { get; }
    public Health.HealthClient Health { get; }

    public void Dispose() => _channel.Dispose();
}
