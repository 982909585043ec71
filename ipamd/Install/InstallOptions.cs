// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Install;

/// <summary>
/// Folders of the container runtime, and settings of the conflist. Variables and defaults are those of aws-node's containers.
/// </summary>
internal sealed record InstallOptions
{
    /// <summary>HOST_CNI_BIN_PATH: the runtime's folder of plugins, as mounted in the container.</summary>
    public string PluginFolder { get; init; } = "/host/opt/cni/bin";

    /// <summary>HOST_CNI_CONFDIR_PATH: the runtime's folder of network configurations, as mounted in the container.</summary>
    public string ConfigurationFolder { get; init; } = "/host/etc/cni/net.d";

    /// <summary>AWS_VPC_K8S_CNI_VETHPREFIX.</summary>
    public string VethPrefix { get; init; } = "eni";

    /// <summary>POD_MTU, or else AWS_VPC_ENI_MTU; bytes.</summary>
    public int Mtu { get; init; } = 9001;

    /// <summary>POD_SECURITY_GROUP_ENFORCING_MODE.</summary>
    public string EnforcingMode { get; init; } = "strict";

    /// <summary>AWS_VPC_K8S_PLUGIN_LOG_FILE: a path on the host, where the plugin runs.</summary>
    public string PluginLogFile { get; init; } = "/var/log/aws-routed-eni/plugin.log";

    /// <summary>AWS_VPC_K8S_PLUGIN_LOG_LEVEL.</summary>
    public string PluginLogLevel { get; init; } = "DEBUG";

    /// <summary>VPCCNI_LOG_FORMAT: <c>text</c>, the plugin's default, or <c>json</c>.</summary>
    public string PluginLogFormat { get; init; } = "text";

    /// <summary>ENABLE_BANDWIDTH_PLUGIN.</summary>
    public bool Bandwidth { get; init; }

    /// <summary>
    /// ENABLE_V4_EGRESS: the plugin gives pods without an IPv4 address one for connections to IPv4 destinations. No effect on other pods.
    /// </summary>
    public bool V4Egress { get; init; } = true;

    /// <summary>ENABLE_V6_EGRESS: as <see cref="V4Egress"/>, with the families exchanged.</summary>
    public bool V6Egress { get; init; }

    /// <summary>Path of the daemon's socket on the host.</summary>
    public string SocketPath { get; init; } = "/var/run/aws-node/ipamd.sock";
}
