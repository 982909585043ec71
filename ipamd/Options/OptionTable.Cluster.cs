// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Options;

/// <summary>Variables of the API server: how the daemon finds it, and for what it uses it.</summary>
internal static partial class OptionTable
{
    public static readonly TextOption ClusterEndpoint = new(
        "CLUSTER_ENDPOINT",
        "",
        "a URL that starts with http:// or https://, or a host name, which means https://"
    )
    {
        Meaning =
            "URL of the API server, to reach it without the service address and kube-proxy. Plain HTTP is for tests: the daemon "
            + "sends no token over it",
        Deviation = "Always overrides KUBERNETES_SERVICE_HOST, not only until kube-proxy works",
    };

    public static readonly TextOption ServiceHost = new("KUBERNETES_SERVICE_HOST", "", "an address or a name")
    {
        Meaning =
            "Service address of the API server; kubelet sets it. If CLUSTER_ENDPOINT is not set either, the daemon uses no API server "
            + "and does not wait for one",
    };

    public static readonly NumberOption ServicePort = new("KUBERNETES_SERVICE_PORT", 443, 1, 65535)
    {
        Meaning = "Port of that address; kubelet sets it",
    };

    public static readonly PathOption ServiceAccountPath = new("VPCCNI_SERVICE_ACCOUNT_PATH", OptionDefaults.Cluster.ServiceAccountPath)
    {
        Meaning =
            "Folder with token and ca.crt of the service account. The daemon reads the token for every request, and ca.crt again when "
            + "it no longer trusts the server",
    };

    public static readonly TextOption NodeName = new("MY_NODE_NAME", "", "the name of the node")
    {
        Meaning = "Name of the node object that the daemon watches (pod capacity, cordon, labels, annotations). Without it, no API server",
    };

    public static readonly TextOption EniConfigAnnotation = new(
        "ENI_CONFIG_ANNOTATION_DEF",
        OptionDefaults.Cluster.EniConfigAnnotation,
        "the name of an annotation"
    )
    {
        Meaning = "With custom networking: annotation of the node that names its ENIConfig",
    };

    public static readonly TextOption EniConfigLabel = new(
        "ENI_CONFIG_LABEL_DEF",
        OptionDefaults.Cluster.EniConfigLabel,
        "the name of a label"
    )
    {
        Meaning =
            "With custom networking: label of the node that names its ENIConfig if the annotation is missing; "
            + "topology.kubernetes.io/zone for one per zone. Without both, the node uses the ENIConfig named default",
    };

    public static readonly FlagOption AnnotatePods = new("ANNOTATE_POD_IP", false)
    {
        Meaning =
            "Writes a pod's address to its annotation vpc.amazonaws.com/pod-ips before kubelet reports it, and empties that after the DEL",
        Deviation =
            "Written after the ADD and retried until the API server accepts it; the AWS VPC CNI writes it within the ADD, which "
            + "fails if the write fails",
    };

    private static IReadOnlyList<OptionDefinition> ClusterOptions =>
        [ClusterEndpoint, ServiceHost, ServicePort, ServiceAccountPath, NodeName, EniConfigAnnotation, EniConfigLabel, AnnotatePods];
}
