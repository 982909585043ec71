// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Amazon.EC2;
using Amazon.EC2.Model;
using Xunit;

namespace VpcCni.Interop.Tests.AmazonEC2;

/// <summary>
/// The client against moto: each of the 14 operations. Not covered here, because moto ignores it: prefixes, client tokens, the termination
/// flag of an attachment, limits, paging of interfaces. Those are tested against scripted answers and the lab.
/// </summary>
public sealed class MotoTests(MotoServer moto) : IClassFixture<MotoServer>
{
    [Fact]
    public async Task Interface_lives_from_create_to_delete()
    {
        await moto.NeedAsync();
        using var ec2 = moto.Client();
        var subnet = await SubnetAsync(ec2);
        var instance = await moto.RunInstanceAsync(subnet.SubnetId!);

        var created = (
            await ec2.CreateNetworkInterfaceAsync(
                new CreateNetworkInterfaceRequest
                {
                    SubnetId = subnet.SubnetId,
                    Description = "aws-K8S-" + instance,
                    SecondaryPrivateIpAddressCount = 2,
                    TagSpecifications =
                    [
                        new TagSpecification
                        {
                            ResourceType = ResourceType.NetworkInterface,
                            Tags = [new Tag("node.k8s.amazonaws.com/instance_id", instance)],
                        },
                    ],
                }
            )
        ).NetworkInterface!;
        Assert.StartsWith("eni-", created.NetworkInterfaceId, StringComparison.Ordinal);
        Assert.Equal(3, created.PrivateIpAddresses!.Count);
        Assert.Equal(created.PrivateIpAddress, created.PrivateIpAddresses.Single(address => address.Primary == true).PrivateIpAddress);

        var attached = await ec2.AttachNetworkInterfaceAsync(
            new AttachNetworkInterfaceRequest
            {
                NetworkInterfaceId = created.NetworkInterfaceId,
                InstanceId = instance,
                DeviceIndex = 1,
            }
        );
        await ec2.ModifyNetworkInterfaceAttributeAsync(
            new ModifyNetworkInterfaceAttributeRequest
            {
                NetworkInterfaceId = created.NetworkInterfaceId,
                Groups = [created.Groups?.FirstOrDefault()?.GroupId ?? (await PrimaryAsync(ec2, instance)).Groups![0].GroupId!],
            }
        );

        var described = (
            await ec2.DescribeNetworkInterfacesAsync(
                new DescribeNetworkInterfacesRequest { Filters = [new Filter("attachment.instance-id", [instance])] }
            )
        ).NetworkInterfaces!;
        Assert.Equal(2, described.Count);
        var second = described.Single(eni => eni.NetworkInterfaceId == created.NetworkInterfaceId);
        Assert.Equal(
            (attached.AttachmentId, 1, NetworkInterfaceStatus.InUse),
            (second.Attachment!.AttachmentId, second.Attachment.DeviceIndex, second.Status)
        );
        Assert.Contains(second.TagSet!, tag => tag.Key == "node.k8s.amazonaws.com/instance_id" && tag.Value == instance);

        var seen = (await ec2.DescribeInstancesAsync(new DescribeInstancesRequest { InstanceIds = [instance] }))
            .Reservations!.Single()
            .Instances!.Single();
        Assert.Equal((instance, "m5.large", InstanceStateName.Running), (seen.InstanceId, seen.InstanceType!.Value, seen.State!.Name));
        Assert.Equal([0, 1], seen.NetworkInterfaces!.Select(eni => eni.Attachment!.DeviceIndex!.Value).Order());

        await ec2.DetachNetworkInterfaceAsync(new DetachNetworkInterfaceRequest { AttachmentId = attached.AttachmentId });
        await ec2.DeleteNetworkInterfaceAsync(new DeleteNetworkInterfaceRequest { NetworkInterfaceId = created.NetworkInterfaceId });
        var gone = await Assert.ThrowsAsync<AmazonEC2Exception>(() =>
            ec2.DescribeNetworkInterfacesAsync(new DescribeNetworkInterfacesRequest { NetworkInterfaceIds = [created.NetworkInterfaceId!] })
        );
        Assert.Equal(("InvalidNetworkInterfaceID.NotFound", HttpStatusCode.BadRequest), (gone.ErrorCode, gone.StatusCode));
    }

    [Fact]
    public async Task Ipv4_addresses_are_assigned_and_taken()
    {
        await moto.NeedAsync();
        using var ec2 = moto.Client();
        var eni = await CreateAsync(ec2);

        await ec2.AssignPrivateIpAddressesAsync(
            new AssignPrivateIpAddressesRequest { NetworkInterfaceId = eni, SecondaryPrivateIpAddressCount = 3 }
        );
        var addresses = (await DescribeAsync(ec2, eni))
            .PrivateIpAddresses!.Where(address => address.Primary != true)
            .Select(address => address.PrivateIpAddress!)
            .ToList();
        Assert.Equal(3, addresses.Count);

        await ec2.UnassignPrivateIpAddressesAsync(
            new UnassignPrivateIpAddressesRequest { NetworkInterfaceId = eni, PrivateIpAddresses = addresses[..2] }
        );
        Assert.Equal(
            [addresses[2]],
            (await DescribeAsync(ec2, eni))
                .PrivateIpAddresses!.Where(address => address.Primary != true)
                .Select(address => address.PrivateIpAddress!)
        );
    }

