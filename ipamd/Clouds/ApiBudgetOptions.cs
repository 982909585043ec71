// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Clouds;

/// <summary>
/// Kinds of control-plane calls. Each draws from a bucket of its own, so that one kind that is throttled does not stop the others.
/// </summary>
internal enum CallKind
{
    /// <summary>Asks and changes nothing.</summary>
    Describe,

    /// <summary>The life of an interface: create, attach, modify, tag, detach, delete.</summary>
    Mutate,

    /// <summary>Blocks of an interface: assign and unassign.</summary>
    Assign,
}

/// <summary>Who goes first when tokens are few, and what a level of <see cref="CloudAccess"/> refuses.</summary>
internal enum CallPriority
{
    /// <summary>Gives pods addresses, tells what the node has, or takes back a half-done addition. May use the last token.</summary>
    Growth,

    /// <summary>Gives back what is not needed now. Leaves a quarter of the bucket to growth.</summary>
    Release,

    /// <summary>Removes what somebody left behind. Leaves half of the bucket to growth and releases.</summary>
    CleanUp,
}

/// <summary>A token bucket's size.</summary>
/// <param name="Capacity">Calls at once after a rest.</param>
/// <param name="PerSecond">Calls per second in the long run.</param>
internal sealed record CallAllowance(double Capacity, double PerSecond);

/// <summary>
/// One node's share of the control plane. EC2's limits are the account's in a region, for all nodes and everything else in it: by default
/// 100 describes and then 20 a second, 50 changes of any kind and then 5 a second
/// (docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html). A burst here is what a node needs in one go; the long run is chosen
/// so that ten nodes that never stop changing interfaces use up the account's, and larger clusters share by slowing down when they are
/// throttled (<see cref="TokenBucket"/>).
/// </summary>
internal sealed record ApiBudgetOptions
{
    /// <summary>
    /// A start (limits, interfaces, subnets, leftovers) and a detachment that is watched; in the long run a twentieth of the account's.
    /// </summary>
    public CallAllowance Describe { get; init; } = new(Capacity: 20, PerSecond: 1);

    /// <summary>
    /// Four new interfaces, the most that common types have, at <see cref="BudgetedCloud"/>'s three tokens each; then one every six
    /// seconds, about what attaching takes.
    /// </summary>
    public CallAllowance Mutate { get; init; } = new(Capacity: 12, PerSecond: 0.5);

    /// <summary>
    /// Every interface of a common type filled and a few sized requests more; then one a second: waiting pods depend on these, and each may
    /// bring dozens of addresses.
    /// </summary>
    public CallAllowance Assign { get; init; } = new(Capacity: 10, PerSecond: 1);

    /// <summary>A call that cannot have its tokens within this time is refused at once.</summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Added to every wait, at most, so that nodes that ran dry together do not go on together.</summary>
    public TimeSpan MaxJitter { get; init; } = TimeSpan.FromMilliseconds(100);
}
