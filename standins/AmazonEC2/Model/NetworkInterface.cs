// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Internal;

namespace Amazon.EC2.Model;

/// <summary>A network interface as EC2 describes it (docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkInterface.html).</summary>
public class NetworkInterface
{
    public NetworkInterfaceAssociation? Association { get; set; }

    public NetworkInterfaceAttachment? Attachment { get; set; }

    public string? AvailabilityZone { get; set; }

    public ConnectionTrackingConfiguration? ConnectionTrackingConfiguration { get; set; }

    public string? Description { get; set; }

    public List<GroupIdentifier>? Groups { get; set; }

    public NetworkInterfaceType? InterfaceType { get; set; }

    public List<Ipv4PrefixSpecification>? Ipv4Prefixes { get; set; }

    public string? Ipv6Address { get; set; }

    public List<NetworkInterfaceIpv6Address>? Ipv6Addresses { get; set; }

    public bool? Ipv6Native { get; set; }

    public List<Ipv6PrefixSpecification>? Ipv6Prefixes { get; set; }

    public string? MacAddress { get; set; }

    public string? NetworkInterfaceId { get; set; }

    public string? OwnerId { get; set; }

    public string? PrivateDnsName { get; set; }

    /// <summary>The primary IPv4 address; absent in an IPv6-only subnet.</summary>
    public string? PrivateIpAddress { get; set; }

    /// <summary>All IPv4 addresses, the primary one among them and marked.</summary>
    public List<NetworkInterfacePrivateIpAddress>? PrivateIpAddresses { get; set; }

    public string? RequesterId { get; set; }

    public bool? RequesterManaged { get; set; }

    public bool? SourceDestCheck { get; set; }

    public NetworkInterfaceStatus? Status { get; set; }

    public string? SubnetId { get; set; }

    public List<Tag>? TagSet { get; set; }

    public string? VpcId { get; set; }

    internal static NetworkInterface Read(Ec2Element element) => new()
    {
        Association = element.Object("association", NetworkInterfaceAssociation.Read),
        Attachment = element.Object("attachment", NetworkInterfaceAttachment.Read),
        AvailabilityZone = element.String("availabilityZone"),
        ConnectionTrackingConfiguration = element.Object("connectionTrackingConfiguration", ConnectionTrackingConfiguration.Read),
        Description = element.String("description"),
        Groups = element.List("groupSet", GroupIdentifier.Read),
        InterfaceType = element.String("interfaceType")!,
        Ipv4Prefixes = element.List("ipv4PrefixSet", Ipv4PrefixSpecification.Read),
        Ipv6Address = element.String("ipv6Address"),
        Ipv6Addresses = element.List("ipv6AddressesSet", NetworkInterfaceIpv6Address.Read),
        Ipv6Native = element.Boolean("ipv6Native"),
        Ipv6Prefixes = element.List("ipv6PrefixSet", Ipv6PrefixSpecification.Read),
        MacAddress = element.String("macAddress"),
        NetworkInterfaceId = element.String("networkInterfaceId"),
        OwnerId = element.String("ownerId"),
        PrivateDnsName = element.String("privateDnsName"),
        PrivateIpAddress = element.String("privateIpAddress"),
        PrivateIpAddresses = element.List("privateIpAddressesSet", NetworkInterfacePrivateIpAddress.Read),
        RequesterId = element.String("requesterId"),
        RequesterManaged = element.Boolean("requesterManaged"),
        SourceDestCheck = element.Boolean("sourceDestCheck"),
        Status = element.String("status")!,
        SubnetId = element.String("subnetId"),
        TagSet = element.List("tagSet", Tag.Read),
        VpcId = element.String("vpcId"),
    };
}

/// <summary>What a network interface is attached to.</summary>
public class NetworkInterfaceAttachment
{
    public DateTime? AttachTime { get; set; }

    public string? AttachmentId { get; set; }

    public bool? DeleteOnTermination { get; set; }

    public int? DeviceIndex { get; set; }

    public string? InstanceId { get; set; }

    public string? InstanceOwnerId { get; set; }

    public int? NetworkCardIndex { get; set; }

    public AttachmentStatus? Status { get; set; }

    internal static NetworkInterfaceAttachment Read(Ec2Element element) => new()
    {
        AttachTime = element.Timestamp("attachTime"),
        AttachmentId = element.String("attachmentId"),
        DeleteOnTermination = element.Boolean("deleteOnTermination"),
        DeviceIndex = element.Int32("deviceIndex"),
        InstanceId = element.String("instanceId"),
        InstanceOwnerId = element.String("instanceOwnerId"),
        NetworkCardIndex = element.Int32("networkCardIndex"),
        Status = element.String("status")!,
    };
}

/// <summary>A public address in front of a private one.</summary>
public class NetworkInterfaceAssociation
{
    public string? AllocationId { get; set; }

    public string? AssociationId { get; set; }

    public string? IpOwnerId { get; set; }

    public string? PublicDnsName { get; set; }

    public string? PublicIp { get; set; }

    internal static NetworkInterfaceAssociation Read(Ec2Element element) => new()
    {
        AllocationId = element.String("allocationId"),
        AssociationId = element.String("associationId"),
        IpOwnerId = element.String("ipOwnerId"),
        PublicDnsName = element.String("publicDnsName"),
        PublicIp = element.String("publicIp"),
    };
}

/// <summary>Idle timeouts of tracked connections, in seconds.</summary>
public class ConnectionTrackingConfiguration
{
    public int? TcpEstablishedTimeout { get; set; }

    public int? UdpStreamTimeout { get; set; }

    public int? UdpTimeout { get; set; }

    internal static ConnectionTrackingConfiguration Read(Ec2Element element) => new()
    {
        TcpEstablishedTimeout = element.Int32("tcpEstablishedTimeout"),
        UdpStreamTimeout = element.Int32("udpStreamTimeout"),
        UdpTimeout = element.Int32("udpTimeout"),
    };
}

/// <summary>Idle timeouts of tracked connections to set, in seconds.</summary>
public class ConnectionTrackingSpecificationRequest
{
    public int? TcpEstablishedTimeout { get; set; }

    public int? UdpStreamTimeout { get; set; }

    public int? UdpTimeout { get; set; }

    internal void Write(Ec2QueryWriter writer)
    {
        writer.Add("TcpEstablishedTimeout", TcpEstablishedTimeout);
        writer.Add("UdpStreamTimeout", UdpStreamTimeout);
        writer.Add("UdpTimeout", UdpTimeout);
    }
}

/// <summary>A security group.</summary>
public class GroupIdentifier
{
    public string? GroupId { get; set; }

    public string? GroupName { get; set; }

    internal static GroupIdentifier Read(Ec2Element element) => new() { GroupId = element.String("groupId"), GroupName = element.String("groupName") };
}
