// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Startup;
using Xunit;

namespace VpcCni.Ipamd.Tests.Options;

public sealed class OptionBinderTests
{
    [Fact]
    public void Empty_environment_gives_the_documented_defaults()
    {
        var bound = Bind();
        Assert.Empty(bound.Problems);
        Assert.Empty(bound.Warnings);
        var options = bound.Options;
        Assert.Equal(
            (1, 0, 0, null),
            (options.Targets.WarmEniTarget, options.Targets.WarmIpTarget, options.Targets.MinimumIpTarget, options.Targets.MaxInterfaces)
        );
        Assert.Equal(TimeSpan.FromSeconds(30), options.Cooldown);
        Assert.Equal(TimeSpan.FromSeconds(20), options.AddWait);
        Assert.Equal("/var/run/aws-node/ipamd.sock", options.SocketPath);
        Assert.Equal("/var/run/aws-node/ipam.json", options.CheckpointPath);
        Assert.Equal((9001, "eni", LogLevel.Information), (options.InterfaceMtu, options.HostNetwork.VethPrefix, options.LogLevel));
        Assert.Equal(
            (false, SnatPorts.FullyRandom, true, 0x80u),
            (
                options.HostNetwork.ExternalSnat,
                options.HostNetwork.SnatPorts,
                options.HostNetwork.NodePorts,
                options.HostNetwork.ConnectionMark
            )
        );
        Assert.True(options.ManageUntaggedInterfaces);
    }

