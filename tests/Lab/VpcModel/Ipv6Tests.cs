// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.VpcModel;

/// <summary>
/// Tests what EC2 does for IPv6 only: addresses on creation, the primary address, and instance types and subnets without IPv6.
/// </summary>
public sealed class Ipv6Tests
{
    private static readonly IPNetwork Range = IPNetwork.Parse("2600:1f14:0:102::/64");

    [Fact]
    public void Interface_in_a_subnet_that_assigns_on_creation_gets_an_address()
    {
        var test = new TestWorld();
        var subnet = AssigningSubnet(test);
        Assert.True(Range.Contains(Assert.Single(test.Create(subnet: subnet).Ipv6Addresses)));
        Assert.Single(Primary(test, test.Launch(subnet: subnet)).Ipv6Addresses);
        test.Check();
    }

    [Fact]
    public void Request_overrides_what_the_subnet_assigns_on_creation()
    {
        var test = new TestWorld();
        var subnet = AssigningSubnet(test);
        var none = Create(test, subnet, AddressRequest.None);
        Assert.Equal(0, none.Ipv6Slots);
        var prefix = Create(test, subnet, AddressRequest.AnyPrefixes(1));
        Assert.Empty(prefix.Ipv6Addresses);
        Assert.Single(prefix.Ipv6Prefixes);
        test.Check();
    }

    [Fact]
    public void Subnet_without_a_range_cannot_assign_on_creation()
    {
        var test = new TestWorld();
        var fault = Assert.Throws<Ec2FaultException>(() =>
            test.World.CreateSubnet(test.Vpc.Id, "us-west-2a", IPNetwork.Parse("10.0.9.0/24"), assignIpv6AddressOnCreation: true)
        );
        Assert.Equal("InvalidParameterValue", fault.Code);
    }

