// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink.Wire;

/// <summary>Encodes and parses link messages (RTM_*LINK): struct ifinfomsg and IFLA_* attributes.</summary>
internal static class LinkMessage
{
    private const uint IFF_UP = (uint)LinkFlags.Up;

    /// <param name="namespaceOffset">Offset of the descriptor of the peer's namespace in the message; 0 if there is none.</param>
    public static byte[] CreateVeth(VethSpec spec, out int namespaceOffset)
    {
        var writer = StartCreate(stackalloc byte[MessageWriter.MaxLength], spec.Name, spec.Mac, spec.Mtu, spec.Up, parentIndex: null);
        int info = writer.BeginNested(Ifla.IFLA_LINKINFO);
        writer.Attribute(Ifla.IFLA_INFO_KIND, "veth"u8);
        int data = writer.BeginNested(Ifla.IFLA_INFO_DATA);
        // The peer is a nested link message with its own header and attributes (drivers/net/veth.c, veth_newlink).
        int peer = writer.BeginNested(Ifla.VETH_INFO_PEER);
        writer.Append(default(LinkHeader));
        namespaceOffset = 0;
        if (spec.PeerNamespace is not null)
        {
            writer.Attribute(Ifla.IFLA_NET_NS_FD, 0u);
            namespaceOffset = writer.Length - sizeof(uint);
        }

        WriteOptions(ref writer, spec.PeerMac, spec.PeerMtu);
        writer.Name(Ifla.IFLA_IFNAME, spec.PeerName);
        writer.EndNested(peer);
        writer.EndNested(data);
        writer.EndNested(info);
        return writer.ToArray();
    }

    public static byte[] Create(string kind, string name, MacAddress? mac, int? mtu, bool up, int? parentIndex = null, int? vlanId = null)
    {
        var writer = StartCreate(stackalloc byte[MessageWriter.MaxLength], name, mac, mtu, up, parentIndex);
        int info = writer.BeginNested(Ifla.IFLA_LINKINFO);
        writer.Attribute(Ifla.IFLA_INFO_KIND, System.Text.Encoding.ASCII.GetBytes(kind));
        if (vlanId is { } id)
        {
            int data = writer.BeginNested(Ifla.IFLA_INFO_DATA);
            writer.Attribute(Ifla.IFLA_VLAN_ID, (ushort)id);
            writer.EndNested(data);
        }

        writer.EndNested(info);
        return writer.ToArray();
    }

    public static byte[] Delete(int index)
    {
        var writer = new MessageWriter(stackalloc byte[64], Rtm.RTM_DELLINK, 0);
        writer.Append(new LinkHeader { Index = index });
        return writer.ToArray();
    }

    public static byte[] Delete(string name)
    {
        var writer = new MessageWriter(stackalloc byte[128], Rtm.RTM_DELLINK, 0);
        writer.Append(default(LinkHeader));
        writer.Name(Ifla.IFLA_IFNAME, name);
        return writer.ToArray();
    }

    public static byte[] DeleteGroup(int group)
    {
        var writer = new MessageWriter(stackalloc byte[64], Rtm.RTM_DELLINK, 0);
        writer.Append(default(LinkHeader));
        writer.Attribute(Ifla.IFLA_GROUP, group);
        return writer.ToArray();
    }

    public static byte[] SetUp(int index, bool up)
    {
        var writer = new MessageWriter(stackalloc byte[64], Rtm.RTM_NEWLINK, 0);
        writer.Append(
            new LinkHeader
            {
                Index = index,
                Flags = up ? IFF_UP : 0,
                Change = IFF_UP,
            }
        );
        return writer.ToArray();
    }

    public static byte[] SetUp(string name, bool up)
    {
        var writer = new MessageWriter(stackalloc byte[128], Rtm.RTM_NEWLINK, 0);
        writer.Append(new LinkHeader { Flags = up ? IFF_UP : 0, Change = IFF_UP });
        writer.Name(Ifla.IFLA_IFNAME, name);
        return writer.ToArray();
    }

    public static byte[] Set(int index, ushort attribute, int value)
    {
        var writer = StartSet(stackalloc byte[64], index);
        writer.Attribute(attribute, value);
        return writer.ToArray();
    }

    public static byte[] SetMac(int index, MacAddress mac)
    {
        var writer = StartSet(stackalloc byte[64], index);
        writer.Attribute(Ifla.IFLA_ADDRESS, mac);
        return writer.ToArray();
    }

    public static byte[] Rename(int index, string name)
    {
        var writer = StartSet(stackalloc byte[128], index);
        writer.Name(Ifla.IFLA_IFNAME, name);
        return writer.ToArray();
    }

