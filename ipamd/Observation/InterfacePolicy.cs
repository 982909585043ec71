// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;

namespace VpcCni.Ipamd.Observation;

/// <summary>Which interfaces are ours to give addresses from, and how they are wired.</summary>
/// <param name="OwnerTag">Tag and value that mark an interface as created by this node's daemon.</param>
/// <param name="OwnDescription">
/// What the description of an interface begins with that a daemon of this product or of the reference created: tags can be added to
/// anybody's.
/// </param>
/// <param name="ManageUntagged">MANAGE_UNTAGGED_ENI: also use interfaces that somebody else attached.</param>
/// <param name="Mtu">AWS_VPC_ENI_MTU, bytes.</param>
internal sealed record InterfacePolicy((string Key, string Value) OwnerTag, string OwnDescription, bool ManageUntagged, int Mtu)
{
    /// <summary>An interface with this tag set to "true" is left alone.</summary>
    public const string UnmanagedTag = "node.k8s.amazonaws.com/no_manage";

    /// <summary>The primary interface always counts as ours, whatever its tags say.</summary>
    public bool IsManaged(CloudInterface item)
    {
        if (item is { DeviceIndex: 0, NetworkCard: 0 })
            return true;
        if (item.Tags.TryGetValue(UnmanagedTag, out var unmanaged) && unmanaged == "true")
            return false;
        return ManageUntagged || HasOwnerTag(item);
    }

    public bool HasOwnerTag(CloudInterface item) => item.Tags.TryGetValue(OwnerTag.Key, out var owner) && owner == OwnerTag.Value;

    /// <summary>Created and attached by this node's daemon, ours or the reference's: it must not outlive the node.</summary>
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
            DeviceIndex = item.DeviceIndex ?? throw new InvalidOperationException($"{item.Id} is attached to nothing"),
            NetworkCard = item.NetworkCard,
            PrimaryAddress = item.PrimaryAddress,
            SubnetRange = item.SubnetRange,
            Mtu = Mtu,
        };
}
