// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>What the daemon wants to know of its node object.</summary>
/// <param name="Uid">For events on the node.</param>
/// <param name="MaxPods">status.capacity.pods; null before kubelet has said it.</param>
/// <param name="IsUnschedulable">
/// Cordoned: spec.unschedulable, and the taint node.kubernetes.io/unschedulable:NoSchedule that follows it.
/// </param>
/// <param name="Labels">All of them.</param>
/// <param name="Annotations">All of them.</param>
internal sealed record NodeFacts(
    string Uid,
    int? MaxPods,
    bool IsUnschedulable,
    IReadOnlyDictionary<string, string> Labels,
    IReadOnlyDictionary<string, string> Annotations
);
