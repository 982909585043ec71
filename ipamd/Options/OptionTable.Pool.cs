// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;

namespace VpcCni.Ipamd.Options;

/// <summary>What the pool holds, and what it may do in EC2.</summary>
internal static partial class OptionTable
{
    public static readonly NumberOption WarmEniTarget = new("WARM_ENI_TARGET", OptionDefaults.Targets.WarmEniTarget, 0, MaxTarget)
    {
        Unit = "ENIs",
        Meaning =
            "Free addresses to keep ready, counted in whole ENIs. No effect when WARM_IP_TARGET or MINIMUM_IP_TARGET is set, or with "
            + "ENABLE_PREFIX_DELEGATION",
        Otherwise = DefaultInstead,
    };

    public static readonly NumberOption WarmIpTarget = new("WARM_IP_TARGET", OptionDefaults.Targets.WarmIpTarget, 0, MaxTarget)
    {
        Unit = "addresses",
        Meaning = "Free addresses to keep ready; 0: not set",
        Otherwise = DefaultInstead,
        Deviation = "Addresses that cool after a DEL do not count as free",
    };

    public static readonly NumberOption MinimumIpTarget = new("MINIMUM_IP_TARGET", OptionDefaults.Targets.MinimumIpTarget, 0, MaxTarget)
    {
        Unit = "addresses",
        Meaning = "Addresses to have at least, used or not; 0: not set",
        Otherwise = DefaultInstead,
        Deviation = "An empty pool grows although the minimum is reached",
    };

    public static readonly NumberOption WarmPrefixTarget = new("WARM_PREFIX_TARGET", OptionDefaults.Targets.WarmPrefixTarget, 0, MaxTarget)
    {
        Unit = "prefixes",
        Meaning =
            "Wholly free /28 prefixes to keep ready; only with ENABLE_PREFIX_DELEGATION, and no effect when WARM_IP_TARGET or "
            + "MINIMUM_IP_TARGET is set",
        Otherwise = DefaultInstead,
        Deviation = "Default 1 as in the manifest of the AWS VPC CNI, not 0 as in its code",
    };

    public static readonly NumberOption MaxEni = new("MAX_ENI", null, -1, MaxTarget)
    {
        Unit = "ENIs",
        DefaultWords = "the instance type's limit",
        Meaning = "ENIs that the node may have at most, the primary one among them; 0 or -1: not set",
        Otherwise = DefaultInstead,
    };

    public static readonly NumberOption MaxPods = new("VPCCNI_MAX_PODS", null, 0, MaxTarget)
    {
        Unit = "pods",
        DefaultWords = "what the instance type allows",
        Meaning = "Pods that the node runs at most; the pool never grows beyond it. 0: not set",
    };

    public static readonly NumberOption Cooldown = new("IP_COOLDOWN_PERIOD", (int)OptionDefaults.Daemon.Cooldown.TotalSeconds, 0, 86_400)
    {
        Unit = "s",
        Meaning = "Time for which a released address is given to nobody else",
        Deviation = "Release times survive a restart; more than a day is refused",
    };

    public static readonly FlagOption PrefixDelegation = new("ENABLE_PREFIX_DELEGATION", false)
    {
        Meaning =
            "The pool grows by /28 prefixes instead of single addresses; on instance types without them it falls back to single addresses",
    };

    public static readonly NumberOption AddWait = new("VPCCNI_ADD_WAIT_SECONDS", (int)OptionDefaults.Daemon.AddWait.TotalSeconds, 0, 110)
    {
        Unit = "s",
        Meaning =
            "How long an ADD that finds the pool empty waits for it to grow; 0: it fails at once. The plugin's own deadline is 30 s "
            + "(ipamdTimeoutSeconds in the conflist)",
    };

    public static readonly FlagOption SubnetDiscovery = new("ENABLE_SUBNET_DISCOVERY", OptionDefaults.Daemon.SubnetDiscovery)
    {
        Meaning =
            "New ENIs go to any subnet of the node's zone that its tags allow (kubernetes.io/role/cni, "
            + "cni.networking.k8s.aws/cluster/NAME), the one with the most free addresses first",
    };

    public static readonly FlagOption CustomNetworking = new("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", false)
    {
        Meaning =
            "Pods get addresses of the subnet that the node's ENIConfig names, on secondary ENIs only and with its security groups; "
            + "ENABLE_SUBNET_DISCOVERY has no effect then",
        Deviation =
            "The ENIConfig is followed while the daemon runs: ENIs of another subnet get no new pods and go when they are empty, "
            + "security groups of those that stay are changed",
    };

