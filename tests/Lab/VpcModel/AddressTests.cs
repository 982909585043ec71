// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.VpcModel;

public sealed class AddressTests
{
    [Fact]
    public void Assign_returns_exactly_what_was_added()
    {
        var test = new TestWorld();
        var eni = test.CreateAttached(test.Launch(), device: 1, AddressRequest.Any(2));
        var change = test.World.AssignPrivateIpAddresses(eni.Id, AddressRequest.Any(3));
        Assert.Equal(3, change.Addresses.Count);
        Assert.Equal([.. eni.SecondaryAddresses, .. change.Addresses], test.Current(eni.Id).SecondaryAddresses);
        Assert.Equal(test.Current(eni.Id).AllRanges, Assert.IsType<VpcEvent.AddressesChanged>(test.Events[^1]).Ranges);
    }

    [Fact]
    public void Assign_fills_an_interface_up_to_its_slot_limit()
    {
        // An m5.large has 10 slots per interface. The primary address takes one, and a prefix takes one like an address.
        var test = new TestWorld();
        var eni = test.CreateAttached(test.Launch("m5.large"), device: 1);
        test.World.AssignPrivateIpAddresses(eni.Id, AddressRequest.AnyPrefixes(4));
        test.World.AssignPrivateIpAddresses(eni.Id, AddressRequest.Any(5));
        Assert.Equal(10, test.Current(eni.Id).Ipv4Slots);
        var fault = test.AssertRejected(
            "PrivateIpAddressLimitExceeded",
            () => test.World.AssignPrivateIpAddresses(eni.Id, AddressRequest.Any(1))
        );
        Assert.Equal("Number of private addresses will exceed limit.", fault.Message);
        test.AssertRejected(
            "PrivateIpAddressLimitExceeded",
            () => test.World.AssignPrivateIpAddresses(eni.Id, AddressRequest.AnyPrefixes(1))
        );
        test.Check();
    }

    [Fact]
    public void Assign_more_than_the_subnet_has_assigns_nothing()
    {
        var test = new TestWorld(subnet: "10.0.1.0/27");
        var eni = test.CreateAttached(test.Launch("m5.4xlarge"), device: 1);
        test.AssertRejected("InsufficientFreeAddressesInSubnet", () => test.World.AssignPrivateIpAddresses(eni.Id, AddressRequest.Any(26)));
        test.World.AssignPrivateIpAddresses(eni.Id, AddressRequest.Any(25));
        Assert.Equal(0, test.World.FreeAddresses(test.SubnetA.Id));
    }

    [Fact]
    public void Assign_of_explicit_addresses_assigns_those()
    {
        var test = new TestWorld(new WorldOptions { AddressOrder = AddressOrder.Sequential });
        var eni = test.Create();
        var address = IPAddress.Parse("10.0.1.200");
        var prefix = IPNetwork.Parse("10.0.1.64/28");
        Assert.Equal([address], test.World.AssignPrivateIpAddresses(eni.Id, new AddressRequest { Addresses = [address] }).Addresses);
        Assert.Equal([prefix], test.World.AssignPrivateIpAddresses(eni.Id, new AddressRequest { Prefixes = [prefix] }).Prefixes);

        // Assigning the same addresses again is neither an error nor a change.
        Assert.Equal([address], test.World.AssignPrivateIpAddresses(eni.Id, new AddressRequest { Addresses = [address] }).Addresses);
        Assert.Equal(3, test.Current(eni.Id).Ipv4Slots);
        test.AssertRejected(
            "InvalidParameterValue",
            () => test.World.AssignPrivateIpAddresses(eni.Id, new AddressRequest { Addresses = [IPAddress.Parse("10.0.2.7")] })
        );
        test.AssertRejected(
            "InvalidIPAddress.InUse",
            () => test.World.AssignPrivateIpAddresses(eni.Id, new AddressRequest { Addresses = [IPAddress.Parse("10.0.1.70")] })
        );
        test.AssertRejected(
            "InvalidParameterValue",
            () => test.World.AssignPrivateIpAddresses(eni.Id, new AddressRequest { Prefixes = [IPNetwork.Parse("10.0.1.192/28")] })
        );
        test.AssertRejected(
            "InvalidParameterValue",
            () => test.World.AssignPrivateIpAddresses(eni.Id, new AddressRequest { Prefixes = [IPNetwork.Parse("10.0.1.0/28")] })
        );
        test.AssertRejected(
            "InvalidParameterValue",
            () => test.World.AssignPrivateIpAddresses(eni.Id, new AddressRequest { Prefixes = [IPNetwork.Parse("10.0.1.96/27")] })
        );
        test.Check();
    }

