// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Netlink.Wire;

/// <summary>Encodes and parses address messages (RTM_*ADDR): struct ifaddrmsg and IFA_* attributes.</summary>
internal static class AddressMessage
{
    public static byte[] Change(ushort type, ushort flags, int linkIndex, IPAddress address, int prefixLength, AddressOptions options)
    {
        var addressFlags =
            (options.NoPrefixRoute ? AddressFlags.NoPrefixRoute : AddressFlags.None)
            | (options.NoDad ? AddressFlags.NoDad : AddressFlags.None);
        bool fitsHeader = (int)addressFlags <= byte.MaxValue;
        var writer = new MessageWriter(stackalloc byte[256], type, flags);
        writer.Append(
            new AddressHeader
            {
                Family = Family.ToWire(address.AddressFamily),
                PrefixLength = (byte)prefixLength,
                Flags = fitsHeader ? (byte)addressFlags : (byte)0,
                Scope = (byte)options.Scope,
                Index = linkIndex,
            }
        );
        writer.Attribute(Ifa.IFA_LOCAL, address);
        if (!fitsHeader)
            writer.Attribute(Ifa.IFA_FLAGS, (uint)addressFlags);
        if (options.Broadcast is { } broadcast)
        {
            Family.Require(IpFamily.V4, broadcast, "broadcast address");
            writer.Attribute(Ifa.IFA_BROADCAST, broadcast);
        }

        writer.Attribute(Ifa.IFA_ADDRESS, address);
        return writer.ToArray();
    }

    /// <param name="namespaceId">As in <see cref="LinkMessage.Get"/>.</param>
    public static byte[] Dump(AddressFamily family, int linkIndex, int? namespaceId = null)
    {
        var writer = new MessageWriter(stackalloc byte[64], Rtm.RTM_GETADDR, Nlm.NLM_F_DUMP);
        writer.Append(new AddressHeader { Family = Family.ToWire(family), Index = linkIndex });
        if (namespaceId is { } id)
            writer.Attribute(Ifa.IFA_TARGET_NETNSID, id);
        return writer.ToArray();
    }

    public static AddressInfo? Parse(Message message)
    {
        var header = message.Read<AddressHeader>(out var attributes);
        if (!Family.TryFromWire(header.Family, out var family))
            return null;
        IPAddress? local = null,
            address = null;
        uint flags = header.Flags;
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case Ifa.IFA_LOCAL:
                    local = attribute.AsAddress();
                    break;
                case Ifa.IFA_ADDRESS:
                    address = attribute.AsAddress();
                    break;
                case Ifa.IFA_FLAGS:
                    flags = attribute.AsUInt32();
                    break;
            }
        }

        // On a point-to-point link IFA_ADDRESS is the address of the peer.
        var own = local ?? address ?? throw new MalformedMessageException($"address message without an address, link {header.Index}");
        if (own.AddressFamily != family || header.PrefixLength > IpFamily.Bits(family))
            throw new MalformedMessageException($"{own}/{header.PrefixLength} is not an address of family {family}");
        return new AddressInfo
        {
            LinkIndex = header.Index,
            Address = own,
            PrefixLength = header.PrefixLength,
            Scope = (AddressScope)header.Scope,
            Flags = (AddressFlags)flags,
        };
    }
}
