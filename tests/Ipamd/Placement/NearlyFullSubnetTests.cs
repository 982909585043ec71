// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Provisioning;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Ipamd.Tests.Planning;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Ipamd.Tests.Placement;

/// <summary>A subnet with fewer addresses than the targets ask for: all can be assigned, and an empty one costs few calls.</summary>
public sealed class NearlyFullSubnetTests
{
    private const string Subnet = "subnet-1";

    [Fact]
    public async Task Pods_in_a_nearly_full_subnet_get_every_address_without_refusal()
    {
        // As an m5.large in a /27: 27 addresses, one of them the primary interface's own, nine blocks on each of three interfaces.
        var pool = new PoolHarness(new FakeCloud(3, 10).WithPrimary(), blocksPerInterface: 9, discoversSubnets: true);
        pool.Cloud.SetLeft(Subnet, 26);
        await DescribedAsync(pool);
        for (var pod = 0; pod < 24; pod++)
        {
            Assert.IsType<AddOutcome.Assigned>(await AddAsync(pool, $"p{pod}"));
            await pool.StepAsync();
        }

        Assert.Equal(["AssignBlocks 9", "CreateInterface 9", "CreateInterface 6"], pool.Cloud.Asked);
        Assert.Equal(0, FreeOf(pool));
    }

    [Fact]
    public async Task Refusal_of_many_is_followed_by_a_request_for_the_described_number()
    {
        var pool = await FullPrimaryAsync();
        // Another node took most of the described addresses.
        pool.Cloud.SetLeft(Subnet, 7);
        var started = pool.Time.GetUtcNow();
        var add = await AddAsync(pool, "waits");
        Assert.IsType<AddOutcome.Assigned>(add);
        Assert.Equal(["CreateInterface 9", "CreateInterface 6"], pool.Cloud.Asked[^2..]);
        Assert.Equal(started, pool.Time.GetUtcNow());
    }

    [Fact]
    public async Task Refusal_without_description_is_followed_by_a_request_for_half()
    {
        var pool = await FullPrimaryAsync();
        pool.Cloud.SetLeft(Subnet, 7);
        pool.Cloud.FailNext("DescribeSubnets", CloudErrorKind.NotPermitted, times: 100);
        Assert.IsType<AddOutcome.Assigned>(await AddAsync(pool, "waits"));
        Assert.Equal(["CreateInterface 9", "CreateInterface 4"], pool.Cloud.Asked[^2..]);
        Assert.Equal(4, FreeOf(pool));
    }

    [Theory]
    [InlineData(0, 1, 8)]
    [InlineData(50, 32, 32)]
    public async Task Full_subnet_costs_few_calls_whatever_its_description_shows(int shown, int maxRefusals, int maxDescriptions)
    {
        var pool = await FullPrimaryAsync();
        pool.Cloud.SetLeft(Subnet, 0);
        pool.Cloud.ShownLeft = _ => shown;
        List<Task<AddOutcome>> adds = [];
        // A quarter of an hour is eight times the pause after a refusal.
        var before = (Refused: pool.Cloud.Asked.Count, Descriptions: Descriptions(pool));
        for (var second = 0; second < 15 * 60; second++)
        {
            adds.Add(pool.AddAsync($"waits{second}"));
            await pool.StepAsync();
            pool.Time.Advance(TimeSpan.FromSeconds(1));
        }

        pool.Time.Advance(TimeSpan.FromSeconds(20));
        Assert.All(adds, add => Assert.True(add.IsCompleted));
        // The pods of this test have no namespaces, so some of their addresses are released meanwhile and assigned again.
        var refused = (await Task.WhenAll(adds)).OfType<AddOutcome.NoAddress>().ToArray();
        Assert.Contains(refused, outcome => outcome.Kind == GrowthObstacleKind.SubnetExhausted);

        Assert.InRange(pool.Cloud.Asked.Count - before.Refused, 1, maxRefusals);
        Assert.InRange(Descriptions(pool) - before.Descriptions, 1, maxDescriptions);
    }

    [Fact]
    public async Task Refusal_bounds_the_subnets_free_addresses_until_a_description()
    {
        var pool = await FullPrimaryAsync();
        Assert.Equal(100, FreeOf(pool));
        pool.Cloud.SetLeft(Subnet, 0);
        pool.Cloud.FailNext("DescribeSubnets", CloudErrorKind.Transient, times: 100);
        Assert.IsType<AddOutcome.NoAddress>(await AddAsync(pool, "a"));
        Assert.InRange(FreeOf(pool), 0, 1);
        pool.Cloud.Forgive();
        pool.Cloud.SetLeft(Subnet, 12);
        pool.Time.Advance(PoolLimits.SubnetBackoff);
        await AddAsync(pool, "b");
        Assert.Equal(2, FreeOf(pool));
    }

    [Fact]
    public async Task Old_description_is_refreshed_before_an_ADD_fails()
    {
        var pool = await FullPrimaryAsync();
        pool.Cloud.SetLeft(Subnet, 0);
        Assert.IsType<AddOutcome.NoAddress>(await AddAsync(pool, "a"));
        pool.Cloud.SetLeft(Subnet, 30);
        pool.Time.Advance(PoolLimits.SubnetBackoff);
        Assert.IsType<AddOutcome.Assigned>(await AddAsync(pool, "b"));
    }

