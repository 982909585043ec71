// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Options;

/// <summary>Variables of what the daemon does on the node: host network, installation, logs, sockets.</summary>
internal static partial class OptionTable
{
    /// <summary>Bytes: the minimum of every IPv4 link (RFC 791), and the maximum of an ENI.</summary>
    private const int MinMtu = 576;
    private const int MaxMtu = 9001;

    /// <summary>Bytes: the minimum of every IPv6 link (RFC 8200, section 5).</summary>
    public const int MinIpv6Mtu = 1280;

    private const string ListenExpected = "an IP address and a port, e.g. 127.0.0.1:61678, or :61678 for all addresses, or unix:/path";

    private const string RangesExpected = "IPv4 ranges separated by commas, e.g. 10.1.0.0/16,192.168.0.0/24";

    public static readonly FlagOption ExternalSnat = new("AWS_VPC_K8S_CNI_EXTERNALSNAT", OptionDefaults.Host.ExternalSnat)
    {
        Meaning = "The node does no SNAT, because something else does (a NAT gateway); packets leave the node with the pod's address",
    };

    public static readonly ChoiceOption RandomizeSnat = new("AWS_VPC_K8S_CNI_RANDOMIZESNAT", "prng", "prng", "hashrandom", "none")
    {
        Meaning = "How SNAT chooses source ports: at random, at random by hash, or unchanged where possible",
        Otherwise = DefaultInstead,
    };

