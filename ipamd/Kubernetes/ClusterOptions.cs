// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>Settings of the API server and of this node's name in the cluster.</summary>
internal sealed record ClusterOptions
{
    /// <summary>
    /// CLUSTER_ENDPOINT, or else KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT; null: the daemon uses no API server.
    /// </summary>
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

    /// <summary>ANNOTATE_POD_IP: the daemon writes a pod's address to an annotation.</summary>
    public bool AnnotatesPods { get; init; }

    /// <summary>Whether the API server and the node's name are known.</summary>
    public bool IsEnabled => Endpoint is not null && NodeName.Length > 0;
}
