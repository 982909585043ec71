// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.History;

/// <summary>What to look at, or to do, next.</summary>
internal static class Hints
{
    /// <summary>Names in one hint; `ipamd pods` has all.</summary>
    private const int MostNames = 10;

    public const string Retry = "kubelet tries again with a new sandbox; each of its attempts is a new ADD here";
    public const string Orphan =
        "no interface of this node carries the address: the pod is unreachable; delete it, so that it is made anew, and run `ipamd "
        + "audit` for the rest";

    public static string Of(GrowthObstacleKind kind) =>
        kind switch
        {
            GrowthObstacleKind.InterfaceLimit or GrowthObstacleKind.AddressLimit =>
                "the node carries all that its instance type allows: pods that end make room; ENABLE_PREFIX_DELEGATION=true or a "
                    + "larger type allows more, and max pods of kubelet should not be above `ipamd status`' limit",
            GrowthObstacleKind.MaxPods =>
                "the node has as many addresses as it may run pods: kubelet's max pods and VPCCNI_MAX_PODS should say the same",
            GrowthObstacleKind.SubnetExhausted =>
                "give the subnet's zone another subnet with the tag kubernetes.io/role/cni=1, or free addresses in this one",
            GrowthObstacleKind.Throttled =>
                "EC2 throttles this account, or the node has used up its own budget: `ipamd status` shows the budget; look for who "
                    + "else calls that much",
            GrowthObstacleKind.NotPermitted =>
                "the node's IAM role lacks a permission: the message names the call; docs/iam-policy.md lists all",
            GrowthObstacleKind.ProvisioningDisabled => "the operator has switched changes off: see `ipamd access`, VPCCNI_CLOUD_ACCESS, "
                + "DISABLE_NETWORK_RESOURCE_PROVISIONING and ENABLE_IMDS_ONLY_MODE",
            GrowthObstacleKind.EniConfig =>
                "custom networking: kubectl get eniconfigs, and the node's label or annotation that names one; its subnet must be of "
                    + "the node's zone",
            GrowthObstacleKind.NoSubnet =>
                "tag a subnet of the node's zone kubernetes.io/role/cni=1, or take the tag kubernetes.io/role/cni=0 from the node's own",
            GrowthObstacleKind.CloudFailure =>
                "`ipamd status` shows the last failures; the daemon's log has each with EC2's code and request id",
            _ => throw new InvalidOperationException($"unnamed obstacle {kind}"),
        };

    public static IEnumerable<string> OfFailure(PoolEvent.AddFailed failed) =>
        failed switch
        {
            { Obstacle: { } kind } => [Of(kind)],
            { Kind: AddFailureKind.Orphaned } => [Orphan],
            { Kind: AddFailureKind.NotDurable } =>
            [
                "the checkpoint's folder must be writable and not full: see AWS_VPC_K8S_CNI_BACKING_STORE",
            ],
            { Kind: AddFailureKind.ClientGone } =>
            [
                "the plugin or the runtime gave up first: its deadline (ipamdTimeoutSeconds, 30 s) should be longer than "
                    + "VPCCNI_ADD_WAIT_SECONDS",
            ],
            _ => [],
        };

    public static string Named(IReadOnlyList<PodReference> pods) => $"`ipamd explain` one of {List(pods)}";

    public static IReadOnlyList<string> OfUnknown(ExplainedFacts facts) =>
        [
            .. facts.Namesakes.Count > 0 ? [$"a pod of that name is known as {List(facts.Namesakes)}"] : (string[])[],
            .. facts.Similar.Count > 0 ? [$"pods whose names begin like that: {List(facts.Similar)}"] : (string[])[],
            "is it scheduled to this node, and what do its events say? kubectl describe pod; a pod with hostNetwork needs no address "
                + "of ours",
            "did the runtime call the plugin? its log (AWS_VPC_K8S_PLUGIN_LOG_FILE, /var/log/aws-routed-eni/plugin.log) has each "
                + "call, and the runtime's own log why there was none",
            "`ipamd pods` lists who holds an address now",
        ];

    private static string List(IReadOnlyList<PodReference> pods) =>
        string.Join(", ", pods.Take(MostNames)) + (pods.Count > MostNames ? $" and {pods.Count - MostNames} more" : "");
}
