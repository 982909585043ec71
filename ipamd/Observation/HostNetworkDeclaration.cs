// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Observation;

/// <summary>What the ledger and the metadata mean for the host's network.</summary>
internal static class HostNetworkDeclaration
{
    /// <param name="ledger">Who holds which address, and where.</param>
    /// <param name="identity">Null until the metadata has answered.</param>
    /// <param name="ranges">The network's; empty until the metadata has answered.</param>
    /// <param name="now">The time now.</param>
    public static HostNetworkInputs Of(IpLedger ledger, NodeIdentity? identity, NetworkRanges ranges, DateTimeOffset now) =>
        new()
        {
            Node =
                identity is null || ranges.Current.Count == 0
                    ? null
                    : new NodeFacts
                    {
                        PrimaryAddress = identity.PrimaryAddress,
                        PrimaryMac = MacAddress.Parse(identity.PrimaryMac),
                        VpcRanges = ranges.Current,
                    },
            Pods = [.. ledger.Attachments().Where(attachment => !attachment.IsHostOwned).SelectMany(Endpoints)],
            PodRanges = [.. ledger.View(now).Interfaces.SelectMany(item => item.Blocks).Select(block => block.Range)],
        };

    private static IEnumerable<PodEndpoint> Endpoints(Attachment attachment)
    {
        // Of one that was rebuilt from the kernel, the link is all that is known.
        var suffix = attachment.IsRecovered ? attachment.Key.ContainerId : KernelUsage.LinkSuffix(attachment);
        return attachment.Addresses.Select(held => new PodEndpoint(
            suffix,
            held.Address,
            held.Place is { } slot ? Egress.OfSlot(slot.DeviceIndex, slot.NetworkCard) : null
        )
        {
            IsRecovered = attachment.IsRecovered,
            NetnsPath = attachment.NetnsPath,
        });
    }
}
