// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// Device indexes of EC2 and those of the daemon. Everywhere in the daemon, in route tables and in replies to the plugin, index 0 of card 0
/// is the primary interface: so it is in the AWS VPC CNI's protocol. In EC2 it is as a rule; what says which interface is the primary one
/// is the MAC address in the instance metadata. Where that one has another index, it and whatever has index 0 are exchanged, at this edge
/// and in both directions.
/// </summary>
internal static class DeviceIndexes
{
    /// <summary>EC2's index as the daemon's, or the daemon's as EC2's: the exchange is its own inverse.</summary>
    /// <param name="index">On card 0.</param>
    /// <param name="primary">EC2's index of the primary interface.</param>
    public static int Exchange(int index, int primary) =>
        index == 0 ? primary
        : index == primary ? 0
        : index;

    /// <summary>EC2's index of the primary interface; null when it is not among these.</summary>
    public static int? OfPrimary(IEnumerable<CloudInterface> interfaces, string primaryMac) =>
        interfaces.FirstOrDefault(item => item is { NetworkCard: 0, DeviceIndex: not null } && item.Mac == primaryMac)?.DeviceIndex;

    /// <summary>Interfaces as EC2 or its metadata shows them, with the daemon's indexes and in their order.</summary>
    /// <exception cref="CloudException">
    /// The primary one is not among them: not the truth about a node, and what has its index must not be taken for it.
    /// </exception>
    public static IReadOnlyList<CloudInterface> WithPrimaryFirst(IReadOnlyCollection<CloudInterface> interfaces, string primaryMac)
    {
        if (OfPrimary(interfaces, primaryMac) is not { } primary)
        {
            // Whoever asked looks for the primary one, and must not find another in its place.
            if (!interfaces.Any(item => item is { NetworkCard: 0, DeviceIndex: 0 }))
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
                    item is { NetworkCard: 0, DeviceIndex: { } index } ? item with { DeviceIndex = Exchange(index, primary) } : item
                )
                .OrderBy(item => item.NetworkCard)
                .ThenBy(item => item.DeviceIndex ?? int.MaxValue),
        ];
    }
}
