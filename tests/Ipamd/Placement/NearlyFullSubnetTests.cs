// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Provisioning;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Ipamd.Tests.Planning;
using Xunit;

namespace VpcCni.Ipamd.Tests.Placement;

/// <summary>A subnet with fewer addresses than the node would like: all can be had, and one that has none costs few calls.</summary>
public sealed class NearlyFullSubnetTests
{
    private const string Subnet = "subnet-1";

    [Fact]
    public async Task Pods_one_by_one_in_a_27_get_every_address_without_a_refusal()
    {
        // As an m5.large in a /27: 27 addresses, one of them the primary interface's own, nine blocks on each of three interfaces.
        var pool = new PoolHarness(new FakeCloud(3, 10).WithPrimary(), blocksPerInterface: 9, discoversSubnets: true);
        pool.Cloud.SetLeft(Subnet, 26);
        await DescribedAsync(pool);
        for (var pod = 0; pod < 24; pod++)
        {
            Assert.IsType<AddOutcome.Held>(await AddAsync(pool, $"p{pod}"));
            await pool.StepAsync();
        }

        Assert.Equal(["AssignBlocks 9", "CreateInterface 9", "CreateInterface 6"], pool.Cloud.Asked);
        Assert.Equal(0, FreeOf(pool));
    }

    [Fact]
    public async Task Refusal_of_many_is_followed_at_once_by_the_number_that_a_new_description_shows()
    {
        var pool = await FullPrimaryAsync();
        // Somebody else took most of what was described.
        pool.Cloud.SetLeft(Subnet, 7);
        var started = pool.Time.GetUtcNow();
        var add = await AddAsync(pool, "waits");
        Assert.IsType<AddOutcome.Held>(add);
        Assert.Equal(["CreateInterface 9", "CreateInterface 6"], pool.Cloud.Asked[^2..]);
        Assert.Equal(started, pool.Time.GetUtcNow());
    }

    [Fact]
    public async Task Refusal_without_a_description_is_followed_at_once_by_half_of_it()
    {
        var pool = await FullPrimaryAsync();
        pool.Cloud.SetLeft(Subnet, 7);
        pool.Cloud.FailNext("DescribeSubnets", CloudErrorKind.NotPermitted, times: 100);
        Assert.IsType<AddOutcome.Held>(await AddAsync(pool, "waits"));
        Assert.Equal(["CreateInterface 9", "CreateInterface 4"], pool.Cloud.Asked[^2..]);
        Assert.Equal(4, FreeOf(pool));
    }

    [Theory]
    [InlineData(0, 1, 8)]
    [InlineData(50, 32, 32)]
    public async Task Full_subnet_costs_few_calls_whatever_its_description_shows(int shown, int mostRefusals, int mostLooks)
    {
        var pool = await FullPrimaryAsync();
        pool.Cloud.SetLeft(Subnet, 0);
        pool.Cloud.ShownLeft = _ => shown;
        List<Task<AddOutcome>> adds = [];
        // A quarter of an hour is eight times the pause after a refusal.
        var before = (Refused: pool.Cloud.Asked.Count, Looks: Looks(pool));
        for (var second = 0; second < 15 * 60; second++)
        {
            adds.Add(pool.AddAsync($"waits{second}"));
            await pool.StepAsync();
            pool.Time.Advance(TimeSpan.FromSeconds(1));
        }

        pool.Time.Advance(TimeSpan.FromSeconds(20));
        Assert.All(adds, add => Assert.True(add.IsCompleted));
        // The pods of this test have no namespaces, so that some of their addresses are given back meanwhile and serve others.
        var refused = (await Task.WhenAll(adds)).OfType<AddOutcome.NoAddress>().ToArray();
        Assert.Contains(refused, outcome => outcome.Kind == GrowthObstacleKind.SubnetExhausted);

        Assert.InRange(pool.Cloud.Asked.Count - before.Refused, 1, mostRefusals);
        Assert.InRange(Looks(pool) - before.Looks, 1, mostLooks);
    }

    [Fact]
    public async Task Refusal_shows_in_the_free_addresses_of_the_subnet_until_it_is_described_again()
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
    public async Task Description_that_is_old_is_renewed_before_a_pod_is_refused()
    {
        var pool = await FullPrimaryAsync();
        pool.Cloud.SetLeft(Subnet, 0);
        Assert.IsType<AddOutcome.NoAddress>(await AddAsync(pool, "a"));
        pool.Cloud.SetLeft(Subnet, 30);
        pool.Time.Advance(PoolLimits.SubnetBackoff);
        Assert.IsType<AddOutcome.Held>(await AddAsync(pool, "b"));
    }

