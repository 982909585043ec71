// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Options;

/// <summary>
/// Every variable there is, in the order of the documentation. A new one is a row in one of the groups and a line in
/// <see cref="OptionBinder"/>; docs/configuration.md follows by its test.
/// </summary>
internal static partial class OptionTable
{
    /// <summary>More than any instance can carry; a larger number is a typing error.</summary>
    private const int MaxTarget = 100_000;

    private const string DefaultInstead = "the default is used";

    public static IReadOnlyList<OptionGroup> Groups =>
        [
            new("Warm pool", PoolOptions),
            new("EC2", CloudOptions),
            new("Kubernetes", ClusterOptions),
            new("Host network", HostNetworkOptions),
            new("Plugin and installation", InstallationOptions),
            new("Daemon", DaemonOptions),
        ];

    public static IEnumerable<OptionDefinition> All => Groups.SelectMany(group => group.Options);

    /// <summary>Variables of the AWS VPC CNI that a manifest may carry over and that have no effect here.</summary>
    public static IReadOnlyList<IgnoredOption> Ignored =>
        [
            new("VPC_ID", "the VPC is read from the instance metadata"),
            new("VPC_CNI_VERSION", "the version is the binary's own"),
            new("MY_POD_NAME", "the daemon needs no name of its own pod"),
            new("ENABLE_V4_EGRESS", "only nodes that serve IPv6 pods need it"),
            new("ENABLE_V6_EGRESS", "pods have IPv4 only", "", "false"),
            new("DISABLE_POD_V6", "pods get no IPv6 address; link-local addresses are left to the kernel", "", "false"),
            new(
                "AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER",
                "the reverse path filter of the interfaces is always set to loose; the AWS VPC CNI dropped the variable as well"
            ),
        ];
}