    public static readonly TextOption ExcludedRanges = new("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "", RangesExpected)
    {
        Meaning = "Destinations outside the VPC to which the node does no SNAT, like the VPC itself",
        Deviation = "A malformed range is rejected instead of skipped",
    };

    public static readonly TextOption ExternalServiceRanges = new("AWS_EXTERNAL_SERVICE_CIDRS", "", RangesExpected)
    {
        Meaning = "Destinations that pods reach through the primary ENI",
        Deviation = "A malformed range is rejected instead of skipped",
    };

    public static readonly FlagOption NodePorts = new("AWS_VPC_CNI_NODE_PORT_SUPPORT", OptionDefaults.Host.NodePorts)
    {
        Meaning = "Replies to node port traffic leave through the primary ENI, by which the traffic came, whatever ENI the pod uses",
    };

    public static readonly TextOption ConnectionMark = new(
        "AWS_VPC_K8S_CNI_CONNMARK",
        $"0x{OptionDefaults.Host.ConnectionMark:x}",
        "a mark that is not zero, e.g. 0x80"
    )
    {
        Meaning = "Bits of packet and connection marks that the node's rules use; no other program may use them",
    };

    public static readonly TextOption VethPrefix = new(
        "AWS_VPC_K8S_CNI_VETHPREFIX",
        OptionDefaults.Host.VethPrefix,
        "at most 4 letters or digits, and not eth, lo or vlan"
    )
    {
        ReadBy = OptionReaders.Daemon | OptionReaders.Install,
        Meaning = "Prefix of the names of pods' host-side veth interfaces",
    };

    public static readonly NumberOption InterfaceMtu = new("AWS_VPC_ENI_MTU", OptionDefaults.Daemon.InterfaceMtu, MinMtu, MaxMtu)
    {
        Unit = "bytes",
        ReadBy = OptionReaders.Daemon | OptionReaders.Install,
        Meaning = "MTU of ENIs",
    };

    public static readonly NumberOption RangeInterval = new(
        "VPCCNI_RANGE_INTERVAL_SECONDS",
        (int)OptionDefaults.Daemon.RangeInterval.TotalSeconds,
        1,
        3600
    )
    {
        Unit = "s",
        Meaning = "How often the daemon reads the VPC's CIDR blocks from the instance metadata; they may change while the node runs",
    };

    public static readonly FlagOption TcpEarlyDemuxDisabled = new("DISABLE_TCP_EARLY_DEMUX", false)
    {
        ReadBy = OptionReaders.Init,
        Meaning = "Sets net.ipv4.tcp_early_demux to 0, so that kubelet can probe pods that have their own security groups",
    };

    public static readonly PathOption KernelSettingsFolder = new("VPCCNI_PROC_SYS_NET", OptionDefaults.Daemon.KernelSettingsFolder)
    {
        ReadBy = OptionReaders.Daemon | OptionReaders.Init,
        Meaning =
            "Folder for writing the node's kernel parameters. /proc/sys is read-only in an unprivileged container, so the "
            + "chart mounts the node's /proc/sys/net at another path",
    };

    public static readonly PathOption PluginFolder = new("HOST_CNI_BIN_PATH", OptionDefaults.Install.PluginFolder)
    {
        ReadBy = OptionReaders.Install,
        Meaning = "The runtime's folder of CNI plugins, as mounted in the container",
    };

    public static readonly PathOption ConfigurationFolder = new("HOST_CNI_CONFDIR_PATH", OptionDefaults.Install.ConfigurationFolder)
    {
        ReadBy = OptionReaders.Install,
        Meaning = "The runtime's folder of network configurations, as mounted in the container",
    };

    public static readonly NumberOption PodMtu = new("POD_MTU", null, MinMtu, MaxMtu)
    {
        Unit = "bytes",
        DefaultText = "AWS_VPC_ENI_MTU",
        ReadBy = OptionReaders.Install,
        Meaning = "MTU of pods' interfaces",
    };

    public static readonly ChoiceOption EnforcingMode = new(
        "POD_SECURITY_GROUP_ENFORCING_MODE",
        OptionDefaults.Install.EnforcingMode,
        "strict",
        "standard"
    )
    {
        ReadBy = OptionReaders.Install,
        Meaning = "Written into the plugin's configuration",
        Otherwise = DefaultInstead,
        Deviation = "No effect: this version has no security groups for pods",
    };

    public static readonly PathOption PluginLogFile = new("AWS_VPC_K8S_PLUGIN_LOG_FILE", OptionDefaults.Install.PluginLogFile, "stderr")
    {
        ReadBy = OptionReaders.Install,
        Meaning = "Log file of the plugin; a path on the host",
    };

    public static readonly TextOption PluginLogLevel = new("AWS_VPC_K8S_PLUGIN_LOG_LEVEL", OptionDefaults.Install.PluginLogLevel, "a level")
    {
        ReadBy = OptionReaders.Install,
        Meaning = "Log level of the plugin: DEBUG, INFO, WARN, ERROR or FATAL",
    };

    public static readonly FlagOption Bandwidth = new("ENABLE_BANDWIDTH_PLUGIN", OptionDefaults.Install.Bandwidth)
    {
        ReadBy = OptionReaders.Install,
        Meaning = "The conflist also calls the bandwidth plugin, after this one",
    };

    public static readonly FlagOption V4Egress = new("ENABLE_V4_EGRESS", OptionDefaults.Install.V4Egress)
    {
        ReadBy = OptionReaders.Daemon | OptionReaders.Install,
        Meaning =
            "Pods without an IPv4 address get one of 169.254.172.0/22, which means something on their node only, for connections to IPv4 "
            + "destinations",
        Deviation = "The plugin does it itself; the plugin egress-cni is not called",
    };

    public static readonly FlagOption V6Egress = new("ENABLE_V6_EGRESS", OptionDefaults.Install.V6Egress)
    {
        ReadBy = OptionReaders.Daemon | OptionReaders.Init | OptionReaders.Install,
        Meaning =
            "Pods without an IPv6 address get one of fd00::ac:0/118, which means something on their node only, for connections to IPv6 "
            + "destinations",
        Deviation = "The plugin does it itself; the plugin egress-cni is not called",
    };

    public static readonly PathOption SocketPath = new("VPCCNI_SOCKET_PATH", OptionDefaults.Daemon.SocketPath)
    {
        ReadBy = OptionReaders.Daemon | OptionReaders.Install,
        Meaning = "Unix socket of the gRPC services",
    };

    public static readonly PathOption CheckpointPath = new("AWS_VPC_K8S_CNI_BACKING_STORE", OptionDefaults.Daemon.CheckpointPath)
    {
        Meaning = "Checkpoint file; the daemon's lock file is in the same folder",
        Deviation = "The daemon sets an unusable file aside and rebuilds the addresses in use from the kernel, instead of a crash loop",
    };

    public static readonly PathOption LogFile = new("AWS_VPC_K8S_CNI_LOG_FILE", OptionDefaults.Daemon.LogFile, "stdout", "stderr")
    {
        Meaning =
            "Log file of the daemon, one line per entry (docs/logs.md). If the file cannot be written, the daemon reports that and logs "
            + "to standard output",
    };

    public static readonly ChoiceOption LogLevel = new("AWS_VPC_K8S_CNI_LOGLEVEL", "INFO", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
    {
        Meaning = "Log level of the daemon; INFO logs what changed on the node",
        Otherwise = DefaultInstead,
        Deviation = "Default INFO instead of DEBUG",
    };

    public static readonly ChoiceOption LogFormat = new("VPCCNI_LOG_FORMAT", "text", "text", "json")
    {
        ReadBy = OptionReaders.Daemon | OptionReaders.Install,
        Meaning = "Format of the log lines of daemon and plugin (docs/logs.md)",
    };

    public static readonly FlagOption IntrospectionDisabled = new("DISABLE_INTROSPECTION", false)
    {
        Meaning = "The daemon serves no introspection",
    };

    public static readonly TextOption IntrospectionBindAddress = new("INTROSPECTION_BIND_ADDRESS", "127.0.0.1:61679", ListenExpected)
    {
        Meaning = "Listen address of introspection. Anyone who can reach it can read which pod has which address",
        Otherwise = "introspection is not served",
    };

    public static readonly FlagOption MetricsDisabled = new("DISABLE_METRICS", false) { Meaning = "The daemon serves no metrics" };

    public static readonly TextOption MetricsBindAddress = new("VPCCNI_METRICS_BIND_ADDRESS", ":61678", ListenExpected)
    {
        Meaning = "Listen address of /metrics; by default all addresses of the node, as with the AWS VPC CNI",
    };

    /// <summary>Value that the AWS VPC CNI's chart always sets, with a policy agent or without.</summary>
    public const string StandardPolicyMode = "standard";

    public static readonly ChoiceOption NetworkPolicyMode = new(
        "NETWORK_POLICY_ENFORCING_MODE",
        OptionDefaults.Daemon.NetworkPolicyMode,
        "none",
        StandardPolicyMode
    )
    {
        Meaning = "Mode that the daemon sends to the plugin and to the network policy agent",
        Deviation =
            "strict is rejected. With standard, this version of the plugin does not call the agent; a warning says so once "
            + "an agent has called the daemon",
    };

    public static readonly FlagOption ServesIpv4 = new("ENABLE_IPv4", true)
    {
        ReadBy = OptionReaders.Daemon | OptionReaders.Init | OptionReaders.Install,
        Meaning = "Pods get IPv4 addresses",
        Deviation = "Default true as in the manifest of the AWS VPC CNI, not false as in its code",
    };

    public static readonly FlagOption ServesIpv6 = new("ENABLE_IPv6", false)
    {
        ReadBy = OptionReaders.Daemon | OptionReaders.Init | OptionReaders.Install,
        Meaning =
            "Pods get IPv6 addresses. Without IPv4: from one prefix on the primary ENI, with ENABLE_PREFIX_DELEGATION and without custom "
            + "networking. With IPv4: dual stack, one address of each family, both from the same ENI",
        Deviation = "The AWS VPC CNI has no dual stack",
    };

    public static readonly FlagOption PodEni = new("ENABLE_POD_ENI", false)
    {
        Meaning = "Security groups for pods",
        Deviation = "true is rejected: this version does not have that mode",
    };

    public static readonly FlagOption MultiNic = new("ENABLE_MULTI_NIC", false)
    {
        Meaning = "Pods with interfaces on several network cards",
        Deviation = "true is rejected: this version does not have that mode",
    };

    private static IReadOnlyList<OptionDefinition> HostNetworkOptions =>
        [
            ExternalSnat,
            RandomizeSnat,
            ExcludedRanges,
            ExternalServiceRanges,
            NodePorts,
            ConnectionMark,
            VethPrefix,
            InterfaceMtu,
            RangeInterval,
            TcpEarlyDemuxDisabled,
            KernelSettingsFolder,
        ];

    private static IReadOnlyList<OptionDefinition> InstallationOptions =>
        [PluginFolder, ConfigurationFolder, PodMtu, EnforcingMode, PluginLogFile, PluginLogLevel, Bandwidth, V4Egress, V6Egress];

    private static IReadOnlyList<OptionDefinition> DaemonOptions =>
        [
            SocketPath,
            CheckpointPath,
            LogFile,
            LogLevel,
            LogFormat,
            MetricsDisabled,
            MetricsBindAddress,
            IntrospectionDisabled,
            IntrospectionBindAddress,
            NetworkPolicyMode,
            ServesIpv4,
            ServesIpv6,
            PodEni,
            MultiNic,
        ];
}
