// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;

namespace VpcCni.Ipamd.Observation;

/// <summary>Decides which interfaces this daemon manages and how their links are configured.</summary>
/// <param name="OwnerTag">Tag and value of interfaces that this node's daemon created.</param>
/// <param name="OwnDescription">
/// Prefix of the description of interfaces created by a daemon of this product or the reference; tags alone can be added to any interface.
/// </param>
/// <param name="ManageUntagged">MANAGE_UNTAGGED_ENI: also manage interfaces that someone else attached.</param>
/// <param name="Mtu">AWS_VPC_ENI_MTU, bytes.</param>
internal sealed record InterfacePolicy((string Key, string Value) OwnerTag, string OwnDescription, bool ManageUntagged, int Mtu)
{
    /// <summary>An interface with this tag set to "true" is not managed.</summary>
    public const string UnmanagedTag = "node.k8s.amazonaws.com/no_manage";

    /// <summary>Whether the daemon manages the interface; always true for the primary interface.</summary>
    public bool IsManaged(CloudInterface item)
    {
        if (item is { DeviceIndex: 0, NetworkCard: 0 })
            return true;
        if (item.Tags.TryGetValue(UnmanagedTag, out var unmanaged) && unmanaged == "true")
            return false;
        return ManageUntagged || HasOwnerTag(item);
    }

    public bool HasOwnerTag(CloudInterface item) => item.Tags.TryGetValue(OwnerTag.Key, out var owner) && owner == OwnerTag.Value;

    /// <summary>
    /// Whether a daemon on this node, of this product or the reference, created and attached it, so that it must not outlive the instance.
    /// </summary>
    public bool IsOurs(CloudInterface item) =>
        item.AttachmentId is not null
        && item is not { DeviceIndex: 0, NetworkCard: 0 }
        && HasOwnerTag(item)
        && item.Description.StartsWith(OwnDescription, StringComparison.Ordinal);

    public bool CarriesPods(CloudInterface item) => item is { InterfaceType: "interface", NetworkCard: 0 } && IsManaged(item);

    public InterfaceWiring Wiring(CloudInterface item) =>
        new()
        {
            Mac = item.Mac,
            DeviceIndex = item.DeviceIndex ?? throw new InvalidOperationException($"{item.Id} is not attached"),
            NetworkCard = item.NetworkCard,
            PrimaryAddress = item.PrimaryAddress,
            SubnetRange = item.SubnetRange,
            Mtu = Mtu,
            CarriesIpv6 = item.Blocks.Any(block => block.BaseAddress.AddressFamily == AddressFamily.InterNetworkV6),
        };
}
