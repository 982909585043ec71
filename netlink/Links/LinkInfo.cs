// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>A link (network device) as RTM_NEWLINK reports it. <c>ip -d link show</c>.</summary>
public sealed record LinkInfo
{
    public required int Index { get; init; }
    public required string Name { get; init; }

    /// <summary>Null on links without an Ethernet address.</summary>
    public MacAddress? Mac { get; init; }

    /// <summary>Octets.</summary>
    public int Mtu { get; init; }
    public LinkFlags Flags { get; init; }

    /// <summary>Administratively up.</summary>
    public bool IsUp => Flags.HasFlag(LinkFlags.Up);

    /// <summary>IFLA_INFO_KIND: veth, bridge, vlan, ...; null for hardware and loopback.</summary>
    public string? Kind { get; init; }

    /// <summary>The other end of a veth pair: its index in its own namespace.</summary>
    public int? PeerIndex { get; init; }

    /// <summary>
    /// IFLA_LINK_NETNSID: in which namespace the peer or parent is, as this one numbers its neighbours; null if in the same.
    /// </summary>
    public int? PeerNamespaceId { get; init; }

    /// <summary>The link that this one is stacked on (vlan, macvlan, ipvlan).</summary>
    public int? ParentIndex { get; init; }

    /// <summary>The bridge, bond or VRF that this link belongs to.</summary>
    public int? MasterIndex { get; init; }

    /// <summary>
    /// IFLA_GROUP: a number that links can be named by together; 0 unless somebody set it. It means nothing to the kernel.
    /// </summary>
    public int Group { get; init; }
}
