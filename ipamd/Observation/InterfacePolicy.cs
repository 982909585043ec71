// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Observation;

/// <summary>Decides which interfaces this daemon manages and how their links are configured.</summary>
/// <param name="OwnerTag">Tag and value of interfaces that this node's daemon created.</param>
/// <param name="OwnDescription">
/// Prefix of the description of interfaces created by a daemon of this product or the reference; tags alone can be added to any interface.
/// </param>
/// <param name="ManageUntagged">MANAGE_UNTAGGED_ENI: also manage interfaces that someone else attached.</param>
/// <param name="Mtu">AWS_VPC_ENI_MTU, bytes.</param>
/// <param name="Families">The families of the pods.</param>
internal sealed record InterfacePolicy(
    (string Key, string Value) OwnerTag,
    string OwnDescription,
    bool ManageUntagged,
    int Mtu,
    PodFamilies Families
)
{
    /// <summary>An interface with this tag set to "true" is not managed.</summary>
    public const string UnmanagedTag = "node.k8s.amazonaws.com/no_manage";

    /// <summary>Whether the daemon manages the interface; always true for the primary interface.</summary>
    public bool IsManaged(CloudInterface item)
    {
        if (item.IsPrimary)
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
        && !item.IsPrimary
        && HasOwnerTag(item)
        && item.Description.StartsWith(OwnDescription, StringComparison.Ordinal);

    public bool CarriesPods(CloudInterface item) =>
        item is { InterfaceType: "interface", Slot: null or { NetworkCard: 0 } } && IsManaged(item);

    private static Slot SlotOf(CloudInterface item) => item.Slot ?? throw new InvalidOperationException($"{item.Id} is not attached");

    public InterfaceWiring Wiring(CloudInterface item) =>
        new()
        {
            Mac = item.Mac,
            Slot = SlotOf(item),
            PrimaryAddress = item.PrimaryAddress,
            SubnetRange = item.SubnetRange,
            Mtu = Mtu,
            // Blocks of a family that is not enabled any more may still have pods.
            CarriesIpv6 = Families.Contains(IpFamily.V6) || item.Blocks.Any(block => IpFamily.Of(block) == IpFamily.V6),
        };
}
