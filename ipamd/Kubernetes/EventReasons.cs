// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>An occurrence to report as an event.</summary>
internal readonly record struct Occurrence(EventSubject Subject, string Reason, string Message);

/// <summary>Maps events of the pool to events of the cluster. Reasons are for programs: they are documented and never change.</summary>
internal static class EventReasons
{
    public const string InsufficientAddresses = nameof(InsufficientAddresses);
    public const string AddressLost = nameof(AddressLost);
    public const string CheckpointNotWritten = nameof(CheckpointNotWritten);

    public const string DaemonStarting = nameof(DaemonStarting);

    /// <summary>The node serves pods normally again. The only event of type Normal.</summary>
    public const string PodNetworkReady = nameof(PodNetworkReady);

    /// <summary>The node serves pods, but has a problem that an operator should fix.</summary>
    public const string PodNetworkDegraded = nameof(PodNetworkDegraded);

    /// <summary>The node serves no new pods.</summary>
    public const string PodNetworkNotReady = nameof(PodNetworkNotReady);

    /// <summary>The reason that the reference uses.</summary>
    public const string MissingPermissions = "MissingIAMPermissions";

    /// <summary>Maximum number of pods that get an event for one cause; the event on the node has their total number.</summary>
    private const int MaxPodsOfLoss = 50;

    /// <summary>Returns the occurrences to report; may be empty.</summary>
    public static IReadOnlyList<Occurrence> Of(PoolEvent poolEvent, string nodeName)
    {
        if (poolEvent is PoolEvent.AddressesLost { Loss: var loss })
            return [new Occurrence(new EventSubject("", nodeName), AddressLost, loss.Description), .. PodOccurrences(loss)];
        return Single(poolEvent, nodeName) is { } single ? [single] : [];
    }

    private static IEnumerable<Occurrence> PodOccurrences(AddressLoss loss) =>
        loss
            .Orphans.Where(orphan => ObjectName.IsValid(orphan.Attachment.Pod.Namespace) && ObjectName.IsValid(orphan.Attachment.Pod.Name))
            .Take(MaxPodsOfLoss)
            .Select(orphan => new Occurrence(
                new EventSubject(orphan.Attachment.Pod.Namespace, orphan.Attachment.Pod.Name),
                AddressLost,
                $"the pod has no network: its address {orphan.Attachment.Addresses[0].Address} is gone "
                    + $"{(loss.Interface is { } id ? With(id, loss) : "from this node")}; "
                    + "delete the pod to get a new address"
            ));

    private static string With(NetworkInterfaceId id, AddressLoss loss) => $"with {(loss.IsInterfaceDetached ? "" : "an address of ")}{id}";

    private static Occurrence? Single(PoolEvent poolEvent, string nodeName)
    {
        var node = new EventSubject("", nodeName);
        switch (poolEvent)
        {
            case PoolEvent.AddFailed { Kind: not AddFailureKind.ClientGone, Pod: var pod } failed
                when ObjectName.IsValid(pod.Namespace) && ObjectName.IsValid(pod.Name):
                return new Occurrence(new EventSubject(pod.Namespace, pod.Name), ReasonOf(failed), failed.Reason);
            case PoolEvent.Planned { Plan.Obstacle: { } obstacle } when ConcernsNode(obstacle.Kind):
                return new Occurrence(node, ReasonOf(obstacle.Kind), $"the node gets no more addresses for pods: {obstacle.Detail}");
            case PoolEvent.ChangeEnded { Failure: { CloudKind: CloudErrorKind.NotPermitted } refused }:
                return new Occurrence(node, MissingPermissions, refused.Reason);
            case PoolEvent.GroupsChanged { Failure: CloudErrorKind.NotPermitted } groups:
                return new Occurrence(node, MissingPermissions, groups.Reason);
            case PoolEvent.ObserveFailed { Failure: CloudErrorKind.NotPermitted } observed:
                return new Occurrence(node, MissingPermissions, observed.Reason);
            case PoolEvent.CheckpointWritten { Failure: { } reason }:
                return new Occurrence(node, CheckpointNotWritten, $"pods cannot be added: {reason}");
            default:
                return null;
        }
    }

    public static string ReasonOf(GrowthObstacleKind kind) =>
        kind switch
        {
            GrowthObstacleKind.InterfaceLimit => "EniLimitReached",
            GrowthObstacleKind.AddressLimit => "AddressLimitReached",
            GrowthObstacleKind.MaxPods => "MaxPodsReached",
            GrowthObstacleKind.SubnetExhausted => "SubnetExhausted",
            GrowthObstacleKind.Throttled => "Throttled",
            GrowthObstacleKind.NotPermitted => MissingPermissions,
            GrowthObstacleKind.ProvisioningDisabled => "ProvisioningDisabled",
            GrowthObstacleKind.CloudFailure => "CloudUnavailable",
            GrowthObstacleKind.HostNetwork => "LinkNotConfigured",
            GrowthObstacleKind.Disk => CheckpointNotWritten,
            GrowthObstacleKind.EniConfig => "ENIConfigUnusable",
            GrowthObstacleKind.NoSubnet => "NoSubnetForPods",
            _ => throw new InvalidOperationException($"unnamed obstacle {kind}"),
        };

    private static string ReasonOf(PoolEvent.AddFailed failed) =>
        failed switch
        {
            { Kind: AddFailureKind.Orphaned } => AddressLost,
            { Kind: AddFailureKind.NotObserved } => DaemonStarting,
            { Kind: AddFailureKind.NotDurable } => CheckpointNotWritten,
            { Obstacle: { } kind } => ReasonOf(kind),
            _ => InsufficientAddresses,
        };

    /// <summary>Excludes the node's own limits: a full node is normal until a pod needs an address.</summary>
    private static bool ConcernsNode(GrowthObstacleKind kind) =>
        kind
            is GrowthObstacleKind.SubnetExhausted
                or GrowthObstacleKind.Throttled
                or GrowthObstacleKind.NotPermitted
                or GrowthObstacleKind.CloudFailure
                or GrowthObstacleKind.HostNetwork
                or GrowthObstacleKind.Disk
                or GrowthObstacleKind.EniConfig
                or GrowthObstacleKind.NoSubnet;
}
