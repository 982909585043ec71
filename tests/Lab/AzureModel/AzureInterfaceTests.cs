// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.AzureModel;
using VpcCni.Lab.ModelParts;
using Xunit;

namespace VpcCni.Lab.Tests.AzureModel;

public sealed class AzureInterfaceTests
{
    private readonly AzureTestWorld _test = new();

    public sealed record Case(string Name, string[] Before, string[] Request, string[] After)
    {
        public override string ToString() => Name;
    }

    // The primary address is 10.0.0.4, the first that is not reserved.
    public static TheoryData<Case> Puts { get; } =
    [
        new Case("a dynamic address is the lowest free one", [], ["pod-1"], ["10.0.0.5/32"]),
        new Case("a static address", [], ["pod-1 10.0.0.9"], ["10.0.0.9/32"]),
        new Case("a block of 16 addresses", [], ["block /28"], ["10.0.0.16/28"]),
        new Case("a configuration keeps its address", ["pod-1", "pod-2"], ["pod-2", "pod-3"], ["10.0.0.6/32", "10.0.0.7/32"]),
        new Case("all others are removed", ["pod-1", "pod-2"], [], []),
        new Case("a removed address is free again", ["pod-1"], ["pod-2 10.0.0.9"], ["10.0.0.9/32"]),
        new Case("chosen addresses come before picked ones", [], ["pod-1", "pod-2 10.0.0.5"], ["10.0.0.6/32", "10.0.0.5/32"]),
        new Case("an address moves between configurations", ["pod-1 10.0.0.9"], ["pod-2 10.0.0.9"], ["10.0.0.9/32"]),
    ];

    [Theory]
    [MemberData(nameof(Puts))]
    public void Put_replaces_the_configurations(Case @case)
    {
        var nic = _test.Launch();
        var free = _test.Free;
        _test.Put(nic, @case.Before);
        var change = _test.Put(nic, @case.Request);
        Assert.Equal(["10.0.0.4/32", .. @case.After], _test.Ranges(nic));
        Assert.Equal(_test.Ranges(nic), _test.Applied(nic));
        Assert.Equal(AzureProvisioningState.Succeeded, _test.Current(nic).State);
        Assert.True(change.Operation.IsDone(_test.Now));
        Assert.Equal(free - @case.After.Sum(range => range.EndsWith("/28", StringComparison.Ordinal) ? 16 : 1), _test.Free);
    }

    [Theory]
    [InlineData("PrivateIPAddressNotInSubnet", "pod-1 10.0.1.9")]
    [InlineData("PrivateIPAddressInUse", "pod-1 10.0.0.1")]
    [InlineData("PrivateIPAddressInUse", "pod-1 10.0.0.5")]
    [InlineData("PrivateIPAddressInUse", "pod-1 10.0.0.9", "pod-2 10.0.0.9")]
    [InlineData("SubnetIsFull", "block-1 /28", "block-2 /28", "block-3 /28")]
    [InlineData("InvalidRequestFormat", "pod-1", "POD-1")]
    [InlineData("InvalidRequestFormat", "block-1 10.0.0.20/28")]
    public void Put_that_cannot_be_is_rejected(string code, params string[] others)
    {
        var nic = _test.Launch();
        _test.Launch("node-2");
        _test.Rejected(code, () => _test.Put(nic, others));
    }

    [Fact]
    public void Full_subnet_rejects_the_whole_put()
    {
        var nic = _test.Launch();
        var free = (int)_test.Free;
        var fault = _test.Rejected(
            "SubnetIsFull",
            () => _test.Put(nic, [.. Enumerable.Range(0, free + 1).Select(number => $"pod-{number}")])
        );
        Assert.Equal(HttpStatusCode.BadRequest, fault.Status);
        Assert.Contains("address prefix 10.0.0.0/26", fault.Message, StringComparison.Ordinal);
        _test.Put(nic, [.. Enumerable.Range(0, free).Select(number => $"pod-{number}")]);
        Assert.Equal(0, _test.Free);
    }

