// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Ipamd.Tests.Planning;

/// <summary>Plans with prefix delegation, and with both prefixes and single addresses.</summary>
public sealed class PrefixPlanTests
{
    private static readonly PoolTargets OneWarmPrefix = new() { UsesPrefixes = true, WarmPrefixTarget = 1 };

    /// <summary>docs/prefix-and-ip-target.md of the AWS VPC CNI: t3.small, 3 interfaces with 3 prefixes each, 110 pods.</summary>
    public static TheoryData<int, int, int, int, int, int, int, int> DocumentedTargets =>
        new()
        {
            // P, W, M, pods -> interfaces, prefixes, unused prefixes, unused addresses
            { 1, 0, 0, 0, 1, 1, 1, 16 },
            { 1, 0, 0, 5, 1, 2, 1, 27 },
            { 1, 0, 0, 16, 1, 2, 1, 16 },
            { 1, 0, 0, 17, 1, 3, 1, 31 },
            { 1, 0, 0, 58, 2, 5, 1, 22 },
            { 1, 1, 1, 0, 1, 1, 1, 16 },
            { 1, 1, 1, 5, 1, 1, 0, 11 },
            { 1, 1, 1, 17, 1, 2, 0, 15 },
            { 1, 1, 1, 58, 2, 4, 0, 6 },
            { 1, 7, 20, 5, 1, 2, 1, 27 },
            { 1, 7, 20, 17, 1, 2, 0, 15 },
            { 1, 7, 20, 58, 2, 5, 1, 22 },
        };

    [Theory]
    [MemberData(nameof(DocumentedTargets))]
    public void Plan_settles_at_the_documented_pool(
        int warmPrefix,
        int warmIp,
        int minimumIp,
        int pods,
        int interfaces,
        int prefixes,
        int unusedPrefixes,
        int unused
    )
    {
        var pool = Pool(
            new PoolTargets
            {
                UsesPrefixes = true,
                WarmPrefixTarget = warmPrefix,
                WarmIpTarget = warmIp,
                MinimumIpTarget = minimumIp,
            }
        );
        pool.Settle();
        for (var pod = 0; pod < pods; pod++)
        {
            pool.AddPod();
            pool.Settle();
        }

        var blocks = pool.View.Interfaces.SelectMany(item => item.Blocks).ToArray();
        Assert.Equal(
            (interfaces, prefixes, unusedPrefixes, unused),
            (pool.View.Interfaces.Count, blocks.Length, blocks.Count(block => block.IsUnused), pool.View.Free)
        );
    }

    /// <summary>A prefix takes one slot and one call; three single addresses would take three slots, the tenth a new interface.</summary>
    [Theory]
    [InlineData(18)]
    [InlineData(19)]
    public void Last_prefix_may_exceed_max_pods_and_nothing_is_added_after_it(int maxPods)
    {
        var pool = Pool(new PoolTargets { UsesPrefixes = true, WarmIpTarget = 4 }, maxPods);
        pool.Settle();
        for (var pod = 0; pod < maxPods; pod++)
        {
            pool.AddPod();
            pool.Settle();
        }

        var blocks = pool.View.Interfaces.SelectMany(item => item.Blocks).ToArray();
        Assert.Equal((2, 0), (blocks.Count(block => !block.IsSingle), blocks.Count(block => block.IsSingle)));
        while (pool.View.Free > 0)
            pool.AddPod();
        Assert.Empty(pool.Plan().Changes);
        Assert.Equal(GrowthObstacleKind.MaxPods, pool.LastPlan.Obstacle?.Kind);
    }

    [Fact]
    public void Largest_pool_of_prefixes_stays_on_one_interface()
    {
        var pool = new PoolFixture(3, 9, new PoolTargets { UsesPrefixes = true, WarmPrefixTarget = 2 }, maxPods: 110).WithPrimary();
        pool.Settle();
        for (var pod = 0; pod < 110; pod++)
        {
            pool.AddPod();
            pool.Settle();
            Assert.All(pool.View.Interfaces.SelectMany(item => item.Blocks), block => Assert.False(block.IsSingle));
        }

        Assert.Equal((1, 7), (pool.View.Interfaces.Count, pool.View.Interfaces.Sum(item => item.Blocks.Count)));
    }

