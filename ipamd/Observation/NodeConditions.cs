// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Observation;

/// <summary>What the cluster says of this node, as far as the pool depends on it. Unknown until somebody tells.</summary>
internal sealed class NodeConditions
{
    private volatile int _maxPods;
    private volatile bool _unschedulable;

    /// <summary>Pods that the node runs at most (node.status.capacity.pods); null when unknown.</summary>
    public int? MaxPods
    {
        get => _maxPods > 0 ? _maxPods : null;
        set => _maxPods = value ?? 0;
    }

    /// <summary>The node has the taint node.kubernetes.io/unschedulable:NoSchedule.</summary>
    public bool IsUnschedulable
    {
        get => _unschedulable;
        set => _unschedulable = value;
    }
}