    [Fact]
    public void Configurations_of_one_interface_use_one_subnet()
    {
        var nic = _test.Launch();
        var request = _test.Request(nic, "pod-1");
        AzureInterfaceRequest In(AzureInterfaceRequest original, string subnet) =>
            original with
            {
                Configurations = [original.Configurations[0], original.Configurations[1] with { Subnet = subnet }],
            };
        _test.Rejected(
            "IpConfigurationsOnSameNicCannotUseDifferentSubnets",
            () => _test.World.PutInterface(_test.Now, In(request, _test.Other))
        );
        var ofSet = _test.Launch("node-2", scaleSet: "pool");
        _test.Rejected(
            "VMScaleSetIpConfigurationsOnSameNicCannotUseDifferentSubnets",
            () => _test.World.PutScaleSetMachine(_test.Now, In(_test.Request(ofSet, "pod-1"), _test.Other))
        );
        _test.Rejected(
            "InvalidResourceReference",
            () =>
                _test.World.PutInterface(
                    _test.Now,
                    request with
                    {
                        Configurations = [request.Configurations[0] with { Subnet = "/nothing" }],
                    }
                )
        );
    }

    [Fact]
    public void Stale_tag_is_rejected_and_the_current_one_is_not()
    {
        var nic = _test.Launch();
        var fault = _test.Rejected("PreconditionFailed", () => _test.Put(nic, "W/\"other\"", []));
        Assert.Equal(HttpStatusCode.PreconditionFailed, fault.Status);
        _test.Put(nic, nic.Tag, ["pod-1"]);
        Assert.NotEqual(nic.Tag, _test.Current(nic).Tag);
        _test.Rejected("PreconditionFailed", () => _test.Put(nic, nic.Tag, []));
        _test.Put(nic, "*", []);
    }

    [Fact]
    public void Operation_shows_the_goal_at_once_and_applies_it_at_its_end()
    {
        var nic = _test.Launch();
        _test.Put(nic, "pod-1");
        _test.World.Timing.Operation = TimeSpan.FromSeconds(5);
        var change = _test.Put(nic, "pod-2 10.0.0.9");
        Assert.Equal(AzureProvisioningState.Updating, change.Resource.State);
        Assert.Equal(["10.0.0.4/32", "10.0.0.9/32"], _test.Ranges(nic));
        Assert.Equal(["10.0.0.4/32", "10.0.0.5/32"], _test.Applied(nic));
        Assert.False(change.Operation.IsDone(_test.Now));
        var busy = _test.Rejected("AnotherOperationInProgress", () => _test.Put(nic));
        Assert.Equal(HttpStatusCode.Conflict, busy.Status);
        Assert.Contains($"{change.Operation.Id}", busy.Message, StringComparison.Ordinal);
        // What is still in effect is not free.
        var other = _test.Launch("node-2");
        _test.Rejected("PrivateIPAddressInUse", () => _test.Put(other, "pod-1 10.0.0.5"));

        _test.Now += TimeSpan.FromSeconds(5);
        _test.World.Advance(_test.Now);
        Assert.Equal(["10.0.0.4/32", "10.0.0.9/32"], _test.Applied(nic));
        Assert.NotEqual(change.Resource.Tag, _test.Current(nic).Tag);
    }

    [Fact]
    public void Failed_operation_leaves_a_failed_interface_that_another_put_repairs()
    {
        var nic = _test.Launch();
        var free = _test.Free;
        _test.World.Faults.Add(
            new MethodFault
            {
                Method = "networkInterfaces.createOrUpdate",
                Code = "NetworkingInternalOperationError",
                Message = "no",
                FailsOperation = true,
            }
        );
        var change = _test.Put(nic, "pod-1");
        Assert.Equal("NetworkingInternalOperationError", change.Operation.Failure!.Code);
        Assert.Equal(AzureProvisioningState.Failed, _test.Current(nic).State);
        Assert.Equal(["10.0.0.4/32"], _test.Applied(nic));
        Assert.Equal(["10.0.0.4/32", "10.0.0.5/32"], _test.Ranges(nic));
        Assert.Equal(free - 1, _test.Free);

        _test.Put(nic, "pod-2 10.0.0.9");
        Assert.Equal(["10.0.0.4/32", "10.0.0.9/32"], _test.Applied(nic));
        Assert.Equal(free - 1, _test.Free);
    }

    [Fact]
    public void Deleted_machine_frees_all_that_its_interface_held()
    {
        var nic = _test.Launch();
        var free = _test.Free + 1;
        _test.Put(nic, "pod-1");
        _test.World.Timing.Operation = TimeSpan.FromSeconds(5);
        _test.Put(nic, "pod-2");
        _test.World.DeleteMachine(_test.Now, nic.Machine);
        _test.Now += TimeSpan.FromSeconds(5);
        _test.World.Advance(_test.Now);
        Assert.Equal(free, _test.Free);
    }

