// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Planning;

/// <summary>Bounds of the pool's loops, queues and waits.</summary>
internal static class PoolLimits
{
    /// <summary>Most pending ADDs; more are rejected at once. Above the pods of any node: it only stops a runaway client.</summary>
    public const int MaxWaiting = 2_048;

    /// <summary>Events within this time of each other cause one plan: the pods of a deployment arrive together.</summary>
    public static readonly TimeSpan Coalescing = TimeSpan.FromMilliseconds(10);

    /// <summary>
    /// ADDs within this time of each other belong to one burst. A refill that no pending ADD waits for is collected until the burst pauses.
    /// </summary>
    public static readonly TimeSpan RefillPause = TimeSpan.FromMilliseconds(250);

    /// <summary>Longest time that such a refill is delayed, whether ADDs have paused or not.</summary>
    public static readonly TimeSpan LongestRefillWait = TimeSpan.FromSeconds(1);

    /// <summary>The ADDs of the last window are the forecast for the next: the cloud takes about as long to answer.</summary>
    public static readonly TimeSpan RefillWindow = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A subnet with fewer free addresses is nearly exhausted: nothing is assigned from it beyond the targets, and no surplus is kept,
    /// because other nodes may need its addresses.
    /// </summary>
    public const int NearlyExhausted = 32;

    /// <summary>Most addresses assigned beyond the targets while ADDs keep arriving (docs/adr/0009).</summary>
    public const int MaxAhead = 8;

    /// <summary>
    /// Addresses that leave cooldown within this time count as available when growth is planned: the cloud takes about as long to answer.
    /// </summary>
    public static readonly TimeSpan GrowthHorizon = TimeSpan.FromSeconds(2);

    /// <summary>How long before a cooldown ends the kernel is checked for use of the address.</summary>
    public static readonly TimeSpan KernelCheckLead = TimeSpan.FromSeconds(5);

    /// <summary>Pause before the kernel is checked again after a failure.</summary>
    public static readonly TimeSpan KernelCheckRetry = TimeSpan.FromSeconds(1);

    /// <summary>Shortest time between two kernel checks for addresses that are no longer in use, while ADDs are pending.</summary>
    public static readonly TimeSpan KernelCheckInterval = TimeSpan.FromSeconds(5);

    /// <summary>Shortest time between two releases (the reference's interval).</summary>
    public static readonly TimeSpan ReleaseInterval = TimeSpan.FromSeconds(30);

    /// <summary>Pauses after releases: the interval after a success, doubled by each failure that follows.</summary>
    public static readonly Backoff ReleasePauses = new(ReleaseInterval, TimeSpan.FromMinutes(10));

    /// <summary>
    /// Minimum age of an interface in an excluded subnet before it is removed (the reference's minimum for every interface).
    /// </summary>
    public static readonly TimeSpan MinimumInterfaceAge = TimeSpan.FromMinutes(1);

    /// <summary>
    /// How long an unneeded interface is kept after its last pod: removing and recreating it costs five calls, and load usually returns
    /// within a quarter of an hour (docs/adr/0009).
    /// </summary>
    public static readonly TimeSpan IdleInterface = TimeSpan.FromMinutes(15);

    /// <summary>The same for a single address or prefix, which costs two calls.</summary>
    public static readonly TimeSpan IdleBlock = TimeSpan.FromMinutes(5);

    /// <summary>Blocks that become releasable within this time of another release join its call.</summary>
    public static readonly TimeSpan ReleaseTogether = IdleBlock / 2;

    /// <summary>Time between two reads of the instance metadata and of the kernel, before jitter.</summary>
    public static readonly TimeSpan HintInterval = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Time between two observations of the cloud when no hint shows a difference, before jitter. Each is a control-plane call on every
    /// node of the cluster.
    /// </summary>
    public static readonly TimeSpan ResyncInterval = TimeSpan.FromMinutes(15);

    /// <summary>
    /// At a restart with addresses that checkpoint and metadata agree on, how long to wait for the cloud's first answer before pods are
    /// served without it. The observation continues.
    /// </summary>
    public static readonly TimeSpan FirstObservationWait = TimeSpan.FromSeconds(3);

    /// <summary>Pauses after failed observations, before jitter.</summary>
    public static readonly Backoff ObserveRetries = new(TimeSpan.FromSeconds(5), HintInterval);

    /// <summary>How long a hint that the cloud refuted is not followed again, as long as it stays the same.</summary>
    public static readonly Backoff RefutedHints = new(HintInterval, ResyncInterval);

    /// <summary>Pauses after failed reads of the limits.</summary>
    public static readonly Backoff LimitRetries = new(TimeSpan.FromSeconds(5), ResyncInterval);

    /// <summary>Shortest time between two descriptions of the subnets.</summary>
    public static readonly TimeSpan SubnetInterval = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How many consecutive refusals of addresses trigger an immediate description of the subnet. Several nodes may take its last addresses
    /// at once, and a description may show addresses that cannot be assigned.
    /// </summary>
    public const int MaxSubnetRefreshes = 3;

    /// <summary>How long growth pauses after a subnet had no free address (the reference's pause).</summary>
    public static readonly TimeSpan SubnetBackoff = TimeSpan.FromMinutes(2);

    /// <summary>Pause after a limit or a missing permission, which only a person can change.</summary>
    public static readonly TimeSpan FactBackoff = TimeSpan.FromMinutes(1);

    /// <summary>Pauses after a new interface failed for such a reason: it costs several calls, including those that undo it.</summary>
    public static readonly Backoff NewInterfaceRetries = new(FactBackoff, TimeSpan.FromMinutes(10));

    /// <summary>Pauses after a subnet had no free prefix: a subnet stays fragmented for long.</summary>
    public static readonly Backoff FragmentedSubnetRetries = new(SubnetBackoff, TimeSpan.FromMinutes(10));

    /// <summary>Pauses after a throttled or failed call. Half fixed: no retry comes at once.</summary>
    public static readonly Backoff CallRetries = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30), randomShare: 0.5);

    /// <summary>
    /// Time between two reads of the primary interface's security groups from the instance metadata, before jitter (the reference's
    /// interval).
    /// </summary>
    public static readonly TimeSpan GroupsInterval = TimeSpan.FromSeconds(30);

    /// <summary>How long a difference of the groups that an observation did not confirm is not followed again.</summary>
    public static readonly Backoff RefutedGroups = new(GroupsInterval, ResyncInterval);

    /// <summary>Pauses after setting an interface's security groups failed. Half fixed: no retry comes at once.</summary>
    public static readonly Backoff GroupsRetries = new(TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(5), randomShare: 0.5);

    /// <summary>A new interface must appear as a kernel link within this time after it was attached.</summary>
    public static readonly TimeSpan LinkDeadline = TimeSpan.FromSeconds(30);

    /// <summary>Pauses between attempts to resume a change with an unknown outcome.</summary>
    public static readonly Backoff Resumes = new(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1));
}