    [Fact]
    public void Refusal_of_many_is_no_obstacle_to_fewer()
    {
        var time = new VpcCni.Tests.Shared.ManualTimeProvider();
        var backoff = new GrowthBackoff(new SubnetSupply(time), time, new Random(1));
        backoff.Failed(new ChangeFailure.Cloud(Full()), target: null, Subnet, new BlockRequest(Shapes.Ipv4Address, 9), () => false);
        var view = backoff.View();
        Assert.Equal(5, view.Subnets[(Subnet, IpFamily.V4)].AddressesAtOnce);
        Assert.Null(view.ObstacleFor(Subnet, Shapes.Ipv4Address, isNew: true));
        Assert.Null(view.ObstacleFor(Subnet, Shapes.Ipv4Address, isNew: false));
    }

    [Fact]
    public void Refusal_of_several_prefixes_is_no_obstacle_to_one()
    {
        var time = new VpcCni.Tests.Shared.ManualTimeProvider();
        var backoff = new GrowthBackoff(new SubnetSupply(time), time, new Random(1));
        var eni = new NetworkInterfaceId("eni-1");
        backoff.Failed(new ChangeFailure.Cloud(Full()), eni, Subnet, new BlockRequest(Shapes.Ipv4Prefix, 3), () => false);
        Assert.Null(backoff.View().ObstacleFor(Subnet, Shapes.Ipv4Prefix, isNew: false));
        backoff.Failed(new ChangeFailure.Cloud(Full()), eni, Subnet, new BlockRequest(Shapes.Ipv4Prefix, 1), () => false);
        Assert.NotNull(backoff.View().ObstacleFor(Subnet, Shapes.Ipv4Prefix, isNew: false));
        Assert.Null(backoff.View().ObstacleFor(Subnet, Shapes.Ipv4Address, isNew: false));
    }

    [Fact]
    public void Plan_after_refused_prefixes_requests_fewer_prefixes()
    {
        var pool = new PoolFixture(3, 3, new PoolTargets { UsesPrefixes = true, WarmIpTarget = 1 }, maxPods: 110).WithPrimary();
        pool.Waiting = 40;
        pool.Obstacles = GrowthObstacles.None with
        {
            Subnets = new Dictionary<(string, AddressFamily), SubnetObstacle>
            {
                [(Subnet, IpFamily.V4)] = new(
                    null,
                    int.MaxValue,
                    new GrowthObstacle(GrowthObstacleKind.SubnetExhausted, pool.Now.AddMinutes(2), "no three")
                )
                {
                    PrefixesAtOnce = 2,
                },
            },
        };
        var plan = pool.Plan();
        Assert.Equal(new BlockRequest(Shapes.Ipv4Prefix, 2), Assert.IsType<PoolChange.AssignBlocks>(Assert.Single(plan.Changes)).Blocks);
    }

    [Fact]
    public void Supply_counts_addresses_taken_during_a_description()
    {
        var supply = new SubnetSupply(new VpcCni.Tests.Shared.ManualTimeProvider());
        supply.Begin(Subnet, 4);
        supply.End(Subnet, 4, mayHaveTaken: true);
        supply.BeginDescription();
        supply.Begin(Subnet, 3);
        supply.End(Subnet, 3, mayHaveTaken: true);
        supply.Described([new SubnetCandidate(Subnet, 20)]);
        Assert.Equal(17, supply.Correct(new SubnetCandidate(Subnet, 20)).FreeAddresses);
        supply.Released(Subnet, 2);
        Assert.Equal(19, supply.Correct(new SubnetCandidate(Subnet, 20)).FreeAddresses);
    }

    private static CloudException Full() =>
        new(CloudErrorKind.SubnetExhausted, "CreateNetworkInterface", "InsufficientFreeAddressesInSubnet", "full");

    /// <summary>Pods use all nine addresses of the primary interface, whose subnet was described with a hundred more.</summary>
    private static async Task<PoolHarness> FullPrimaryAsync()
    {
        var pool = new PoolHarness(
            new FakeCloud(2, 10).WithPrimary(9),
            new PoolTargets { WarmEniTarget = 0 },
            maxInterfaces: 2,
            blocksPerInterface: 9,
            discoversSubnets: true
        );
        pool.Cloud.SetLeft(Subnet, 100);
        await DescribedAsync(pool);
        for (var pod = 0; pod < 8; pod++)
            Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync($"p{pod}"));
        Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("p8"));
        return pool;
    }

    private static async Task DescribedAsync(PoolHarness pool) => await pool.StepAsync();

    private static async Task<AddOutcome> AddAsync(PoolHarness pool, string name)
    {
        var add = pool.AddAsync(name);
        await pool.StepAsync();
        Assert.True(add.IsCompleted, $"{name} is still pending: {pool.Waiting.Obstacle}");
        return await add;
    }

    private static int Descriptions(PoolHarness pool) => pool.Cloud.Calls.Count(call => call == "DescribeSubnets");

    private static int FreeOf(PoolHarness pool) => Assert.Single(pool.Reconciler.SubnetCandidates).FreeAddresses ?? -1;
}
