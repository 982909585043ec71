// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd.Planning;

/// <summary>Addresses that are attached and can be used as soon as their interface is wired.</summary>
/// <param name="Count">How many.</param>
/// <param name="Obstacle">Why they cannot be used yet; null when there are none.</param>
internal readonly record struct AwaitedAddresses(int Count, GrowthObstacle? Obstacle)
{
    public static readonly AwaitedAddresses None = new(0, null);
}
