// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>Describe operations, except those on network interfaces and tags.</summary>
internal static class DescribeOperations
{
    /// <summary>EC2's codes of instance states.</summary>
    private const int RunningCode = 16;
    private const int TerminatedCode = 48;

    public static Func<VpcWorld, Action<Ec2Xml>> Instances(QueryRequest request)
    {
        _ = request.Flag("IncludeManagedResources");
        var query = request.Query("InstanceId");
        return world =>
        {
            var page = world.DescribeInstances(query);
            var views = page
                .Items.Select(item =>
                    (item.Instance, Interfaces: item.Interfaces.Select(eni => InterfaceView.Create(world, eni)).ToArray())
                )
                .ToArray();
            var options = world.Options;
            return xml =>
            {
                // Each instance was launched by its own call, so it has its own reservation.
                xml.List(
                    "reservationSet",
                    views,
                    view =>
                    {
                        xml.Value("reservationId", view.Instance.Id.Value.Replace("i-", "r-", StringComparison.Ordinal));
                        xml.Value("ownerId", options.OwnerId);
                        xml.List("instancesSet", [view], item => WriteInstance(xml, item.Instance, item.Interfaces, options.Region));
                    }
                );
                xml.NextToken(page.NextToken);
            };
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> InstanceTypes(QueryRequest request)
    {
        var query = request.Query("InstanceType");
        return world =>
        {
            var page = world.DescribeInstanceTypes(query);
            return xml =>
            {
                xml.List("instanceTypeSet", page.Items, type => WriteType(xml, type));
                xml.NextToken(page.NextToken);
            };
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> Subnets(QueryRequest request)
    {
        var query = request.Query("SubnetId");
        return world =>
        {
            var page = world.DescribeSubnets(query);
            var options = world.Options;
            return xml =>
            {
                xml.List(
                    "subnetSet",
                    page.Items,
                    item =>
                    {
                        var subnet = item.Subnet;
                        xml.Value("subnetId", subnet.Id.Value);
                        xml.Value("subnetArn", $"arn:aws:ec2:{options.Region}:{options.OwnerId}:subnet/{subnet.Id}");
                        xml.Value("state", "available");
                        xml.Value("vpcId", subnet.Vpc.Value);
                        xml.Value("ownerId", options.OwnerId);
                        xml.Value("cidrBlock", subnet.Ipv4Range.ToString());
                        xml.Value("availableIpAddressCount", item.AvailableAddresses);
                        xml.Value("availabilityZone", subnet.Zone);
                        xml.Value("availabilityZoneId", ZoneId(subnet.Zone));
                        xml.Value("defaultForAz", value: false);
                        xml.Value("mapPublicIpOnLaunch", value: false);
                        xml.Value("assignIpv6AddressOnCreation", subnet.AssignIpv6AddressOnCreation);
                        xml.Value("ipv6Native", value: false);
                        WriteIpv6Ranges(xml, subnet.Ipv6Range is { } range ? [range] : [], "subnet-cidr-assoc", subnet.Id.Value);
                        xml.Tags(subnet.Tags);
                    }
                );
                xml.NextToken(page.NextToken);
            };
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> Vpcs(QueryRequest request)
    {
        var query = request.Query("VpcId");
        return world =>
        {
            var page = world.DescribeVpcs(query);
            var owner = world.Options.OwnerId;
            return xml =>
            {
                xml.List(
                    "vpcSet",
                    page.Items,
                    vpc =>
                    {
                        xml.Value("vpcId", vpc.Id.Value);
                        xml.Value("ownerId", owner);
                        xml.Value("state", "available");
                        xml.Value("cidrBlock", vpc.Ipv4Ranges[0].ToString());
                        xml.Value("instanceTenancy", "default");
                        xml.Value("isDefault", value: false);
                        xml.List(
                            "cidrBlockAssociationSet",
                            vpc.Ipv4Ranges.Select((range, index) => (range, index)),
                            item =>
                            {
                                xml.Value("associationId", AssociationId("vpc-cidr-assoc", vpc.Id.Value, item.index));
                                xml.Value("cidrBlock", item.range.ToString());
                                xml.Element("cidrBlockState", () => xml.Value("state", "associated"));
                            }
                        );
                        WriteIpv6Ranges(xml, vpc.Ipv6Ranges, "vpc-cidr-assoc", vpc.Id.Value);
                        xml.Tags(vpc.Tags);
                    }
                );
                xml.NextToken(page.NextToken);
            };
        };
    }

    public static Func<VpcWorld, Action<Ec2Xml>> SecurityGroups(QueryRequest request)
    {
        var query = request.Query("GroupId");
        return world =>
        {
            var page = world.DescribeSecurityGroups(query);
            var owner = world.Options.OwnerId;
            return xml =>
            {
                xml.List(
                    "securityGroupInfo",
                    page.Items,
                    group =>
                    {
                        xml.Value("groupId", group.Id.Value);
                        xml.Value("groupName", group.Name);
                        xml.Value("groupDescription", group.Description);
                        xml.Value("ownerId", owner);
                        xml.Value("vpcId", group.Vpc.Value);
                        SecurityGroupOperations.WritePermissions(xml, group, owner);
                        xml.Tags(group.Tags);
                    }
                );
                xml.NextToken(page.NextToken);
            };
        };
    }

    private static void WriteInstance(Ec2Xml xml, Instance instance, InterfaceView[] interfaces, string region)
    {
        var running = instance.State == InstanceState.Running;
        var primary = Array.Find(interfaces, view => view.Eni.Attachment is { IsPrimary: true });
        xml.Value("instanceId", instance.Id.Value);
        xml.Value("instanceType", instance.Type.Name);
        xml.Value("launchTime", instance.LaunchedAt);
        xml.Element(
            "instanceState",
            () =>
            {
                xml.Value("code", running ? RunningCode : TerminatedCode);
                xml.Value("name", EnumText.Of(instance.State));
            }
        );
        xml.Element(
            "placement",
            () =>
            {
                xml.Value("availabilityZone", instance.Zone);
                xml.Value("tenancy", "default");
            }
        );
        xml.Value("hypervisor", "xen");
        xml.Value("virtualizationType", "hvm");
        xml.Tags(instance.Tags);
        xml.List("networkInterfaceSet", interfaces, view => view.WriteWithinInstance(xml));
        if (primary is null)
            return;
        xml.Value("subnetId", instance.Subnet.Value);
        xml.Value("vpcId", instance.Vpc.Value);
        xml.Value("privateIpAddress", primary.Eni.PrimaryAddress);
        xml.Value("privateDnsName", InterfaceView.PrivateDnsName(primary.Eni.PrimaryAddress, region));
        InterfaceView.WriteIpv6Address(xml, primary.Eni);
        xml.Value("sourceDestCheck", primary.Eni.SourceDestCheck);
        InterfaceView.WriteGroups(xml, primary.Groups);
    }

    private static void WriteType(Ec2Xml xml, InstanceType type)
    {
        xml.Value("instanceType", type.Name);
        xml.Value("bareMetal", type.BareMetal);
        if (!type.BareMetal)
            xml.Value("hypervisor", EnumText.Of(type.Hypervisor));
        xml.Element("vCpuInfo", () => xml.Value("defaultVCpus", type.Vcpus));
        xml.Element("memoryInfo", () => xml.Value("sizeInMiB", type.MemoryMib));
        xml.Element(
            "networkInfo",
            () =>
            {
                xml.Value("maximumNetworkInterfaces", type.MaxInterfaces);
                xml.Value("maximumNetworkCards", type.NetworkCards.Count);
                xml.Value("defaultNetworkCardIndex", 0);
                xml.List(
                    "networkCards",
                    type.NetworkCards,
                    card =>
                    {
                        xml.Value("networkCardIndex", card.Index);
                        xml.Value("maximumNetworkInterfaces", card.MaxInterfaces);
                    }
                );
                xml.Value("ipv4AddressesPerInterface", type.Ipv4PerInterface);
                xml.Value("ipv6AddressesPerInterface", type.Ipv6PerInterface);
                xml.Value("ipv6Supported", type.SupportsIpv6);
            }
        );
    }

    private static void WriteIpv6Ranges(Ec2Xml xml, IEnumerable<IPNetwork> ranges, string kind, string owner) =>
        xml.List(
            "ipv6CidrBlockAssociationSet",
            ranges.Select((range, index) => (range, index)),
            item =>
            {
                xml.Value("associationId", AssociationId(kind, owner, item.index));
                xml.Value("ipv6CidrBlock", item.range.ToString());
                xml.Element("ipv6CidrBlockState", () => xml.Value("state", "associated"));
            }
        );

    private static string AssociationId(string kind, string owner, int index) => $"{kind}-{owner[(owner.LastIndexOf('-') + 1)..]}{index}";

    /// <summary>Zone id, which identifies the same location in every account. The lab numbers zones in the order of their names.</summary>
    private static string ZoneId(string zone) => $"{zone[..2]}{zone[3]}{zone[^2]}-az{zone[^1] - 'a' + 1}";
}
