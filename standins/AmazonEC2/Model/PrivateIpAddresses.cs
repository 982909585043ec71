// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;
using Amazon.Runtime;

namespace Amazon.EC2.Model;

/// <summary>Adds IPv4 addresses or /28 prefixes to an interface, by count or by name. Not idempotent by count: a repeated call adds more.</summary>
public class AssignPrivateIpAddressesRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<AssignPrivateIpAddressesRequest, AssignPrivateIpAddressesResponse> Operation =
        new("AssignPrivateIpAddresses", (request, writer) => request.Write(writer), AssignPrivateIpAddressesResponse.Read);

    public bool? AllowReassignment { get; set; }

    public int? Ipv4PrefixCount { get; set; }

    public List<string>? Ipv4Prefixes { get; set; }

    public string? NetworkInterfaceId { get; set; }

    public List<string>? PrivateIpAddresses { get; set; }

    public int? SecondaryPrivateIpAddressCount { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.Add("AllowReassignment", AllowReassignment);
        writer.Add("Ipv4PrefixCount", Ipv4PrefixCount);
        writer.AddList("Ipv4Prefix", Ipv4Prefixes);
        writer.Add("NetworkInterfaceId", NetworkInterfaceId);
        writer.AddList("PrivateIpAddress", PrivateIpAddresses);
        writer.Add("SecondaryPrivateIpAddressCount", SecondaryPrivateIpAddressCount);
    }
}

/// <summary>Exactly what was added.</summary>
public class AssignPrivateIpAddressesResponse : AmazonWebServiceResponse
{
    public List<Ipv4PrefixSpecification>? AssignedIpv4Prefixes { get; set; }

    public List<AssignedPrivateIpAddress>? AssignedPrivateIpAddresses { get; set; }

    public string? NetworkInterfaceId { get; set; }

    internal static AssignPrivateIpAddressesResponse Read(Ec2Element element) => new()
    {
        AssignedIpv4Prefixes = element.List("assignedIpv4PrefixSet", Ipv4PrefixSpecification.Read),
        AssignedPrivateIpAddresses = element.List("assignedPrivateIpAddressesSet", AssignedPrivateIpAddress.Read),
        NetworkInterfaceId = element.String("networkInterfaceId"),
    };
}

/// <summary>Takes IPv4 addresses or prefixes from an interface. All or nothing.</summary>
public class UnassignPrivateIpAddressesRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<UnassignPrivateIpAddressesRequest, UnassignPrivateIpAddressesResponse> Operation =
        new("UnassignPrivateIpAddresses", (request, writer) => request.Write(writer), _ => new UnassignPrivateIpAddressesResponse());

    public List<string>? Ipv4Prefixes { get; set; }

    public string? NetworkInterfaceId { get; set; }

    public List<string>? PrivateIpAddresses { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.AddList("Ipv4Prefix", Ipv4Prefixes);
        writer.Add("NetworkInterfaceId", NetworkInterfaceId);
        writer.AddList("PrivateIpAddress", PrivateIpAddresses);
    }
}

/// <summary>EC2 answers success with nothing else.</summary>
public class UnassignPrivateIpAddressesResponse : AmazonWebServiceResponse
{
}
