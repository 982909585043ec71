// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using VpcCni.Ipamd.Observability;
using VpcCni.Protos.Rpc;

namespace VpcCni.Ipamd.Rpc;

/// <summary><c>rpc.ConfigServerBackend</c>: tells the network policy agent how it is to work and on which node it is.</summary>
internal sealed class ConfigServerService(DaemonState state, CniReplySettings settings) : ConfigServerBackend.ConfigServerBackendBase
{
    public override Task<NetworkPolicyAgentConfigReply> GetNetworkPolicyConfigs(Empty request, ServerCallContext context)
    {
        if (state.Identity is not { } identity) throw new RpcException(new Status(StatusCode.Unavailable, $"the node is not identified yet: {state.StartObstacle}"));
        return Task.FromResult(new NetworkPolicyAgentConfigReply
        {
            NetworkPolicyMode = settings.NetworkPolicyMode,
            NodeIPv4 = identity.PrimaryAddress.ToString(),
            InstanceID = identity.NodeId,
            Region = identity.Region,
        });
    }
}
