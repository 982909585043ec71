// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;

namespace VpcCni.Ipamd.Options;

/// <summary>Variables of the warm pool's targets, and of what the daemon may do in EC2.</summary>
internal static partial class OptionTable
{
    public static readonly NumberOption WarmEniTarget = new("WARM_ENI_TARGET", OptionDefaults.Targets.WarmEniTarget, 0, MaxTarget)
    {
        Unit = "ENIs",
        Meaning =
            "Free addresses to keep, counted in whole ENIs. No effect if WARM_IP_TARGET or MINIMUM_IP_TARGET is set, or with "
            + "ENABLE_PREFIX_DELEGATION",
        Otherwise = DefaultInstead,
    };

    public static readonly NumberOption WarmIpTarget = new("WARM_IP_TARGET", OptionDefaults.Targets.WarmIpTarget, 0, MaxTarget)
    {
        Unit = "addresses",
        Meaning = "Free addresses to keep; 0: not set",
        Otherwise = DefaultInstead,
        Deviation = "Addresses in cooldown do not count as free",
    };

    public static readonly NumberOption MinimumIpTarget = new("MINIMUM_IP_TARGET", OptionDefaults.Targets.MinimumIpTarget, 0, MaxTarget)
    {
        Unit = "addresses",
        Meaning = "Minimum number of addresses, used or free; 0: not set",
        Otherwise = DefaultInstead,
        Deviation = "An empty pool grows even if it has reached the minimum",
    };

    public static readonly NumberOption WarmPrefixTarget = new("WARM_PREFIX_TARGET", OptionDefaults.Targets.WarmPrefixTarget, 0, MaxTarget)
    {
        Unit = "prefixes",
        Meaning =
            "Completely free /28 prefixes to keep; only with ENABLE_PREFIX_DELEGATION, and no effect if WARM_IP_TARGET or "
            + "MINIMUM_IP_TARGET is set",
        Otherwise = DefaultInstead,
        Deviation = "Default 1 as in the manifest of the AWS VPC CNI, not 0 as in its code",
    };

    public static readonly NumberOption MaxEni = new("MAX_ENI", null, -1, MaxTarget)
    {
        Unit = "ENIs",
        DefaultText = "the instance type's limit",
        Meaning = "Maximum number of ENIs of the node, including the primary one; 0 or -1: not set",
        Otherwise = DefaultInstead,
    };

    public static readonly NumberOption MaxPods = new("VPCCNI_MAX_PODS", null, 0, MaxTarget)
    {
        Unit = "pods",
        DefaultText = "what the instance type allows",
        Meaning = "Maximum number of pods of the node; the pool never grows beyond it. 0: not set",
    };

    public static readonly NumberOption Cooldown = new("IP_COOLDOWN_PERIOD", (int)OptionDefaults.Daemon.Cooldown.TotalSeconds, 0, 86_400)
    {
        Unit = "s",
        Meaning = "Cooldown: time before a released address may be assigned again",
        Deviation = "Release times survive a restart; more than a day is rejected",
    };

    public static readonly FlagOption PrefixDelegation = new("ENABLE_PREFIX_DELEGATION", false)
    {
        Meaning = "The pool grows by /28 prefixes; on instance types that do not support them, by single addresses",
    };

    public static readonly NumberOption AddWait = new("VPCCNI_ADD_WAIT_SECONDS", (int)OptionDefaults.Daemon.AddWait.TotalSeconds, 0, 110)
    {
        Unit = "s",
        Meaning =
            "How long an ADD waits for an empty pool to grow; 0: it fails at once. The plugin's deadline is 30 s "
            + "(ipamdTimeoutSeconds in the conflist)",
    };

    public static readonly FlagOption SubnetDiscovery = new("ENABLE_SUBNET_DISCOVERY", OptionDefaults.Daemon.SubnetDiscovery)
    {
        Meaning =
            "New ENIs may be in any subnet of the node's zone that is tagged for it (kubernetes.io/role/cni, "
            + "cni.networking.k8s.aws/cluster/NAME); the subnet with the most free addresses comes first",
    };

    public static readonly FlagOption CustomNetworking = new("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", false)
    {
        Meaning =
            "Pods get addresses of the subnet in the node's ENIConfig, on secondary ENIs only and with its security groups; "
            + "ENABLE_SUBNET_DISCOVERY then has no effect",
        Deviation =
            "Changes of the ENIConfig apply at run time: ENIs of another subnet get no new pods and are released when empty; the "
            + "security groups of the others are updated",
    };

    public static readonly FlagOption ManageUntagged = new("MANAGE_UNTAGGED_ENI", OptionDefaults.Daemon.ManageUntaggedInterfaces)
    {
        Meaning = "The daemon also uses ENIs without the tag of this node (node.k8s.amazonaws.com/instance_id)",
    };

    public static readonly FlagOption ManageUnschedulable = new("AWS_MANAGE_ENIS_NON_SCHEDULABLE", false)
    {
        Meaning = "The daemon maintains the pool of a cordoned node, too",
    };

