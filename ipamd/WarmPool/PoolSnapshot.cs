// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.WarmPool;

/// <summary>Everything that a plan depends on, at one moment.</summary>
internal sealed record PoolSnapshot
{
    public required LedgerView Ledger { get; init; }

    /// <summary>Addresses that waiting ADDs ask for.</summary>
    public required int Waiting { get; init; }
    public required PoolCapacity Capacity { get; init; }

    /// <summary>Why the pool may not grow now; null when it may.</summary>
    public GrowthObstacle? Obstacle { get; init; }

    /// <summary>The pool is never shrunk more often than every <see cref="PoolLimits.ReleaseInterval"/>, so that churn costs no cloud calls.</summary>
    public required DateTimeOffset LastReleaseAt { get; init; }
}

/// <summary>What this node can carry.</summary>
/// <param name="MaxInterfaces">Of the instance type, or MAX_ENI where that is lower; the primary one included.</param>
/// <param name="BlocksPerInterface">Secondary addresses per interface: its address limit less the primary address.</param>
/// <param name="MaxPods">More addresses than this are never attached.</param>
internal sealed record PoolCapacity(int MaxInterfaces, int BlocksPerInterface, int MaxPods)
{
    /// <summary>The reference's formula for the pods of a node: every secondary address, and two pods on the host network.</summary>
    public static int DefaultMaxPods(int maxInterfaces, int addressesPerInterface) => (maxInterfaces * (addressesPerInterface - 1)) + 2;
}

/// <summary>Why no address can be added, as it is told to whoever waits for one.</summary>
internal enum GrowthObstacleKind
{
    InterfaceLimit,
    AddressLimit,
    MaxPods,
    SubnetExhausted,
    Throttled,
    NotPermitted,
    ProvisioningDisabled,
    CloudFailure,
}

/// <summary>A reason against growth.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Until">When growth is tried again; null when no time helps.</param>
/// <param name="Detail">A sentence for a person.</param>
internal sealed record GrowthObstacle(GrowthObstacleKind Kind, DateTimeOffset? Until, string Detail);
