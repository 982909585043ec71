// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Planning;

/// <summary>Bounds of the pool's loops, queues and waits.</summary>
internal static class PoolLimits
{
    /// <summary>Waiting ADDs; more are refused at once. No node runs as many pods, so this only stops a runaway client.</summary>
    public const int MaxWaiting = 2_048;

    /// <summary>Events that come within this time of each other cost one plan: the pods of one deployment arrive together.</summary>
    public static readonly TimeSpan Coalescing = TimeSpan.FromMilliseconds(10);

    /// <summary>
    /// ADDs within this time of each other are of one burst: a refill that no pending ADD waits for is collected until they pause.
    /// </summary>
    public static readonly TimeSpan RefillPause = TimeSpan.FromMilliseconds(250);

    /// <summary>Such a refill is made after this time at the latest, whether ADDs have paused or not.</summary>
    public static readonly TimeSpan LongestRefillWait = TimeSpan.FromSeconds(1);

    /// <summary>ADDs of the last time of this length are what the next is expected to bring: EC2 needs about as long to answer.</summary>
    public static readonly TimeSpan RefillWindow = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A subnet with fewer free addresses is short: nothing is assigned there beyond the targets, and no surplus is kept. What another node
    /// needs outweighs what this one might.
    /// </summary>
    public const int ShortSubnet = 32;

    /// <summary>Most addresses that are assigned beyond the targets while ADDs keep coming (docs/adr/0009).</summary>
    public const int MostAhead = 8;

    /// <summary>
    /// Addresses that leave cooldown within this time are counted as available when growth is planned: EC2 needs about as long to answer.
    /// </summary>
    public static readonly TimeSpan GrowthHorizon = TimeSpan.FromSeconds(2);

    /// <summary>So long before a cooldown ends the kernel is asked whether the address is really unused.</summary>
    public static readonly TimeSpan EvidenceLead = TimeSpan.FromSeconds(5);

    /// <summary>When the kernel could not be asked, it is asked again after this.</summary>
    public static readonly TimeSpan EvidenceRetry = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Shortest time between two looks at the kernel for addresses that are not in use any more, while pods wait for one.
    /// </summary>
    public static readonly TimeSpan KernelLookInterval = TimeSpan.FromSeconds(5);

    /// <summary>Shrinking happens at most this often (the reference's interval).</summary>
    public static readonly TimeSpan ReleaseInterval = TimeSpan.FromSeconds(30);

    /// <summary>Longest pause after releases that fail one after the other; the interval is doubled each time.</summary>
    public static readonly TimeSpan LongestReleasePause = TimeSpan.FromMinutes(10);

    /// <summary>
    /// An interface in a subnet that is not for pods is not removed before it is this old (the reference's minimum for every interface).
    /// </summary>
    public static readonly TimeSpan MinimumInterfaceAge = TimeSpan.FromMinutes(1);

    /// <summary>
    /// An interface that is not needed is kept until no pod has held an address of it for so long: removing it and making it anew costs
    /// five calls, and load that comes back within a quarter of an hour is the rule (docs/adr/0009).
    /// </summary>
    public static readonly TimeSpan IdleInterface = TimeSpan.FromMinutes(15);

    /// <summary>The same for a single address or prefix, which costs two calls.</summary>
    public static readonly TimeSpan IdleBlock = TimeSpan.FromMinutes(5);

    /// <summary>What could be released within this time of another release goes with it: one call instead of several.</summary>
    public static readonly TimeSpan ReleaseTogether = IdleBlock / 2;

    /// <summary>Time between two looks at the instance metadata and at the kernel, before jitter.</summary>
    public static readonly TimeSpan HintInterval = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Time between two observations of the cloud when nothing hints at a difference, before jitter: each is a control-plane call on every
    /// node of the cluster.
    /// </summary>
    public static readonly TimeSpan ResyncInterval = TimeSpan.FromMinutes(15);

    /// <summary>
    /// At a restart with addresses that checkpoint and metadata agree on, the cloud's first answer is waited for so long; then pods are
    /// served, and it is asked on.
    /// </summary>
    public static readonly TimeSpan FirstAnswer = TimeSpan.FromSeconds(3);

    /// <summary>First pause after an observation that failed; doubled each time, at most <see cref="HintInterval"/>.</summary>
    public static readonly TimeSpan FirstObserveRetry = TimeSpan.FromSeconds(5);

    /// <summary>Shortest time between two descriptions of the subnets.</summary>
    public static readonly TimeSpan SubnetInterval = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How often a subnet is described at once because it refused addresses, while one refusal follows the other: several nodes may take
    /// its last addresses at the same time, and a description may show addresses that nobody can have.
    /// </summary>
    public const int SubnetLooks = 3;

    /// <summary>How long no growth is tried after a subnet had no address left (the reference's pause).</summary>
    public static readonly TimeSpan SubnetBackoff = TimeSpan.FromMinutes(2);

    /// <summary>After a limit or a missing permission: facts that change only when a person acts.</summary>
    public static readonly TimeSpan FactBackoff = TimeSpan.FromMinutes(1);

    /// <summary>Longest pause after the same fact again and again.</summary>
    public static readonly TimeSpan LongestFactBackoff = TimeSpan.FromMinutes(10);

    /// <summary>First and longest pause after a throttled or failed call; doubled each time, with full jitter.</summary>
    public static readonly TimeSpan FirstBackoff = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan LongestBackoff = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Time between two looks at the primary interface's security groups in the instance metadata, before jitter (the reference's
    /// interval).
    /// </summary>
    public static readonly TimeSpan GroupsInterval = TimeSpan.FromSeconds(30);

    /// <summary>
    /// First and longest pause after an interface could not be given its security groups; doubled each time, with jitter.
    /// </summary>
    public static readonly TimeSpan FirstGroupsRetry = TimeSpan.FromSeconds(5);
    public static readonly TimeSpan LongestGroupsRetry = TimeSpan.FromMinutes(5);

    /// <summary>A new interface must show up as a link of the kernel within this time after it was attached.</summary>
    public static readonly TimeSpan LinkDeadline = TimeSpan.FromSeconds(30);

    /// <summary>First and longest pause between two looks at a detachment under way.</summary>
    public static readonly TimeSpan FirstDetachLook = TimeSpan.FromSeconds(2);
    public static readonly TimeSpan LongestDetachLook = TimeSpan.FromSeconds(10);

    /// <summary>First and longest pause before a change whose outcome is in doubt is gone on with; doubled each time.</summary>
    public static readonly TimeSpan FirstResume = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan LongestResume = TimeSpan.FromMinutes(1);

    /// <summary>A detached interface must become deletable within this time.</summary>
    public static readonly TimeSpan DetachDeadline = TimeSpan.FromSeconds(60);
}
