// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Netlink.Wire;

/// <summary>Encodes and parses neighbour messages (RTM_*NEIGH): struct ndmsg and NDA_* attributes.</summary>
internal static class NeighbourMessage
{
    public static byte[] Change(ushort type, ushort flags, NeighbourInfo neighbour)
    {
        var writer = new MessageWriter(stackalloc byte[128], type, flags);
        writer.Append(
            new NeighbourHeader
            {
                Family = Family.ToWire(neighbour.Address.AddressFamily),
                Index = neighbour.LinkIndex,
                State = (ushort)neighbour.State,
                Flags = neighbour.Proxy ? Nda.NTF_PROXY : (byte)0,
            }
        );
        writer.Attribute(Nda.NDA_DST, neighbour.Address);
        if (neighbour.Mac is { } mac && !neighbour.Proxy)
            writer.Attribute(Nda.NDA_LLADDR, mac);
        return writer.ToArray();
    }

    /// <param name="linkIndex">Index of a link; 0 for all links.</param>
    public static byte[] Dump(AddressFamily family, int linkIndex, bool proxies)
    {
        var writer = new MessageWriter(stackalloc byte[64], Rtm.RTM_GETNEIGH, Nlm.NLM_F_DUMP);
        writer.Append(new NeighbourHeader { Family = Family.ToWire(family), Flags = proxies ? Nda.NTF_PROXY : (byte)0 });
        if (linkIndex != 0)
            writer.Attribute(Nda.NDA_IFINDEX, linkIndex);
        return writer.ToArray();
    }

    public static NeighbourInfo? Parse(Message message)
    {
        var header = message.Read<NeighbourHeader>(out var attributes);
        // Bridge forwarding entries have family AF_BRIDGE.
        if (!Family.TryFromWire(header.Family, out var family))
            return null;
        IPAddress? address = null;
        MacAddress? mac = null;
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case Nda.NDA_DST:
                    address = attribute.AsAddress();
                    break;
                case Nda.NDA_LLADDR:
                    mac = attribute.AsMac();
                    break;
            }
        }

        if (address is null || address.AddressFamily != family)
            throw new MalformedMessageException(
                $"neighbour of family {family} on link {header.Index}, but its address is {address?.ToString() ?? "missing"}"
            );
        return new NeighbourInfo
        {
            LinkIndex = header.Index,
            Address = address,
            Mac = mac,
            State = (NeighbourState)header.State,
            Proxy = (header.Flags & Nda.NTF_PROXY) != 0,
        };
    }
}
