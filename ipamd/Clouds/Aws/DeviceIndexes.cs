// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// Translates between EC2's device indexes and the daemon's. In the daemon, in route tables and in replies to the plugin, index 0 of card 0
/// is the primary interface, as in the AWS VPC CNI's protocol. In EC2 it usually is; the MAC address in the instance metadata identifies
/// the primary interface. If it has another index, that index and 0 are swapped here, in both directions.
/// </summary>
internal static class DeviceIndexes
{
    /// <summary>Translates an index in either direction: the swap is its own inverse.</summary>
    /// <param name="index">Index on card 0.</param>
    /// <param name="primary">EC2's index of the primary interface.</param>
    public static int Swap(int index, int primary) =>
        index == 0 ? primary
        : index == primary ? 0
        : index;

    /// <summary>EC2's index of the primary interface; null when it is not among these.</summary>
    public static int? OfPrimary(IEnumerable<Ec2Interface> interfaces, string primaryMac) =>
        interfaces.FirstOrDefault(item => item.Slot is { NetworkCard: 0 } && item.Mac == primaryMac)?.Slot?.DeviceIndex;

    /// <summary>Returns the interfaces with the daemon's indexes, ordered by card and index.</summary>
    /// <exception cref="CloudException">The primary interface is missing: the answer is not about this node, and another interface must not
    /// pass for the primary.</exception>
    public static IReadOnlyList<Ec2Interface> WithPrimaryFirst(IReadOnlyCollection<Ec2Interface> interfaces, string primaryMac)
    {
        if (OfPrimary(interfaces, primaryMac) is not { } primary)
        {
            // Callers look for the primary interface, and must not find another one in its slot.
            if (!interfaces.Any(item => item.IsPrimary))
                primary = 0;
            else
                throw new CloudException(
                    CloudErrorKind.Transient,
                    "DescribeAttachedInterfaces",
                    "NoPrimaryInterface",
                    $"the answer shows no interface with the MAC address {primaryMac}, which the instance metadata says is the primary one"
                );
        }

        return
        [
            .. interfaces
                .Select(item =>
                    item.Slot is { NetworkCard: 0 } slot
                        ? item with
                        {
                            Slot = slot with { DeviceIndex = Swap(slot.DeviceIndex, primary) },
                        }
                        : item
                )
                .OrderBy(item => item.Slot is null)
                .ThenBy(item => item.Slot),
        ];
    }
}
