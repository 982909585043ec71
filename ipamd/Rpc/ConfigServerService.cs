// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using VpcCni.Ipamd.Readiness;
using VpcCni.Protos.Rpc;

namespace VpcCni.Ipamd.Rpc;

/// <summary>
/// <c>rpc.ConfigServerBackend</c>: tells the network policy agent how it is to work and on which node it is. Only an agent that enforces
/// policies asks, once, when it starts; that is how the daemon learns that there is one.
/// </summary>
/// <param name="state">The node's identity, and the warnings of <c>ipamd status</c>.</param>
/// <param name="settings">The mode.</param>
/// <param name="warn">Logs a warning that <paramref name="state"/> did not have.</param>
internal sealed class ConfigServerService(DaemonState state, CniReplySettings settings, Action<string> warn)
    : ConfigServerBackend.ConfigServerBackendBase
{
    private const string StandardMode = "standard";

    /// <summary>The plugin does not call the agent's NPBackend service.</summary>
    private const string NotCalled =
        $"NETWORK_POLICY_ENFORCING_MODE={StandardMode}: a network policy agent runs on this node, and the "
        + "plugin does not call it in this version; policies apply when the agent finds the pod by itself";

    public override Task<NetworkPolicyAgentConfigReply> GetNetworkPolicyConfigs(Empty request, ServerCallContext context)
    {
        if (settings.NetworkPolicyMode == StandardMode && state.AddWarning(NotCalled))
            warn(NotCalled);
        if (state.Identity is not { } identity)
            throw new RpcException(new Status(StatusCode.Unavailable, $"the node is not identified yet: {state.StartObstacle}"));
        return Task.FromResult(
            new NetworkPolicyAgentConfigReply
            {
                NetworkPolicyMode = settings.NetworkPolicyMode,
                NodeIPv4 = identity.PrimaryAddress.ToString(),
                InstanceID = identity.NodeId,
                Region = identity.Region,
            }
        );
    }
}
