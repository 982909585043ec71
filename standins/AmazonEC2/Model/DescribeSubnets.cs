// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;
using Amazon.Runtime;

namespace Amazon.EC2.Model;

/// <summary>Describes subnets. Paged (5 to 1,000 a page) when <see cref="MaxResults"/> is set, which cannot be combined with ids.</summary>
public class DescribeSubnetsRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<DescribeSubnetsRequest, DescribeSubnetsResponse> Operation =
        new("DescribeSubnets", (request, writer) => request.Write(writer), DescribeSubnetsResponse.Read);

    public bool? DryRun { get; set; }

    public List<Filter>? Filters { get; set; }

    public int? MaxResults { get; set; }

    public string? NextToken { get; set; }

    public List<string>? SubnetIds { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.Add("DryRun", DryRun);
        writer.AddList("Filter", Filters, (filter, nested) => filter.Write(nested));
        writer.Add("MaxResults", MaxResults);
        writer.Add("NextToken", NextToken);
        writer.AddList("SubnetId", SubnetIds);
    }
}

/// <summary>One page; null lists are empty, a null or empty <see cref="NextToken"/> is the end.</summary>
public class DescribeSubnetsResponse : AmazonWebServiceResponse
{
    public string? NextToken { get; set; }

    public List<Subnet>? Subnets { get; set; }

    internal static DescribeSubnetsResponse Read(Ec2Element element) => new() { NextToken = element.String("nextToken"), Subnets = element.List("subnetSet", Subnet.Read) };
}

/// <summary>A subnet: one IPv4 range (absent if IPv6-only), any number of IPv6 ranges, one zone.</summary>
public class Subnet
{
    public bool? AssignIpv6AddressOnCreation { get; set; }

    public string? AvailabilityZone { get; set; }

    public string? AvailabilityZoneId { get; set; }

    public int? AvailableIpAddressCount { get; set; }

    public string? CidrBlock { get; set; }

    public bool? DefaultForAz { get; set; }

    public List<SubnetIpv6CidrBlockAssociation>? Ipv6CidrBlockAssociationSet { get; set; }

    public bool? Ipv6Native { get; set; }

    public bool? MapPublicIpOnLaunch { get; set; }

    public string? OwnerId { get; set; }

    public SubnetState? State { get; set; }

    public string? SubnetArn { get; set; }

    public string? SubnetId { get; set; }

    public List<Tag>? Tags { get; set; }

    public string? VpcId { get; set; }

    internal static Subnet Read(Ec2Element element) => new()
    {
        AssignIpv6AddressOnCreation = element.Boolean("assignIpv6AddressOnCreation"),
        AvailabilityZone = element.String("availabilityZone"),
        AvailabilityZoneId = element.String("availabilityZoneId"),
        AvailableIpAddressCount = element.Int32("availableIpAddressCount"),
        CidrBlock = element.String("cidrBlock"),
        DefaultForAz = element.Boolean("defaultForAz"),
        Ipv6CidrBlockAssociationSet = element.List("ipv6CidrBlockAssociationSet", SubnetIpv6CidrBlockAssociation.Read),
        Ipv6Native = element.Boolean("ipv6Native"),
        MapPublicIpOnLaunch = element.Boolean("mapPublicIpOnLaunch"),
        OwnerId = element.String("ownerId"),
        State = element.String("state")!,
        SubnetArn = element.String("subnetArn"),
        SubnetId = element.String("subnetId"),
        Tags = element.List("tagSet", Tag.Read),
        VpcId = element.String("vpcId"),
    };
}

/// <summary>An IPv6 range of a subnet.</summary>
public class SubnetIpv6CidrBlockAssociation
{
    public string? AssociationId { get; set; }

    public string? Ipv6CidrBlock { get; set; }

    public SubnetCidrBlockState? Ipv6CidrBlockState { get; set; }

    internal static SubnetIpv6CidrBlockAssociation Read(Ec2Element element) => new()
    {
        AssociationId = element.String("associationId"),
        Ipv6CidrBlock = element.String("ipv6CidrBlock"),
        Ipv6CidrBlockState = element.Object("ipv6CidrBlockState", SubnetCidrBlockState.Read),
    };
}

/// <summary>State of a subnet's IPv6 range.</summary>
public class SubnetCidrBlockState
{
    public SubnetCidrBlockStateCode? State { get; set; }

    public string? StatusMessage { get; set; }

    internal static SubnetCidrBlockState Read(Ec2Element element) => new() { State = element.String("state")!, StatusMessage = element.String("statusMessage") };
}
