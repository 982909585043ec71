// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using VpcCni.Ipamd.Readiness;
using VpcCni.Protos.Rpc;

namespace VpcCni.Ipamd.Rpc;

/// <summary>
/// Implements <c>rpc.ConfigServerBackend</c>, from which the network policy agent reads its mode and the node's identity. Only an agent
/// that enforces policies calls it, once, at its start; the daemon has no other sign that one runs.
/// </summary>
/// <param name="state">Supplies the node's identity; holds the warnings of <c>ipamd status</c>.</param>
/// <param name="settings">Supplies the policy mode.</param>
/// <param name="warn">Logs a warning that <paramref name="state"/> did not have yet.</param>
internal sealed class ConfigServerService(DaemonState state, CniReplySettings settings, Action<string> warn)
    : ConfigServerBackend.ConfigServerBackendBase
{
    private const string StandardMode = "standard";

    /// <summary>Warning for a node that runs an agent: the plugin does not call the agent's NPBackend service.</summary>
    private const string AgentNotCalled =
        $"NETWORK_POLICY_ENFORCING_MODE={StandardMode}: a network policy agent runs on this node, but this version of the "
        + "plugin does not call it; policies apply to a pod once the agent finds it by itself";

    public override Task<NetworkPolicyAgentConfigReply> GetNetworkPolicyConfigs(Empty request, ServerCallContext context)
    {
        if (settings.NetworkPolicyMode == StandardMode && state.AddWarning(AgentNotCalled))
            warn(AgentNotCalled);
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
