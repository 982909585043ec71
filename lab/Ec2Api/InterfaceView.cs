// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;

namespace VpcCni.Lab.Ec2Api;

/// <summary>
/// An immutable copy of a network interface with the names of its groups, which is written outside the world's lock.
/// </summary>
internal sealed record InterfaceView(NetworkInterface Eni, IReadOnlyList<SecurityGroup> Groups, string OwnerId, string Region)
{
    public static InterfaceView Create(VpcWorld world, NetworkInterface eni) =>
        new(eni, GroupsOf(world, eni.Groups), world.Options.OwnerId, world.Options.Region);

    public static IReadOnlyList<SecurityGroup> GroupsOf(VpcWorld world, IEnumerable<SecurityGroupId> ids) =>
        [.. ids.Select(world.FindSecurityGroup).OfType<SecurityGroup>()];

    public static void WriteGroups(Ec2Xml xml, IEnumerable<SecurityGroup> groups) =>
        xml.List(
            "groupSet",
            groups,
            group =>
            {
                xml.Value("groupId", group.Id.Value);
                xml.Value("groupName", group.Name);
            }
        );

    /// <summary>Name of an address in the VPC's DNS: <c>ip-10-0-0-5.us-west-2.compute.internal</c>; empty for IPv6.</summary>
    public static string PrivateDnsName(IPAddress address, string region) =>
        address.AddressFamily == IpFamily.V4
            ? $"ip-{address.ToString().Replace('.', '-')}.{(region == "us-east-1" ? "ec2" : region + ".compute")}.internal"
            : "";

    public void Write(Ec2Xml xml)
    {
        WriteCommon(xml);
        WriteIpv6Address(xml, Eni);
        xml.Value("availabilityZone", Eni.Zone);
        xml.Value("requesterManaged", value: false);
        xml.Tags(Eni.Tags);
        if (Eni.Attachment is { } attachment)
        {
            xml.Element(
                "attachment",
                () =>
                {
                    WriteAttachment(xml, attachment);
                    xml.Value("instanceId", attachment.Instance.Value);
                    xml.Value("instanceOwnerId", OwnerId);
                }
            );
        }
    }

    /// <summary>Writes the interface as part of DescribeInstances, without what the instance's elements already contain.</summary>
    public void WriteWithinInstance(Ec2Xml xml)
    {
        WriteCommon(xml);
        xml.Element("attachment", () => WriteAttachment(xml, Eni.Attachment!));
    }

    /// <summary>Writes the interface's first IPv6 address, which EC2 repeats outside the set.</summary>
    public static void WriteIpv6Address(Ec2Xml xml, NetworkInterface eni)
    {
        if (eni.Ipv6Addresses is [var first, ..])
            xml.Value("ipv6Address", eni.PrimaryIpv6Address ?? first);
    }

    private void WriteCommon(Ec2Xml xml)
    {
        xml.Value("networkInterfaceId", Eni.Id.Value);
        xml.Value("subnetId", Eni.Subnet.Value);
        xml.Value("vpcId", Eni.Vpc.Value);
        xml.Value("description", Eni.Description);
        xml.Value("ownerId", OwnerId);
        xml.Value("status", EnumText.StatusOf(Eni));
        xml.Value("macAddress", Eni.Mac);
        xml.Value("privateIpAddress", Eni.PrimaryAddress);
        xml.Value("privateDnsName", PrivateDnsName(Eni.PrimaryAddress, Region));
        xml.Value("sourceDestCheck", Eni.SourceDestCheck);
        xml.Value("interfaceType", Eni.InterfaceType);
        WriteGroups(xml, Groups);
        xml.List(
            "privateIpAddressesSet",
            Eni.SecondaryAddresses.Prepend(Eni.PrimaryAddress),
            address =>
            {
                xml.Value("privateIpAddress", address);
                xml.Value("privateDnsName", PrivateDnsName(address, Region));
                xml.Value("primary", address.Equals(Eni.PrimaryAddress));
            }
        );
        xml.List("ipv4PrefixSet", Eni.Ipv4Prefixes, prefix => xml.Value("ipv4Prefix", prefix.ToString()));
        xml.List(
            "ipv6AddressesSet",
            Eni.Ipv6Addresses,
            address =>
            {
                xml.Value("ipv6Address", address);
                xml.Value("isPrimaryIpv6", address.Equals(Eni.PrimaryIpv6Address));
            }
        );
        xml.List("ipv6PrefixSet", Eni.Ipv6Prefixes, prefix => xml.Value("ipv6Prefix", prefix.ToString()));
        if (Eni.ConnectionTracking is { } tracking)
            xml.Element("connectionTrackingConfiguration", () => Write(xml, tracking));
    }

    private static void Write(Ec2Xml xml, ConnectionTracking tracking)
    {
        if (tracking.TcpEstablished is { } tcp)
            xml.Value("tcpEstablishedTimeout", tcp);
        if (tracking.UdpStream is { } stream)
            xml.Value("udpStreamTimeout", stream);
        if (tracking.Udp is { } udp)
            xml.Value("udpTimeout", udp);
    }

    private static void WriteAttachment(Ec2Xml xml, InterfaceAttachment attachment)
    {
        xml.Value("attachmentId", attachment.Id.Value);
        xml.Value("deviceIndex", attachment.DeviceIndex);
        xml.Value("networkCardIndex", attachment.NetworkCard);
        xml.Value("status", EnumText.Of(attachment.Status));
        xml.Value("attachTime", attachment.AttachedAt);
        xml.Value("deleteOnTermination", attachment.DeleteOnTermination);
    }
}
