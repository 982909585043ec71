// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;
using Amazon.Runtime;

namespace Amazon.EC2.Model;

/// <summary>Adds IPv6 addresses or /80 prefixes to an interface, by count or by name. Not idempotent by count: a repeated call adds more.</summary>
public class AssignIpv6AddressesRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<AssignIpv6AddressesRequest, AssignIpv6AddressesResponse> Operation =
        new("AssignIpv6Addresses", (request, writer) => request.Write(writer), AssignIpv6AddressesResponse.Read);

    public int? Ipv6AddressCount { get; set; }

    public List<string>? Ipv6Addresses { get; set; }

    public int? Ipv6PrefixCount { get; set; }

    public List<string>? Ipv6Prefixes { get; set; }

    public string? NetworkInterfaceId { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.Add("Ipv6AddressCount", Ipv6AddressCount);
        writer.AddList("Ipv6Addresses", Ipv6Addresses);
        writer.Add("Ipv6PrefixCount", Ipv6PrefixCount);
        writer.AddList("Ipv6Prefix", Ipv6Prefixes);
        writer.Add("NetworkInterfaceId", NetworkInterfaceId);
    }
}

/// <summary>Exactly what was added.</summary>
public class AssignIpv6AddressesResponse : AmazonWebServiceResponse
{
    public List<string>? AssignedIpv6Addresses { get; set; }

    public List<string>? AssignedIpv6Prefixes { get; set; }

    public string? NetworkInterfaceId { get; set; }

    internal static AssignIpv6AddressesResponse Read(Ec2Element element) => new()
    {
        AssignedIpv6Addresses = element.StringList("assignedIpv6Addresses"),
        AssignedIpv6Prefixes = element.StringList("assignedIpv6PrefixSet"),
        NetworkInterfaceId = element.String("networkInterfaceId"),
    };
}

/// <summary>Takes IPv6 addresses or prefixes from an interface.</summary>
public class UnassignIpv6AddressesRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<UnassignIpv6AddressesRequest, UnassignIpv6AddressesResponse> Operation =
        new("UnassignIpv6Addresses", (request, writer) => request.Write(writer), UnassignIpv6AddressesResponse.Read);

    public List<string>? Ipv6Addresses { get; set; }

    public List<string>? Ipv6Prefixes { get; set; }

    public string? NetworkInterfaceId { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.AddList("Ipv6Addresses", Ipv6Addresses);
        writer.AddList("Ipv6Prefix", Ipv6Prefixes);
        writer.Add("NetworkInterfaceId", NetworkInterfaceId);
    }
}

/// <summary>Exactly what was taken.</summary>
public class UnassignIpv6AddressesResponse : AmazonWebServiceResponse
{
    public string? NetworkInterfaceId { get; set; }

    public List<string>? UnassignedIpv6Addresses { get; set; }

    public List<string>? UnassignedIpv6Prefixes { get; set; }

    internal static UnassignIpv6AddressesResponse Read(Ec2Element element) => new()
    {
        NetworkInterfaceId = element.String("networkInterfaceId"),
        UnassignedIpv6Addresses = element.StringList("unassignedIpv6Addresses"),
        UnassignedIpv6Prefixes = element.StringList("unassignedIpv6PrefixSet"),
    };
}
