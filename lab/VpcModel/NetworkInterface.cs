// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>States of an attachment. After its detachment it no longer exists.</summary>
public enum AttachmentStatus
{
    Attaching,
    Attached,
    Detaching,
}

/// <summary>An interface's attachment to an instance.</summary>
public sealed record InterfaceAttachment
{
    public required AttachmentId Id { get; init; }
    public required InstanceId Instance { get; init; }

    /// <summary>Device index on the card. The primary interface usually has index 0 on card 0.</summary>
    public required int DeviceIndex { get; init; }
    public required int NetworkCard { get; init; }
    public required AttachmentStatus Status { get; init; }
    public required DateTimeOffset AttachedAt { get; init; }
    public required bool DeleteOnTermination { get; init; }

    /// <summary>Whether the instance was launched with this interface, which then cannot be detached.</summary>
    public required bool IsPrimary { get; init; }
}

/// <summary>
/// Idle timeouts of the connections that EC2 tracks for an interface, in seconds; null for EC2's default. The model stores and describes
/// them, and tracks no connections (EC2 user guide, "Security group connection tracking").
/// </summary>
/// <param name="TcpEstablished">60 to 432000.</param>
/// <param name="UdpStream">60 to 180.</param>
/// <param name="Udp">30 to 60.</param>
public sealed record ConnectionTracking(int? TcpEstablished, int? UdpStream, int? Udp);

/// <summary>
/// A network interface at one moment. Immutable, so an old version stays valid for reads that lag behind.
/// </summary>
public sealed record NetworkInterface
{
    public required EniId Id { get; init; }
    public required SubnetId Subnet { get; init; }
    public required VpcId Vpc { get; init; }
    public required string Zone { get; init; }

    /// <summary>MAC address in lower case, separated by colons.</summary>
    public required string Mac { get; init; }
    public required IPAddress PrimaryAddress { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public ImmutableArray<IPAddress> SecondaryAddresses { get; init; } = [];

    /// <summary>Aligned /28 prefixes.</summary>
    public ImmutableArray<IPNetwork> Ipv4Prefixes { get; init; } = [];

    /// <summary>IPv6 addresses, in the order of their assignment.</summary>
    public ImmutableArray<IPAddress> Ipv6Addresses { get; init; } = [];

    /// <summary>The primary IPv6 address, which cannot be unassigned; null unless EnablePrimaryIpv6 was requested.</summary>
    public IPAddress? PrimaryIpv6Address { get; init; }

    /// <summary>Aligned /80 prefixes.</summary>
    public ImmutableArray<IPNetwork> Ipv6Prefixes { get; init; } = [];
    public ImmutableArray<SecurityGroupId> Groups { get; init; } = [];
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = NoTags.Value;
    public string Description { get; init; } = "";
    public string InterfaceType { get; init; } = "interface";
    public bool SourceDestCheck { get; init; } = true;

    /// <summary>Null unless a request set it.</summary>
    public ConnectionTracking? ConnectionTracking { get; init; }

    /// <summary>The attachment; null if the interface is not attached (status <c>available</c>).</summary>
    public InterfaceAttachment? Attachment { get; init; }

    /// <summary>
    /// All ranges that the interface may send from and receives packets for: addresses as /32 and /128, and prefixes. The primary address
    /// is first.
    /// </summary>
    public IReadOnlyList<IPNetwork> AllRanges =>
        [
            new IPNetwork(PrimaryAddress, 32),
            .. SecondaryAddresses.Select(address => new IPNetwork(address, 32)),
            .. Ipv4Prefixes,
            .. Ipv6Addresses.Select(address => new IPNetwork(address, 128)),
            .. Ipv6Prefixes,
        ];

    /// <summary>Number of IPv4 slots in use. An address and a prefix take one each.</summary>
    public int Ipv4Slots => 1 + SecondaryAddresses.Length + Ipv4Prefixes.Length;

    /// <summary>Number of IPv6 slots in use. An address and a prefix take one each.</summary>
    public int Ipv6Slots => Ipv6Addresses.Length + Ipv6Prefixes.Length;
}
