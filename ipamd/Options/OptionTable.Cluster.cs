// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Options;

/// <summary>What the daemon does with the API server, and how it finds it.</summary>
internal static partial class OptionTable
{
    public static readonly TextOption ClusterEndpoint = new(
        "CLUSTER_ENDPOINT",
        "",
        "a URL that starts with http:// or https://, or a name without either, which is https://"
    )
    {
        Meaning =
            "The API server, reached without the cluster's service address (and so without kube-proxy). Plain HTTP is for tests: no "
            + "token is sent over it",
        Deviation = "Wins over KUBERNETES_SERVICE_HOST at all times, not only until kube-proxy works",
    };

    public static readonly TextOption ServiceHost = new("KUBERNETES_SERVICE_HOST", "", "an address or a name")
    {
        Meaning =
            "The API server's service address; kubelet sets it. Unset, and CLUSTER_ENDPOINT too: no API server is used, and nothing "
            + "waits for one",
    };

    public static readonly NumberOption ServicePort = new("KUBERNETES_SERVICE_PORT", 443, 1, 65535)
    {
        Meaning = "The port of that address; kubelet sets it",
    };

    public static readonly PathOption ServiceAccountPath = new("VPCCNI_SERVICE_ACCOUNT_PATH", OptionDefaults.Cluster.ServiceAccountPath)
    {
        Meaning =
            "The folder with token and ca.crt of the service account. The token is read for every request, and ca.crt again when the "
            + "server cannot be trusted any more",
    };

    public static readonly TextOption NodeName = new("MY_NODE_NAME", "", "the name of the node")
    {
        Meaning = "The node object that is watched: capacity of pods, cordon, labels and annotations. Without it no API server is used",
    };

    public static readonly TextOption EniConfigAnnotation = new(
        "ENI_CONFIG_ANNOTATION_DEF",
        OptionDefaults.Cluster.EniConfigAnnotation,
        "the name of an annotation"
    )
    {
        Meaning = "With custom networking: the annotation of the node that names its ENIConfig",
    };

    public static readonly TextOption EniConfigLabel = new(
        "ENI_CONFIG_LABEL_DEF",
        OptionDefaults.Cluster.EniConfigLabel,
        "the name of a label"
    )
    {
        Meaning =
            "With custom networking: the label of the node that names its ENIConfig, when there is no annotation; "
            + "topology.kubernetes.io/zone for one a zone. Neither: the ENIConfig default",
    };

    public static readonly FlagOption AnnotatePods = new("ANNOTATE_POD_IP", false)
    {
        Meaning = "Pods carry their address as the annotation vpc.amazonaws.com/pod-ips, before kubelet reports it; empty after the pod",
        Deviation =
            "Written right after the ADD is answered, and again until the API server takes it, instead of within the ADD, which then "
            + "fails with it",
    };

    private static IReadOnlyList<OptionDefinition> ClusterOptions =>
        [ClusterEndpoint, ServiceHost, ServicePort, ServiceAccountPath, NodeName, EniConfigAnnotation, EniConfigLabel, AnnotatePods];
}
