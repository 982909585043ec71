// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Planning;

/// <summary>Everything that a plan depends on, at one moment.</summary>
internal sealed record PoolSnapshot
{
    public required LedgerView Ledger { get; init; }

    /// <summary>The pending ADDs, in order of arrival.</summary>
    public required IReadOnlyList<PendingAdd> Waiting { get; init; }
    public required PoolCapacity Capacity { get; init; }

    /// <summary>Subnets that a new interface may be created in, best first.</summary>
    public required IReadOnlyList<SubnetCandidate> Subnets { get; init; }

    /// <summary>The obstacles to growth.</summary>
    public GrowthObstacles Obstacles { get; init; } = GrowthObstacles.None;

    /// <summary>Why no interface can be created in any subnet; null when <see cref="Subnets"/> says where one can.</summary>
    public GrowthObstacle? PlacementObstacle { get; init; }

    /// <summary>Attached addresses that only lack their link.</summary>
    public AwaitedAddresses Awaited { get; init; } = AwaitedAddresses.None;

    /// <summary>When the current shortage began; null when the last plan had none.</summary>
    public DateTimeOffset? ShortageSince { get; init; }

    /// <summary>
    /// Whether the node takes no new pods. The pool still serves the pods that come, but keeps nothing warm and removes no interface.
    /// </summary>
    public bool IsUnschedulable { get; init; }

    /// <summary>Why nothing may be released to the cloud; null when releases are allowed.</summary>
    public string? ReleaseObstacle { get; init; }

    /// <summary>
    /// When this daemon first observed the attached interfaces, if earlier targets may have left a surplus; otherwise null.
    /// </summary>
    public DateTimeOffset? TargetsChangedAt { get; init; }

    /// <summary>
    /// When the next release is allowed: at least <see cref="PoolLimits.ReleaseInterval"/> after the last one, so that churn costs no cloud
    /// calls, and later after failures.
    /// </summary>
    public required DateTimeOffset MayReleaseAt { get; init; }

    /// <summary>The last time when the targets needed every interface.</summary>
    public DateTimeOffset LastNeededAt { get; init; }
}

/// <summary>An ADD that waits for an address.</summary>
/// <param name="Number">Queue ticket, unique per daemon run.</param>
/// <param name="Deadline">When the ADD expires.</param>
internal readonly record struct PendingAdd(long Number, DateTimeOffset Deadline);

/// <summary>A subnet for new interfaces.</summary>
/// <param name="Id">The subnet's id.</param>
/// <param name="FreeAddresses">Free IPv4 addresses as last described; null when never described.</param>
internal sealed record SubnetCandidate(string Id, int? FreeAddresses)
{
    /// <summary>Security groups of an interface in it.</summary>
    public IReadOnlyList<string> SecurityGroupIds { get; init; } = [];

    /// <summary>Whether the subnet has fewer than <see cref="PoolLimits.NearlyExhausted"/> free addresses.</summary>
    public bool IsNearlyExhausted => FreeAddresses < PoolLimits.NearlyExhausted;
}