    public static readonly FlagOption ManageUntagged = new("MANAGE_UNTAGGED_ENI", OptionDefaults.Daemon.ManageUntaggedInterfaces)
    {
        Meaning = "ENIs without the tag of this node (node.k8s.amazonaws.com/instance_id) carry pods, too",
    };

    public static readonly FlagOption ManageUnschedulable = new("AWS_MANAGE_ENIS_NON_SCHEDULABLE", false)
    {
        Meaning = "The pool of a node that is cordoned is kept like that of any other",
    };

    public static readonly FlagOption ProvisioningDisabled = new("DISABLE_NETWORK_RESOURCE_PROVISIONING", false)
    {
        Meaning = "Observe and serve, never change anything in EC2",
    };

    public static readonly FlagOption MetadataOnly = new("ENABLE_IMDS_ONLY_MODE", false)
    {
        Meaning =
            "No call of the EC2 API at all: what is attached is read from the instance metadata. Implies "
            + "DISABLE_NETWORK_RESOURCE_PROVISIONING",
    };

    public static readonly ChoiceOption CloudAccessLevel = new(
        CloudAccessText.Option,
        CloudAccessText.Of(CloudAccess.Full),
        [.. Enum.GetValues<CloudAccess>().Select(CloudAccessText.Of)]
    )
    {
        Meaning =
            "For the time of an incident: no-releases grows and gives nothing back, no-calls serves from what is attached. `ipamd "
            + "access` changes it while the daemon runs",
    };

    public static readonly TextOption AdditionalTags = new(
        "ADDITIONAL_ENI_TAGS",
        "{}",
        "a JSON object whose values are strings, e.g. {\"team\":\"network\"}"
    )
    {
        Meaning =
            "Further tags of ENIs that the node creates. Keys with k8s.amazonaws.com or that begin with aws:, keys and values that "
            + "EC2 refuses, and more than 45 tags are ignored, with a warning",
        Otherwise = "no further tags are used",
    };

    public static readonly TextOption ClusterName = new("CLUSTER_NAME", "", "a name")
    {
        Meaning = "The cluster, for tags of ENIs and subnets",
    };

    public static readonly FlagOption LeakedCleanupDisabled = new("DISABLE_LEAKED_ENI_CLEANUP", false)
    {
        Meaning = "Detached ENIs that a node of the cluster left behind are not looked for",
        Deviation = "The node's own leftovers are cleaned up all the same",
    };

    public static readonly NumberOption HttpTimeout = new("HTTP_TIMEOUT", (int)OptionDefaults.Daemon.HttpTimeout.TotalSeconds, 10, 600)
    {
        Unit = "s",
        Meaning = "Of one attempt of an EC2 call",
        Otherwise = DefaultInstead,
        Deviation = "More than 600 counts as 600",
    };

    private const string UrlExpected = "a URL that starts with http:// or https://";

    public static readonly TextOption Ec2EndpointUrl = new("AWS_ENDPOINT_URL_EC2", "", UrlExpected)
    {
        Meaning = "The EC2 API's URL, as for every AWS SDK; empty: that of the profile, else the public one of the region",
    };

    public static readonly TextOption Ec2Endpoint = new("AWS_EC2_ENDPOINT", "", UrlExpected)
    {
        Meaning = "The same, by its older name; AWS_ENDPOINT_URL_EC2 wins",
        Deviation = "Reaches EC2, as in versions of the AWS VPC CNI before it changed its SDK",
    };

    public static readonly TextOption EndpointUrl = new("AWS_ENDPOINT_URL", "", UrlExpected)
    {
        Meaning = "The URL of every AWS API, EC2 and STS, that has no variable of its own",
    };

    public static readonly FlagOption EndpointUrlsIgnored = new("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", false)
    {
        Meaning = "AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_* and the URLs of the profile have no effect",
    };

    public static readonly TextOption MetadataEndpoint = new("AWS_EC2_METADATA_SERVICE_ENDPOINT", "", UrlExpected)
    {
        Meaning = "The instance metadata's URL; empty: the link-local address",
    };

    public static readonly TextOption Region = new("AWS_REGION", "", RegionExpected)
    {
        Meaning = "Of EC2 and STS. Empty: AWS_DEFAULT_REGION, else that of the profile, else read from the instance metadata",
    };

    public static readonly TextOption DefaultRegion = new("AWS_DEFAULT_REGION", "", RegionExpected)
    {
        Meaning = "The same where AWS_REGION is not set",
    };

    public static readonly TextOption Profile = new("AWS_PROFILE", "default", "a name")
    {
        Meaning = "The profile of the shared files (AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE) that credentials and region come from",
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
