// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>Decides which interfaces this daemon manages, by tags, description and type.</summary>
/// <param name="NodeId">Value of the owner tag of interfaces that this node's daemon created.</param>
/// <param name="ManageUntagged">MANAGE_UNTAGGED_ENI: also manage interfaces that someone else attached.</param>
internal sealed record InterfacePolicy(string NodeId, bool ManageUntagged)
{
    /// <summary>An interface with this tag set to "true" is not managed.</summary>
    public const string UnmanagedTag = "node.k8s.amazonaws.com/no_manage";

    /// <summary>Whether pods get addresses of the interface; never of a trunk, a branch or an EFA.</summary>
    public bool CarriesPods(Ec2Interface item) =>
        item is { InterfaceType: "interface", Slot: null or { NetworkCard: 0 } } && IsManaged(item);

    /// <summary>
    /// Whether a daemon on this node, of this product or the reference, created and attached it, and it would not be deleted with the
    /// instance. Tags alone can be added to any interface, a description cannot.
    /// </summary>
    public bool OutlivesInstance(Ec2Interface item) =>
        item is { AttachmentId: not null, IsPrimary: false, DeleteOnTermination: false }
        && HasOwnerTag(item)
        && item.Description.StartsWith(EniTags.DescriptionPrefix, StringComparison.Ordinal);

    /// <summary>Whether pods get addresses of the interface, and it does not have this node's tags.</summary>
    public bool LacksOwner(Ec2Interface item) => CarriesPods(item) && !HasOwnerTag(item);

    /// <summary>Whether the daemon manages the interface; always true for the primary interface.</summary>
    private bool IsManaged(Ec2Interface item)
    {
        if (item.IsPrimary)
            return true;
        if (item.Tags.TryGetValue(UnmanagedTag, out var unmanaged) && unmanaged == "true")
            return false;
        return ManageUntagged || HasOwnerTag(item);
    }

    private bool HasOwnerTag(Ec2Interface item) => item.Tags.TryGetValue(EniTags.InstanceId, out var owner) && owner == NodeId;
}
