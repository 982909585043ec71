// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds.Aws;

/// <summary>The cost of each call of the port, and the calls that a level of access rejects.</summary>
public sealed class BudgetedEc2Tests
{
    private static readonly NetworkInterfaceId Eni = new("eni-0");
    private static readonly CreateInterfaceRequest Create = new(
        "token-1",
        DateTimeOffset.UnixEpoch,
        "subnet-1",
        ["sg-1"],
        [new BlockRequest(Shapes.Ipv4Address, 1)]
    );

    private readonly ApiRateLimiter _budget = new(new ApiBudgetOptions(), (_, _, _) => { }, new ManualTimeProvider(), new Random(1));
    private readonly FakeCloud _fake = new FakeCloud(maxInterfaces: 4, addressesPerInterface: 10).WithPrimary();
    private readonly BudgetedEc2 _cloud;

    public BudgetedEc2Tests() => _cloud = new BudgetedEc2(_fake, _budget);

    private static readonly Case[] Cases =
    [
        new("IdentifyNode", cloud => cloud.IdentifyNodeAsync(default), "", 0, NoReleases: true, NoCalls: true),
        new("HintAttachedInterfaces", cloud => cloud.HintAttachedInterfacesAsync(default), "", 0, NoReleases: true, NoCalls: true),
        new("ReadMetadataInterfaces", cloud => cloud.ReadMetadataInterfacesAsync(default), "", 0, NoReleases: true, NoCalls: true),
        new("DescribeNetworkRanges", cloud => cloud.DescribeNetworkRangesAsync(default), "", 0, NoReleases: true, NoCalls: true),
        new("DescribeLimits", cloud => cloud.DescribeLimitsAsync("fake.small", default), "Describe", 1, NoReleases: true, NoCalls: false),
        new(
            "DescribeAttachedInterfaces",
            cloud => cloud.DescribeAttachedInterfacesAsync(default),
            "Describe",
            1,
            NoReleases: true,
            NoCalls: false
        ),
        new(
            "DescribeUnattachedInterfaces",
            cloud => cloud.DescribeUnattachedInterfacesAsync(default),
            "Describe",
            1,
            NoReleases: true,
            NoCalls: false
        ),
        new(
            "DescribeLeakCandidates",
            cloud => cloud.DescribeLeakCandidatesAsync(default),
            "Describe",
            1,
            NoReleases: false,
            NoCalls: false
        ),
        new("DescribeSubnets", cloud => cloud.DescribeSubnetsAsync(default), "Describe", 1, NoReleases: true, NoCalls: false),
        new("CreateInterface", cloud => cloud.CreateInterfaceAsync(Create, default), "Mutate", 3, NoReleases: true, NoCalls: false),
        new(
            "AttachInterface",
            cloud => cloud.AttachInterfaceAsync(Eni, new Slot(0, 1), default),
            "Mutate",
            0,
            NoReleases: true,
            NoCalls: false
        ),
        new(
            "SetDeleteOnTermination",
            cloud => cloud.SetDeleteOnTerminationAsync(Eni, "attach-0", default),
            "Mutate",
            0,
            NoReleases: true,
            NoCalls: false
        ),
        new("TagInterface", cloud => cloud.TagInterfaceAsync(Eni, null, default), "Mutate", 1, NoReleases: true, NoCalls: false),
        new(
            "DetachInterface",
            cloud => cloud.DetachInterfaceAsync(Eni, "attach-0", default),
            "Mutate",
            1,
            NoReleases: false,
            NoCalls: false
        ),
        new(
            "DeleteInterface",
            cloud => cloud.DeleteInterfaceAsync(new NetworkInterfaceId("eni-9"), default),
            "Mutate",
            1,
            NoReleases: false,
            NoCalls: false
        ),
        new(
            "AssignBlocks",
            cloud => cloud.AssignBlocksAsync(Eni, new BlockRequest(Shapes.Ipv4Address, 1), default),
            "Assign",
            1,
            NoReleases: true,
            NoCalls: false
        ),
        new(
            "UnassignBlocks",
            cloud => cloud.UnassignBlocksAsync(Eni, [IPNetwork.Parse("10.0.0.9/32")], default),
            "Assign",
            1,
            NoReleases: false,
            NoCalls: false
        ),
    ];