    [Fact]
    public void Variables_of_aws_node_keep_their_meaning()
    {
        var options = Bind(
            ("WARM_ENI_TARGET", "2"),
            ("WARM_IP_TARGET", "5"),
            ("MINIMUM_IP_TARGET", "10"),
            ("MAX_ENI", "3"),
            ("IP_COOLDOWN_PERIOD", "0"),
            ("AWS_VPC_ENI_MTU", "1500"),
            ("AWS_VPC_K8S_CNI_LOGLEVEL", "debug"),
            ("AWS_VPC_K8S_CNI_LOG_FILE", "stdout"),
            ("ADDITIONAL_ENI_TAGS", """{"a":"b"}"""),
            ("CLUSTER_NAME", "prod"),
            ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "true"),
            ("ENABLE_IPv4", "true"),
            ("ENABLE_PREFIX_DELEGATION", "false"),
            ("DISABLE_NETWORK_RESOURCE_PROVISIONING", "T")
        ).Options;
        Assert.Equal(
            (2, 5, 10, 3),
            (
                options.Targets.WarmEniTarget,
                options.Targets.WarmIpTarget,
                options.Targets.MinimumIpTarget,
                options.Targets.MaxInterfaces!.Value
            )
        );
        Assert.Equal(TimeSpan.Zero, options.Cooldown);
        Assert.Equal(
            (1500, LogLevel.Debug, "stdout", "prod"),
            (options.InterfaceMtu, options.LogLevel, options.LogFile, options.ClusterName)
        );
        Assert.Equal("b", options.AdditionalTags["a"]);
        Assert.True(options.HostNetwork.ExternalSnat);
        Assert.True(options.ProvisioningDisabled);
    }

    public static TheoryData<string, string> Malformed =>
        new()
        {
            { "IP_COOLDOWN_PERIOD", "30s" },
            { "IP_COOLDOWN_PERIOD", "86401" },
            { "POD_MTU", "9002" },
            { "AWS_VPC_ENI_MTU", "9002" },
            { "AWS_VPC_ENI_MTU", "575" },
            { "VPCCNI_ADD_WAIT_SECONDS", "111" },
            { "VPCCNI_SOCKET_PATH", "ipamd.sock" },
            { "AWS_VPC_K8S_CNI_LOG_FILE", "log" },
            { "AWS_VPC_K8S_CNI_VETHPREFIX", "eth" },
            { "AWS_VPC_K8S_CNI_VETHPREFIX", "toolong" },
            { "AWS_VPC_K8S_CNI_VETHPREFIX", "e/" },
            { "AWS_EC2_ENDPOINT", "ec2" },
            { "AWS_ENDPOINT_URL_EC2", "ftp://ec2" },
            { "AWS_ENDPOINT_URL", "all" },
            { "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ftp://x" },
            { "MANAGE_UNTAGGED_ENI", "yes" },
            { "NETWORK_POLICY_ENFORCING_MODE", "loose" },
            { "NETWORK_POLICY_ENFORCING_MODE", "strict" },
            { "ENABLE_IPv4", "false" },
            { "ENABLE_POD_ENI", "true" },
            { "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "10.0.0.0" },
            { "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "10.0.0.0/33" },
            { "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "10.0/16" },
            { "AWS_EXTERNAL_SERVICE_CIDRS", "fd00::/8" },
            { "AWS_VPC_K8S_CNI_CONNMARK", "0" },
            { "AWS_VPC_K8S_CNI_CONNMARK", "0xg" },
            { "ENABLE_POD_ENI", "true" },
            { "ENABLE_MULTI_NIC", "true" },
            { "VPCCNI_METRICS_BIND_ADDRESS", "everywhere" },
            { "CLUSTER_ENDPOINT", "ftp://x" },
            { "VPCCNI_MAX_PODS", "-1" },
        };

    /// <summary>Values that the AWS VPC CNI accepts, and on which neither a pod's address nor the path of its packets depends.</summary>
    public static TheoryData<string, string, string> NotUsed =>
        new()
        {
            { "WARM_IP_TARGET", "-1", "0 is used" },
            { "WARM_IP_TARGET", "five", "0 is used" },
            { "WARM_IP_TARGET", "999999", "100000 is used" },
            { "WARM_ENI_TARGET", "1.5", "1 is used" },
            { "WARM_ENI_TARGET", "-1", "1 is used" },
            { "WARM_PREFIX_TARGET", "x", "1 is used" },
            { "MINIMUM_IP_TARGET", "x", "0 is used" },
            { "MAX_ENI", "x", "the instance type's limit is used" },
            { "MAX_ENI", "-2", "the instance type's limit is used" },
            { "HTTP_TIMEOUT", "5", "10 is used" },
            { "HTTP_TIMEOUT", "10s", "10 is used" },
            { "HTTP_TIMEOUT", "900", "600 is used" },
            { "AWS_VPC_K8S_CNI_RANDOMIZESNAT", "always", "prng is used" },
            { "AWS_VPC_K8S_CNI_LOGLEVEL", "LOUD", "INFO is used" },
            { "POD_SECURITY_GROUP_ENFORCING_MODE", "lax", "strict is used" },
            { "INTROSPECTION_BIND_ADDRESS", "unix:/", "introspection is not served" },
            { "ADDITIONAL_ENI_TAGS", "{", "no additional tags are used" },
            { "ADDITIONAL_ENI_TAGS", """{"a":1}""", "no additional tags are used" },
            { "ADDITIONAL_ENI_TAGS", """{"a":"\ud800"}""", "no additional tags are used" },
            { "ADDITIONAL_ENI_TAGS", "[]", "no additional tags are used" },
        };

    [Theory]
    [MemberData(nameof(NotUsed))]
    public void Invalid_value_that_the_reference_accepts_warns_with_its_replacement(string name, string value, string instead)
    {
        var bound = Bind((name, value));
        Assert.Empty(bound.Problems);
        var warning = Assert.Single(
            bound.Warnings,
            warning => warning.StartsWith($"{name}='{value}': expected ", StringComparison.Ordinal)
        );
        Assert.EndsWith($"; {instead}", warning, StringComparison.Ordinal);
    }

    [Fact]
    public void Replacement_in_a_warning_is_the_value_in_use()
    {
        var options = Bind(
            ("HTTP_TIMEOUT", "900"),
            ("WARM_ENI_TARGET", "-1"),
            ("MAX_ENI", "-2"),
            ("AWS_VPC_K8S_CNI_RANDOMIZESNAT", "x"),
            ("INTROSPECTION_BIND_ADDRESS", "x")
        ).Options;
        Assert.Equal(
            (TimeSpan.FromMinutes(10), 1, null),
            (options.HttpTimeout, options.Targets.WarmEniTarget, options.Targets.MaxInterfaces)
        );
        Assert.Equal((SnatPorts.FullyRandom, null), (options.HostNetwork.SnatPorts, options.IntrospectionEndPoint));
    }

    [Theory]
    [InlineData("k8s.amazonaws.com/x")]
    [InlineData("aws:x")]
    [InlineData("")]
    public void Ignored_tag_does_not_prevent_the_start(string key)
    {
        var bound = CloudComposition.Check(Bind(("ADDITIONAL_ENI_TAGS", $$"""{"{{key}}":"y","team":"net"}""")));
        Assert.Empty(bound.Problems);
        Assert.StartsWith($"ADDITIONAL_ENI_TAGS: tag '{key}' is ignored: ", Assert.Single(bound.Warnings), StringComparison.Ordinal);
    }

    /// <summary>A path that the kernel would reject is reported before anything starts.</summary>
    [Theory]
    [InlineData(107, true)]
    [InlineData(108, false)]
    public void Metrics_socket_path_longer_than_the_kernel_allows_is_rejected(int length, bool isValid) =>
        Assert.Equal(
            isValid,
            Bind(("VPCCNI_METRICS_BIND_ADDRESS", "unix:/run/".PadRight("unix:".Length + length, 'a'))).Problems.Count == 0
        );

    [Theory]
    [MemberData(nameof(Malformed))]
    public void Malformed_value_is_a_problem_with_variable_value_and_expectation(string name, string value)
    {
        var problem = Assert.Single(Bind((name, value)).Problems);
        Assert.StartsWith($"{name}='{value}': expected ", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void All_problems_are_reported_together() =>
        Assert.Equal(3, Bind(("IP_COOLDOWN_PERIOD", "a"), ("MANAGE_UNTAGGED_ENI", "b"), ("ENABLE_POD_ENI", "true")).Problems.Count);

    [Theory]
    [InlineData("true", "false", "IPv4")]
    [InlineData("false", "true", "IPv6")]
    [InlineData("true", "true", "IPv4 and IPv6")]
    public void Families_of_the_pods_are_those_enabled(string ipv4, string ipv6, string families)
    {
        var bound = Bind(("ENABLE_IPv4", ipv4), ("ENABLE_IPv6", ipv6), ("ENABLE_PREFIX_DELEGATION", "true"));

        Assert.Empty(bound.Problems);
        Assert.Equal(families, bound.Options.Families.ToString());
    }

    [Theory]
    [InlineData("ENABLE_PREFIX_DELEGATION", "false")]
    [InlineData("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "true")]
    [InlineData("AWS_VPC_ENI_MTU", "1279")]
    [InlineData("POD_MTU", "1279")]
    public void Ipv6_rejects_what_its_pods_cannot_have(string name, string value)
    {
        var variables = new Dictionary<string, string>
        {
            ["ENABLE_IPv4"] = "false",
            ["ENABLE_IPv6"] = "true",
            ["ENABLE_PREFIX_DELEGATION"] = "true",
            ["CLUSTER_ENDPOINT"] = "https://10.0.0.1",
            ["MY_NODE_NAME"] = "n",
            [name] = value,
        };

        var problem = Assert.Single(OptionBinder.Bind(variables).Problems);

        Assert.StartsWith($"{name}='{value}': expected ", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Warm_targets_without_meaning_for_ipv6_warn_once()
    {
        var bound = Bind(
            ("ENABLE_IPv4", "false"),
            ("ENABLE_IPv6", "true"),
            ("ENABLE_PREFIX_DELEGATION", "true"),
            ("WARM_IP_TARGET", "5"),
            ("MINIMUM_IP_TARGET", "10"),
            ("WARM_PREFIX_TARGET", "2"),
            ("WARM_ENI_TARGET", "2")
        );

        Assert.Contains("no effect", Assert.Single(bound.Warnings));
    }

    [Fact]
    public void Empty_variable_counts_as_unset() => Assert.Empty(Bind(("WARM_IP_TARGET", ""), ("AWS_EC2_ENDPOINT", "")).Problems);

    [Theory]
    [InlineData("http://ec2/", "AWS_ENDPOINT_URL_EC2=http://ec2", "AWS_ENDPOINT_URL=http://all")]
    [InlineData("http://alias/", "AWS_EC2_ENDPOINT=http://alias", "AWS_ENDPOINT_URL=http://all")]
    [InlineData("http://all/", "AWS_ENDPOINT_URL=http://all")]
    [InlineData(
        "http://alias/",
        "AWS_EC2_ENDPOINT=http://alias",
        "AWS_ENDPOINT_URL_EC2=http://ec2",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"
    )]
    [InlineData(null, "AWS_ENDPOINT_URL=http://all", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true")]
    [InlineData(null, "AWS_ENDPOINT_URL_STS=http://sts")]
    public void Ec2_endpoint_prefers_its_own_variable_then_the_alias_then_the_global_one(string? expected, params string[] variables)
    {
        var bound = Bind([.. variables.Select(variable => variable.Split('=', 2)).Select(pair => (pair[0], pair[1]))]);
        Assert.Equal(expected, bound.Options.Ec2Endpoint?.ToString());
        Assert.Empty(bound.Warnings);
    }

    [Fact]
    public void Alias_that_the_standard_variable_overrides_warns()
    {
        var bound = Bind(("AWS_ENDPOINT_URL_EC2", "http://ec2"), ("AWS_EC2_ENDPOINT", "http://alias"));
        Assert.Equal("http://ec2/", bound.Options.Ec2Endpoint?.ToString());
        Assert.StartsWith("AWS_EC2_ENDPOINT has no effect", Assert.Single(bound.Warnings), StringComparison.Ordinal);
        Assert.Empty(Bind(("AWS_ENDPOINT_URL_EC2", "http://ec2"), ("AWS_EC2_ENDPOINT", "http://ec2")).Warnings);
    }

    [Theory]
    [InlineData("a", "AWS_REGION=a", "AWS_DEFAULT_REGION=b")]
    [InlineData("b", "AWS_REGION=", "AWS_DEFAULT_REGION=b")]
    [InlineData(null, "AWS_PROFILE=p")]
    public void Region_is_AWS_REGION_then_AWS_DEFAULT_REGION(string? expected, params string[] variables) =>
        Assert.Equal(
            expected,
            Bind([.. variables.Select(variable => variable.Split('=', 2)).Select(pair => (pair[0], pair[1]))]).Options.Region
        );

    [Fact]
    public void Conflicting_targets_warn()
    {
        Assert.Contains(
            "MINIMUM_IP_TARGET without WARM_IP_TARGET",
            Assert.Single(Bind(("MINIMUM_IP_TARGET", "5"), ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "true")).Warnings),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "WARM_ENI_TARGET has no effect",
            Assert.Single(Bind(("WARM_ENI_TARGET", "2"), ("WARM_IP_TARGET", "5"), ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "true")).Warnings),
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("WARM_ENI_TARGET", "2", "ENABLE_PREFIX_DELEGATION", "true", "WARM_ENI_TARGET has no effect: with ENABLE_PREFIX_DELEGATION")]
    [InlineData("WARM_PREFIX_TARGET", "2", "ENABLE_PREFIX_DELEGATION", "false", "WARM_PREFIX_TARGET has no effect without")]
    [InlineData("WARM_PREFIX_TARGET", "0", "ENABLE_PREFIX_DELEGATION", "true", "WARM_PREFIX_TARGET=0 without")]
    [InlineData(
        "AWS_MANAGE_ENIS_NON_SCHEDULABLE",
        "true",
        "ENABLE_IMDS_ONLY_MODE",
        "true",
        "AWS_MANAGE_ENIS_NON_SCHEDULABLE has no effect"
    )]
    [InlineData("VPCCNI_CLOUD_ACCESS", "no-releases", "ENABLE_IPv4", "true", "meant for incidents only")]
    public void Option_without_effect_because_of_another_warns(string name, string value, string other, string otherValue, string words) =>
        Assert.Contains(
            words,
            Assert.Single(Bind((name, value), (other, otherValue), ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "true")).Warnings),
            StringComparison.Ordinal
        );

    [Fact]
    public void Defaults_of_the_references_manifest_do_not_warn() =>
        Assert.Empty(
            Bind(
                ("WARM_ENI_TARGET", "1"),
                ("WARM_PREFIX_TARGET", "1"),
                ("ENABLE_PREFIX_DELEGATION", "false"),
                ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "true")
            ).Warnings
        );

    [Fact]
    public void Pool_modes_are_bound()
    {
        var options = Bind(
            ("ENABLE_PREFIX_DELEGATION", "true"),
            ("WARM_PREFIX_TARGET", "3"),
            ("ENABLE_SUBNET_DISCOVERY", "false"),
            ("DISABLE_LEAKED_ENI_CLEANUP", "true"),
            ("AWS_MANAGE_ENIS_NON_SCHEDULABLE", "true"),
            ("ENABLE_IMDS_ONLY_MODE", "true"),
            ("VPCCNI_CLOUD_ACCESS", "no-calls")
        ).Options;
        Assert.Equal((true, 3), (options.Targets.UsesPrefixes, options.Targets.WarmPrefixTarget));
        Assert.False(options.SubnetDiscovery);
        Assert.True(
            options
                is {
                    LeakedCleanupDisabled: true,
                    ManagesUnschedulable: true,
                    MetadataOnly: true,
                    ProvisioningDisabled: true,
                    CloudAccess: VpcCni.Ipamd.Clouds.CloudAccess.NoCalls
                }
        );
    }

    [Fact]
    public void Nat_and_mark_options_are_bound()
    {
        var bound = Bind(
            ("AWS_VPC_K8S_CNI_RANDOMIZESNAT", "hashrandom"),
            ("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "192.168.0.0/24, 10.1.2.3/8"),
            ("AWS_EXTERNAL_SERVICE_CIDRS", "198.51.100.0/24"),
            ("AWS_VPC_CNI_NODE_PORT_SUPPORT", "false"),
            ("AWS_VPC_K8S_CNI_CONNMARK", "0x100"),
            ("AWS_VPC_K8S_CNI_VETHPREFIX", "pod"),
            ("DISABLE_TCP_EARLY_DEMUX", "true")
        );
        Assert.Empty(bound.Problems);
        var options = bound.Options.HostNetwork;
        Assert.Equal(
            (SnatPorts.HashRandom, false, 0x100u, "pod", true),
            (options.SnatPorts, options.NodePorts, options.ConnectionMark, options.VethPrefix, bound.Options.TcpEarlyDemuxDisabled)
        );
        Assert.Equal([System.Net.IPNetwork.Parse("192.168.0.0/24"), System.Net.IPNetwork.Parse("10.0.0.0/8")], options.ExcludedRanges);
        Assert.Equal([System.Net.IPNetwork.Parse("198.51.100.0/24")], options.ExternalServiceRanges);
    }

    [Fact]
    public void Excluded_ranges_without_translation_warn() =>
        Assert.Contains(
            "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS has no effect",
            Assert.Single(Bind(("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "10.0.0.0/8"), ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "true")).Warnings),
            StringComparison.Ordinal
        );

    private static BoundOptions Bind(params (string Name, string Value)[] variables) =>
        OptionBinder.Bind(variables.ToDictionary(item => item.Name, item => item.Value));

    [Theory]
    [InlineData("", "10.100.0.1", "https://10.100.0.1/")]
    [InlineData("", "fd00::1", "https://[fd00::1]/")]
    [InlineData("https://abc.eks.amazonaws.com", "10.100.0.1", "https://abc.eks.amazonaws.com/")]
    [InlineData("http://127.0.0.1:8001", "", "http://127.0.0.1:8001/")]
    [InlineData("abc.eks.amazonaws.com:8443", "10.100.0.1", "https://abc.eks.amazonaws.com:8443/")]
    public void Api_server_is_the_cluster_endpoint_or_else_the_service_address(string endpoint, string host, string expected)
    {
        var bound = OptionBinder.Bind(
            new Dictionary<string, string>
            {
                ["CLUSTER_ENDPOINT"] = endpoint,
                ["KUBERNETES_SERVICE_HOST"] = host,
                ["MY_NODE_NAME"] = "n",
            }
        );
        Assert.Empty(bound.Problems);
        Assert.Equal((expected, true), (bound.Options.Cluster.Endpoint?.AbsoluteUri, bound.Options.Cluster.IsEnabled));
    }

    [Fact]
    public void Missing_api_server_or_node_name_disables_cluster_and_custom_networking()
    {
        Assert.False(OptionBinder.Bind(new Dictionary<string, string> { ["MY_NODE_NAME"] = "n" }).Options.Cluster.IsEnabled);
        var nameless = OptionBinder.Bind(
            new Dictionary<string, string> { ["KUBERNETES_SERVICE_HOST"] = "10.100.0.1", ["AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"] = "true" }
        );
        Assert.False(nameless.Options.Cluster.IsEnabled);
        Assert.StartsWith("MY_NODE_NAME is not set", Assert.Single(nameless.Warnings), StringComparison.Ordinal);
        Assert.StartsWith(
            "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG='true': expected an API server",
            Assert.Single(nameless.Problems),
            StringComparison.Ordinal
        );
        Assert.Single(OptionBinder.Bind(new Dictionary<string, string> { ["KUBERNETES_SERVICE_HOST"] = "not a host" }).Problems);
    }
}
