// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Install;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Logging;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Options;

/// <summary>The result of binding the environment: options, the problems that prevent a start, and warnings.</summary>
/// <param name="Options">Values of the environment, or else the defaults.</param>
/// <param name="Problems">Each prevents a start.</param>
/// <param name="Warnings">Each is a sentence for the log and for <c>ipamd status</c>.</param>
/// <param name="Set">Names of the variables that the environment sets; all others have their defaults.</param>
internal sealed record BoundOptions(
    IpamdOptions Options,
    IReadOnlyList<string> Problems,
    IReadOnlyList<string> Warnings,
    IReadOnlySet<string> Set
)
{
    /// <summary>
    /// The subset of the warnings about an invalid value. Interactive commands reject such a value, because the user can correct it.
    /// </summary>
    public IReadOnlyList<string> NotAllowed { get; init; } = [];

    /// <summary>
    /// Sentences for the log at level information. Each is about a default of the AWS VPC CNI's manifest that nobody chose and that matters
    /// only together with another component.
    /// </summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>Binds environment variables to options. <see cref="OptionTable"/> defines each variable and its bounds.</summary>
internal static class OptionBinder
{
    /// <summary>
    /// Value that the reference's manifest sets for WARM_ENI_TARGET and WARM_PREFIX_TARGET even where they have no effect; not worth a
    /// warning.
    /// </summary>
    private const string ManifestDefault = "1";

    public static BoundOptions Bind(IReadOnlyDictionary<string, string> environment)
    {
        var reader = new OptionReader(environment);
        List<string> warnings = [];
        var defaults = new IpamdOptions();
        var families = Families(reader);
        var options = new IpamdOptions
        {
            Targets = Targets(reader),
            Families = families,
            Cooldown = reader.Seconds(OptionTable.Cooldown),
            AddWait = reader.Seconds(OptionTable.AddWait),
            SocketPath = reader.Path(OptionTable.SocketPath),
            CheckpointPath = reader.Path(OptionTable.CheckpointPath),
            LogFile = reader.Path(OptionTable.LogFile),
            LogLevel = reader.Level(OptionTable.LogLevel),
            LogFormat = reader.Choice(OptionTable.LogFormat) == "json" ? LogFormat.Json : LogFormat.Text,
            IntrospectionEndPoint =
                reader.Listen(OptionTable.IntrospectionBindAddress) is var introspection && reader.Flag(OptionTable.IntrospectionDisabled)
                    ? null
                    : introspection,
            MetricsEndPoint =
                reader.Listen(OptionTable.MetricsBindAddress) is var metrics && reader.Flag(OptionTable.MetricsDisabled) ? null : metrics,
            InterfaceMtu = reader.Number(OptionTable.InterfaceMtu),
            Ec2Endpoint = Ec2Endpoint(reader, warnings),
            ImdsEndpoint = reader.HttpUrl(OptionTable.MetadataEndpoint),
            HttpTimeout = reader.Seconds(OptionTable.HttpTimeout),
            Region = Region(reader),
            Profile = reader.Text(OptionTable.Profile),
            ClusterName = reader.Text(OptionTable.ClusterName) is var cluster and not "" ? cluster : null,
            AdditionalTags = reader.StringMap(OptionTable.AdditionalTags),
            ManageUntaggedInterfaces = reader.Flag(OptionTable.ManageUntagged),
            CloudAccess = Access(reader),
            SubnetDiscovery = reader.Flag(OptionTable.SubnetDiscovery),
            CustomNetworking = reader.Flag(OptionTable.CustomNetworking),
            LeakedCleanupDisabled = reader.Flag(OptionTable.LeakedCleanupDisabled),
            ManagesUnschedulable = reader.Flag(OptionTable.ManageUnschedulable),
            MetadataOnly = reader.Flag(OptionTable.MetadataOnly),
            ProvisioningDisabled = reader.Flag(OptionTable.ProvisioningDisabled) | reader.Flag(OptionTable.MetadataOnly),
            Cluster = Cluster(reader),
            HostNetwork = HostNetwork(reader, defaults.HostNetwork, families),
            RangeInterval = reader.Seconds(OptionTable.RangeInterval),
            KernelSettingsFolder = reader.Path(OptionTable.KernelSettingsFolder),
            TcpEarlyDemuxDisabled = reader.Flag(OptionTable.TcpEarlyDemuxDisabled),
            NetworkPolicyMode = reader.Choice(OptionTable.NetworkPolicyMode),
        };
        options = options with { Install = Install(reader, options) };
        RejectMissingModes(reader);
        CheckIpv6(reader, options);
        if (options is { CustomNetworking: true, Cluster.IsEnabled: false })
        {
            reader.Problem(
                OptionTable.CustomNetworking,
                "true",
                "an API server to read ENIConfigs from: KUBERNETES_SERVICE_HOST or CLUSTER_ENDPOINT, and MY_NODE_NAME"
            );
        }

        if (options.Families == PodFamilies.Ipv6)
        {
            if (options.Targets.UsesAddressTargets)
                warnings.Add(
                    "WARM_IP_TARGET and MINIMUM_IP_TARGET have no effect: with ENABLE_IPv6=true and ENABLE_IPv4=false one prefix has "
                        + "addresses for every pod of the node"
                );
        }
        else if (options.Targets is { WarmIpTarget: 0, MinimumIpTarget: > 0 })
        {
            warnings.Add(
                "MINIMUM_IP_TARGET without WARM_IP_TARGET: above the minimum, the pool grows only when it is empty; set "
                    + "WARM_IP_TARGET to keep free addresses"
            );
        }

        if (options.Families != PodFamilies.Ipv6)
            WarnOfTargets(
                options.Targets,
                name => environment.TryGetValue(name, out var value) && value.Length > 0 && value != ManifestDefault,
                warnings
            );
        if (options is { ManagesUnschedulable: true, ProvisioningDisabled: true })
        {
            warnings.Add(
                "AWS_MANAGE_ENIS_NON_SCHEDULABLE has no effect: DISABLE_NETWORK_RESOURCE_PROVISIONING or ENABLE_IMDS_ONLY_MODE is "
                    + "true, so the daemon changes nothing in EC2"
            );
        }

        if (options is { CustomNetworking: true, Targets.MaxInterfaces: 1 })
        {
            warnings.Add(
                "MAX_ENI=1 with AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG=true: the primary ENI serves no pods with custom networking, and no "
                    + "other ENI is allowed, so no pod gets an address; raise MAX_ENI"
            );
        }

        if (options.CloudAccess != CloudAccess.Full)
        {
            warnings.Add(
                $"{CloudAccessText.Option}={CloudAccessText.Of(options.CloudAccess)}: meant for incidents only; unset it, "
                    + "or set it to full, after the incident"
            );
        }

        if (options.HostNetwork is { ExternalSnat: true, ExcludedRanges.Count: > 0 })
        {
            warnings.Add("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS has no effect: with AWS_VPC_K8S_CNI_EXTERNALSNAT=true the node does no SNAT");
        }

        List<string> notes = [];
        if (options.NetworkPolicyMode == OptionTable.StandardPolicyMode)
        {
            notes.Add("NETWORK_POLICY_ENFORCING_MODE=standard has an effect only with a network policy agent, and none has called yet");
        }

        if (options.Cluster is { Endpoint: not null, IsEnabled: false })
        {
            warnings.Add("MY_NODE_NAME is not set, so the daemon cannot identify its node and does not use the API server");
        }

        if (options.Cluster is { AnnotatesPods: true, IsEnabled: false })
        {
            warnings.Add(
                "ANNOTATE_POD_IP has no effect without an API server (KUBERNETES_SERVICE_HOST or CLUSTER_ENDPOINT, and MY_NODE_NAME)"
            );
        }

        if (options.AddWait > TimeSpan.FromSeconds(25))
        {
            warnings.Add(
                "VPCCNI_ADD_WAIT_SECONDS is close to or above the plugin's deadline of 30 s; raise ipamdTimeoutSeconds in the conflist, too"
            );
        }

        warnings.AddRange(reader.Warnings);
        warnings.AddRange(UnknownVariables.Warnings(environment));
        return new BoundOptions(options, reader.Problems, warnings, reader.Set) { NotAllowed = reader.Warnings, Notes = notes };
    }

    private static PoolTargets Targets(OptionReader reader) =>
        new()
        {
            UsesPrefixes = reader.Flag(OptionTable.PrefixDelegation),
            WarmPrefixTarget = reader.Number(OptionTable.WarmPrefixTarget),
            WarmEniTarget = reader.Number(OptionTable.WarmEniTarget),
            WarmIpTarget = reader.Number(OptionTable.WarmIpTarget),
            MinimumIpTarget = reader.Number(OptionTable.MinimumIpTarget),
            MaxInterfaces = reader.Limit(OptionTable.MaxEni),
            MaxPods = reader.Limit(OptionTable.MaxPods),
        };

    private static PodFamilies Families(OptionReader reader)
    {
        switch (reader.Flag(OptionTable.ServesIpv4), reader.Flag(OptionTable.ServesIpv6))
        {
            case (true, true):
                return PodFamilies.Dual;
            case (false, true):
                return PodFamilies.Ipv6;
            case (false, false):
                reader.Problem(OptionTable.ServesIpv4, "false", "true, or ENABLE_IPv6=true: pods need addresses of one family at least");
                return PodFamilies.Ipv4;
            default:
                return PodFamilies.Ipv4;
        }
    }

    /// <summary>Rejects what IPv6 pods cannot have.</summary>
    private static void CheckIpv6(OptionReader reader, IpamdOptions options)
    {
        if (!options.Families.Contains(IpFamily.V6))
            return;
        const string because = "the minimum MTU of IPv6 (RFC 8200, section 5), because ENABLE_IPv6 is true";
        if (options.InterfaceMtu < OptionTable.MinIpv6Mtu)
            reader.Problem(OptionTable.InterfaceMtu, $"{options.InterfaceMtu}", $"at least {OptionTable.MinIpv6Mtu}, {because}");
        if (options.Install.Mtu < OptionTable.MinIpv6Mtu && options.InterfaceMtu != options.Install.Mtu)
            reader.Problem(OptionTable.PodMtu, $"{options.Install.Mtu}", $"at least {OptionTable.MinIpv6Mtu}, {because}");
        if (options.Families.Contains(IpFamily.V4))
            return;
        if (!options.Targets.UsesPrefixes)
            reader.Problem(
                OptionTable.PrefixDelegation,
                "false",
                "true: with ENABLE_IPv6=true and ENABLE_IPv4=false pods get their addresses from a prefix"
            );
        if (options.CustomNetworking)
            reader.Problem(
                OptionTable.CustomNetworking,
                "true",
                "false: with ENABLE_IPv6=true and ENABLE_IPv4=false all pods have addresses of the primary ENI"
            );
    }

    /// <summary>Warns of targets that another one overrides, in the reference's order of precedence.</summary>
    private static void WarnOfTargets(PoolTargets targets, Func<string, bool> isSet, List<string> warnings)
    {
        const string overridden = "WARM_IP_TARGET or MINIMUM_IP_TARGET is set and overrides it";
        if (targets.UsesAddressTargets && isSet("WARM_ENI_TARGET"))
            warnings.Add($"WARM_ENI_TARGET has no effect: {overridden}");
        else if (targets.UsesPrefixes && isSet("WARM_ENI_TARGET"))
            warnings.Add(
                "WARM_ENI_TARGET has no effect: with ENABLE_PREFIX_DELEGATION, targets count prefixes; use WARM_PREFIX_TARGET, "
                    + "WARM_IP_TARGET or MINIMUM_IP_TARGET"
            );
        if (targets is { UsesPrefixes: true, UsesAddressTargets: true } && isSet("WARM_PREFIX_TARGET"))
            warnings.Add($"WARM_PREFIX_TARGET has no effect: {overridden}");
        if (!targets.UsesPrefixes && isSet("WARM_PREFIX_TARGET"))
            warnings.Add("WARM_PREFIX_TARGET has no effect without ENABLE_PREFIX_DELEGATION=true");
        if (targets is { UsesPrefixes: true, UsesAddressTargets: false, WarmPrefixTarget: 0 })
        {
            warnings.Add(
                "WARM_PREFIX_TARGET=0 without WARM_IP_TARGET and MINIMUM_IP_TARGET: the pool grows only when it is empty, so "
                    + "pods wait for the cloud"
            );
        }
    }

    /// <summary>
    /// Returns the endpoint of EC2: the service's variable first, then its alias, then the variable of all services. Every AWS SDK prefers
    /// the service's variable; the alias names the service, too.
    /// </summary>
    private static Uri? Ec2Endpoint(OptionReader reader, List<string> warnings)
    {
        var serviceUrl = reader.HttpUrl(OptionTable.Ec2EndpointUrl);
        var alias = reader.HttpUrl(OptionTable.Ec2Endpoint);
        var globalUrl = reader.HttpUrl(OptionTable.EndpointUrl);
        if (reader.Flag(OptionTable.EndpointUrlsIgnored))
            return alias;
        if (serviceUrl is not null && alias is not null && serviceUrl != alias)
        {
            warnings.Add("AWS_EC2_ENDPOINT has no effect: AWS_ENDPOINT_URL_EC2 is set and overrides it");
        }

        return serviceUrl ?? alias ?? globalUrl;
    }

    private static string? Region(OptionReader reader) =>
        new[] { OptionTable.Region, OptionTable.DefaultRegion }.Select(reader.Text).FirstOrDefault(region => region.Length > 0);

    private static ClusterOptions Cluster(OptionReader reader)
    {
        // A name without a scheme means https, as in the AWS VPC CNI's client library.
        var endpoint = reader.HttpUrl(OptionTable.ClusterEndpoint, Uri.UriSchemeHttps);
        var host = reader.Text(OptionTable.ServiceHost);
        var port = reader.Number(OptionTable.ServicePort);
        if (endpoint is null && host.Length > 0)
        {
            if (Uri.CheckHostName(host) != UriHostNameType.Unknown)
                endpoint = new UriBuilder(Uri.UriSchemeHttps, host, port).Uri;
            else
                reader.Problem(OptionTable.ServiceHost, host);
        }

        return new ClusterOptions
        {
            Endpoint = endpoint,
            ServiceAccountPath = reader.Path(OptionTable.ServiceAccountPath),
            NodeName = reader.Text(OptionTable.NodeName),
            EniConfigAnnotation = reader.Text(OptionTable.EniConfigAnnotation),
            EniConfigLabel = reader.Text(OptionTable.EniConfigLabel),
            AnnotatesPods = reader.Flag(OptionTable.AnnotatePods),
        };
    }

    private static InstallOptions Install(OptionReader reader, IpamdOptions options)
    {
        var defaults = new InstallOptions();
        return new InstallOptions
        {
            PluginFolder = reader.Path(OptionTable.PluginFolder),
            ConfigurationFolder = reader.Path(OptionTable.ConfigurationFolder),
            VethPrefix = options.HostNetwork.VethPrefix,
            Mtu = reader.Number(OptionTable.PodMtu, options.InterfaceMtu),
            EnforcingMode = reader.Choice(OptionTable.EnforcingMode),
            PluginLogFile = reader.Path(OptionTable.PluginLogFile),
            PluginLogLevel = reader.Text(OptionTable.PluginLogLevel),
            PluginLogFormat = options.LogFormat == LogFormat.Json ? "json" : "text",
            Bandwidth = reader.Flag(OptionTable.Bandwidth),
            V4Egress = reader.Flag(OptionTable.V4Egress),
            V6Egress = reader.Flag(OptionTable.V6Egress),
            SocketPath = options.SocketPath,
        };
    }

    private static HostNetworkOptions HostNetwork(OptionReader reader, HostNetworkOptions defaults, PodFamilies families) =>
        new()
        {
            ExternalSnat = reader.Flag(OptionTable.ExternalSnat),
            SnatPorts = reader.Choice(OptionTable.RandomizeSnat) switch
            {
                "hashrandom" => SnatPorts.HashRandom,
                "none" => SnatPorts.Kept,
                _ => SnatPorts.FullyRandom,
            },
            ExcludedRanges = reader.Ipv4Ranges(OptionTable.ExcludedRanges),
            ExternalServiceRanges = reader.Ipv4Ranges(OptionTable.ExternalServiceRanges),
            NodePorts = reader.Flag(OptionTable.NodePorts),
            ConnectionMark = reader.Mark(OptionTable.ConnectionMark, defaults.ConnectionMark),
            VethPrefix = VethPrefix(reader),
            HasIpv6OnSecondary = families.Contains(IpFamily.V6),
            Ipv4Egress = reader.Flag(OptionTable.V4Egress) && !families.Contains(IpFamily.V4),
            Ipv6Egress = reader.Flag(OptionTable.V6Egress) && !families.Contains(IpFamily.V6),
        };

    private static string VethPrefix(OptionReader reader)
    {
        var prefix = reader.Text(OptionTable.VethPrefix);
        if (prefix.Length <= 4 && prefix is not ("eth" or "lo" or "vlan") && prefix.All(char.IsAsciiLetterOrDigit))
            return prefix;
        reader.Problem(OptionTable.VethPrefix, prefix);
        return OptionTable.VethPrefix.Default;
    }

    private static CloudAccess Access(OptionReader reader) =>
        CloudAccessText.TryParse(reader.Choice(OptionTable.CloudAccessLevel), out var access) ? access : CloudAccess.Full;

    /// <summary>
    /// Rejects modes of the reference that this version does not have. Starting without them would break the pods that rely on them.
    /// </summary>
    private static void RejectMissingModes(OptionReader reader)
    {
        foreach (var mode in new[] { OptionTable.PodEni, OptionTable.MultiNic })
        {
            if (reader.Flag(mode))
                reader.Problem(mode, "true", "false: this version does not have that mode");
        }
    }
}
