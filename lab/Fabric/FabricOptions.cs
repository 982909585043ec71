// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>Options of a fabric.</summary>
internal sealed record FabricOptions
{
    public required string LabName { get; init; }

    /// <summary>The VPC's address ranges. The router drops and counts packets for addresses in them that no ENI owns.</summary>
    public required IReadOnlyList<IPNetwork> VpcRanges { get; init; }

    /// <summary>The subnets. The router owns the gateway address of each, its base address plus one.</summary>
    public required IReadOnlyList<IPNetwork> Subnets { get; init; }
}

/// <summary>
/// Fixed addresses of the fabric. All are outside every VPC range that <see cref="FabricAddresses.Problem"/> accepts.
/// </summary>
internal static class FabricAddresses
{
    /// <summary>MTU of every link, in octets: jumbo frames, as within a VPC.</summary>
    public const int Mtu = 9001;

    /// <summary>Address of the instance metadata service (EC2 user guide, "Retrieve instance metadata").</summary>
    public static readonly IPAddress Imds = IPAddress.Parse("169.254.169.254");

    /// <summary>
    /// Address at which nodes reach the EC2 API. It is link-local, so that no VPC range can contain it.
    /// </summary>
    public static readonly IPAddress Ec2Api = IPAddress.Parse("169.254.169.252");

    /// <summary>Address at which nodes reach the Kubernetes API; link-local for the same reason.</summary>
    public static readonly IPAddress KubernetesApi = IPAddress.Parse("169.254.169.251");

    /// <summary>Network of the internet host (TEST-NET-3, RFC 5737): .1 is the router, .10 the host.</summary>
    public static readonly IPNetwork Internet = IPNetwork.Parse("203.0.113.0/24");

    public static readonly IPAddress InternetHost = IPAddress.Parse("203.0.113.10");

    /// <summary>Network of the on-premises host, as behind a VPN or Direct Connect: .1 is the router, .10 the host.</summary>
    public static readonly IPNetwork OnPremises = IPNetwork.Parse("198.18.0.0/24");

    public static readonly IPAddress OnPremisesHost = IPAddress.Parse("198.18.0.10");

    /// <summary>Gateway of a subnet: its base address plus one.</summary>
    public static IPAddress Gateway(IPNetwork subnet) => Offset(subnet.BaseAddress, 1);

    /// <summary>Describes what is wrong with a VPC range; null if the fabric supports it.</summary>
    public static string? Problem(IPNetwork range)
    {
        if (range.BaseAddress.AddressFamily != AddressFamily.InterNetwork)
            return $"VPC range {range}: the lab supports IPv4 only";
        foreach (
            var taken in (ReadOnlySpan<IPNetwork>)[Internet, OnPremises, IPNetwork.Parse("169.254.0.0/16"), IPNetwork.Parse("127.0.0.0/8")]
        )
        {
            if (taken.Contains(range.BaseAddress) || range.Contains(taken.BaseAddress))
                return $"VPC range {range} overlaps {taken}, which the lab reserves";
        }

        return null;
    }

    private static IPAddress Offset(IPAddress address, byte by)
    {
        var bytes = address.GetAddressBytes();
        bytes[^1] += by; // the base address of a network of two or more addresses is even, so this cannot carry
        return new IPAddress(bytes);
    }
}

/// <summary>An ENI attached to a node, as the fabric needs it to create the link.</summary>
internal sealed record EniAttachment
{
    public required string EniId { get; init; }

    public required string Node { get; init; }

    public required int DeviceIndex { get; init; }

    public int NetworkCard { get; init; }

    public required MacAddress Mac { get; init; }

    public required IPNetwork Subnet { get; init; }

    public required IPAddress PrimaryAddress { get; init; }

    /// <summary>Everything that the ENI owns: primary and secondary addresses (/32) and prefixes (/28).</summary>
    public required IReadOnlyList<IPNetwork> Addresses { get; init; }

    /// <summary>
    /// Whether this is the instance's primary ENI. The lab configures its link as DHCP does, and only it has a public address. By default,
    /// the ENI in the slot (0, 0) is primary.
    /// </summary>
    public bool IsPrimary
    {
        get => _isPrimary ?? (DeviceIndex == 0 && NetworkCard == 0);
        init => _isPrimary = value;
    }

    private readonly bool? _isPrimary;
}
