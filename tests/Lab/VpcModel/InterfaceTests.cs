// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.VpcModel;

public sealed class InterfaceTests
{
    [Fact]
    public void Interface_new_is_available_with_an_address_of_its_subnet()
    {
        var test = new TestWorld();
        var eni = test.Create(AddressRequest.Any(3), description: "aws-K8S-i-1");
        Assert.StartsWith("eni-0", eni.Id.Value, StringComparison.Ordinal);
        Assert.StartsWith("02:", eni.Mac, StringComparison.Ordinal);
        Assert.Equal("available", EnumText.StatusOf(eni));
        Assert.Equal(3, eni.SecondaryAddresses.Length);
        Assert.All(eni.AllRanges, range => Assert.True(test.SubnetA.Ipv4Range.Contains(range.BaseAddress)));
        Assert.Equal([test.Group.Id], eni.Groups);
        Assert.Equal(eni.AllRanges, Assert.IsType<VpcEvent.AddressesChanged>(test.Events[^1]).Ranges);
        test.Check();
    }

    [Fact]
    public void Interface_with_prefixes_and_ipv6_gets_aligned_ones()
    {
        var test = new TestWorld();
        var eni = test.World.CreateNetworkInterface(
            new CreateInterfaceRequest
            {
                Subnet = test.SubnetA.Id,
                Ipv4 = AddressRequest.AnyPrefixes(3),
                Ipv6 = AddressRequest.AnyPrefixes(2),
            }
        );
        Assert.All(eni.Ipv4Prefixes, prefix => Assert.Equal(28, prefix.PrefixLength));
        Assert.All(eni.Ipv6Prefixes, prefix => Assert.Equal(80, prefix.PrefixLength));
        Assert.Equal(4, eni.Ipv4Slots);
        Assert.Equal(251 - 1 - 48, test.World.FreeAddresses(test.SubnetA.Id));
        test.Check();
    }

    [Fact]
    public void Interface_deleted_releases_all_addresses()
    {
        var test = new TestWorld();
        var eni = test.World.CreateNetworkInterface(
            new CreateInterfaceRequest
            {
                Subnet = test.SubnetA.Id,
                Ipv4 = AddressRequest.AnyPrefixes(3),
                Ipv6 = AddressRequest.Any(2),
            }
        );
        test.World.DeleteNetworkInterface(eni.Id);
        Assert.Null(test.World.FindInterface(eni.Id));
        Assert.Equal(251, test.World.FreeAddresses(test.SubnetA.Id));
        Assert.Empty(Assert.IsType<VpcEvent.AddressesChanged>(test.Events[^1]).Ranges);
        test.AssertRejected("InvalidNetworkInterfaceID.NotFound", () => test.World.DeleteNetworkInterface(eni.Id));
    }

    [Fact]
    public void Interface_in_use_cannot_be_deleted()
    {
        var test = new TestWorld();
        var eni = test.CreateAttached(test.Launch(), device: 1);
        var fault = test.AssertRejected("InvalidParameterValue", () => test.World.DeleteNetworkInterface(eni.Id));
        Assert.Equal($"Network interface '{eni.Id}' is currently in use.", fault.Message);
    }

    [Fact]
    public void Create_repeated_with_its_token_returns_the_current_interface()
    {
        var test = new TestWorld();
        var first = test.Create(AddressRequest.Any(2), token: "token-1");
        test.World.AssignPrivateIpAddresses(first.Id, AddressRequest.Any(1));
        var again = test.Create(AddressRequest.Any(2), token: "token-1");
        Assert.Equal(first.Id, again.Id);
        Assert.Equal(3, again.SecondaryAddresses.Length);
        Assert.Single(test.World.Interfaces);
        Assert.NotEqual(first.Id, test.Create(AddressRequest.Any(2), token: "token-2").Id);
    }

    [Fact]
    public void Create_with_a_token_of_other_parameters_is_rejected()
    {
        var test = new TestWorld();
        test.Create(AddressRequest.Any(2), token: "token-1");
        test.AssertRejected("IdempotentParameterMismatch", () => test.Create(AddressRequest.Any(3), token: "token-1"));
    }

    [Fact]
    public void Create_with_an_invalid_token_is_rejected()
    {
        var test = new TestWorld();
        test.AssertRejected("InvalidParameterValue", () => test.Create(token: new string('x', 65)));
        test.AssertRejected("InvalidParameterValue", () => test.Create(token: "tökén"));
    }

    [Fact]
    public void Create_with_a_token_older_than_a_day_creates_a_new_interface()
    {
        var test = new TestWorld();
        var first = test.Create(token: "token-1");
        test.Time.Advance(TimeSpan.FromHours(25));
        Assert.NotEqual(first.Id, test.Create(token: "token-1").Id);
    }

