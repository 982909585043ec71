// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Observation;

/// <summary>Facts from the cluster's node object that the pool depends on. Unknown until set. Thread-safe.</summary>
internal sealed class NodeConditions
{
    private volatile int _maxPods;
    private volatile bool _unschedulable;

    /// <summary>Most pods of the node (node.status.capacity.pods); null when unknown.</summary>
    public int? MaxPods
    {
        get => _maxPods > 0 ? _maxPods : null;
        set => _maxPods = value ?? 0;
    }

    /// <summary>Whether the node has the taint node.kubernetes.io/unschedulable:NoSchedule.</summary>
    public bool IsUnschedulable
    {
        get => _unschedulable;
        set => _unschedulable = value;
    }
}
