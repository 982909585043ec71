// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd.Planning;

/// <summary>Attached addresses that become usable once their interface's link is configured.</summary>
/// <param name="Count">Number of addresses.</param>
/// <param name="Obstacle">Why they are not usable yet; null when <paramref name="Count"/> is 0.</param>
internal readonly record struct AwaitedAddresses(int Count, GrowthObstacle? Obstacle)
{
    public static readonly AwaitedAddresses None = new(0, null);
}