    [Fact]
    public void Create_that_fails_releases_the_addresses_it_took()
    {
        var test = new TestWorld(subnet: "10.0.1.0/27");
        test.AssertRejected("InsufficientFreeAddressesInSubnet", () => test.Create(AddressRequest.Any(27)));
        test.AssertRejected(
            "InvalidParameterValue",
            () =>
                test.World.CreateNetworkInterface(
                    new CreateInterfaceRequest
                    {
                        Subnet = test.SubnetA.Id,
                        Ipv4 = AddressRequest.Any(5),
                        Ipv6 = new AddressRequest { Addresses = [IPAddress.Parse("2600:1f14:0:fff::1")] },
                    }
                )
        );
        Assert.Equal(27, test.World.FreeAddresses(test.SubnetA.Id));
    }

    [Fact]
    public void Create_with_invalid_arguments_is_rejected()
    {
        var test = new TestWorld();
        test.AssertRejected("InvalidSubnetID.NotFound", () => test.Create(subnet: new SubnetId("subnet-0")));
        test.AssertRejected(
            "InvalidGroup.NotFound",
            () =>
                test.World.CreateNetworkInterface(
                    new CreateInterfaceRequest { Subnet = test.SubnetA.Id, Groups = [new SecurityGroupId("sg-0")] }
                )
        );
        test.AssertRejected("PrivateIpAddressLimitExceeded", () => test.Create(AddressRequest.Any(50)));
        test.AssertRejected("InvalidParameterCombination", () => test.Create(new AddressRequest { AddressCount = 1, PrefixCount = 1 }));
        test.AssertRejected("InvalidParameterValue", () => test.Create(AddressRequest.Any(-1)));
        test.AssertRejected(
            "InvalidParameterValue",
            () => test.World.CreateNetworkInterface(new CreateInterfaceRequest { Subnet = test.SubnetB.Id, Ipv6 = AddressRequest.Any(1) })
        );
        test.AssertRejected(
            "InvalidParameterValue",
            () =>
                test.World.CreateNetworkInterface(
                    new CreateInterfaceRequest { Subnet = test.SubnetA.Id, PrimaryAddress = IPAddress.Parse("10.0.2.5") }
                )
        );
    }

    [Fact]
    public void Modify_changes_one_attribute_at_a_time()
    {
        var test = new TestWorld();
        var eni = test.CreateAttached(test.Launch(), device: 1);
        var other = test.World.CreateSecurityGroup(test.Vpc.Id, "other");
        test.World.ModifyNetworkInterfaceAttribute(new ModifyInterfaceRequest { Interface = eni.Id, Groups = [other.Id] });
        test.World.ModifyNetworkInterfaceAttribute(new ModifyInterfaceRequest { Interface = eni.Id, Description = "changed" });
        test.World.ModifyNetworkInterfaceAttribute(
            new ModifyInterfaceRequest { Interface = eni.Id, DeleteOnTermination = (eni.Attachment!.Id, true) }
        );
        var changed = test.Current(eni.Id);
        Assert.Equal([other.Id], changed.Groups);
        Assert.Equal("changed", changed.Description);
        Assert.True(changed.Attachment!.DeleteOnTermination);
        test.AssertRejected(
            "InvalidParameterCombination",
            () =>
                test.World.ModifyNetworkInterfaceAttribute(
                    new ModifyInterfaceRequest
                    {
                        Interface = eni.Id,
                        Description = "x",
                        SourceDestCheck = false,
                    }
                )
        );
        test.AssertRejected(
            "MissingParameter",
            () => test.World.ModifyNetworkInterfaceAttribute(new ModifyInterfaceRequest { Interface = eni.Id })
        );
        test.AssertRejected(
            "InvalidAttachmentID.NotFound",
            () =>
                test.World.ModifyNetworkInterfaceAttribute(
                    new ModifyInterfaceRequest { Interface = eni.Id, DeleteOnTermination = (new AttachmentId("eni-attach-0"), true) }
                )
        );
    }

    [Fact]
    public void Interface_ids_and_addresses_are_the_same_for_the_same_seed()
    {
        static string Trace(int seed)
        {
            var test = new TestWorld(seed: seed);
            var instance = test.Launch();
            test.CreateAttached(instance, device: 1, AddressRequest.Any(4));
            return string.Join(
                '\n',
                test.World.Interfaces.Select(eni => $"{eni.Id} {eni.Mac} {string.Join(',', eni.AllRanges)} {eni.Attachment?.Id}")
            );
        }

        Assert.Equal(Trace(7), Trace(7));
        Assert.NotEqual(Trace(7), Trace(8));
    }
}
