// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;

namespace VpcCni.Netlink.Wire;

/// <summary>
/// Encodes and parses messages on settings of links (RTM_*NETCONF): struct netconfmsg (one octet, the family, padded to four) and
/// NETCONFA_* attributes.
/// </summary>
internal static class ConfigurationMessage
{
    public static byte[] Dump(AddressFamily family)
    {
        var writer = new MessageWriter(stackalloc byte[64], Rtm.RTM_GETNETCONF, Nlm.NLM_F_DUMP);
        writer.Append(Family.ToWire(family));
        return writer.ToArray();
    }

    /// <summary>Returns null for a message without an index.</summary>
    public static LinkConfiguration? Parse(Message message)
    {
        message.Read<byte>(out var attributes);
        int? index = null;
        var (forwards, filter) = (false, 0);
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case Netconfa.NETCONFA_IFINDEX:
                    index = attribute.AsInt32();
                    break;
                case Netconfa.NETCONFA_FORWARDING:
                    forwards = attribute.AsInt32() != 0;
                    break;
                case Netconfa.NETCONFA_RP_FILTER:
                    filter = attribute.AsInt32();
                    break;
            }
        }

        return index is { } known ? new LinkConfiguration(known, forwards, filter) : null;
    }
}
