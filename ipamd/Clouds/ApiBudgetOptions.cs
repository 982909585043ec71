// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Clouds;

/// <summary>Kinds of control-plane calls. Each has its own token bucket, so that throttling of one kind does not stop the others.</summary>
internal enum CallKind
{
    /// <summary>Reads only.</summary>
    Describe,

    /// <summary>Changes an interface: create, attach, modify, tag, detach, delete.</summary>
    Mutate,

    /// <summary>Assigns and unassigns blocks of an interface.</summary>
    Assign,
}

/// <summary>Order of calls when tokens are scarce, and what each level of <see cref="CloudAccess"/> rejects.</summary>
internal enum CallPriority
{
    /// <summary>Provides addresses to pods, describes the node, or undoes a partial addition. May use the last token.</summary>
    Growth,

    /// <summary>Releases what is not needed now. Leaves a quarter of the bucket to growth.</summary>
    Release,

    /// <summary>Deletes leaked interfaces. Leaves half of the bucket to growth and releases.</summary>
    CleanUp,
}

/// <summary>Size of a token bucket.</summary>
/// <param name="Capacity">Calls in a burst after a rest.</param>
/// <param name="PerSecond">Sustained calls per second.</param>
internal sealed record CallAllowance(double Capacity, double PerSecond);

/// <summary>
/// One node's share of the control plane. The numbers fit AWS, the strictest of the clouds, which limits the account in a region, for all
/// nodes and everything else in it: by default a burst of 100 describes and then 20 a second, a burst of 50 changes of any kind and then 5
/// a second (docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html). The burst here is what a node needs at once. The sustained
/// rate lets ten nodes that change interfaces without pause use up the account's; larger clusters share by slowing down when throttled
/// (<see cref="TokenBucket"/>).
/// </summary>
internal sealed record ApiBudgetOptions
{
    /// <summary>
    /// Burst: a start (limits, interfaces, subnets, leaked interfaces) and the polling of a detachment. Rate: a twentieth of the account's.
    /// </summary>
    public CallAllowance Describe { get; init; } = new(Capacity: 20, PerSecond: 1);

    /// <summary>
    /// Burst: four new interfaces, the most of common types, at three tokens each (create, attach, modify). Rate: one every six
    /// seconds, about the time to attach one.
    /// </summary>
    public CallAllowance Mutate { get; init; } = new(Capacity: 12, PerSecond: 0.5);

    /// <summary>
    /// Burst: a request for every interface of a common type and a few more. Rate: one a second; pending ADDs depend on these calls, and
    /// each may assign dozens of addresses.
    /// </summary>
    public CallAllowance Assign { get; init; } = new(Capacity: 10, PerSecond: 1);

    /// <summary>A call that cannot have its tokens within this time is rejected at once.</summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Most jitter added to a wait, so that nodes that ran out of tokens together do not continue together.</summary>
    public TimeSpan MaxJitter { get; init; } = TimeSpan.FromMilliseconds(100);
}
