// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.History;

/// <summary>Hint texts: what to check or do next.</summary>
internal static class Hints
{
    /// <summary>Maximum number of names in a hint; `ipamd pods` lists all.</summary>
    private const int MaxNames = 10;

    public const string Retry = "kubelet retries with a new sandbox; each attempt is a new ADD";
    public const string Orphan =
        "no interface of this node has the address, so the pod is unreachable; delete the pod, so that it is recreated, and run `ipamd "
        + "audit` to find others";

    public static string Of(GrowthObstacleKind kind) =>
        kind switch
        {
            GrowthObstacleKind.InterfaceLimit or GrowthObstacleKind.AddressLimit =>
                "the node is at the limit of its instance type; pods that end free addresses; ENABLE_PREFIX_DELEGATION=true or a "
                    + "larger type allows more; kubelet's max pods should not exceed the limit in `ipamd status`",
            GrowthObstacleKind.MaxPods =>
                "the node has an address for each pod that it may run; kubelet's max pods and VPCCNI_MAX_PODS should be equal",
            GrowthObstacleKind.SubnetExhausted =>
                "add a subnet with the tag kubernetes.io/role/cni=1 in the same zone, or free addresses in this one",
            GrowthObstacleKind.Throttled =>
                "the cloud throttles this account, or the node has used up its own budget: see `ipamd status`; find out which other "
                    + "programs of the account call the same API often",
            GrowthObstacleKind.NotPermitted =>
                "the node's IAM role lacks the permission for the call in the message; docs/iam-policy.md lists all permissions",
            GrowthObstacleKind.ProvisioningDisabled => "an operator has disabled changes: see `ipamd access`, VPCCNI_CLOUD_ACCESS, "
                + "DISABLE_NETWORK_RESOURCE_PROVISIONING and ENABLE_IMDS_ONLY_MODE",
            GrowthObstacleKind.EniConfig =>
                "custom networking: check `kubectl get eniconfigs` and the node's label or annotation that names one; its subnet must "
                    + "be in the node's zone",
            GrowthObstacleKind.NoSubnet =>
                "tag a subnet of the node's zone with kubernetes.io/role/cni=1, or remove kubernetes.io/role/cni=0 from the node's subnet",
            GrowthObstacleKind.HostNetwork =>
                "`ipamd status` shows the last failures; the node's kernel log has the cause when a driver refused the link",
            GrowthObstacleKind.Disk => "free disk space, or make the folder of the checkpoint writable; the daemon retries by itself",
            GrowthObstacleKind.CloudFailure =>
                "`ipamd status` shows the last failures; the daemon's log has the cloud's code and request id of each",
            _ => throw new InvalidOperationException($"unnamed obstacle {kind}"),
        };

    public static IEnumerable<string> OfFailure(PoolEvent.AddFailed failed) =>
        failed switch
        {
            { Obstacle: { } kind } => [Of(kind)],
            { Kind: AddFailureKind.Orphaned } => [Orphan],
            { Kind: AddFailureKind.NotDurable } =>
            [
                "the checkpoint's file system must be writable and not full: see AWS_VPC_K8S_CNI_BACKING_STORE",
            ],
            { Kind: AddFailureKind.ClientGone } =>
            [
                "the plugin or the runtime timed out first: its deadline (ipamdTimeoutSeconds, 30 s) should be longer than "
                    + "VPCCNI_ADD_WAIT_SECONDS",
            ],
            _ => [],
        };

    public static string Named(IReadOnlyList<PodReference> pods) => $"run `ipamd explain` for one of {List(pods)}";

    public static IReadOnlyList<string> OfUnknown(ExplainedFacts facts) =>
        [
            .. facts.Namesakes.Count > 0 ? [$"pods of that name in other namespaces: {List(facts.Namesakes)}"] : (string[])[],
            .. facts.Similar.Count > 0 ? [$"pods whose names begin with it: {List(facts.Similar)}"] : (string[])[],
            "check with kubectl describe pod whether the pod is scheduled to this node, and its events; a pod with hostNetwork gets no "
                + "address from this daemon",
            "check whether the runtime called the plugin: the plugin's log (AWS_VPC_K8S_PLUGIN_LOG_FILE, "
                + "/var/log/aws-routed-eni/plugin.log) has each call, and the runtime's log has the reason if there was none",
            "`ipamd pods` lists all pods with an address",
        ];

    private static string List(IReadOnlyList<PodReference> pods) =>
        string.Join(", ", pods.Take(MaxNames)) + (pods.Count > MaxNames ? $" and {pods.Count - MaxNames} more" : "");
}
