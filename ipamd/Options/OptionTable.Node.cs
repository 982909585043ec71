// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Options;

/// <summary>What the daemon does on the node itself.</summary>
internal static partial class OptionTable
{
    /// <summary>Octets: the least that every IPv4 link carries (RFC 791), and the most of an ENI.</summary>
    private const int MinMtu = 576;
    private const int MaxMtu = 9001;

    private const string ListenExpected = "an IP address and a port, e.g. 127.0.0.1:61678, or :61678 for all addresses, or unix:/path";

    private const string RangesExpected = "IPv4 ranges with commas between them, e.g. 10.1.0.0/16,192.168.0.0/24";

    public static readonly FlagOption ExternalSnat = new("AWS_VPC_K8S_CNI_EXTERNALSNAT", OptionDefaults.Host.ExternalSnat)
    {
        Meaning = "Something outside of the node translates addresses (a NAT gateway); pods keep theirs everywhere",
    };

    public static readonly ChoiceOption RandomizeSnat = new("AWS_VPC_K8S_CNI_RANDOMIZESNAT", "prng", "prng", "hashrandom", "none")
    {
        Meaning = "How source ports of translated connections are chosen",
        Otherwise = DefaultInstead,
    };

    public static readonly TextOption ExcludedRanges = new("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "", RangesExpected)
    {
        Meaning = "Reached with the pod's own address, like the VPC itself",
        Deviation = "A malformed range is refused instead of skipped",
    };

    public static readonly TextOption ExternalServiceRanges = new("AWS_EXTERNAL_SERVICE_CIDRS", "", RangesExpected)
    {
        Meaning = "Reached through the primary ENI",
        Deviation = "A malformed range is refused instead of skipped",
    };

    public static readonly FlagOption NodePorts = new("AWS_VPC_CNI_NODE_PORT_SUPPORT", OptionDefaults.Host.NodePorts)
    {
        Meaning = "What came in for a node port by the primary ENI is answered by it, whatever ENI the pod has",
    };

    public static readonly TextOption ConnectionMark = new(
        "AWS_VPC_K8S_CNI_CONNMARK",
        $"0x{OptionDefaults.Host.ConnectionMark:x}",
        "a mark that is not zero, e.g. 0x80"
    )
    {
        Meaning = "Bits of packet and connection marks that nobody else may use",
    };

    public static readonly TextOption VethPrefix = new(
        "AWS_VPC_K8S_CNI_VETHPREFIX",
        OptionDefaults.Host.VethPrefix,
        "at most 4 letters or digits, and not eth, lo or vlan"
    )
    {
        ReadBy = OptionReaders.Daemon | OptionReaders.Install,
        Meaning = "How the names of the hosts' ends of pods' links begin",
    };

    public static readonly NumberOption InterfaceMtu = new("AWS_VPC_ENI_MTU", OptionDefaults.Daemon.InterfaceMtu, MinMtu, MaxMtu)
    {
        Unit = "octets",
        ReadBy = OptionReaders.Daemon | OptionReaders.Install,
        Meaning = "Of ENIs",
    };

    public static readonly NumberOption RangeInterval = new(
        "VPCCNI_RANGE_INTERVAL_SECONDS",
        (int)OptionDefaults.Daemon.RangeInterval.TotalSeconds,
        1,
        3600
    )
    {
        Unit = "s",
        Meaning = "How often the instance metadata is asked for the VPC's ranges, which may change while the node runs",
    };

    public static readonly FlagOption TcpEarlyDemuxDisabled = new("DISABLE_TCP_EARLY_DEMUX", false)
    {
        ReadBy = OptionReaders.Init,
        Meaning = "Sets net.ipv4.tcp_early_demux to 0, so that a kubelet can probe pods that have security groups of their own",
    };

    public static readonly PathOption KernelSettingsFolder = new("VPCCNI_PROC_SYS_NET", OptionDefaults.Daemon.KernelSettingsFolder)
    {
        ReadBy = OptionReaders.Daemon | OptionReaders.Init,
        Meaning =
            "Where the node's kernel parameters may be written. In a container that is not privileged /proc/sys is read-only, so the "
            + "chart mounts the node's /proc/sys/net beside it",
    };

    public static readonly PathOption PluginFolder = new("HOST_CNI_BIN_PATH", OptionDefaults.Install.PluginFolder)
    {
        ReadBy = OptionReaders.Install,
        Meaning = "The runtime's folder of plugins, as mounted here",
    };

    public static readonly PathOption ConfigurationFolder = new("HOST_CNI_CONFDIR_PATH", OptionDefaults.Install.ConfigurationFolder)
    {
        ReadBy = OptionReaders.Install,
        Meaning = "The runtime's folder of network configurations, as mounted here",
    };

    public static readonly NumberOption PodMtu = new("POD_MTU", null, MinMtu, MaxMtu)
    {
        Unit = "octets",
        DefaultWords = "AWS_VPC_ENI_MTU",
        ReadBy = OptionReaders.Install,
        Meaning = "Of pods' links",
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
        Meaning = "Where the plugin logs, by its path on the host",
    };

    public static readonly TextOption PluginLogLevel = new("AWS_VPC_K8S_PLUGIN_LOG_LEVEL", OptionDefaults.Install.PluginLogLevel, "a level")
    {
        ReadBy = OptionReaders.Install,
        Meaning = "What the plugin logs: DEBUG, INFO, WARN, ERROR or FATAL",
    };

    public static readonly FlagOption Bandwidth = new("ENABLE_BANDWIDTH_PLUGIN", OptionDefaults.Install.Bandwidth)
    {
        ReadBy = OptionReaders.Install,
        Meaning = "The conflist calls the bandwidth plugin after ours",
    };

    public static readonly PathOption SocketPath = new("VPCCNI_SOCKET_PATH", OptionDefaults.Daemon.SocketPath)
    {
        ReadBy = OptionReaders.Daemon | OptionReaders.Install,
        Meaning = "The Unix socket of the gRPC services",
    };

    public static readonly PathOption CheckpointPath = new("AWS_VPC_K8S_CNI_BACKING_STORE", OptionDefaults.Daemon.CheckpointPath)
    {
        Meaning = "The checkpoint; a lock file stands beside it",
        Deviation = "A file that cannot be used is kept aside, and addresses in use are rebuilt from the kernel, instead of a crash loop",
    };

    public static readonly PathOption LogFile = new("AWS_VPC_K8S_CNI_LOG_FILE", OptionDefaults.Daemon.LogFile, "stdout", "stderr")
    {
        Meaning =
            "Where the daemon logs, one line an entry (docs/logs.md). A file that cannot be written is reported, and lines go "
            + "to standard output",
    };

    public static readonly ChoiceOption LogLevel = new("AWS_VPC_K8S_CNI_LOGLEVEL", "INFO", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
    {
        Meaning = "What the daemon logs; INFO: what changed on the node",
        Otherwise = DefaultInstead,
        Deviation = "Default INFO instead of DEBUG",
    };

    public static readonly ChoiceOption LogFormat = new("VPCCNI_LOG_FORMAT", "text", "text", "json")
    {
        ReadBy = OptionReaders.Daemon | OptionReaders.Install,
        Meaning = "How the daemon's and the plugin's log lines are written (docs/logs.md)",
    };

    public static readonly FlagOption IntrospectionDisabled = new("DISABLE_INTROSPECTION", false)
    {
        Meaning = "No introspection is served",
    };

    public static readonly TextOption IntrospectionBindAddress = new("INTROSPECTION_BIND_ADDRESS", "127.0.0.1:61679", ListenExpected)
    {
        Meaning = "Where introspection listens; whoever reaches it reads which pod has which address",
        Otherwise = "introspection is not served",
    };

    public static readonly FlagOption MetricsDisabled = new("DISABLE_METRICS", false) { Meaning = "No metrics are served" };

    public static readonly TextOption MetricsBindAddress = new("VPCCNI_METRICS_BIND_ADDRESS", ":61678", ListenExpected)
    {
        Meaning = "Where metrics are served, under /metrics; the default is every address of the node, as with the AWS VPC CNI",
    };

    /// <summary>What the AWS VPC CNI's chart always sets, with an agent or without.</summary>
    public const string StandardPolicyMode = "standard";

    public static readonly ChoiceOption NetworkPolicyMode = new(
        "NETWORK_POLICY_ENFORCING_MODE",
        OptionDefaults.Daemon.NetworkPolicyMode,
        "none",
        StandardPolicyMode
    )
    {
        Meaning = "Told to the plugin and to the network policy agent",
        Deviation =
            "strict is refused, and standard does not make the plugin call the agent in this version: a warning says so once "
            + "an agent has asked the daemon for the mode",
    };

    public static readonly FlagOption ServesIpv4 = new("ENABLE_IPv4", true)
    {
        Meaning = "Pods get IPv4 addresses",
        Deviation = "Default true as in the manifest of the AWS VPC CNI; false is refused: this version serves IPv4 pods only",
    };

    public static readonly FlagOption ServesIpv6 = new("ENABLE_IPv6", false)
    {
        Meaning = "Pods get IPv6 addresses",
        Deviation = "true is refused: this version does not have that mode",
    };

    public static readonly FlagOption PodEni = new("ENABLE_POD_ENI", false)
    {
        Meaning = "Security groups for pods",
        Deviation = "true is refused: this version does not have that mode",
    };

    public static readonly FlagOption MultiNic = new("ENABLE_MULTI_NIC", false)
    {
        Meaning = "Several network cards",
        Deviation = "true is refused: this version does not have that mode",
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
        [PluginFolder, ConfigurationFolder, PodMtu, EnforcingMode, PluginLogFile, PluginLogLevel, Bandwidth];

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