    [Fact]
    public void Limits_features_and_the_primary_address_are_kept()
    {
        var test = new AzureTestWorld(new AzureWorldOptions { ConfigurationsPerInterface = 2, HasPrefixes = false });
        var nic = test.Launch();
        test.Rejected("OperationNotAllowed", () => test.Put(nic, "pod-1", "pod-2"));
        test.Rejected("SubscriptionNotRegisteredForFeature", () => test.Put(nic, "block /28"));
        var request = test.Request(nic);
        test.Rejected(
            "OperationNotAllowed",
            () =>
                test.World.PutInterface(
                    test.Now,
                    request with
                    {
                        Configurations = [request.Configurations[0] with { Address = IPAddress.Parse("10.0.0.20"), IsStatic = true }],
                    }
                )
        );
        test.Rejected("OperationNotAllowed", () => test.World.PutInterface(test.Now, request with { Id = test.World.InterfaceId("new") }));
        test.Rejected(
            "InvalidRequestFormat",
            () =>
                test.World.PutInterface(test.Now, request with { Configurations = [request.Configurations[0] with { IsPrimary = false }] })
        );
    }

    [Fact]
    public void Interface_of_a_scale_set_is_changed_through_its_machine()
    {
        var nic = _test.Launch("node-1", scaleSet: "pool");
        Assert.EndsWith("virtualMachineScaleSets/pool/virtualMachines/0/networkInterfaces/pool-nic", nic.Id, StringComparison.Ordinal);
        _test.Rejected("OperationNotAllowed", () => _test.Put(nic, "pod-1"));
        _test.World.PutScaleSetMachine(_test.Now, _test.Request(nic, "pod-1"));
        Assert.Equal(["10.0.0.4/32", "10.0.0.5/32"], _test.Applied(nic));
        Assert.Empty(_test.World.ListInterfaces(_test.Now));
        Assert.Equal(nic.Id, Assert.Single(_test.World.ListScaleSetInterfaces(_test.Now, "POOL", "0")).Id);
        _test.Rejected("ResourceNotFound", () => _test.World.ListScaleSetInterfaces(_test.Now, "pool", "1"));
    }

    [Fact]
    public void Metadata_lags_behind()
    {
        var nic = _test.Launch();
        _test.World.Timing.MetadataLag = TimeSpan.FromSeconds(5);
        _test.Now += TimeSpan.FromSeconds(10);
        _test.Put(nic, "pod-1");
        int Shown() => _test.World.DescribeMetadata(_test.Now, nic.Machine)!.Applied.Length;
        Assert.Equal(1, Shown());
        _test.Now += TimeSpan.FromSeconds(5);
        Assert.Equal(2, Shown());
    }

    [Fact]
    public void Rate_limit_and_faults_apply_to_calls()
    {
        var nic = _test.Launch();
        _test.World.RateLimit.Set(0.5);
        _test.World.GetInterface(_test.Now, nic.Id);
        var throttled = _test.Rejected("TooManyRequests", () => _test.World.GetInterface(_test.Now, nic.Id));
        Assert.Equal((HttpStatusCode.TooManyRequests, TimeSpan.FromSeconds(2)), (throttled.Status, throttled.RetryAfter));
        _test.World.RateLimit.Set(null);

        _test.World.Faults.Add(
            new MethodFault
            {
                Method = "*",
                Code = "RetryableError",
                Message = "A retryable error occurred.",
            }
        );
        var retryable = _test.Rejected("RetryableError", () => _test.Put(nic));
        Assert.Equal((HttpStatusCode.TooManyRequests, "ReferencedResourceNotProvisioned"), (retryable.Status, retryable.Detail!.Code));
        Assert.Equal(1, _test.World.Calls.Counts[("networkInterfaces.get", "TooManyRequests")]);
    }

    [Fact]
    public void Same_calls_give_the_same_world()
    {
        string Run()
        {
            var test = new AzureTestWorld();
            var nic = test.Launch();
            test.Put(nic, "pod-1");
            return $"{nic.Mac} {test.Current(nic).Tag} {nic.ResourceGuid}";
        }

        Assert.Equal(Run(), Run());
    }
}