    [Fact]
    public void Refusal_of_many_does_not_stand_against_fewer()
    {
        var time = new VpcCni.Tests.Shared.ManualTimeProvider();
        var backoff = new GrowthBackoff(new SubnetSupply(time), time, new Random(1));
        backoff.Failed(Full(), target: null, Subnet, new BlockRequest(BlockKind.Ipv4Address, 9), () => false);
        var view = backoff.View();
        Assert.Equal(5, view.Subnets[Subnet].AddressesAtOnce);
        Assert.Null(view.Against(Subnet, BlockKind.Ipv4Address, isNew: true));
        Assert.Null(view.Against(Subnet, BlockKind.Ipv4Address, isNew: false));
    }

    [Fact]
    public void Refusal_of_several_prefixes_stands_against_one_only_when_one_is_refused()
    {
        var time = new VpcCni.Tests.Shared.ManualTimeProvider();
        var backoff = new GrowthBackoff(new SubnetSupply(time), time, new Random(1));
        var eni = new NetworkInterfaceId("eni-1");
        backoff.Failed(Full(), eni, Subnet, new BlockRequest(BlockKind.Ipv4Prefix, 3), () => false);
        Assert.Null(backoff.View().Against(Subnet, BlockKind.Ipv4Prefix, isNew: false));
        backoff.Failed(Full(), eni, Subnet, new BlockRequest(BlockKind.Ipv4Prefix, 1), () => false);
        Assert.NotNull(backoff.View().Against(Subnet, BlockKind.Ipv4Prefix, isNew: false));
        Assert.Null(backoff.View().Against(Subnet, BlockKind.Ipv4Address, isNew: false));
    }

    [Fact]
    public void Plan_asks_for_fewer_prefixes_where_more_were_refused_and_lets_no_address_stand_in()
    {
        var pool = new PoolFixture(3, 3, new PoolTargets { UsesPrefixes = true, WarmIpTarget = 1 }, maxPods: 110).WithPrimary();
        pool.Waiting = 40;
        pool.Obstacles = GrowthObstacles.None with
        {
            Subnets = new Dictionary<string, SubnetObstacle>
            {
                [Subnet] = new(
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
        Assert.Equal(new BlockRequest(BlockKind.Ipv4Prefix, 2), Assert.IsType<PoolAction.AssignBlocks>(Assert.Single(plan.Actions)).Blocks);
    }

    [Fact]
    public void Supply_counts_what_was_taken_while_a_description_was_under_way()
    {
        var supply = new SubnetSupply(new VpcCni.Tests.Shared.ManualTimeProvider());
        supply.Begin(Subnet, 4);
        supply.End(Subnet, 4, mayHaveTaken: true);
        supply.Asking();
        supply.Begin(Subnet, 3);
        supply.End(Subnet, 3, mayHaveTaken: true);
        supply.Described([new SubnetCandidate(Subnet, 20)]);
        Assert.Equal(17, supply.Correct(new SubnetCandidate(Subnet, 20)).FreeAddresses);
        supply.GaveBack(Subnet, 2);
        Assert.Equal(19, supply.Correct(new SubnetCandidate(Subnet, 20)).FreeAddresses);
    }

    private static CloudException Full() =>
        new(CloudErrorKind.SubnetExhausted, "CreateNetworkInterface", "InsufficientFreeAddressesInSubnet", "full");

    /// <summary>All nine addresses of the primary interface are pods', and its subnet was described with a hundred more.</summary>
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
            Assert.IsType<AddOutcome.Held>(await pool.AddAsync($"p{pod}"));
        Assert.IsType<AddOutcome.Held>(await pool.AddAsync("p8"));
        return pool;
    }

    private static async Task DescribedAsync(PoolHarness pool) => await pool.StepAsync();

    private static async Task<AddOutcome> AddAsync(PoolHarness pool, string name)
    {
        var add = pool.AddAsync(name);
        await pool.StepAsync();
        Assert.True(add.IsCompleted, $"{name} still waits: {pool.Waiting.Obstacle}");
        return await add;
    }

    private static int Looks(PoolHarness pool) => pool.Cloud.Calls.Count(call => call == "DescribeSubnets");

    private static int FreeOf(PoolHarness pool) => Assert.Single(pool.Reconciler.SubnetCandidates).FreeAddresses ?? -1;
}