    [Fact]
    public async Task Ipv6_addresses_by_name_are_assigned_and_taken()
    {
        await moto.NeedAsync();
        using var ec2 = moto.Client();
        var eni = await CreateAsync(ec2);

        var assigned = await ec2.AssignIpv6AddressesAsync(
            new AssignIpv6AddressesRequest { NetworkInterfaceId = eni, Ipv6Addresses = ["2001:db8::5", "2001:db8::6"] }
        );
        Assert.Equal(eni, assigned.NetworkInterfaceId);
        Assert.Contains("2001:db8::5", (await DescribeAsync(ec2, eni)).Ipv6Addresses!.Select(address => address.Ipv6Address));

        var taken = await ec2.UnassignIpv6AddressesAsync(
            new UnassignIpv6AddressesRequest { NetworkInterfaceId = eni, Ipv6Addresses = ["2001:db8::5"] }
        );
        Assert.Equal(["2001:db8::5"], taken.UnassignedIpv6Addresses!);
        Assert.Equal(["2001:db8::6"], (await DescribeAsync(ec2, eni)).Ipv6Addresses!.Select(address => address.Ipv6Address));
    }

    [Fact]
    public async Task Tags_are_added_and_found_by_filter()
    {
        await moto.NeedAsync();
        using var ec2 = moto.Client();
        var eni = await CreateAsync(ec2);
        var value = eni + " & <ünïcode> +%=";

        await ec2.CreateTagsAsync(new CreateTagsRequest { Resources = [eni], Tags = [new Tag("vpc-cni/test", value)] });

        var found = await ec2.DescribeNetworkInterfacesAsync(
            new DescribeNetworkInterfacesRequest
            {
                Filters = [new Filter("tag:vpc-cni/test", [value]), new Filter("status", ["available"])],
            }
        );
        Assert.Equal(eni, Assert.Single(found.NetworkInterfaces!).NetworkInterfaceId);
        Assert.Equal(value, found.NetworkInterfaces![0].TagSet!.Single(tag => tag.Key == "vpc-cni/test").Value);
    }

    [Fact]
    public async Task Limits_of_an_instance_type_are_described()
    {
        await moto.NeedAsync();
        using var ec2 = moto.Client();

        var types = (
            await ec2.DescribeInstanceTypesAsync(new DescribeInstanceTypesRequest { InstanceTypes = ["m5.large", "m4.large", "c5.metal"] })
        ).InstanceTypes!.ToDictionary(type => type.InstanceType!.Value);

        Assert.Equal((3, 10, InstanceTypeHypervisor.Nitro, false), Summary(types["m5.large"]));
        Assert.Equal((2, 10, InstanceTypeHypervisor.Xen, false), Summary(types["m4.large"]));
        Assert.True(types["c5.metal"].BareMetal);

        static (int?, int?, InstanceTypeHypervisor?, bool?) Summary(InstanceTypeInfo type) =>
            (type.NetworkInfo!.MaximumNetworkInterfaces, type.NetworkInfo.Ipv4AddressesPerInterface, type.Hypervisor, type.BareMetal);
    }

    [Fact]
    public async Task Unknown_instance_type_is_an_error_with_code()
    {
        await moto.NeedAsync();
        using var ec2 = moto.Client();

        var error = await Assert.ThrowsAsync<AmazonEC2Exception>(() =>
            ec2.DescribeInstanceTypesAsync(new DescribeInstanceTypesRequest { InstanceTypes = ["z9.mega"] })
        );

        Assert.Equal(("InvalidInstanceType", HttpStatusCode.BadRequest), (error.ErrorCode, error.StatusCode));
        Assert.False(string.IsNullOrEmpty(error.RequestId));
    }

    private static async Task<Subnet> SubnetAsync(AmazonEC2Client ec2) =>
        (
            await ec2.DescribeSubnetsAsync(new DescribeSubnetsRequest { Filters = [new Filter("availability-zone", ["us-east-1a"])] })
        ).Subnets![0];

    private static async Task<string> CreateAsync(AmazonEC2Client ec2) =>
        (await ec2.CreateNetworkInterfaceAsync(new CreateNetworkInterfaceRequest { SubnetId = (await SubnetAsync(ec2)).SubnetId }))
            .NetworkInterface!
            .NetworkInterfaceId!;

    private static async Task<NetworkInterface> DescribeAsync(AmazonEC2Client ec2, string eni) =>
        Assert.Single(
            (
                await ec2.DescribeNetworkInterfacesAsync(new DescribeNetworkInterfacesRequest { NetworkInterfaceIds = [eni] })
            ).NetworkInterfaces!
        );

    private static async Task<NetworkInterface> PrimaryAsync(AmazonEC2Client ec2, string instance) =>
        (
            await ec2.DescribeNetworkInterfacesAsync(
                new DescribeNetworkInterfacesRequest { Filters = [new Filter("attachment.instance-id", [instance])] }
            )
        ).NetworkInterfaces!.Single(eni => eni.Attachment!.DeviceIndex == 0);
}
