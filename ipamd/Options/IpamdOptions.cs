// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Install;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Options;

/// <summary>
/// All settings of an operator, bound once from the environment; immutable. Variables of the AWS VPC CNI keep their names, units and
/// defaults; further ones begin with <c>VPCCNI_</c>. Components receive values from here and never read the environment.
/// </summary>
internal sealed record IpamdOptions
{
    /// <summary>WARM_ENI_TARGET, WARM_IP_TARGET, MINIMUM_IP_TARGET, MAX_ENI, VPCCNI_MAX_PODS.</summary>
    public PoolTargets Targets { get; init; } = new();

    /// <summary>ENABLE_IPv4, ENABLE_IPv6.</summary>
    public PodFamilies Families { get; init; } = PodFamilies.Ipv4;

    /// <summary>IP_COOLDOWN_PERIOD, seconds.</summary>
    public TimeSpan Cooldown { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// VPCCNI_ADD_WAIT_SECONDS: how long an ADD waits for an empty pool to grow; 0: not at all. Must stay below the plugin's own deadline
    /// of 30 s.
    /// </summary>
    public TimeSpan AddWait { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>VPCCNI_SOCKET_PATH: the Unix socket of the gRPC services.</summary>
    public string SocketPath { get; init; } = "/var/run/aws-node/ipamd.sock";

    /// <summary>AWS_VPC_K8S_CNI_BACKING_STORE.</summary>
    public string CheckpointPath { get; init; } = "/var/run/aws-node/ipam.json";

    /// <summary>AWS_VPC_K8S_CNI_LOG_FILE: a path, or <c>stdout</c> or <c>stderr</c>.</summary>
    public string LogFile { get; init; } = "/host/var/log/aws-routed-eni/ipamd.log";

    /// <summary>
    /// AWS_VPC_K8S_CNI_LOGLEVEL. The reference's default is DEBUG, which its users often lower; this one logs what changed on the node.
    /// </summary>
    public LogLevel LogLevel { get; init; } = LogLevel.Information;

    /// <summary>VPCCNI_LOG_FORMAT.</summary>
    public LogFormat LogFormat { get; init; } = LogFormat.Text;

    /// <summary>INTROSPECTION_BIND_ADDRESS; null with DISABLE_INTROSPECTION.</summary>
    public EndPoint? IntrospectionEndPoint { get; init; } = new IPEndPoint(IPAddress.Loopback, 61679);

    /// <summary>
    /// VPCCNI_METRICS_BIND_ADDRESS: the endpoint of the metrics; null with DISABLE_METRICS. Default: all addresses, on the reference's
    /// port.
    /// </summary>
    public EndPoint? MetricsEndPoint { get; init; } = new IPEndPoint(IPAddress.IPv6Any, 61678);

    /// <summary>AWS_VPC_ENI_MTU, bytes.</summary>
    public int InterfaceMtu { get; init; } = 9001;

    /// <summary>NAT, marks and rules of the host.</summary>
    public HostNetworkOptions HostNetwork { get; init; } = new();

    /// <summary>The API server, and this node's name in the cluster.</summary>
    public ClusterOptions Cluster { get; init; } = new();

    /// <summary>Settings of <c>ipamd install</c> and <c>ipamd uninstall</c>.</summary>
    public InstallOptions Install { get; init; } = new();

    /// <summary>
    /// VPCCNI_RANGE_INTERVAL_SECONDS: how often the daemon reads the VPC's CIDR blocks from the instance metadata; they may change at run
    /// time.
    /// </summary>
    public TimeSpan RangeInterval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>VPCCNI_PROC_SYS_NET: the folder in which the daemon writes the node's kernel parameters.</summary>
    public string KernelSettingsFolder { get; init; } = KernelSettings.Folder;

    /// <summary>DISABLE_TCP_EARLY_DEMUX; only <c>ipamd init</c> reads it.</summary>
    public bool TcpEarlyDemuxDisabled { get; init; }

    /// <summary>
    /// AWS_ENDPOINT_URL_EC2, AWS_EC2_ENDPOINT or AWS_ENDPOINT_URL; null: the profile's endpoint, or else the region's public one.
    /// </summary>
    public Uri? Ec2Endpoint { get; init; }

    /// <summary>AWS_EC2_METADATA_SERVICE_ENDPOINT, which the SDK also reads; null: the link-local address.</summary>
    public Uri? ImdsEndpoint { get; init; }

    /// <summary>HTTP_TIMEOUT, seconds, at least 10.</summary>
    public TimeSpan HttpTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>AWS_REGION or AWS_DEFAULT_REGION; null: the profile's region, or else that of the instance metadata.</summary>
    public string? Region { get; init; }

    /// <summary>AWS_PROFILE, which the SDK also reads.</summary>
    public string Profile { get; init; } = "default";

    /// <summary>CLUSTER_NAME; null when unknown.</summary>
    public string? ClusterName { get; init; }

    /// <summary>ADDITIONAL_ENI_TAGS: a JSON object of strings.</summary>
    public IReadOnlyDictionary<string, string> AdditionalTags { get; init; } = new Dictionary<string, string>();

    /// <summary>MANAGE_UNTAGGED_ENI.</summary>
    public bool ManageUntaggedInterfaces { get; init; } = true;

    /// <summary>VPCCNI_CLOUD_ACCESS.</summary>
    public CloudAccess CloudAccess { get; init; }

    /// <summary>ENABLE_SUBNET_DISCOVERY.</summary>
    public bool SubnetDiscovery { get; init; } = true;

    /// <summary>
    /// AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG: pods get addresses from the subnet of the node's ENIConfig, on secondary interfaces only.
    /// </summary>
    public bool CustomNetworking { get; init; }

    /// <summary>DISABLE_LEAKED_ENI_CLEANUP.</summary>
    public bool LeakedCleanupDisabled { get; init; }

    /// <summary>AWS_MANAGE_ENIS_NON_SCHEDULABLE.</summary>
    public bool ManagesUnschedulable { get; init; }

    /// <summary>ENABLE_IMDS_ONLY_MODE: the daemon never calls the control plane; implies <see cref="ProvisioningDisabled"/>.</summary>
    public bool MetadataOnly { get; init; }

    /// <summary>DISABLE_NETWORK_RESOURCE_PROVISIONING: the daemon observes and serves, but changes nothing in the cloud.</summary>
    public bool ProvisioningDisabled { get; init; }

    /// <summary>NETWORK_POLICY_ENFORCING_MODE: empty, <c>none</c> or <c>standard</c>; sent to the plugin and to the policy agent.</summary>
    public string NetworkPolicyMode { get; init; } = "";
}
