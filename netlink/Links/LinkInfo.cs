// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>A link (network device), as RTM_NEWLINK reports it (<c>ip -d link show</c>).</summary>
public sealed record LinkInfo
{
    public required int Index { get; init; }
    public required string Name { get; init; }

    /// <summary>IFLA_ADDRESS; null for links without an Ethernet address.</summary>
    public MacAddress? Mac { get; init; }

    /// <summary>In octets.</summary>
    public int Mtu { get; init; }
    public LinkFlags Flags { get; init; }

    /// <summary>The link is administratively up (IFF_UP).</summary>
    public bool IsUp => Flags.HasFlag(LinkFlags.Up);

    /// <summary>IFLA_INFO_KIND: veth, bridge, vlan and others; null for hardware and loopback.</summary>
    public string? Kind { get; init; }

    /// <summary>Index of the other end of a veth pair, in the namespace of that end.</summary>
    public int? PeerIndex { get; init; }

    /// <summary>
    /// IFLA_LINK_NETNSID: id of the namespace of the peer or parent, as assigned by the namespace of this link; null if it is the same
    /// namespace.
    /// </summary>
    public int? PeerNamespaceId { get; init; }

    /// <summary>Index of the link on which this one is stacked (vlan, macvlan, ipvlan).</summary>
    public int? ParentIndex { get; init; }

    /// <summary>Index of the bridge, bond or VRF to which this link belongs.</summary>
    public int? MasterIndex { get; init; }

    /// <summary>IFLA_GROUP: number by which links can be addressed together, 0 by default. The kernel does not interpret it.</summary>
    public int Group { get; init; }
}