    [Fact]
    public void Assign_of_another_interfaces_address_moves_it_only_if_allowed()
    {
        var test = new TestWorld();
        var from = test.Create(AddressRequest.Any(1));
        var to = test.Create();
        var request = new AddressRequest { Addresses = [from.SecondaryAddresses[0]] };
        test.AssertRejected("InvalidParameterValue", () => test.World.AssignPrivateIpAddresses(to.Id, request));
        test.World.AssignPrivateIpAddresses(to.Id, request, allowReassignment: true);
        Assert.Empty(test.Current(from.Id).SecondaryAddresses);
        Assert.Equal(from.SecondaryAddresses, test.Current(to.Id).SecondaryAddresses);
        test.AssertRejected(
            "InvalidIPAddress.InUse",
            () =>
                test.World.AssignPrivateIpAddresses(
                    to.Id,
                    new AddressRequest { Addresses = [from.PrimaryAddress] },
                    allowReassignment: true
                )
        );
        Assert.Equal(to.Id, test.World.FindOwner(from.SecondaryAddresses[0])!.Id);
        test.Check();
    }

    [Fact]
    public void Unassign_releases_the_given_addresses()
    {
        var test = new TestWorld();
        var eni = test.Create(AddressRequest.Any(3));
        test.World.UnassignPrivateIpAddresses(eni.Id, [eni.SecondaryAddresses[1]], []);
        Assert.Equal([eni.SecondaryAddresses[0], eni.SecondaryAddresses[2]], test.Current(eni.Id).SecondaryAddresses);
        Assert.Equal(251 - 3, test.World.FreeAddresses(test.SubnetA.Id));
        test.Check();
    }

    [Fact]
    public void Unassign_of_an_unassigned_address_releases_nothing()
    {
        var test = new TestWorld();
        var eni = test.Create(AddressRequest.Any(2));
        test.AssertRejected(
            "InvalidParameterValue",
            () => test.World.UnassignPrivateIpAddresses(eni.Id, [eni.SecondaryAddresses[0], IPAddress.Parse("10.0.1.250")], [])
        );
        test.AssertRejected("InvalidParameterValue", () => test.World.UnassignPrivateIpAddresses(eni.Id, [eni.PrimaryAddress], []));
        test.AssertRejected(
            "InvalidParameterValue",
            () => test.World.UnassignPrivateIpAddresses(eni.Id, [eni.SecondaryAddresses[0], eni.SecondaryAddresses[0]], [])
        );
        test.AssertRejected("MissingParameter", () => test.World.UnassignPrivateIpAddresses(eni.Id, [], []));
    }

    [Fact]
    public void Prefix_unassigned_can_be_assigned_again()
    {
        var test = new TestWorld(subnet: "10.0.1.0/26");
        var eni = test.Create(AddressRequest.AnyPrefixes(1));
        var prefixes = test.World.FreePrefixes(test.SubnetA.Id);
        test.World.UnassignPrivateIpAddresses(eni.Id, [], eni.Ipv4Prefixes);
        Assert.Equal(prefixes + 1, test.World.FreePrefixes(test.SubnetA.Id));
        Assert.Equal(
            eni.Ipv4Prefixes,
            test.World.AssignPrivateIpAddresses(eni.Id, new AddressRequest { Prefixes = eni.Ipv4Prefixes }).Prefixes
        );
        test.Check();
    }

    [Fact]
    public void Ipv6_slots_are_counted_separately()
    {
        var test = new TestWorld();
        var eni = test.CreateAttached(test.Launch("t3.small"), device: 1, AddressRequest.Any(3));
        test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(2));
        var prefixes = test.World.AssignIpv6Addresses(eni.Id, AddressRequest.AnyPrefixes(2)).Prefixes;
        test.AssertRejected("InvalidParameterValue", () => test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1)));
        test.World.UnassignIpv6Addresses(eni.Id, [], prefixes);
        Assert.Empty(test.Current(eni.Id).Ipv6Prefixes);
        test.Check();
    }

    [Fact]
    public void Ipv6_in_sequential_order_is_readable_and_survives_a_taken_prefix()
    {
        var test = new TestWorld(new WorldOptions { AddressOrder = AddressOrder.Sequential });
        var eni = test.Create();
        Assert.Equal([IPAddress.Parse("2600:1f14:0:101:1::1")], test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1)).Addresses);
        Assert.Equal(
            [IPNetwork.Parse("2600:1f14:0:101:2::/80")],
            test.World.AssignIpv6Addresses(eni.Id, AddressRequest.AnyPrefixes(1)).Prefixes
        );
        test.World.UnassignIpv6Addresses(eni.Id, test.Current(eni.Id).Ipv6Addresses, []);
        test.World.AssignIpv6Addresses(eni.Id, new AddressRequest { Prefixes = [IPNetwork.Parse("2600:1f14:0:101:1::/80")] });
        Assert.Single(test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1)).Addresses);
        test.Check();
    }
}
