// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>What an ENIConfig (crd.k8s.amazonaws.com/v1alpha1) says.</summary>
/// <param name="SubnetId">spec.subnet; empty when it says none.</param>
/// <param name="SecurityGroupIds">spec.securityGroups.</param>
internal sealed record EniConfigFacts(string SubnetId, IReadOnlyList<string> SecurityGroupIds);

/// <summary>Which ENIConfig a node wants.</summary>
/// <param name="Name">Of the object.</param>
/// <param name="Origin">Where the name comes from, in words.</param>
internal sealed record EniConfigReference(string Name, string Origin)
{
    /// <summary>Label that wins over everything else: for configurations that something outside of the cluster manages.</summary>
    private const string ExternalLabel = "vpc.amazonaws.com/externalEniConfig";

    /// <summary>Whether there can be an object of that name.</summary>
    public bool IsName => ObjectName.IsValid(Name);

    /// <summary>The reference's order: the external label, the annotation, the label, else <c>default</c>.</summary>
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
