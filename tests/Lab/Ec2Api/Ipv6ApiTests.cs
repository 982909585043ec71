// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.Ec2Api;

/// <summary>Tests the IPv6 parameters and elements of the API, with the calls that a node makes in an IPv6 cluster.</summary>
public sealed class Ipv6ApiTests
{
    [Fact]
    public async Task Interface_created_with_one_ipv6_address_gets_and_loses_a_prefix()
    {
        await using var host = await LabHost.StartAsync();
        var created = await host.CallAsync("CreateNetworkInterface", $"SubnetId={host.Test.SubnetA.Id}&Ipv6AddressCount=1");
        var id = new EniId(created.Text("networkInterfaceId")!);
        var address = host.Test.Current(id).Ipv6Addresses.Single().ToString();
        Assert.Equal([address, address], created.Texts("ipv6Address")); // once of the interface, once in the set
        Assert.Equal(["false"], created.Texts("isPrimaryIpv6"));

        var assigned = await host.CallAsync("AssignIpv6Addresses", $"NetworkInterfaceId={id}&Ipv6PrefixCount=1");
        var prefix = host.Test.Current(id).Ipv6Prefixes.Single().ToString();
        Assert.Contains(prefix, assigned.Texts("item"));
        Assert.Equal([prefix], (await host.CallAsync("DescribeNetworkInterfaces", $"NetworkInterfaceId.1={id}")).Texts("ipv6Prefix"));

        var released = await host.CallAsync(
            "UnassignIpv6Addresses",
            $"NetworkInterfaceId={id}&Ipv6Prefix.1={Uri.EscapeDataString(prefix)}"
        );
        Assert.Equal([prefix], released.Texts("item"));
        await host.CallAsync("UnassignIpv6Addresses", $"NetworkInterfaceId={id}&Ipv6Addresses.1={Uri.EscapeDataString(address)}");
        Assert.Equal(0, host.Test.Current(id).Ipv6Slots);
        host.Test.Check();
    }

    [Fact]
    public async Task Interface_created_by_value_has_those_addresses_or_prefixes()
    {
        await using var host = await LabHost.StartAsync();
        var subnet = $"SubnetId={host.Test.SubnetA.Id}";
        var byAddress = await host.CallAsync(
            "CreateNetworkInterface",
            subnet + "&Ipv6Addresses.1.Ipv6Address=2600:1f14:0:101:9::5&EnablePrimaryIpv6=true"
        );
        Assert.Equal(("2600:1f14:0:101:9::5", "true"), (byAddress.Text("ipv6Address"), byAddress.Text("isPrimaryIpv6")));
        var byPrefix = await host.CallAsync("CreateNetworkInterface", subnet + "&Ipv6Prefix.1.Ipv6Prefix=2600:1f14:0:101:a::/80");
        Assert.Equal(["2600:1f14:0:101:a::/80"], byPrefix.Texts("ipv6Prefix"));
        var counted = await host.CallAsync("CreateNetworkInterface", subnet + "&Ipv6PrefixCount=2");
        Assert.Equal(2, counted.Texts("ipv6Prefix").Count);
        var both = await host.CallAsync("CreateNetworkInterface", subnet + "&Ipv6PrefixCount=1&Ipv6AddressCount=1");
        Assert.Equal((HttpStatusCode.BadRequest, "InvalidParameterCombination"), (both.Status, both.Code));
        host.Test.Check();
    }

    [Fact]
    public async Task Count_of_zero_overrides_what_the_subnet_assigns()
    {
        await using var host = await LabHost.StartAsync();
        var subnet = host.Test.World.CreateSubnet(
            host.Test.Vpc.Id,
            "us-west-2a",
            IPNetwork.Parse("10.0.2.0/24"),
            IPNetwork.Parse("2600:1f14:0:102::/64"),
            assignIpv6AddressOnCreation: true
        );
        Assert.Single((await host.CallAsync("CreateNetworkInterface", $"SubnetId={subnet.Id}")).Texts("isPrimaryIpv6"));
        Assert.Empty((await host.CallAsync("CreateNetworkInterface", $"SubnetId={subnet.Id}&Ipv6AddressCount=0")).Texts("isPrimaryIpv6"));
        Assert.Equal("true", (await host.CallAsync("DescribeSubnets", $"SubnetId.1={subnet.Id}")).Text("assignIpv6AddressOnCreation"));
    }

    [Fact]
    public async Task Describe_shows_ipv6_of_instances_subnets_vpcs_and_types()
    {
        await using var host = await LabHost.StartAsync();
        var instance = host.Test.World.LaunchInstance(
            new LaunchRequest
            {
                InstanceType = "m5.large",
                Subnet = host.Test.SubnetA.Id,
                Ipv6 = AddressRequest.Any(1),
            }
        );
        var address = host.Test.Current(instance.PrimaryInterface).Ipv6Addresses.Single().ToString();
        Assert.Equal([address, address], (await host.CallAsync("DescribeInstances")).Texts("ipv6Address"));
        var subnet = await host.CallAsync("DescribeSubnets", $"SubnetId.1={host.Test.SubnetA.Id}");
        Assert.Equal(["2600:1f14:0:101::/64"], subnet.Texts("ipv6CidrBlock"));
        Assert.Equal(
            ["associated"],
            subnet.Document.Descendants().Where(element => element.Name.LocalName == "ipv6CidrBlockState").Select(state => state.Value)
        );
        Assert.Empty((await host.CallAsync("DescribeSubnets", $"SubnetId.1={host.Test.SubnetB.Id}")).Texts("ipv6CidrBlock"));
        Assert.Equal(["2600:1f14:0:100::/56"], (await host.CallAsync("DescribeVpcs")).Texts("ipv6CidrBlock"));
        var types = await host.CallAsync("DescribeInstanceTypes", "InstanceType.1=m5.large&InstanceType.2=m3.medium");
        Assert.Equal(["true", "false"], types.Texts("ipv6Supported"));
        Assert.Equal(["10", "0"], types.Texts("ipv6AddressesPerInterface"));
        Assert.Equal("10", types.Texts("ipv4AddressesPerInterface")[0]);
    }

    [Fact]
    public async Task Primary_ipv6_is_enabled_by_a_modification()
    {
        await using var host = await LabHost.StartAsync();
        var eni = host.Test.Create();
        host.Test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1));
        await host.CallAsync("ModifyNetworkInterfaceAttribute", $"NetworkInterfaceId={eni.Id}&EnablePrimaryIpv6=true");
        Assert.Equal("true", (await host.CallAsync("DescribeNetworkInterfaces")).Text("isPrimaryIpv6"));
    }
}
