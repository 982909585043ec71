// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>Everything that a plan depends on, at one moment.</summary>
internal sealed record PoolSnapshot
{
    public required LedgerView Ledger { get; init; }

    /// <summary>ADDs that wait for an address, in the order of their arrival.</summary>
    public required IReadOnlyList<PendingAdd> Waiting { get; init; }
    public required PoolCapacity Capacity { get; init; }

    /// <summary>Subnets that a new interface may be created in, the best one first.</summary>
    public required IReadOnlyList<SubnetCandidate> Subnets { get; init; }

    /// <summary>What stands against growth now, and where.</summary>
    public GrowthObstacles Obstacles { get; init; } = GrowthObstacles.None;

    /// <summary>Why no interface can be made anywhere; null when <see cref="Subnets"/> says where.</summary>
    public GrowthObstacle? NoPlace { get; init; }

    /// <summary>Attached, and usable as soon as their interface is wired.</summary>
    public AwaitedAddresses Awaited { get; init; } = AwaitedAddresses.None;

    /// <summary>Since when addresses have been missing; null when none were at the last plan.</summary>
    public DateTimeOffset? ShortSince { get; init; }

    /// <summary>
    /// The node takes no new pods: the pool serves those that come all the same, and is neither warmed nor shrunk by interfaces.
    /// </summary>
    public bool IsUnschedulable { get; init; }

    /// <summary>Why nothing is released to the cloud; null when something may be.</summary>
    public string? ReleaseObstacle { get; init; }

    /// <summary>
    /// When this daemon had seen what is attached, if other targets may have left a surplus that is not gone yet; else null.
    /// </summary>
    public DateTimeOffset? TargetsChangedAt { get; init; }

    /// <summary>
    /// When something may be given back again: never more often than every <see cref="PoolLimits.ReleaseInterval"/>, so that churn costs no
    /// cloud calls, and less often after failures.
    /// </summary>
    public required DateTimeOffset MayReleaseAt { get; init; }

    /// <summary>When last no interface was more than the targets ask for.</summary>
    public DateTimeOffset LastNeededAt { get; init; }
}

/// <summary>One who waits.</summary>
/// <param name="Number">Its place's number; never used twice.</param>
/// <param name="Deadline">When it gives up.</param>
internal readonly record struct PendingAdd(long Number, DateTimeOffset Deadline);

/// <summary>A subnet for new interfaces.</summary>
/// <param name="Id">The subnet.</param>
/// <param name="FreeAddresses">As last described; null when it never was.</param>
internal sealed record SubnetCandidate(string Id, int? FreeAddresses)
{
    /// <summary>It is known to have few addresses left: <see cref="PoolLimits.ShortSubnet"/>.</summary>
    public bool IsShort => FreeAddresses < PoolLimits.ShortSubnet;
}

/// <summary>What this node can carry.</summary>
/// <param name="MaxInterfaces">Of the instance type, or MAX_ENI where that is lower; the primary one included.</param>
/// <param name="BlocksPerInterface">Secondary addresses or prefixes per interface: its address limit less the primary address.</param>
/// <param name="MaxPods">More addresses than this are never attached, as far as whole blocks allow.</param>
/// <param name="UsesPrimary">The primary interface carries pods like the others; not so with custom networking.</param>
internal sealed record PoolCapacity(int MaxInterfaces, int BlocksPerInterface, int MaxPods, bool UsesPrimary = true)
{
    /// <summary>
    /// The reference's formula for the pods of a node: every secondary address of every interface that carries pods, and two pods on the
    /// host network.
    /// </summary>
    public static int DefaultMaxPods(int podInterfaces, int addressesPerInterface) => (podInterfaces * (addressesPerInterface - 1)) + 2;
}