    [Fact]
    public void Single_addresses_replace_missing_prefixes_until_the_subnet_has_one()
    {
        var pool = Pool(OneWarmPrefix);
        pool.Obstacles = NoPrefixes("subnet-1");
        pool.Settle();
        Assert.Equal((1, 3, 3), (pool.View.Interfaces.Count, pool.View.Total, pool.View.Free));
        pool.Waiting = 5;
        pool.Settle();
        Assert.True(pool.View.Free >= 5);
        Assert.Equal(GrowthObstacleKind.SubnetExhausted, pool.LastPlan.Obstacle?.Kind);
        pool.Waiting = 0;
        pool.Obstacles = GrowthObstacles.None;
        for (var minute = 0; minute < 10; minute++)
        {
            pool.Settle();
            pool.Now += TimeSpan.FromMinutes(1);
        }

        Assert.All(pool.View.Interfaces.SelectMany(item => item.Blocks), block => Assert.False(block.IsSingle));
        Assert.Equal(16, pool.View.Total);
    }

    /// <summary>A prefix has more addresses than this node has pods; still the pool grows by addresses and interfaces.</summary>
    [Fact]
    public void Low_max_pods_does_not_confine_the_pool_to_the_primary_interface()
    {
        var pool = Pool(OneWarmPrefix, maxPods: 13);
        pool.Obstacles = NoPrefixes("subnet-1");
        for (var pod = 0; pod < 9; pod++)
        {
            pool.Waiting = 1;
            pool.Settle();
            pool.Waiting = 0;
            pool.AddPod();
        }

        Assert.Equal(3, pool.View.Interfaces.Count);
    }

    [Fact]
    public void Prefix_of_another_subnet_is_preferred_to_single_addresses()
    {
        var pool = Pool(OneWarmPrefix);
        pool.Subnets = [new SubnetCandidate("subnet-1", 4000), new SubnetCandidate("subnet-2", 100)];
        pool.Obstacles = NoPrefixes("subnet-1");
        var change = Assert.IsType<PoolChange.AddInterface>(Assert.Single(pool.Plan().Changes));
        Assert.Equal(("subnet-2", new BlockRequest(Shapes.Ipv4Prefix, 1)), (change.SubnetId, Assert.Single(change.Blocks)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Mode_switch_keeps_pods_and_releases_the_old_blocks_after_them(bool toPrefixes)
    {
        var before = Pool(new PoolTargets { UsesPrefixes = !toPrefixes });
        before.Settle();
        var pods = Enumerable
            .Range(0, 4)
            .Select(_ =>
            {
                var pod = before.AddPod();
                before.Settle();
                return pod;
            })
            .ToArray();
        var after = new PoolFixture(3, 3, new PoolTargets { UsesPrefixes = toPrefixes }, maxPods: 110) { Now = before.Now };
        after.Adopt(before.Ledger);
        after.Settle();
        for (var minute = 0; minute < 5; minute++)
        {
            after.Now += TimeSpan.FromMinutes(1);
            after.Settle();
        }

        Assert.All(pods, pod => Assert.NotNull(after.Ledger.Find(pod.Key)!.Addresses[0].Slot));
        foreach (var pod in pods)
            after.Ledger.Release(pod.Key, after.Now);
        for (var minute = 0; minute < 10; minute++)
        {
            after.Now += TimeSpan.FromMinutes(1);
            after.Settle();
        }

        Assert.All(after.View.Interfaces.SelectMany(item => item.Blocks), block => Assert.Equal(toPrefixes, !block.IsSingle));
        Assert.InRange(after.View.Free, toPrefixes ? 16 : 3, toPrefixes ? 16 : 5);
    }

    [Fact]
    public void Pending_ADDs_cause_one_sized_request_for_prefixes()
    {
        var pool = Pool(new PoolTargets { UsesPrefixes = true, WarmIpTarget = 1 });
        pool.Waiting = 40;
        var change = Assert.IsType<PoolChange.AssignBlocks>(Assert.Single(pool.Plan().Changes));
        Assert.Equal(new BlockRequest(Shapes.Ipv4Prefix, 3), change.Blocks);
    }

    private static GrowthObstacles NoPrefixes(string subnet) =>
        GrowthObstacles.None with
        {
            Subnets = new Dictionary<(string, AddressFamily), SubnetObstacle>
            {
                [(subnet, IpFamily.V4)] = new(
                    null,
                    int.MaxValue,
                    new GrowthObstacle(GrowthObstacleKind.SubnetExhausted, DateTimeOffset.UnixEpoch.AddYears(100), "no contiguous prefix")
                ),
            },
        };

    private static PoolFixture Pool(PoolTargets targets, int maxPods = 110) => new PoolFixture(3, 3, targets, maxPods).WithPrimary();
}
