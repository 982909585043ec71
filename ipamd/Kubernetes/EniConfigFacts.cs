// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>The content of an ENIConfig (crd.k8s.amazonaws.com/v1alpha1).</summary>
/// <param name="SubnetId">spec.subnet; empty if absent.</param>
/// <param name="SecurityGroupIds">spec.securityGroups.</param>
internal sealed record EniConfigFacts(string SubnetId, IReadOnlyList<string> SecurityGroupIds);

/// <summary>The ENIConfig that a node names.</summary>
/// <param name="Name">Name of the ENIConfig; may be invalid.</param>
/// <param name="Origin">Source of the name, in words.</param>
internal sealed record EniConfigReference(string Name, string Origin)
{
    /// <summary>Label that overrides everything else, for systems outside the cluster that manage ENIConfigs.</summary>
    private const string ExternalLabel = "vpc.amazonaws.com/externalEniConfig";

    /// <summary>Whether an object can have that name.</summary>
    public bool IsValid => ObjectName.IsValid(Name);

    /// <summary>Applies the reference's order: the external label, the annotation, the label, or else <c>default</c>.</summary>
    public static EniConfigReference Of(NodeFacts node, ClusterOptions options)
    {
        if (node.Labels.TryGetValue(ExternalLabel, out var external))
            return new EniConfigReference(external, $"label {ExternalLabel} of the node");
        if (node.Annotations.TryGetValue(options.EniConfigAnnotation, out var annotated))
            return new EniConfigReference(annotated, $"annotation {options.EniConfigAnnotation} of the node");
        if (node.Labels.TryGetValue(options.EniConfigLabel, out var labelled))
            return new EniConfigReference(labelled, $"label {options.EniConfigLabel} of the node");
        return new EniConfigReference("default", "the node names none");
    }
}