    public static readonly FlagOption ProvisioningDisabled = new("DISABLE_NETWORK_RESOURCE_PROVISIONING", false)
    {
        Meaning = "The daemon observes and serves, but changes nothing in EC2",
    };

    public static readonly FlagOption MetadataOnly = new("ENABLE_IMDS_ONLY_MODE", false)
    {
        Meaning =
            "The daemon does not call the EC2 API; it reads the attached ENIs from the instance metadata. Implies "
            + "DISABLE_NETWORK_RESOURCE_PROVISIONING",
    };

    public static readonly ChoiceOption CloudAccessLevel = new(
        CloudAccessText.Option,
        CloudAccessText.Of(CloudAccess.Full),
        [.. Enum.GetValues<CloudAccess>().Select(CloudAccessText.Of)]
    )
    {
        Meaning =
            "For incidents: with no-releases the pool only grows; with no-calls the daemon serves from what is attached. `ipamd "
            + "access` changes it while the daemon runs",
    };

    public static readonly TextOption AdditionalTags = new(
        "ADDITIONAL_ENI_TAGS",
        "{}",
        "a JSON object whose values are strings, e.g. {\"team\":\"network\"}"
    )
    {
        Meaning =
            "Additional tags of ENIs that the daemon creates. It ignores, with a warning, keys with k8s.amazonaws.com or that begin "
            + "with aws:, keys and values that EC2 rejects, and tags beyond 45",
        Otherwise = "no additional tags are used",
    };

    public static readonly TextOption ClusterName = new("CLUSTER_NAME", "", "a name")
    {
        Meaning = "Name of the cluster, for tags of ENIs and subnets",
    };

    public static readonly FlagOption LeakedCleanupDisabled = new("DISABLE_LEAKED_ENI_CLEANUP", false)
    {
        Meaning = "The daemon does not look for detached ENIs that other nodes of the cluster leaked",
        Deviation = "The daemon still deletes ENIs that it leaked itself",
    };

    public static readonly NumberOption HttpTimeout = new("HTTP_TIMEOUT", (int)OptionDefaults.Daemon.HttpTimeout.TotalSeconds, 10, 600)
    {
        Unit = "s",
        Meaning = "Timeout of one attempt of an EC2 call",
        Otherwise = DefaultInstead,
        Deviation = "More than 600 counts as 600",
    };

    private const string UrlExpected = "a URL that starts with http:// or https://";

    public static readonly TextOption Ec2EndpointUrl = new("AWS_ENDPOINT_URL_EC2", "", UrlExpected)
    {
        Meaning = "URL of the EC2 API, as for every AWS SDK; empty: that of the profile, or else the region's public one",
    };

    public static readonly TextOption Ec2Endpoint = new("AWS_EC2_ENDPOINT", "", UrlExpected)
    {
        Meaning = "Older name of AWS_ENDPOINT_URL_EC2, which overrides it",
        Deviation = "Has an effect, as in versions of the AWS VPC CNI before it changed its SDK",
    };

    public static readonly TextOption EndpointUrl = new("AWS_ENDPOINT_URL", "", UrlExpected)
    {
        Meaning = "URL of the AWS APIs (EC2, STS) that have no variable of their own",
    };

    public static readonly FlagOption EndpointUrlsIgnored = new("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", false)
    {
        Meaning = "AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_* and the URLs of the profile have no effect",
    };

    public static readonly TextOption MetadataEndpoint = new("AWS_EC2_METADATA_SERVICE_ENDPOINT", "", UrlExpected)
    {
        Meaning = "URL of the instance metadata; empty: the link-local address",
    };

    public static readonly TextOption Region = new("AWS_REGION", "", RegionExpected)
    {
        Meaning =
            "Region of EC2 and STS; empty: AWS_DEFAULT_REGION, or else the region of the profile, or else that of the instance metadata",
    };

    public static readonly TextOption DefaultRegion = new("AWS_DEFAULT_REGION", "", RegionExpected)
    {
        Meaning = "Region if AWS_REGION is not set",
    };

    public static readonly TextOption Profile = new("AWS_PROFILE", "default", "a name")
    {
        Meaning = "Profile of the shared files (AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE) for credentials and region",
    };

    private const string RegionExpected = "a region, e.g. eu-central-1";

    private static IReadOnlyList<OptionDefinition> PoolOptions =>
        [
            WarmEniTarget,
            WarmIpTarget,
            MinimumIpTarget,
            WarmPrefixTarget,
            MaxEni,
            MaxPods,
            Cooldown,
            PrefixDelegation,
            AddWait,
            SubnetDiscovery,
            CustomNetworking,
            ManageUntagged,
            ManageUnschedulable,
        ];

    private static IReadOnlyList<OptionDefinition> CloudOptions =>
        [
            ProvisioningDisabled,
            MetadataOnly,
            CloudAccessLevel,
            AdditionalTags,
            ClusterName,
            LeakedCleanupDisabled,
            HttpTimeout,
            Ec2EndpointUrl,
            Ec2Endpoint,
            EndpointUrl,
            EndpointUrlsIgnored,
            MetadataEndpoint,
            Region,
            DefaultRegion,
            Profile,
        ];
}
