// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>The cluster that this node is part of, as far as the daemon is told.</summary>
internal sealed record ClusterOptions
{
    /// <summary>CLUSTER_ENDPOINT, else KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT; null: no cluster is looked at.</summary>
    public Uri? Endpoint { get; init; }

    /// <summary>VPCCNI_SERVICE_ACCOUNT_PATH: the folder with <c>token</c> and <c>ca.crt</c> that kubelet projects.</summary>
    public string ServiceAccountPath { get; init; } = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// <summary>MY_NODE_NAME; empty when unknown.</summary>
    public string NodeName { get; init; } = "";

    /// <summary>ENI_CONFIG_ANNOTATION_DEF: annotation of the node that names its ENIConfig.</summary>
    public string EniConfigAnnotation { get; init; } = "k8s.amazonaws.com/eniConfig";

    /// <summary>
    /// ENI_CONFIG_LABEL_DEF: label of the node that names its ENIConfig; <c>topology.kubernetes.io/zone</c> for one a zone.
    /// </summary>
    public string EniConfigLabel { get; init; } = "k8s.amazonaws.com/eniConfig";

    /// <summary>ANNOTATE_POD_IP: pods carry their address as an annotation.</summary>
    public bool AnnotatesPods { get; init; }

    /// <summary>There is an API server to talk to, and a node to ask it about.</summary>
    public bool IsEnabled => Endpoint is not null && NodeName.Length > 0;
}
