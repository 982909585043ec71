// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Observation;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>Applies the node object to the pool: the maximum number of pods, and whether the node is cordoned.</summary>
/// <param name="name">Name of the node.</param>
/// <param name="conditions">Updated with each change; keeps its values on failures.</param>
/// <param name="signal">Raised when the conditions change.</param>
/// <param name="updated">Called with each version of the node object.</param>
/// <param name="missing">Called with a message when the server has no such node.</param>
/// <param name="logger">Gets one line for each change.</param>
internal sealed partial class NodeWatch(
    string name,
    NodeConditions conditions,
    PoolSignal signal,
    Action<NodeFacts> updated,
    Action<string> missing,
    ILogger<NodeWatch> logger
)
{
    private volatile NodeFacts? _last;

    /// <summary>The last known node object; null before the first.</summary>
    public NodeFacts? Last => _last;

    public void OnUpdate(NodeFacts? node)
    {
        if (node is null)
        {
            // The node is not registered yet, or was removed while its pods still run; the pool stays as it is.
            Log.Gone(logger, name);
            missing($"the API server has no node {name}");
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

        updated(node);
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
