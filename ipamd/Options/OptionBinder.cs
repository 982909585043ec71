// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Cloud;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Install;
using VpcCni.Ipamd.WarmPool;

namespace VpcCni.Ipamd.Options;

/// <summary>What the environment amounts to: options, the problems that forbid a start, and combinations that make no sense but do no harm.</summary>
internal sealed record BoundOptions(IpamdOptions Options, IReadOnlyList<string> Problems, IReadOnlyList<string> Warnings);

/// <summary>Names of the environment variables and their bounds, in one place.</summary>
internal static class OptionBinder
{
    /// <summary>More than any instance can carry; a larger number is a typing error.</summary>
    private const int MaxTarget = 100_000;

    /// <summary>The reference's manifest sets WARM_ENI_TARGET and WARM_PREFIX_TARGET to this whether they mean anything or not: no reason for a warning.</summary>
    private const string ManifestDefault = "1";

    public static BoundOptions Bind(IReadOnlyDictionary<string, string> environment)
    {
        var reader = new OptionReader(environment);
        List<string> warnings = [];
        var defaults = new IpamdOptions();
        var options = new IpamdOptions
        {
            Targets = new PoolTargets
            {
                UsesPrefixes = reader.Boolean("ENABLE_PREFIX_DELEGATION", false),
                WarmPrefixTarget = reader.Integer("WARM_PREFIX_TARGET", defaults.Targets.WarmPrefixTarget, 0, MaxTarget),
                WarmEniTarget = reader.Integer("WARM_ENI_TARGET", defaults.Targets.WarmEniTarget, 0, MaxTarget),
                WarmIpTarget = reader.Integer("WARM_IP_TARGET", 0, 0, MaxTarget),
                MinimumIpTarget = reader.Integer("MINIMUM_IP_TARGET", 0, 0, MaxTarget),
                MaxEni = reader.Integer("MAX_ENI", 0, -1, MaxTarget) is var limit and > 0 ? limit : null,
                MaxPods = reader.Integer("VPCCNI_MAX_PODS", 0, 0, MaxTarget) is var pods and > 0 ? pods : null,
            },
            Cooldown = reader.Seconds("IP_COOLDOWN_PERIOD", defaults.Cooldown, 0, 86_400),
            AddWait = reader.Seconds("VPCCNI_ADD_WAIT_SECONDS", defaults.AddWait, 0, 110),
            SocketPath = reader.AbsolutePath("VPCCNI_SOCKET_PATH", defaults.SocketPath),
            CheckpointPath = reader.AbsolutePath("AWS_VPC_K8S_CNI_BACKING_STORE", defaults.CheckpointPath),
            LogFile = reader.AbsolutePath("AWS_VPC_K8S_CNI_LOG_FILE", defaults.LogFile, "stdout", "stderr"),
            LogLevel = reader.Level("AWS_VPC_K8S_CNI_LOGLEVEL", defaults.LogLevel),
            InterfaceMtu = reader.Integer("AWS_VPC_ENI_MTU", defaults.InterfaceMtu, 576, 9001),
            Ec2Endpoint = reader.HttpUrl("AWS_EC2_ENDPOINT"),
            ImdsEndpoint = reader.HttpUrl("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
            HttpTimeout = reader.Seconds("HTTP_TIMEOUT", defaults.HttpTimeout, 10, 600),
            Region = reader.Text("AWS_REGION", "") is var region and not "" ? region : null,
            ClusterName = reader.Text("CLUSTER_NAME", "") is var cluster and not "" ? cluster : null,
            AdditionalTags = reader.StringMap("ADDITIONAL_ENI_TAGS"),
            ManageUntaggedInterfaces = reader.Boolean("MANAGE_UNTAGGED_ENI", defaults.ManageUntaggedInterfaces),
            CloudAccess = Access(reader),
            SubnetDiscovery = reader.Boolean("ENABLE_SUBNET_DISCOVERY", defaults.SubnetDiscovery),
            LeakedCleanupDisabled = reader.Boolean("DISABLE_LEAKED_ENI_CLEANUP", false),
            ManagesUnschedulable = reader.Boolean("AWS_MANAGE_ENIS_NON_SCHEDULABLE", false),
            MetadataOnly = reader.Boolean("ENABLE_IMDS_ONLY_MODE", false),
            ProvisioningDisabled = reader.Boolean("DISABLE_NETWORK_RESOURCE_PROVISIONING", false) | reader.Boolean("ENABLE_IMDS_ONLY_MODE", false),
            HostNetwork = HostNetwork(reader, defaults.HostNetwork),
            RangeInterval = reader.Seconds("VPCCNI_RANGE_INTERVAL_SECONDS", defaults.RangeInterval, 1, 3600),
            TcpEarlyDemuxDisabled = reader.Boolean("DISABLE_TCP_EARLY_DEMUX", false),
            NetworkPolicyMode = reader.OneOf("NETWORK_POLICY_ENFORCING_MODE", "", "none", "standard"),
        };
        options = options with { Install = Install(reader, options) };
        RefuseOtherModes(reader);
        if (options.Targets is { WarmIpTarget: 0, MinimumIpTarget: > 0 })
        {
            warnings.Add("MINIMUM_IP_TARGET without WARM_IP_TARGET: above the minimum the pool grows only when it is empty; set WARM_IP_TARGET to keep addresses ready");
        }

        WarnOfTargets(options.Targets, name => environment.TryGetValue(name, out var value) && value.Length > 0 && value != ManifestDefault, warnings);
        if (options is { ManagesUnschedulable: true, ProvisioningDisabled: true })
        {
            warnings.Add("AWS_MANAGE_ENIS_NON_SCHEDULABLE has no effect: DISABLE_NETWORK_RESOURCE_PROVISIONING or ENABLE_IMDS_ONLY_MODE is true, so nothing is changed on any node");
        }

        if (options.CloudAccess != CloudAccess.Full)
        {
            warnings.Add($"{CloudAccessText.Option}={CloudAccessText.Of(options.CloudAccess)}: meant for the time of an incident; unset it, or set it to full, when that is over");
        }

        if (options.HostNetwork is { ExternalSnat: true, ExcludedRanges.Count: > 0 })
        {
            warnings.Add("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS has no effect: with AWS_VPC_K8S_CNI_EXTERNALSNAT=true the node translates nothing");
        }

        if (options.NetworkPolicyMode == "standard")
        {
            warnings.Add("NETWORK_POLICY_ENFORCING_MODE=standard: the plugin does not call the policy agent in this version; policies apply when the agent finds the pod by itself");
        }

        if (options.AddWait > TimeSpan.FromSeconds(25))
        {
            warnings.Add("VPCCNI_ADD_WAIT_SECONDS is close to or above the plugin's own deadline of 30 s (ipamdTimeoutSeconds); raise that too");
        }

        return new BoundOptions(options, reader.Problems, warnings);
    }

    /// <summary>Which of several targets wins, in the reference's order.</summary>
    private static void WarnOfTargets(PoolTargets targets, Func<string, bool> isSet, List<string> warnings)
    {
        const string addressTargets = "WARM_IP_TARGET or MINIMUM_IP_TARGET is set and wins";
        if (targets.UsesAddressTargets && isSet("WARM_ENI_TARGET")) warnings.Add($"WARM_ENI_TARGET has no effect: {addressTargets}");
        else if (targets.UsesPrefixes && isSet("WARM_ENI_TARGET")) warnings.Add("WARM_ENI_TARGET has no effect: with ENABLE_PREFIX_DELEGATION prefixes are counted; use WARM_PREFIX_TARGET, WARM_IP_TARGET or MINIMUM_IP_TARGET");
        if (targets is { UsesPrefixes: true, UsesAddressTargets: true } && isSet("WARM_PREFIX_TARGET")) warnings.Add($"WARM_PREFIX_TARGET has no effect: {addressTargets}");
        if (!targets.UsesPrefixes && isSet("WARM_PREFIX_TARGET")) warnings.Add("WARM_PREFIX_TARGET has no effect without ENABLE_PREFIX_DELEGATION=true");
        if (targets is { UsesPrefixes: true, UsesAddressTargets: false, WarmPrefixTarget: 0 })
        {
            warnings.Add("WARM_PREFIX_TARGET=0 without WARM_IP_TARGET and MINIMUM_IP_TARGET: the pool grows only when it is empty, so that pods wait for the cloud");
        }
    }

    private static InstallOptions Install(OptionReader reader, IpamdOptions options)
    {
        var defaults = new InstallOptions();
        return new InstallOptions
        {
            PluginFolder = reader.AbsolutePath("HOST_CNI_BIN_PATH", defaults.PluginFolder),
            ConfigurationFolder = reader.AbsolutePath("HOST_CNI_CONFDIR_PATH", defaults.ConfigurationFolder),
            VethPrefix = options.HostNetwork.VethPrefix,
            Mtu = reader.Integer("POD_MTU", options.InterfaceMtu, 576, 9001),
            EnforcingMode = reader.OneOf("POD_SECURITY_GROUP_ENFORCING_MODE", defaults.EnforcingMode, "strict", "standard"),
            PluginLogFile = reader.AbsolutePath("AWS_VPC_K8S_PLUGIN_LOG_FILE", defaults.PluginLogFile, "stderr"),
            PluginLogLevel = reader.Text("AWS_VPC_K8S_PLUGIN_LOG_LEVEL", defaults.PluginLogLevel),
            Bandwidth = reader.Boolean("ENABLE_BANDWIDTH_PLUGIN", defaults.Bandwidth),
            SocketPath = options.SocketPath,
        };
    }

    private static HostNetworkOptions HostNetwork(OptionReader reader, HostNetworkOptions defaults) => new()
    {
        ExternalSnat = reader.Boolean("AWS_VPC_K8S_CNI_EXTERNALSNAT", defaults.ExternalSnat),
        SnatPorts = reader.OneOf("AWS_VPC_K8S_CNI_RANDOMIZESNAT", "prng", "prng", "hashrandom", "none") switch { "hashrandom" => SnatPorts.HashRandom, "none" => SnatPorts.Kept, _ => defaults.SnatPorts },
        ExcludedRanges = reader.Ipv4Ranges("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS"),
        ExternalServiceRanges = reader.Ipv4Ranges("AWS_EXTERNAL_SERVICE_CIDRS"),
        NodePorts = reader.Boolean("AWS_VPC_CNI_NODE_PORT_SUPPORT", defaults.NodePorts),
        ConnectionMark = reader.Mark("AWS_VPC_K8S_CNI_CONNMARK", defaults.ConnectionMark),
        VethPrefix = VethPrefix(reader, defaults.VethPrefix),
    };

    private static string VethPrefix(OptionReader reader, string fallback)
    {
        var prefix = reader.Text("AWS_VPC_K8S_CNI_VETHPREFIX", fallback);
        if (prefix.Length <= 4 && prefix is not ("eth" or "lo" or "vlan") && prefix.All(char.IsAsciiLetterOrDigit)) return prefix;
        reader.Problem("AWS_VPC_K8S_CNI_VETHPREFIX", prefix, "at most 4 letters or digits, and not eth, lo or vlan");
        return fallback;
    }

    private static CloudAccess Access(OptionReader reader)
    {
        var text = reader.Text(CloudAccessText.Option, CloudAccessText.Of(CloudAccess.Full));
        if (CloudAccessText.TryParse(text, out var access)) return access;
        reader.Problem(CloudAccessText.Option, text, CloudAccessText.Expected);
        return CloudAccess.Full;
    }

    /// <summary>Modes of the reference that this version does not have are refused: running without them would break the pods that rely on them.</summary>
    private static void RefuseOtherModes(OptionReader reader)
    {
        if (!reader.Boolean("ENABLE_IPv4", true)) reader.Problem("ENABLE_IPv4", "false", "true: this version serves IPv4 pods only");
        foreach (var name in new[] { "ENABLE_IPv6", "ENABLE_POD_ENI", "ENABLE_MULTI_NIC", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG" })
        {
            if (reader.Boolean(name, false)) reader.Problem(name, "true", "false: this version does not have that mode");
        }
    }
}