    public static byte[] MoveToNamespace(int index, out int namespaceOffset)
    {
        var writer = StartSet(stackalloc byte[64], index);
        writer.Attribute(Ifla.IFLA_NET_NS_FD, 0u);
        namespaceOffset = writer.Length - sizeof(uint);
        return writer.ToArray();
    }

    /// <summary>
    /// Queries one link, or all with NLM_F_DUMP and neither name nor index. Excludes statistics, which are most of the size of a dump.
    /// </summary>
    /// <param name="namespaceId">Id of the namespace to query, as assigned by that of the socket; that of the socket if null.</param>
    public static byte[] Get(ushort flags, int index = 0, string? name = null, int? namespaceId = null)
    {
        var writer = new MessageWriter(stackalloc byte[256], Rtm.RTM_GETLINK, flags);
        writer.Append(new LinkHeader { Index = index });
        if (name is not null)
            writer.Name(name.Length < Ifla.IFNAMSIZ ? Ifla.IFLA_IFNAME : Ifla.IFLA_ALT_IFNAME, name);
        writer.Attribute(Ifla.IFLA_EXT_MASK, Ifla.RTEXT_FILTER_SKIP_STATS);
        if (namespaceId is { } id)
            writer.Attribute(Ifla.IFLA_TARGET_NETNSID, id);
        return writer.ToArray();
    }

    public static LinkInfo? Parse(Message message)
    {
        var header = message.Read<LinkHeader>(out var attributes);
        // Bridges report their ports in messages of family AF_BRIDGE, which lack half of the attributes.
        if (header.Family != Family.AF_UNSPEC)
            return null;
        string? name = null,
            kind = null;
        MacAddress? mac = null;
        int mtu = 0;
        int group = 0;
        int? link = null,
            linkNamespace = null,
            master = null;
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case Ifla.IFLA_IFNAME:
                    name = attribute.AsString();
                    break;
                case Ifla.IFLA_ADDRESS:
                    mac = attribute.AsMac();
                    break;
                case Ifla.IFLA_MTU:
                    mtu = attribute.AsInt32();
                    break;
                case Ifla.IFLA_GROUP:
                    group = attribute.AsInt32();
                    break;
                case Ifla.IFLA_LINK:
                    link = attribute.AsInt32();
                    break;
                case Ifla.IFLA_LINK_NETNSID:
                    linkNamespace = attribute.AsInt32();
                    break;
                case Ifla.IFLA_MASTER:
                    master = attribute.AsInt32();
                    break;
                case Ifla.IFLA_LINKINFO:
                    kind = ParseKind(attribute.Nested);
                    break;
            }
        }

        // Virtual links report themselves as their parent, or 0 for none.
        if (link == 0 || link == header.Index && linkNamespace is null)
            link = null;
        bool isPair = kind is "veth" or "netkit";
        return new LinkInfo
        {
            Index = header.Index,
            Name = name ?? throw new MalformedMessageException($"link {header.Index} has no name"),
            Mac = mac,
            Mtu = mtu,
            Flags = (LinkFlags)header.Flags,
            Kind = kind,
            PeerIndex = isPair ? link : null,
            ParentIndex = isPair ? null : link,
            PeerNamespaceId = linkNamespace,
            MasterIndex = master,
            Group = group,
        };
    }

    private static string? ParseKind(AttributeReader attributes)
    {
        while (attributes.TryRead(out var attribute))
        {
            if (attribute.Type == Ifla.IFLA_INFO_KIND)
                return attribute.AsString();
        }

        return null;
    }

    private static MessageWriter StartCreate(Span<byte> buffer, string name, MacAddress? mac, int? mtu, bool up, int? parentIndex)
    {
        var writer = new MessageWriter(buffer, Rtm.RTM_NEWLINK, Nlm.NLM_F_CREATE | Nlm.NLM_F_EXCL);
        writer.Append(UpDown(up));
        if (parentIndex is { } parent)
            writer.Attribute(Ifla.IFLA_LINK, parent);
        WriteOptions(ref writer, mac, mtu);
        writer.Name(Ifla.IFLA_IFNAME, name);
        return writer;
    }

    private static MessageWriter StartSet(Span<byte> buffer, int index)
    {
        var writer = new MessageWriter(buffer, Rtm.RTM_NEWLINK, 0);
        writer.Append(new LinkHeader { Index = index });
        return writer;
    }

    // Without IFF_UP in the change mask the kernel leaves a new link down.
    private static LinkHeader UpDown(bool up) => up ? new LinkHeader { Flags = IFF_UP, Change = IFF_UP } : default;

    private static void WriteOptions(ref MessageWriter writer, MacAddress? mac, int? mtu)
    {
        if (mtu is { } octets)
            writer.Attribute(Ifla.IFLA_MTU, octets);
        if (mac is { } address)
            writer.Attribute(Ifla.IFLA_ADDRESS, address);
    }
}
