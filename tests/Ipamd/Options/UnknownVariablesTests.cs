// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Options;
using Xunit;

namespace VpcCni.Ipamd.Tests.Options;

public sealed class UnknownVariablesTests
{
    [Theory]
    [InlineData("WARM_IPS_TARGET", "WARM_IP_TARGET")]
    [InlineData("MINIMUM_IP_TAGET", "MINIMUM_IP_TARGET")]
    [InlineData("AWS_VPC_K8S_CNI_EXTERNAL_SNAT", "AWS_VPC_K8S_CNI_EXTERNALSNAT")]
    [InlineData("ENABLE_PREFIX_DELEGATON", "ENABLE_PREFIX_DELEGATION")]
    [InlineData("ENABLE_IPV6", "ENABLE_IPv6")]
    [InlineData("MAX_ENIS", "MAX_ENI")]
    [InlineData("warm_ip_target", "WARM_IP_TARGET")]
    [InlineData("VPCCNI_MAXPODS", "VPCCNI_MAX_PODS")]
    [InlineData("CLUSTERNAME", "CLUSTER_NAME")]
    [InlineData("DISABLE_LEAKED_ENI_CLEAN_UP", "DISABLE_LEAKED_ENI_CLEANUP")]
    public void Misspelt_name_is_reported_with_the_likely_one(string name, string meant) =>
        Assert.Equal($"{name} is not known and has no effect; did you mean {meant}?", Assert.Single(Warnings((name, "1"))));

    [Fact]
    public void Unknown_name_with_an_own_prefix_is_reported() =>
        Assert.Contains(
            "docs/configuration.md",
            Assert.Single(Warnings(("VPCCNI_COLOUR_OF_THE_BIKESHED", "blue"))),
            StringComparison.Ordinal
        );

    [Theory]
    [InlineData("AWS_REGION")]
    [InlineData("AWS_DEFAULT_REGION")]
    [InlineData("AWS_ROLE_ARN")]
    [InlineData("AWS_WEB_IDENTITY_TOKEN_FILE")]
    [InlineData("AWS_EC2_METADATA_DISABLED")]
    [InlineData("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")]
    [InlineData("AWS_STS_REGIONAL_ENDPOINTS")]
    [InlineData("KUBERNETES_SERVICE_PORT_HTTPS")]
    [InlineData("KUBERNETES_PORT_443_TCP_PROTO")]
    [InlineData("WARM_CACHE_SERVICE_HOST")]
    [InlineData("WARM_CACHE_PORT_6379_TCP_ADDR")]
    [InlineData("ENABLE_X_SERVICE_PORT_HTTP")]
    [InlineData("HOSTNAME")]
    [InlineData("NODE_NAME")]
    [InlineData("POD_NAME")]
    [InlineData("POD_UID")]
    [InlineData("POD_IP")]
    [InlineData("HTTP_PROXY")]
    [InlineData("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT")]
    [InlineData("PATH")]
    [InlineData("LANG")]
    [InlineData("TERM")]
    [InlineData("INVOCATION_ID")]
    [InlineData("JOURNAL_STREAM")]
    [InlineData("OTEL_SERVICE_NAME")]
    public void Variables_of_others_are_not_reported(string name) => Assert.Empty(Warnings((name, "us-east-1")));

    [Fact]
    public void Variable_of_the_reference_without_effect_is_reported() =>
        Assert.Equal(
            "DISABLE_POD_V6 has no effect: pods have no IPv6 address but the kernel's link-local one unless ENABLE_IPv6 or "
                + "ENABLE_V6_EGRESS is true",
            Assert.Single(Warnings(("DISABLE_POD_V6", "true")))
        );

    /// <summary>The environment of aws-node's DaemonSet, as its chart renders it for an IPv4 cluster.</summary>
    [Fact]
    public void Manifest_of_the_reference_does_not_warn()
    {
        var bound = OptionBinder.Bind(
            new Dictionary<string, string>
            {
                ["ADDITIONAL_ENI_TAGS"] = "{}",
                ["AWS_VPC_CNI_NODE_PORT_SUPPORT"] = "true",
                ["AWS_VPC_ENI_MTU"] = "9001",
                ["AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"] = "false",
                ["AWS_VPC_K8S_CNI_EXTERNALSNAT"] = "false",
                ["AWS_VPC_K8S_CNI_LOGLEVEL"] = "DEBUG",
                ["AWS_VPC_K8S_CNI_LOG_FILE"] = "/host/var/log/aws-routed-eni/ipamd.log",
                ["AWS_VPC_K8S_CNI_RANDOMIZESNAT"] = "prng",
                ["AWS_VPC_K8S_CNI_VETHPREFIX"] = "eni",
                ["AWS_VPC_K8S_PLUGIN_LOG_FILE"] = "/var/log/aws-routed-eni/plugin.log",
                ["AWS_VPC_K8S_PLUGIN_LOG_LEVEL"] = "DEBUG",
                ["CLUSTER_ENDPOINT"] = "https://example",
                ["CLUSTER_NAME"] = "prod",
                ["DISABLE_INTROSPECTION"] = "false",
                ["DISABLE_METRICS"] = "false",
                ["DISABLE_NETWORK_RESOURCE_PROVISIONING"] = "false",
                ["ENABLE_IPv4"] = "true",
                ["ENABLE_IPv6"] = "false",
                ["ENABLE_POD_ENI"] = "false",
                ["ENABLE_PREFIX_DELEGATION"] = "false",
                ["ENABLE_SUBNET_DISCOVERY"] = "true",
                ["VPC_CNI_VERSION"] = "v1.23.1",
                ["VPC_ID"] = "vpc-1",
                ["WARM_ENI_TARGET"] = "1",
                ["WARM_PREFIX_TARGET"] = "1",
                ["MY_NODE_NAME"] = "ip-10-0-0-1",
                ["MY_POD_NAME"] = "aws-node-x",
                ["DISABLE_TCP_EARLY_DEMUX"] = "false",
                ["NETWORK_POLICY_ENFORCING_MODE"] = "standard",
                ["ENABLE_MULTI_NIC"] = "false",
                ["ENABLE_IMDS_ONLY_MODE"] = "false",
            }
        );
        Assert.Empty(bound.Warnings);
        Assert.Empty(bound.Problems);
        Assert.StartsWith("NETWORK_POLICY_ENFORCING_MODE=standard", Assert.Single(bound.Notes), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "", 0)]
    [InlineData("abc", "ABC", 0)]
    [InlineData("abc", "abd", 1)]
    [InlineData("abc", "", 3)]
    [InlineData("kitten", "sitting", 3)]
    public void Distance_counts_edits(string a, string b, int letters) => Assert.Equal(letters, Spelling.Distance(a, b));

    private static IReadOnlyList<string> Warnings(params (string Name, string Value)[] variables) =>
        OptionBinder.Bind(variables.ToDictionary(item => item.Name, item => item.Value)).Warnings;
}
