// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;
using Amazon.Runtime;

namespace Amazon.EC2.Model;

/// <summary>Describes instances. Paged (5 to 1,000 a page) when <see cref="MaxResults"/> is set, which cannot be combined with ids.</summary>
public class DescribeInstancesRequest : AmazonEC2Request
{
    internal static readonly Ec2Operation<DescribeInstancesRequest, DescribeInstancesResponse> Operation =
        new("DescribeInstances", (request, writer) => request.Write(writer), DescribeInstancesResponse.Read);

    public bool? DryRun { get; set; }

    public List<Filter>? Filters { get; set; }

    public List<string>? InstanceIds { get; set; }

    public int? MaxResults { get; set; }

    public string? NextToken { get; set; }

    private void Write(Ec2QueryWriter writer)
    {
        writer.Add("DryRun", DryRun);
        writer.AddList("Filter", Filters, (filter, nested) => filter.Write(nested));
        writer.AddList("InstanceId", InstanceIds);
        writer.Add("MaxResults", MaxResults);
        writer.Add("NextToken", NextToken);
    }
}

/// <summary>One page; null lists are empty, a null or empty <see cref="NextToken"/> is the end.</summary>
public class DescribeInstancesResponse : AmazonWebServiceResponse
{
    public string? NextToken { get; set; }

    public List<Reservation>? Reservations { get; set; }

    internal static DescribeInstancesResponse Read(Ec2Element element) => new()
    {
        NextToken = element.String("nextToken"), Reservations = element.List("reservationSet", Reservation.Read),
    };
}

/// <summary>Instances that were started together.</summary>
public class Reservation
{
    public List<Instance>? Instances { get; set; }

    public string? OwnerId { get; set; }

    public string? ReservationId { get; set; }

    internal static Reservation Read(Ec2Element element) => new()
    {
        Instances = element.List("instancesSet", Instance.Read), OwnerId = element.String("ownerId"), ReservationId = element.String("reservationId"),
    };
}

/// <summary>An instance, as far as its network is concerned.</summary>
public class Instance
{
    public string? ImageId { get; set; }

    public string? InstanceId { get; set; }

    public InstanceType? InstanceType { get; set; }

    public string? Ipv6Address { get; set; }

    public DateTime? LaunchTime { get; set; }

    public List<InstanceNetworkInterface>? NetworkInterfaces { get; set; }

    public Placement? Placement { get; set; }

    public string? PrivateDnsName { get; set; }

    public string? PrivateIpAddress { get; set; }

    public List<GroupIdentifier>? SecurityGroups { get; set; }

    public bool? SourceDestCheck { get; set; }

    public InstanceState? State { get; set; }

    public string? SubnetId { get; set; }

    public List<Tag>? Tags { get; set; }

    public string? VpcId { get; set; }

    internal static Instance Read(Ec2Element element) => new()
    {
        ImageId = element.String("imageId"),
        InstanceId = element.String("instanceId"),
        InstanceType = element.String("instanceType")!,
        Ipv6Address = element.String("ipv6Address"),
        LaunchTime = element.Timestamp("launchTime"),
        NetworkInterfaces = element.List("networkInterfaceSet", InstanceNetworkInterface.Read),
        Placement = element.Object("placement", Placement.Read),
        PrivateDnsName = element.String("privateDnsName"),
        PrivateIpAddress = element.String("privateIpAddress"),
        SecurityGroups = element.List("groupSet", GroupIdentifier.Read),
        SourceDestCheck = element.Boolean("sourceDestCheck"),
        State = element.Object("instanceState", InstanceState.Read),
        SubnetId = element.String("subnetId"),
        Tags = element.List("tagSet", Tag.Read),
        VpcId = element.String("vpcId"),
    };
}

/// <summary>Lifecycle state of an instance.</summary>
public class InstanceState
{
    public int? Code { get; set; }

    public InstanceStateName? Name { get; set; }

    internal static InstanceState Read(Ec2Element element) => new() { Code = element.Int32("code"), Name = element.String("name")! };
}

/// <summary>Where an instance runs.</summary>
public class Placement
{
    public string? AvailabilityZone { get; set; }

    internal static Placement Read(Ec2Element element) => new() { AvailabilityZone = element.String("availabilityZone") };
}

/// <summary>A network interface as described with its instance.</summary>
public class InstanceNetworkInterface
{
    public InstanceNetworkInterfaceAttachment? Attachment { get; set; }

    public string? Description { get; set; }

    public List<GroupIdentifier>? Groups { get; set; }

    public string? InterfaceType { get; set; }

    public List<InstanceIpv6Address>? Ipv6Addresses { get; set; }

    public string? MacAddress { get; set; }

    public string? NetworkInterfaceId { get; set; }

    public string? OwnerId { get; set; }

    public string? PrivateIpAddress { get; set; }

    public bool? SourceDestCheck { get; set; }

    public NetworkInterfaceStatus? Status { get; set; }

    public string? SubnetId { get; set; }

    public string? VpcId { get; set; }

    internal static InstanceNetworkInterface Read(Ec2Element element) => new()
    {
        Attachment = element.Object("attachment", InstanceNetworkInterfaceAttachment.Read),
        Description = element.String("description"),
        Groups = element.List("groupSet", GroupIdentifier.Read),
        InterfaceType = element.String("interfaceType"),
        Ipv6Addresses = element.List("ipv6AddressesSet", InstanceIpv6Address.Read),
        MacAddress = element.String("macAddress"),
        NetworkInterfaceId = element.String("networkInterfaceId"),
        OwnerId = element.String("ownerId"),
        PrivateIpAddress = element.String("privateIpAddress"),
        SourceDestCheck = element.Boolean("sourceDestCheck"),
        Status = element.String("status")!,
        SubnetId = element.String("subnetId"),
        VpcId = element.String("vpcId"),
    };
}

/// <summary>Attachment of an interface as described with its instance.</summary>
public class InstanceNetworkInterfaceAttachment
{
    public DateTime? AttachTime { get; set; }

    public string? AttachmentId { get; set; }

    public bool? DeleteOnTermination { get; set; }

    public int? DeviceIndex { get; set; }

    public int? NetworkCardIndex { get; set; }

    public AttachmentStatus? Status { get; set; }

    internal static InstanceNetworkInterfaceAttachment Read(Ec2Element element) => new()
    {
        AttachTime = element.Timestamp("attachTime"),
        AttachmentId = element.String("attachmentId"),
        DeleteOnTermination = element.Boolean("deleteOnTermination"),
        DeviceIndex = element.Int32("deviceIndex"),
        NetworkCardIndex = element.Int32("networkCardIndex"),
        Status = element.String("status")!,
    };
}
