// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Readiness;

/// <summary>How well the node serves pods.</summary>
internal enum HealthLevel
{
    /// <summary>ADDs are served, and nothing that is known of will change that.</summary>
    Ready,

    /// <summary>ADDs are served, or some of them; something is broken that an operator should look at.</summary>
    Degraded,

    /// <summary>No ADD of a new pod can be served.</summary>
    NotReady,
}

/// <summary>Why a node is not as well as it should be. For machines: documented, and never renamed.</summary>
internal enum HealthReason
{
    /// <summary>The daemon has been asked to stop.</summary>
    Stopping,

    /// <summary>The daemon has not found out yet what the node is and carries, or has never had an address to give.</summary>
    Starting,

    /// <summary>The last write of the checkpoint failed: an address cannot be promised.</summary>
    CheckpointNotWritten,

    /// <summary>Pods hold addresses that no interface of this node carries.</summary>
    AddressLost,

    /// <summary>The subnet has no free address, and the pool needs one.</summary>
    SubnetExhausted,

    /// <summary>The cloud, or the node's own budget of calls, keeps the pool from growing.</summary>
    Throttled,

    /// <summary>The node's role lacks a permission.</summary>
    MissingPermissions,

    /// <summary>An operator's setting keeps the pool from growing, and no address is free.</summary>
    ProvisioningDisabled,

    /// <summary>The cloud does not answer, or answers with failures.</summary>
    CloudUnavailable,

    /// <summary>Custom networking: there is no usable ENIConfig.</summary>
    EniConfigUnusable,

    /// <summary>Every subnet that the node could use is tagged as not for pods.</summary>
    NoSubnetForPods,

    /// <summary>The instance type carries no more interfaces, no address is free, and the node may run more pods.</summary>
    EniLimitReached,

    /// <summary>As <see cref="EniLimitReached"/>, for addresses.</summary>
    AddressLimitReached,

    /// <summary>
    /// What is attached was not observed yet in this run: what the checkpoint and the metadata agree on is served, and the pool does not
    /// grow.
    /// </summary>
    NotObserved,

    /// <summary>The host's routes, rules, links, settings or NAT are not what they must be.</summary>
    HostNetwork,

    /// <summary>The plugin or its network configuration is not installed.</summary>
    Installation,

    /// <summary>A part of the daemon stands still because of a defect.</summary>
    PartStopped,

    /// <summary>The log file cannot be written; lines go to the standard stream.</summary>
    LogNotWritten,

    /// <summary>The folder in which the plugin leaves notes of DELs cannot be used, or holds what does not belong there.</summary>
    MissedDels,

    /// <summary>The API server does not answer.</summary>
    ClusterUnavailable,
}

/// <summary>One reason, and what it is in this case.</summary>
/// <param name="Level">What it does to the node; never <see cref="HealthLevel.Ready"/>.</param>
/// <param name="Reason">For machines.</param>
/// <param name="Detail">A sentence for a person.</param>
internal sealed record HealthCause(HealthLevel Level, HealthReason Reason, string Detail)
{
    /// <summary>It counts only when it has lasted this long: such things come and go by themselves.</summary>
    public TimeSpan MinimumDuration { get; init; }
}