    [Fact]
    public void Subnet_without_a_range_rejects_ipv6()
    {
        var test = new TestWorld();
        var eni = test.Create(subnet: test.SubnetB.Id);
        test.AssertRejected("InvalidParameterValue", () => test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1)));
        test.AssertRejected("InvalidParameterValue", () => test.World.AssignIpv6Addresses(eni.Id, AddressRequest.AnyPrefixes(1)));
        test.AssertRejected("InvalidParameterValue", () => Create(test, test.SubnetB.Id, AddressRequest.Any(1)));
        test.AssertRejected("InvalidParameterValue", () => Launch(test, "m5.large", AddressRequest.Any(1), test.SubnetB.Id));
    }

    [Fact]
    public void Launch_gives_the_primary_interface_the_requested_ipv6()
    {
        var test = new TestWorld();
        var eni = Primary(test, Launch(test, "m5.large", AddressRequest.Any(2)));
        Assert.Equal(2, eni.Ipv6Addresses.Length);
        Assert.Equal(
            eni.Ipv6Addresses[1],
            Assert.Single(eni.AllRanges, range => range.BaseAddress.Equals(eni.Ipv6Addresses[1])).BaseAddress
        );
        Assert.Single(Primary(test, Launch(test, "m5.metal", AddressRequest.AnyPrefixes(1))).Ipv6Prefixes);
        test.Check();
    }

    [Theory]
    [InlineData("m3.medium", 1, 0)] // without IPv6
    [InlineData("m4.large", 0, 1)] // with IPv6, but on Xen without prefixes
    public void Type_without_support_rejects_ipv6(string type, int addresses, int prefixes)
    {
        var test = new TestWorld();
        var request = addresses > 0 ? AddressRequest.Any(addresses) : AddressRequest.AnyPrefixes(prefixes);
        test.AssertRejected("UnsupportedOperation", () => Launch(test, type, request));
        var eni = Primary(test, Launch(test, type, AddressRequest.None));
        test.AssertRejected("UnsupportedOperation", () => test.World.AssignIpv6Addresses(eni.Id, request));
        var unattached = Create(test, test.SubnetA.Id, request);
        test.AssertRejected(
            "UnsupportedOperation",
            () => test.World.AttachNetworkInterface(new AttachInterfaceRequest(unattached.Id, eni.Attachment!.Instance, 1))
        );
    }

    [Fact]
    public void Launch_beyond_the_limit_of_the_type_is_rejected()
    {
        var test = new TestWorld();
        test.AssertRejected("InvalidParameterValue", () => Launch(test, "t3.small", AddressRequest.Any(5)));
        Assert.Equal(4, Primary(test, Launch(test, "t3.small", AddressRequest.Any(4))).Ipv6Slots);
    }

    [Fact]
    public void Primary_ipv6_address_cannot_be_unassigned()
    {
        var test = new TestWorld();
        var eni = test.World.CreateNetworkInterface(
            new CreateInterfaceRequest
            {
                Subnet = test.SubnetA.Id,
                Ipv6 = AddressRequest.Any(2),
                EnablePrimaryIpv6 = true,
            }
        );
        Assert.Equal(eni.Ipv6Addresses[0], eni.PrimaryIpv6Address);
        test.AssertRejected("InvalidParameterValue", () => test.World.UnassignIpv6Addresses(eni.Id, [eni.Ipv6Addresses[0]], []));
        test.World.UnassignIpv6Addresses(eni.Id, [eni.Ipv6Addresses[1]], []);
        test.AssertRejected(
            "OperationNotPermitted",
            () => test.World.ModifyNetworkInterfaceAttribute(new ModifyInterfaceRequest { Interface = eni.Id, EnablePrimaryIpv6 = false })
        );
        test.Check();
    }

    [Fact]
    public void Primary_ipv6_address_can_be_enabled_once_there_is_an_address()
    {
        var test = new TestWorld();
        var eni = test.Create();
        var enable = new ModifyInterfaceRequest { Interface = eni.Id, EnablePrimaryIpv6 = true };
        test.AssertRejected("InvalidParameterValue", () => test.World.ModifyNetworkInterfaceAttribute(enable));
        test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1));
        test.World.ModifyNetworkInterfaceAttribute(enable);
        Assert.Equal(test.Current(eni.Id).Ipv6Addresses[0], test.Current(eni.Id).PrimaryIpv6Address);
        test.AssertRejected(
            "InvalidParameterCombination",
            () => test.World.CreateNetworkInterface(new CreateInterfaceRequest { Subnet = test.SubnetA.Id, EnablePrimaryIpv6 = true })
        );
        test.Check();
    }

    [Theory]
    [InlineData("2600:1f14:0:101:7::/96")] // too long
    [InlineData("2600:1f14:0:101::/80")] // the first, which is reserved
    [InlineData("2600:1f14:0:101:ffff::/80")] // the last, likewise
    [InlineData("2600:1f14:0:102:7::/80")] // of another subnet
    [InlineData("10.0.1.64/28")]
    public void Prefix_that_the_subnet_cannot_give_is_rejected(string prefix)
    {
        var test = new TestWorld();
        var eni = test.Create();
        test.AssertRejected(
            "InvalidParameterValue",
            () => test.World.AssignIpv6Addresses(eni.Id, new AddressRequest { Prefixes = [IPNetwork.Parse(prefix)] })
        );
    }

    [Fact]
    public void Prefix_and_single_address_never_overlap()
    {
        var test = new TestWorld();
        var (one, other) = (test.Create(), test.Create());
        var prefix = new AddressRequest { Prefixes = [IPNetwork.Parse("2600:1f14:0:101:7::/80")] };
        var inside = new AddressRequest { Addresses = [IPAddress.Parse("2600:1f14:0:101:7::9")] };
        test.World.AssignIpv6Addresses(one.Id, prefix);
        test.AssertRejected("InvalidParameterValue", () => test.World.AssignIpv6Addresses(other.Id, inside));
        Assert.Equal(one.Id, test.World.FindOwner(inside.Addresses[0])!.Id);
        test.World.UnassignIpv6Addresses(one.Id, [], prefix.Prefixes);
        test.World.AssignIpv6Addresses(other.Id, inside);
        test.AssertRejected("InvalidParameterValue", () => test.World.AssignIpv6Addresses(one.Id, prefix));
        Assert.Equal(other.Id, test.World.FindOwner(inside.Addresses[0])!.Id);
        test.Check();
    }

    [Theory]
    [InlineData(AddressOrder.Scattered)]
    [InlineData(AddressOrder.Sequential)]
    public void Range_that_is_limited_is_exhausted_by_prefixes(AddressOrder order)
    {
        var test = new TestWorld(new WorldOptions { AddressOrder = order });
        test.World.LimitIpv6Range(test.SubnetA.Id, 3);
        var eni = test.Create();
        Assert.Equal(3, test.World.AssignIpv6Addresses(eni.Id, AddressRequest.AnyPrefixes(3)).Prefixes.Distinct().Count());
        test.AssertRejected(
            "InsufficientFreeAddressesInSubnet",
            () => test.World.AssignIpv6Addresses(eni.Id, AddressRequest.AnyPrefixes(1))
        );
        test.AssertRejected("InsufficientFreeAddressesInSubnet", () => test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1)));
        test.AssertRejected("InsufficientFreeAddressesInSubnet", () => Create(test, test.SubnetA.Id, AddressRequest.AnyPrefixes(1)));
        test.World.UnassignIpv6Addresses(eni.Id, [], [test.Current(eni.Id).Ipv6Prefixes[1]]);
        test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1));
        // The last /80 is no longer whole, but it still has addresses.
        test.AssertRejected("InsufficientCidrBlocks", () => test.World.AssignIpv6Addresses(eni.Id, AddressRequest.AnyPrefixes(1)));
        test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1));
        test.Check();
    }

    [Fact]
    public void Range_limited_to_nothing_keeps_what_is_assigned()
    {
        var test = new TestWorld();
        var eni = Create(test, test.SubnetA.Id, AddressRequest.Any(2));
        test.World.LimitIpv6Range(test.SubnetA.Id, 0);
        test.AssertRejected("InsufficientFreeAddressesInSubnet", () => test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1)));
        Assert.Equal(2, test.Current(eni.Id).Ipv6Slots);
        test.World.DeleteNetworkInterface(eni.Id);
        test.World.LimitIpv6Range(test.SubnetA.Id, VpcWorld.MaxIpv6Prefixes);
        Create(test, test.SubnetA.Id, AddressRequest.AnyPrefixes(1));
        test.Check();
    }

    [Fact]
    public void Assigned_ipv6_becomes_visible_after_the_lag()
    {
        var test = new TestWorld();
        var instance = Launch(test, "m5.large", AddressRequest.None);
        test.World.Timing.DescribeLag = test.World.Timing.MetadataLag = TimeSpan.FromSeconds(5);
        test.Time.Advance(TimeSpan.FromSeconds(6));
        test.World.AssignIpv6Addresses(instance.PrimaryInterface, AddressRequest.AnyPrefixes(1));
        var query = new Query { Ids = [instance.PrimaryInterface.Value] };
        Assert.Empty(test.World.DescribeNetworkInterfaces(query).Items[0].Ipv6Prefixes);
        Assert.Empty(test.World.DescribeMetadata(instance.Id)!.Primary!.Ipv6Prefixes);
        test.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.Single(test.World.DescribeNetworkInterfaces(query).Items[0].Ipv6Prefixes);
        Assert.Single(test.World.DescribeMetadata(instance.Id)!.Primary!.Ipv6Prefixes);
    }

    [Fact]
    public void Faults_and_throttling_apply_to_the_ipv6_operations()
    {
        var test = new TestWorld();
        var eni = Create(test, test.SubnetA.Id, AddressRequest.Any(1));
        test.World.Faults.Add(FaultRule.From("AssignIpv6Addresses", Ec2Faults.SubnetFull()));
        test.AssertRejected("InsufficientFreeAddressesInSubnet", () => test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1)));
        test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1));
        test.World.Throttle.SetLimits(Throttle.Uniform(1));
        test.World.UnassignIpv6Addresses(eni.Id, eni.Ipv6Addresses, []);
        test.AssertRejected("RequestLimitExceeded", () => test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1)));
        Assert.Equal(1, test.World.Calls.Count("AssignIpv6Addresses", CallLog.Success));
    }

    [Fact]
    public void Filters_match_ipv6_ranges_and_addresses()
    {
        var test = new TestWorld();
        var instance = Launch(test, "m5.large", AddressRequest.Any(1));
        Launch(test, "m5.large", AddressRequest.None);
        var address = Primary(test, instance).Ipv6Addresses[0].ToString();
        Assert.Equal(
            [test.SubnetA.Id],
            test.World.DescribeSubnets(With("ipv6-cidr-block-association.ipv6-cidr-block", "2600:1f14:0:101::/64"))
                .Items.Select(item => item.Subnet.Id)
        );
        Assert.Equal(
            [test.SubnetA.Id],
            test.World.DescribeSubnets(With("ipv6-cidr-block-association.state", "associated")).Items.Select(item => item.Subnet.Id)
        );
        Assert.Single(test.World.DescribeVpcs(With("ipv6-cidr-block-association.ipv6-cidr-block", "2600:1f14:0:100::/56")).Items);
        Assert.Equal(
            [instance.PrimaryInterface],
            test.World.DescribeNetworkInterfaces(With("ipv6-addresses.ipv6-address", address)).Items.Select(eni => eni.Id)
        );
        Assert.Equal(
            [instance.Id],
            test.World.DescribeInstances(With("network-interface.ipv6-addresses.ipv6-address", address))
                .Items.Select(item => item.Instance.Id)
        );
        Assert.Contains(
            "m3.medium",
            test.World.DescribeInstanceTypes(With("network-info.ipv6-supported", "false")).Items.Select(type => type.Name)
        );
        Assert.DoesNotContain(
            "m3.medium",
            test.World.DescribeInstanceTypes(With("network-info.ipv6-supported", "true")).Items.Select(type => type.Name)
        );
    }

    private static Query With(string filter, string value) => new() { Filters = [new Filter(filter, value)] };

    private static SubnetId AssigningSubnet(TestWorld test) =>
        test.World.CreateSubnet(test.Vpc.Id, "us-west-2a", IPNetwork.Parse("10.0.2.0/24"), Range, assignIpv6AddressOnCreation: true).Id;

    private static NetworkInterface Create(TestWorld test, SubnetId subnet, AddressRequest ipv6) =>
        test.World.CreateNetworkInterface(new CreateInterfaceRequest { Subnet = subnet, Ipv6 = ipv6 });

    private static Instance Launch(TestWorld test, string type, AddressRequest ipv6, SubnetId? subnet = null) =>
        test.World.LaunchInstance(
            new LaunchRequest
            {
                InstanceType = type,
                Subnet = subnet ?? test.SubnetA.Id,
                Ipv6 = ipv6,
            }
        );

    private static NetworkInterface Primary(TestWorld test, Instance instance) => test.Current(instance.PrimaryInterface);
}