    public static TheoryData<string> Names => [.. Cases.Select(sample => sample.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Call_costs_its_tokens_and_is_counted(string name)
    {
        var sample = Cases.Single(item => item.Name == name);
        var full = _budget.View().Buckets.ToDictionary(bucket => bucket.Kind.ToString(), bucket => bucket.Tokens);

        await sample.Call(_cloud);

        Assert.Equal([sample.Name], _fake.Calls);
        foreach (var bucket in _budget.View().Buckets)
            Assert.Equal(bucket.Kind.ToString() == sample.Kind ? sample.Cost : 0, full[bucket.Kind.ToString()] - bucket.Tokens);
        Assert.Equal(sample.Kind.Length == 0 ? [] : [new CallCount(sample.Name, "Ok", 1)], _budget.View().Calls);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Level_of_access_permits_its_calls(string name)
    {
        var sample = Cases.Single(item => item.Name == name);
        foreach (var (access, allowed) in new[] { (CloudAccess.NoReleases, sample.NoReleases), (CloudAccess.NoCalls, sample.NoCalls) })
        {
            _budget.Access = access;
            _fake.Calls.Clear();
            if (allowed)
                await sample.Call(_cloud);
            else
                Assert.Equal((CloudErrorKind.Disabled, sample.Name), await RefusalAsync(() => sample.Call(_cloud)));
            Assert.Equal(allowed ? [sample.Name] : [], _fake.Calls);
        }
    }

    [Fact]
    public async Task Undoing_an_addition_is_no_release()
    {
        _budget.Access = CloudAccess.NoReleases;

        await _cloud.For(CallPriority.Growth).DetachInterfaceAsync(Eni, "attach-0", default);
        await _cloud.For(CallPriority.Growth).DeleteInterfaceAsync(Eni, default);

        Assert.Empty(_fake.Interfaces);
    }

    [Fact]
    public async Task View_for_cleanup_shares_the_bucket_and_leaves_half_of_it()
    {
        var cleanUp = _cloud.For(CallPriority.CleanUp);
        for (var call = 0; call < 6; call++)
            await cleanUp.DeleteInterfaceAsync(new NetworkInterfaceId("eni-9"), default);

        Assert.False(cleanUp.DeleteInterfaceAsync(new NetworkInterfaceId("eni-9"), default).IsCompleted);
        await _cloud.CreateInterfaceAsync(Create, default);
        await _cloud.CreateInterfaceAsync(Create with { IdempotencyToken = "token-2" }, default);

        Assert.Equal(0, _budget.View().Buckets.Single(bucket => bucket.Kind == CallKind.Mutate).Tokens);
    }

    [Fact]
    public async Task Known_limits_cost_no_call()
    {
        _fake.Known = Ec2Limits.Of(3, 10, 10, hasPrefixes: true);
        _budget.Access = CloudAccess.NoCalls;

        Assert.Equal(_fake.Known, _cloud.KnownLimits("m5.large"));
        Assert.Equal(_fake.Known, await _cloud.DescribeLimitsAsync("m5.large", default));
        Assert.Empty(_fake.Calls);
        Assert.Empty(_budget.View().Calls);
    }

    [Fact]
    public async Task Failure_of_the_cloud_passes_unchanged()
    {
        _fake.FailNext("AssignBlocks", CloudErrorKind.Throttled);

        var failure = await Assert.ThrowsAsync<CloudException>(() =>
            _cloud.AssignBlocksAsync(Eni, new BlockRequest(Shapes.Ipv4Address, 1), default)
        );

        Assert.Equal((CloudErrorKind.Throttled, "Throttled", null), (failure.Kind, failure.Code, failure.RetryAfter));
        Assert.Equal(0.5, _budget.View().Buckets.Single(bucket => bucket.Kind == CallKind.Assign).PerSecond);
    }

    private static async Task<(CloudErrorKind Kind, string Operation)> RefusalAsync(Func<Task> call)
    {
        var refused = await Assert.ThrowsAsync<CloudException>(call);
        return (refused.Kind, refused.Operation);
    }

    private sealed record Case(string Name, Func<IEc2, Task> Call, string Kind, int Cost, bool NoReleases, bool NoCalls);
}
