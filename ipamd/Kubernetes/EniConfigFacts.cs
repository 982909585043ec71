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

    /// <summary>Of an object's name: a DNS subdomain (RFC 1123).</summary>
    private const int LongestName = 253;

    /// <summary>Whether there can be an object of that name. Anything may stand in an annotation, also what would select other objects.</summary>
    public bool IsName => Name.Length is > 0 and <= LongestName && Name.All(letter => char.IsAsciiLetterLower(letter) || char.IsAsciiDigit(letter) || letter is '-' or '.')
        && char.IsAsciiLetterOrDigit(Name[0]) && char.IsAsciiLetterOrDigit(Name[^1]);

    /// <summary>The reference's order: the external label, the annotation, the label, else <c>default</c>.</summary>
    public static EniConfigReference Of(NodeFacts node, ClusterOptions options)
    {
        if (node.Labels.TryGetValue(ExternalLabel, out var external)) return new EniConfigReference(external, $"label {ExternalLabel} of the node");
        if (node.Annotations.TryGetValue(options.EniConfigAnnotation, out var annotated)) return new EniConfigReference(annotated, $"annotation {options.EniConfigAnnotation} of the node");
        if (node.Labels.TryGetValue(options.EniConfigLabel, out var labelled)) return new EniConfigReference(labelled, $"label {options.EniConfigLabel} of the node");
        return new EniConfigReference("default", "the node names none");
    }
}
