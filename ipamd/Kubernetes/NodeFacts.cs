// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>The fields of the node object that the daemon uses.</summary>
/// <param name="Uid">UID, for events on the node.</param>
/// <param name="MaxPods">status.capacity.pods; null before kubelet sets it.</param>
/// <param name="IsUnschedulable">
/// Whether the node is cordoned: spec.unschedulable, or the taint node.kubernetes.io/unschedulable:NoSchedule that follows it.
/// </param>
/// <param name="Labels">All labels.</param>
/// <param name="Annotations">All annotations.</param>
internal sealed record NodeFacts(
    string Uid,
    int? MaxPods,
    bool IsUnschedulable,
    IReadOnlyDictionary<string, string> Labels,
    IReadOnlyDictionary<string, string> Annotations
);
