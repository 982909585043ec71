// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Options;

/// <summary>
/// All environment variables, in the order of the documentation. A new one needs a row in one of the groups and a line in
/// <see cref="OptionBinder"/>; a test then generates docs/configuration.md.
/// </summary>
internal static partial class OptionTable
{
    /// <summary>Upper bound of targets: more than any instance supports, so a larger number is a typo.</summary>
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

    /// <summary>Variables of the AWS VPC CNI that a manifest may still set but that have no effect here.</summary>
    public static IReadOnlyList<IgnoredOption> Ignored =>
        [
            new("VPC_ID", "the daemon reads the VPC from the instance metadata"),
            new("VPC_CNI_VERSION", "the version is that of the binary"),
            new("MY_POD_NAME", "the daemon does not need the name of its pod"),
            new(
                "DISABLE_POD_V6",
                "pods have no IPv6 address but the kernel's link-local one unless ENABLE_IPv6 or ENABLE_V6_EGRESS is true",
                "",
                "false"
            ),
            new(
                "AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER",
                "the reverse path filter of the interfaces is always loose; the AWS VPC CNI removed the variable, too"
            ),
        ];
}
