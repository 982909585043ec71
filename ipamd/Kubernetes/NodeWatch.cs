// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Observation;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>Applies the node object to the pool: the maximum number of pods, and whether the node is cordoned.</summary>
/// <param name="name">Name of the node.</param>
/// <param name="conditions">Updated with each change; keeps its values on failures.</param>
/// <param name="signal">Raised when the conditions change.</param>
internal sealed partial class NodeWatch(string name, NodeConditions conditions, PoolSignal signal, ILogger<NodeWatch> logger)
{
    private volatile NodeFacts? _last;

    /// <summary>The last known node object; null before the first.</summary>
    public NodeFacts? Last => _last;

    /// <summary>Called with each version of the node object.</summary>
    public Action<NodeFacts> NodeUpdated { get; init; } = _ => { };

    /// <summary>Called with a message when the server has no such node.</summary>
    public Action<string> NodeMissing { get; init; } = _ => { };

    public void OnUpdate(NodeFacts? node)
    {
        if (node is null)
        {
            // The node is not registered yet, or was removed while its pods still run; the pool stays as it is.
            Log.Gone(logger, name);
            NodeMissing($"the API server has no node {name}");
            return;
        }

        _last = node;
        var maxPods = node.MaxPods ?? conditions.MaxPods;
        if (maxPods != conditions.MaxPods || node.IsUnschedulable != conditions.IsUnschedulable)
        {
            (conditions.MaxPods, conditions.IsUnschedulable) = (maxPods, node.IsUnschedulable);
            Log.Changed(logger, name, maxPods, node.IsUnschedulable);
            signal.Raise();
        }

        NodeUpdated(node);
    }

    private static partial class Log
    {
        [LoggerMessage(120, LogLevel.Information, "the node's object was read")]
        public static partial void Changed(ILogger logger, string node, int? maxPods, bool unschedulable);

        [LoggerMessage(
            121,
            LogLevel.Warning,
            "the API server has no such node; the daemon keeps the last known state; if this persists, check MY_NODE_NAME"
        )]
        public static partial void Gone(ILogger logger, string node);
    }
}
