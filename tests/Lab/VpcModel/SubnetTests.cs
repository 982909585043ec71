// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.VpcModel;

public sealed class SubnetTests
{
    [Theory]
    [InlineData("10.0.1.0/28", 11, 0)]
    [InlineData("10.0.1.0/27", 27, 0)]
    [InlineData("10.0.1.0/26", 59, 2)]
    [InlineData("10.0.1.0/24", 251, 14)]
    [InlineData("10.0.0.0/17", 32_763, 2_046)]
    public void Subnet_new_has_five_addresses_reserved_and_no_prefix_at_its_ends(string range, int addresses, int prefixes)
    {
        var test = new TestWorld(subnet: range);
        Assert.Equal(addresses, test.World.FreeAddresses(test.SubnetA.Id));
        Assert.Equal(prefixes, test.World.FreePrefixes(test.SubnetA.Id));
    }

    [Theory]
    [InlineData("10.0.1.0")]
    [InlineData("10.0.1.1")]
    [InlineData("10.0.1.2")]
    [InlineData("10.0.1.3")]
    [InlineData("10.0.1.255")]
    public void Subnet_rejects_a_request_for_a_reserved_address(string address)
    {
        var test = new TestWorld();
        test.AssertRejected(
            "InvalidIPAddress.InUse",
            () =>
                test.World.CreateNetworkInterface(
                    new CreateInterfaceRequest { Subnet = test.SubnetA.Id, PrimaryAddress = IPAddress.Parse(address) }
                )
        );
    }

    [Fact]
    public void Subnet_gateway_is_base_plus_one() => Assert.Equal(IPAddress.Parse("10.0.1.1"), new TestWorld().SubnetA.Gateway);

    [Fact]
    public void Subnet_assigns_every_address_once_until_it_is_full()
    {
        var test = new TestWorld(subnet: "10.0.1.0/27");
        var assigned = Enumerable.Range(0, 27).Select(_ => test.Create().PrimaryAddress).ToHashSet();
        Assert.Equal(27, assigned.Count);
        test.AssertRejected("InsufficientFreeAddressesInSubnet", () => test.Create());
        test.Check();
    }

    [Fact]
    public void Subnet_in_sequential_order_assigns_the_lowest_free_address()
    {
        var test = new TestWorld(new WorldOptions { AddressOrder = AddressOrder.Sequential });
        var first = test.Create();
        Assert.Equal(IPAddress.Parse("10.0.1.4"), first.PrimaryAddress);
        Assert.Equal(IPAddress.Parse("10.0.1.5"), test.Create().PrimaryAddress);
        test.World.DeleteNetworkInterface(first.Id);
        Assert.Equal(IPAddress.Parse("10.0.1.4"), test.Create().PrimaryAddress);
    }

    [Fact]
    public void Subnet_with_addresses_but_no_free_block_rejects_prefixes_as_fragmented()
    {
        // One address in each of the 14 usable blocks of a /24 leaves 237 free addresses and no free /28.
        var test = new TestWorld();
        for (var block = 1; block <= 14; block++)
            test.World.CreateNetworkInterface(
                new CreateInterfaceRequest { Subnet = test.SubnetA.Id, PrimaryAddress = IPAddress.Parse($"10.0.1.{block * 16 + 7}") }
            );
        Assert.Equal(237, test.World.FreeAddresses(test.SubnetA.Id));
        var fault = test.AssertRejected("InsufficientCidrBlocks", () => test.Create(AddressRequest.AnyPrefixes(1)));
        Assert.Equal("The specified subnet does not have enough free cidr blocks to satisfy the request.", fault.Message);
    }

    [Fact]
    public void Subnet_with_too_few_addresses_rejects_prefixes_with_another_code()
    {
        var test = new TestWorld(subnet: "10.0.1.0/28");
        var fault = test.AssertRejected("InvalidParameterValue", () => test.Create(AddressRequest.AnyPrefixes(1)));
        Assert.Equal("There aren't sufficient free Ipv4 addresses or prefixes", fault.Message);
    }

    [Fact]
    public void Subnet_outside_the_ranges_is_rejected_until_the_range_is_added()
    {
        var test = new TestWorld();
        var range = IPNetwork.Parse("100.64.0.0/16");
        var subnet = IPNetwork.Parse("100.64.1.0/24");
        test.AssertRejected("InvalidSubnet.Range", () => test.World.CreateSubnet(test.Vpc.Id, "us-west-2a", subnet));
        test.World.AddRange(test.Vpc.Id, range);
        Assert.Contains(range, Assert.IsType<VpcEvent.RangesChanged>(test.Events[^1]).Ranges);
        test.World.CreateSubnet(test.Vpc.Id, "us-west-2a", subnet);
        test.AssertRejected("DependencyViolation", () => test.World.RemoveRange(test.Vpc.Id, range));
        test.AssertRejected(
            "InvalidSubnet.Conflict",
            () => test.World.CreateSubnet(test.Vpc.Id, "us-west-2b", IPNetwork.Parse("100.64.1.128/25"))
        );
        test.AssertRejected("InvalidVpc.Range", () => test.World.AddRange(test.Vpc.Id, IPNetwork.Parse("100.64.128.0/17")));
    }

    [Fact]
    public void Range_without_subnets_can_be_removed_unless_primary()
    {
        var test = new TestWorld();
        var range = IPNetwork.Parse("100.64.0.0/16");
        test.World.AddRange(test.Vpc.Id, range);
        Assert.DoesNotContain(range, test.World.RemoveRange(test.Vpc.Id, range).Ipv4Ranges);
        test.AssertRejected("OperationNotPermitted", () => test.World.RemoveRange(test.Vpc.Id, test.Vpc.Ipv4Ranges[0]));
        test.AssertRejected("InvalidCidrBlock.NotFound", () => test.World.RemoveRange(test.Vpc.Id, range));
    }
}
