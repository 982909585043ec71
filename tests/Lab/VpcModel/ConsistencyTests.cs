// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.VpcModel;

/// <summary>Tests stale reads, throttling and injected faults.</summary>
public sealed class ConsistencyTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Fact]
    public void Describe_with_a_lag_returns_the_earlier_state()
    {
        var test = new TestWorld();
        test.World.Timing.DescribeLag = 2 * Second;
        var eni = test.Create(AddressRequest.Any(1));
        test.AssertRejected(
            "InvalidNetworkInterfaceID.NotFound",
            () => test.World.DescribeNetworkInterfaces(new Query { Ids = [eni.Id.Value] })
        );
        Assert.Empty(test.World.DescribeNetworkInterfaces(new Query()).Items);
        test.Time.Advance(2 * Second);
        Assert.Equal([eni], test.World.DescribeNetworkInterfaces(new Query()).Items);

        test.World.AssignPrivateIpAddresses(eni.Id, AddressRequest.Any(2));
        test.Time.Advance(Second);
        Assert.Single(test.World.DescribeNetworkInterfaces(new Query { Ids = [eni.Id.Value] }).Items[0].SecondaryAddresses);
        test.Time.Advance(Second);
        Assert.Equal(3, test.World.DescribeNetworkInterfaces(new Query { Ids = [eni.Id.Value] }).Items[0].SecondaryAddresses.Length);

        test.World.DeleteNetworkInterface(eni.Id);
        Assert.Single(test.World.DescribeNetworkInterfaces(new Query()).Items);
        test.Time.Advance(2 * Second);
        Assert.Empty(test.World.DescribeNetworkInterfaces(new Query()).Items);
    }

    [Fact]
    public void Mutation_ignores_the_lag_of_describe()
    {
        var test = new TestWorld();
        test.World.Timing.DescribeLag = 60 * Second;
        var instance = test.Launch();
        var eni = test.CreateAttached(instance, device: 1);
        test.World.AssignPrivateIpAddresses(eni.Id, AddressRequest.Any(9));
        test.AssertRejected("PrivateIpAddressLimitExceeded", () => test.World.AssignPrivateIpAddresses(eni.Id, AddressRequest.Any(1)));
    }

    [Fact]
    public void Metadata_has_its_own_lag()
    {
        var test = new TestWorld();
        var instance = test.Launch();
        test.Time.Advance(60 * Second);
        test.World.Timing.MetadataLag = 30 * Second;
        var eni = test.CreateAttached(instance, device: 1);
        Assert.Single(test.World.DescribeMetadata(instance.Id)!.Interfaces);
        test.Time.Advance(30 * Second);
        Assert.Equal(
            [instance.PrimaryInterface, eni.Id],
            test.World.DescribeMetadata(instance.Id)!.Interfaces.Select(pair => pair.Interface.Id)
        );
        Assert.Null(test.World.DescribeMetadata(new InstanceId("i-0")));
    }

    [Fact]
    public void Deleted_interface_is_pruned_after_the_maximum_lag()
    {
        var test = new TestWorld();
        for (var i = 0; i < 10; i++)
            test.World.DeleteNetworkInterface(test.Create().Id);
        test.Time.Advance(WorldTiming.MaxLag + Second);
        test.World.CompleteDueTransitions();
        test.World.Timing.DescribeLag = WorldTiming.MaxLag;
        Assert.Empty(test.World.DescribeNetworkInterfaces(new Query()).Items);
        Assert.Throws<ArgumentOutOfRangeException>(() => test.World.Timing.DescribeLag = WorldTiming.MaxLag + Second);
    }

    [Fact]
    public void Throttle_has_a_bucket_for_each_kind_of_call()
    {
        var test = new TestWorld();
        test.World.Throttle.SetLimits(new Dictionary<CallKind, RateLimit> { [CallKind.Mutating] = new(Capacity: 2, RefillPerSecond: 1) });
        test.Create();
        test.Create();
        var fault = test.AssertRejected("RequestLimitExceeded", () => test.Create());
        Assert.Equal(HttpStatusCode.ServiceUnavailable, fault.Status);
        test.World.DescribeNetworkInterfaces(new Query());
        test.Time.Advance(Second);
        test.Create();
        test.AssertRejected("RequestLimitExceeded", () => test.Create());

        // The bucket refills to its capacity, not beyond.
        test.Time.Advance(100 * Second);
        test.Create();
        test.Create();
        test.AssertRejected("RequestLimitExceeded", () => test.Create());
        test.World.Throttle.SetLimits(null);
        test.Create();
        Assert.Throws<ArgumentException>(() => test.World.Throttle.SetLimits(Throttle.Uniform(-1)));
    }

    [Fact]
    public void Fault_before_the_effect_changes_nothing_and_applies_once()
    {
        var test = new TestWorld();
        test.World.Faults.Add(new FaultRule { Operation = "CreateNetworkInterface", Times = 2 });
        test.AssertRejected("InternalError", () => test.Create());
        test.AssertRejected("InternalError", () => test.Create());
        test.Create();
        Assert.Empty(test.World.Faults.Rules);
    }

    [Fact]
    public void Fault_after_the_effect_replaces_only_the_response()
    {
        var test = new TestWorld();
        test.World.Faults.Add(new FaultRule { Operation = "CreateNetworkInterface", Moment = FaultMoment.AfterEffect });
        Assert.Equal("InternalError", Assert.Throws<Ec2FaultException>(() => test.Create(token: "t")).Code);
        var made = Assert.Single(test.World.Interfaces);
        Assert.Equal(made.Id, test.Create(token: "t").Id);
        Assert.Single(test.World.Interfaces);
    }

    [Fact]
    public void Fault_of_an_operation_does_not_affect_others_and_can_be_cleared()
    {
        var test = new TestWorld();
        test.World.Faults.Add(FaultRule.Unauthorized("CreateTags"));
        var eni = test.Create();
        void Tag() => test.World.CreateTags([eni.Id.Value], new Dictionary<string, string> { ["a"] = "b" });
        for (var i = 0; i < 3; i++)
            Assert.Equal(HttpStatusCode.Forbidden, test.AssertRejected("UnauthorizedOperation", Tag).Status);
        Assert.Equal("UnauthorizedOperation", test.World.DryRun("CreateTags").Code);
        test.World.Faults.Clear("CreateTags");
        Tag();
        Assert.Equal("DryRunOperation", test.World.DryRun("CreateTags").Code);
    }

    [Fact]
    public void Fault_with_a_probability_applies_at_that_rate_and_repeats_per_seed()
    {
        static int Strikes(int seed)
        {
            var test = new TestWorld(seed: seed);
            test.World.Faults.Add(
                new FaultRule
                {
                    Operation = "*",
                    Probability = 0.25,
                    Times = null,
                }
            );
            return Enumerable.Range(0, 400).Count(_ => Record.Exception(() => test.World.DescribeVpcs(new Query())) is not null);
        }

        Assert.InRange(Strikes(1), 60, 140);
        Assert.Equal(Strikes(5), Strikes(5));
    }

    [Fact]
    public void Call_log_counts_all_calls_and_keeps_the_newest()
    {
        var test = new TestWorld(new WorldOptions { CallLogCapacity = 3 });
        test.Create();
        test.Create();
        test.AssertRejected("InvalidSubnetID.NotFound", () => test.Create(subnet: new SubnetId("subnet-0")));
        test.World.DescribeVpcs(new Query());
        Assert.Equal(
            (4, 3, 2, 1),
            (
                test.World.Calls.Total,
                test.World.Calls.Count("CreateNetworkInterface"),
                test.World.Calls.Count("CreateNetworkInterface", CallLog.Success),
                test.World.Calls.Count("CreateNetworkInterface", "InvalidSubnetID.NotFound")
            )
        );
        Assert.Equal([2L, 3, 4], test.World.Calls.Recent.Select(call => call.Sequence));
        Assert.Equal([CallLog.Success, "InvalidSubnetID.NotFound", CallLog.Success], test.World.Calls.Recent.Select(call => call.Outcome));
    }
}
