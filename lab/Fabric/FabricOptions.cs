// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>Options of a fabric.</summary>
internal sealed record FabricOptions
{
    public required string LabName { get; init; }

    /// <summary>
    /// The VPC's address ranges. The router drops and counts packets for addresses in them that no interface owns. The fabric carries IPv6
    /// only if one of these is an IPv6 range.
    /// </summary>
    public required IReadOnlyList<IPNetwork> VpcRanges { get; init; }

    /// <summary>The subnets' ranges, of both families. The router owns the gateway address of each, its base address plus one.</summary>
    public required IReadOnlyList<IPNetwork> Subnets { get; init; }

    public bool HasIpv6 => VpcRanges.Any(FabricAddresses.IsIpv6);
}

/// <summary>An interface attached to a node, as the fabric needs it to create the link.</summary>
internal sealed record FabricInterface
{
    public required string InterfaceId { get; init; }

    public required string Node { get; init; }

    public required int DeviceIndex { get; init; }

    public int NetworkCard { get; init; }

    public required MacAddress Mac { get; init; }

    public required IPNetwork Subnet { get; init; }

    /// <summary>The subnet's IPv6 range; null if it has none. Then the link has no IPv6.</summary>
    public IPNetwork? Ipv6Subnet { get; init; }

    public required IPAddress PrimaryAddress { get; init; }

    /// <summary>
    /// Everything that the interface owns: primary and secondary addresses (/32, /128) and prefixes (/28, /80). IPv6 only if
    /// <see cref="Ipv6Subnet"/> is set.
    /// </summary>
    public required IReadOnlyList<IPNetwork> Addresses { get; init; }

    /// <summary>
    /// Whether the interface may send from any source and receive for any destination: EC2's source/destination check is disabled, GCE's
    /// canIpForward or Azure's enableIPForwarding is set.
    /// </summary>
    public bool MayForward { get; init; }

    /// <summary>MTU of the link, in octets.</summary>
    public int Mtu { get; init; } = FabricAddresses.Mtu;

    /// <summary>
    /// Prefix length of the primary address on the link of a primary interface: by default the subnet's, and 32 on GCE, where an instance
    /// has no neighbours but its gateway.
    /// </summary>
    public int ConfiguredPrefixLength
    {
        get => _configuredPrefixLength ?? Subnet.PrefixLength;
        init => _configuredPrefixLength = value;
    }

    /// <summary>The interface's first IPv6 address, which DHCPv6 would configure; null if it owns none.</summary>
    public IPAddress? Ipv6Address =>
        Addresses
            .Where(address => FabricAddresses.IsIpv6(address) && address.PrefixLength == 128)
            .Select(address => address.BaseAddress)
            .FirstOrDefault();

    /// <summary>
    /// Whether this is the instance's primary interface. The lab configures its link as DHCP does, and only it has a public address. By
    /// default, the interface in the slot (0, 0) is primary.
    /// </summary>
    public bool IsPrimary
    {
        get => _isPrimary ?? (DeviceIndex == 0 && NetworkCard == 0);
        init => _isPrimary = value;
    }

    private readonly bool? _isPrimary;
    private readonly int? _configuredPrefixLength;
}

/// <summary>A route of the cloud's route tables, besides the routes of the VPC's own ranges.</summary>
/// <param name="Subnet">The subnet whose interfaces the route applies to; null for all subnets.</param>
/// <param name="Destination"> The destination. The longest prefix decides between this and the VPC's ranges; at the same length, this one
/// counts. </param>
/// <param name="InterfaceId"> The interface that gets the packets; null for none. Packets are dropped and counted as unowned if it is not
/// attached, or neither owns the destination nor may forward. </param>
internal sealed record FabricRoute(IPNetwork? Subnet, IPNetwork Destination, string? InterfaceId);
