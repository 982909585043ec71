// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Observation;

/// <summary>Derives the desired state of the host's network from ledger and metadata.</summary>
internal static class HostNetworkDeclaration
{
    /// <param name="ledger">The attachments and their interfaces.</param>
    /// <param name="identity">The node's identity; null until the metadata has been read.</param>
    /// <param name="ranges">The network's ranges; empty until the metadata has been read.</param>
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
                        Ipv6Address = identity.Ipv6Address,
                        PrimaryMac = MacAddress.Parse(identity.PrimaryMac),
                        VpcRanges = ranges.Current,
                    },
            Pods = [.. ledger.Attachments().Where(attachment => !attachment.IsHostOwned).SelectMany(Endpoints)],
            PodRanges = [.. ledger.View(now).Interfaces.SelectMany(item => item.Blocks).Select(block => block.Range)],
        };

    private static IEnumerable<PodEndpoint> Endpoints(Attachment attachment)
    {
        // Of an attachment recovered from the kernel only the link is known.
        var suffix = attachment.IsRecovered ? attachment.Key.ContainerId : KernelUsage.LinkSuffix(attachment);
        return attachment.Addresses.Select(item => new PodEndpoint(suffix, item.Address, item.Slot?.Egress)
        {
            IsRecovered = attachment.IsRecovered,
            NetnsPath = attachment.NetnsPath,
        });
    }
}
