// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Readiness;

/// <summary>Health of the node.</summary>
internal enum HealthLevel
{
    /// <summary>The daemon serves ADDs, and no known problem will change that.</summary>
    Ready,

    /// <summary>The daemon serves at least some ADDs, but has a problem that an operator should fix.</summary>
    Degraded,

    /// <summary>The daemon cannot serve ADDs of new pods.</summary>
    NotReady,
}

/// <summary>Causes of bad health. Names are for programs: documented, and never changed.</summary>
internal enum HealthReason
{
    /// <summary>The daemon was asked to stop.</summary>
    Stopping,

    /// <summary>The daemon has not identified the node yet, or has never had a free address.</summary>
    Starting,

    /// <summary>The last write of the checkpoint failed, so no address can be assigned.</summary>
    CheckpointNotWritten,

    /// <summary>Pods have addresses that no interface of this node has.</summary>
    AddressLost,

    /// <summary>The subnet has no free address, and the pool needs one.</summary>
    SubnetExhausted,

    /// <summary>The cloud or the node's own API budget keeps the pool from growing.</summary>
    Throttled,

    /// <summary>The node's IAM role lacks a permission.</summary>
    MissingPermissions,

    /// <summary>An operator's setting keeps the pool from growing, and no address is free.</summary>
    ProvisioningDisabled,

    /// <summary>The cloud does not answer, or its calls fail.</summary>
    CloudUnavailable,

    /// <summary>Custom networking: there is no usable ENIConfig.</summary>
    EniConfigUnusable,

    /// <summary>Every subnet for the node is tagged as not for pods.</summary>
    NoSubnetForPods,

    /// <summary>The instance type allows no more interfaces, no address is free, and the node may run more pods.</summary>
    EniLimitReached,

    /// <summary>Like <see cref="EniLimitReached"/>, for addresses.</summary>
    AddressLimitReached,

    /// <summary>
    /// What is attached was not observed since the start: the daemon serves what checkpoint and metadata agree on, and the pool does not
    /// grow.
    /// </summary>
    NotObserved,

    /// <summary>The host's routes, rules, links, settings or NAT differ from the desired state.</summary>
    HostNetwork,

    /// <summary>The plugin or its network configuration is not installed.</summary>
    Installation,

    /// <summary>A background service of the daemon failed because of a defect.</summary>
    PartStopped,

    /// <summary>The log file cannot be written; the daemon logs to the standard stream.</summary>
    LogNotWritten,

    /// <summary>The folder of missed DELs cannot be used, or has files of other programs.</summary>
    MissedDels,

    /// <summary>The API server does not answer.</summary>
    ClusterUnavailable,
}

/// <summary>A cause with its details.</summary>
/// <param name="Level">Effect on the node; never <see cref="HealthLevel.Ready"/>.</param>
/// <param name="Reason">Reason, for programs.</param>
/// <param name="Detail">Description, for people.</param>
internal sealed record HealthCause(HealthLevel Level, HealthReason Reason, string Detail)
{
    /// <summary>Time after which the cause counts, because such problems often end by themselves.</summary>
    public TimeSpan MinimumDuration { get; init; }
}
