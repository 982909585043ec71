// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Observation;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>What the node object says, told to the pool: how many pods the node runs at most, and whether it takes new ones.</summary>
/// <param name="name">The node.</param>
/// <param name="conditions">Kept up to date; while nothing is heard they stay as they are.</param>
/// <param name="signal">Raised when the pool may plan otherwise.</param>
internal sealed partial class NodeWatch(string name, NodeConditions conditions, PoolSignal signal, ILogger<NodeWatch> logger)
{
    private volatile NodeFacts? _last;

    /// <summary>As last seen; null before that.</summary>
    public NodeFacts? Last => _last;

    /// <summary>Called with every new sight of the node.</summary>
    public Action<NodeFacts> Seen { get; init; } = _ => { };

    /// <summary>Called, with a sentence, when the server has no such node.</summary>
    public Action<string> Absent { get; init; } = _ => { };

    public void Told(NodeFacts? node)
    {
        if (node is null)
        {
            // Not registered yet, or removed while its pods run on: no reason to change anything here.
            Log.Gone(logger, name);
            Absent($"the API server has no node {name}");
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

        Seen(node);
    }

    private static partial class Log
    {
        [LoggerMessage(120, LogLevel.Information, "the node's object was read")]
        public static partial void Changed(ILogger logger, string node, int? maxPods, bool unschedulable);

        [LoggerMessage(
            121,
            LogLevel.Warning,
            "the API server has no such node: what is known of it stays; if this lasts, check MY_NODE_NAME"
        )]
        public static partial void Gone(ILogger logger, string node);
    }
}
