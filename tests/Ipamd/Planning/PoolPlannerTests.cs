// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using Xunit;

namespace VpcCni.Ipamd.Tests.Planning;

public sealed class PoolPlannerTests
{
    /// <summary>docs/eni-and-ip-target.md of the AWS VPC CNI, all rows: t3.small, 3 interfaces with 3 secondary addresses each.</summary>
    public static TheoryData<int, int, int, int, int, int, int> DocumentedTargets =>
        new()
        {
            // E, W, M, pods -> interfaces, addresses, unused
            { 1, 0, 0, 0, 1, 3, 3 },
            { 1, 0, 0, 5, 3, 9, 4 },
            { 1, 0, 0, 9, 3, 9, 0 },
            { 1, 1, 1, 0, 1, 1, 1 },
            { 1, 1, 1, 5, 2, 6, 1 },
            { 1, 1, 1, 9, 3, 9, 0 },
            { 1, 2, 5, 0, 2, 5, 5 },
            { 1, 2, 5, 5, 3, 7, 2 },
            { 1, 2, 5, 9, 3, 9, 0 },
        };

    [Theory]
    [MemberData(nameof(DocumentedTargets))]
    public void Plan_settles_at_the_documented_pool(
        int warmEni,
        int warmIp,
        int minimumIp,
        int pods,
        int interfaces,
        int addresses,
        int unused
    )
    {
        var pool = Pool(warmEni, warmIp, minimumIp);
        pool.Settle();
        for (var pod = 0; pod < pods; pod++)
        {
            pool.AddPod();
            pool.Settle();
        }

        var view = pool.View;
        Assert.Equal((interfaces, addresses, unused), (view.Interfaces.Count, view.Total, view.Free));
    }

    [Theory]
    [MemberData(nameof(DocumentedTargets))]
    public void Plan_for_pods_that_arrive_together_settles_at_the_documented_pool(
        int warmEni,
        int warmIp,
        int minimumIp,
        int pods,
        int interfaces,
        int addresses,
        int unused
    )
    {
        var pool = Pool(warmEni, warmIp, minimumIp);
        pool.Waiting = pods;
        pool.Settle();
        pool.Waiting = 0;
        for (var pod = 0; pod < pods; pod++)
            pool.AddPod();
        pool.Settle();
        var view = pool.View;
        Assert.Equal((interfaces, addresses, unused), (view.Interfaces.Count, view.Total, view.Free));
    }

    [Fact]
    public void Plan_for_many_pending_ADDs_makes_one_request_per_interface()
    {
        var pool = new PoolFixture(maxInterfaces: 4, blocksPerInterface: 14, new PoolTargets { WarmIpTarget = 1 }).WithPrimary();
        pool.Waiting = 40;
        var plan = pool.Plan();
        Assert.Equal(41, plan.Shortage);
        Assert.Equal(
            [14, 14, 13],
            plan.Changes.Select(change =>
                change is PoolChange.AssignBlocks assign ? assign.Blocks.Count : ((PoolChange.AddInterface)change).Blocks[0].Count
            )
        );
        Assert.Empty(plan.Unservable);
    }

    [Theory]
    [InlineData(6, 5)]
    [InlineData(2, 1)]
    [InlineData(1, 0)]
    public void Plan_for_a_new_interface_requests_at_most_the_subnets_free_addresses(int free, int expected)
    {
        var pool = new PoolFixture(maxInterfaces: 3, blocksPerInterface: 14, new PoolTargets { WarmEniTarget = 1 }).WithPrimary();
        pool.Settle();
        while (pool.View.Free > 0)
            pool.AddPod();
        pool.Subnets = [new SubnetCandidate("subnet-1", free)];
        var plan = pool.Plan();
        Assert.Equal(expected, plan.Changes.OfType<PoolChange.AddInterface>().Sum(add => Assert.Single(add.Blocks).Count));
        Assert.Equal(expected == 0 ? GrowthObstacleKind.SubnetExhausted : null, plan.Changes.Count == 0 ? plan.Obstacle?.Kind : null);
    }

    [Fact]
    public void Plan_that_fills_whole_interfaces_stops_at_max_pods()
    {
        var pool = new PoolFixture(
            maxInterfaces: 3,
            blocksPerInterface: 10,
            new PoolTargets { WarmEniTarget = 3 },
            maxPods: 14
        ).WithPrimary();
        pool.Settle();
        Assert.Equal(14, pool.View.Total);
        Assert.Equal(GrowthObstacleKind.MaxPods, pool.LastPlan.Obstacle?.Kind);
    }

    [Fact]
    public void Plan_does_not_count_cooling_addresses_as_available()
    {
        var pool = Pool(warmEni: 0, warmIp: 1, minimumIp: 1);
        pool.Settle();
        var pod = pool.AddPod();
        pool.Ledger.Release(pod.Key, pool.Now);
        Assert.Equal(0, pool.View.Free);
        pool.Settle();
        Assert.Equal((2, 1, 1), (pool.View.Total, pool.View.Cooling, pool.View.Free));
    }

    [Fact]
    public void Plan_does_not_grow_when_a_cooldown_ends_within_the_growth_horizon()
    {
        var pool = Pool(warmEni: 0, warmIp: 1, minimumIp: 1);
        pool.Settle();
        pool.Ledger.Release(pool.AddPod().Key, pool.Now);
        pool.Now += TimeSpan.FromSeconds(29);
        Assert.Empty(pool.Plan().Changes);
    }

    [Fact]
    public void Plan_at_the_limit_reports_unservable_ADDs()
    {
        var pool = Pool(warmEni: 1, warmIp: 0, minimumIp: 0);
        for (var pod = 0; pod < 9; pod++)
        {
            pool.Settle();
            pool.AddPod();
        }

        pool.Waiting = 2;
        var plan = pool.Plan();
        Assert.Equal((2, (GrowthObstacleKind?)GrowthObstacleKind.InterfaceLimit), (plan.Unservable.Count, plan.Obstacle?.Kind));
        pool.Ledger.Release(pool.Ledger.Attachments()[0].Key, pool.Now);
        // The address cools for 30 s, longer than the ADDs wait.
        Assert.Equal(2, pool.Plan().Unservable.Count);
        pool.Now += TimeSpan.FromSeconds(11);
        Assert.Equal([1L], pool.Plan().Unservable);
    }

    [Fact]
    public void Plan_with_obstacle_has_no_action_and_replans_at_its_end()
    {
        var pool = Pool(warmEni: 1, warmIp: 0, minimumIp: 0);
        var until = pool.Now.AddSeconds(7);
        var obstacle = new GrowthObstacle(GrowthObstacleKind.Throttled, until, "slow down");
        pool.Obstacles = GrowthObstacles.None with { Everything = obstacle };
        var plan = pool.Plan();
        Assert.Empty(plan.Changes);
        Assert.Equal((3, until, obstacle), (plan.Shortage, plan.ReplanAt, plan.Obstacle));
    }

    [Theory]
    [InlineData(0, 0, true)]
    [InlineData(1, 0, false)]
    [InlineData(0, 2, true)]
    public void Empty_pool_is_too_low_with_any_targets(int warmEni, int minimumIp, bool pods)
    {
        var pool = Pool(warmEni, warmIp: 0, minimumIp);
        pool.Settle();
        if (pods)
        {
            while (pool.View.Free > 0)
                pool.AddPod();
            Assert.True(pool.Plan().Shortage > 0);
        }

        Assert.True(pool.View.Total > 0);
    }

    [Fact]
    public void Surplus_is_released_after_retention_and_never_while_cooling()
    {
        var pool = Pool(warmEni: 0, warmIp: 1, minimumIp: 0);
        pool.Settle();
        var pods = Enumerable
            .Range(0, 3)
            .Select(_ =>
            {
                var pod = pool.AddPod();
                pool.Settle();
                return pod;
            })
            .ToArray();
        Assert.Equal(4, pool.View.Total);
        foreach (var pod in pods)
            pool.Ledger.Release(pod.Key, pool.Now);
        Assert.Empty(pool.Plan().Changes);
        pool.Now += TimeSpan.FromSeconds(61);
        var early = pool.Plan();
        Assert.Empty(early.Changes);
        pool.Now = early.ReplanAt!.Value;
        pool.Settle();
        pool.Now += PoolLimits.IdleBlock;
        pool.Settle();
        // The second interface is removed as a whole, and later.
        Assert.Equal((2, 2), (pool.View.Interfaces.Count, pool.View.Total));
        pool.Now += PoolLimits.IdleInterface;
        pool.Settle();
        Assert.Equal((1, 1), (pool.View.Total, pool.View.Free));
    }

    [Theory]
    [InlineData(31, true)]
    [InlineData(32, false)]
    public void Surplus_of_a_nearly_exhausted_subnet_is_not_kept(int free, bool isReleased)
    {
        var pool = Pool(warmEni: 0, warmIp: 1, minimumIp: 0);
        pool.Settle();
        var pods = Enumerable
            .Range(0, 2)
            .Select(_ =>
            {
                var pod = pool.AddPod();
                pool.Settle();
                return pod;
            })
            .ToArray();
        pool.Subnets = [new SubnetCandidate("subnet-1", free)];
        foreach (var pod in pods)
            pool.Ledger.Release(pod.Key, pool.Now);
        pool.Now += TimeSpan.FromSeconds(31);
        pool.Settle();
        Assert.Equal(isReleased ? 1 : 3, pool.View.Total);
        Assert.Equal(isReleased ? null : "kept in case the load comes back", pool.LastPlan.SurplusReport?.Why);
    }

    /// <summary>A burst of five ADDs: two addresses are missing, and five may be added ahead.</summary>
    [Theory]
    [InlineData(null, 2)]
    [InlineData(31, 2)]
    [InlineData(32, 7)]
    public void Burst_adds_addresses_ahead_unless_the_subnet_is_nearly_exhausted(int? free, int added)
    {
        var pool = new PoolFixture(
            maxInterfaces: 3,
            blocksPerInterface: 14,
            new PoolTargets { WarmIpTarget = 2, MinimumIpTarget = 5 }
        ).WithPrimary();
        pool.Settle();
        pool.Subnets = [new SubnetCandidate("subnet-1", free)];
        while (pool.View.Free > 0)
            pool.AddPod();
        Assert.Equal(added, Assert.IsType<PoolChange.AssignBlocks>(Assert.Single(pool.Plan().Changes)).Blocks.Count);
    }

    [Fact]
    public void Addresses_added_ahead_never_cause_a_new_interface()
    {
        var pool = Pool(warmEni: 0, warmIp: 1, minimumIp: 3);
        pool.Settle();
        while (pool.View.Free > 0)
            pool.AddPod();
        // One is missing and three are ahead: the new interface takes three, and no other is added for the fourth.
        var add = Assert.IsType<PoolChange.AddInterface>(Assert.Single(pool.Plan().Changes));
        Assert.Equal([new BlockRequest(Shapes.Ipv4Address, 3)], add.Blocks);
    }

    /// <summary>An interface takes seconds, and costs the same whatever it carries.</summary>
    [Fact]
    public void New_interface_is_added_at_once_although_no_ADD_is_pending()
    {
        var pool = Pool(warmEni: 1, warmIp: 0, minimumIp: 0);
        pool.Settle();
        pool.Now += TimeSpan.FromMinutes(1);
        pool.AddPod();
        Assert.IsType<PoolChange.AddInterface>(Assert.Single(pool.Plan().Changes));
    }

    [Fact]
    public void Refill_without_pending_ADD_is_collected_until_ADDs_pause()
    {
        var pool = Pool(warmEni: 0, warmIp: 8, minimumIp: 0);
        pool.Settle();
        pool.Now += TimeSpan.FromMinutes(1);
        pool.AddPod();
        var plan = pool.Plan();
        Assert.Empty(plan.Changes);
        Assert.Equal((1, pool.Now + PoolLimits.RefillPause, plan.RefillAt), (plan.Shortage, plan.RefillAt, plan.ReplanAt));
        pool.Now += PoolLimits.RefillPause;
        Assert.Single(pool.Plan().Changes);
    }

    [Fact]
    public void Refill_for_pending_ADD_or_nearly_empty_pool_is_made_at_once()
    {
        var pool = Pool(warmEni: 0, warmIp: 8, minimumIp: 0);
        pool.Settle();
        pool.Now += TimeSpan.FromMinutes(1);
        pool.AddPod();
        pool.Waiting = 1;
        Assert.NotEmpty(pool.Plan().Changes);
        pool.Waiting = 0;
        for (var pod = 0; pod < 4; pod++)
            pool.AddPod();
        // A burst of five ADDs, and three addresses left.
        Assert.NotEmpty(pool.Plan().Changes);
    }

    [Fact]
    public void Unused_interface_beyond_the_target_is_removed_after_retention()
    {
        var pool = Pool(warmEni: 1, warmIp: 0, minimumIp: 0);
        pool.Settle();
        var pods = Enumerable
            .Range(0, 3)
            .Select(_ =>
            {
                var pod = pool.AddPod();
                pool.Settle();
                return pod;
            })
            .ToArray();
        Assert.Equal(2, pool.View.Interfaces.Count);
        foreach (var pod in pods)
            pool.Ledger.Release(pod.Key, pool.Now);
        pool.Now += TimeSpan.FromSeconds(31);
        var early = pool.Plan();
        Assert.Empty(early.Changes);
        Assert.NotNull(early.ReplanAt);
        pool.Now = early.ReplanAt!.Value;
        Assert.IsType<PoolChange.RemoveInterface>(Assert.Single(pool.Plan().Changes));
        pool.Settle();
        Assert.Single(pool.View.Interfaces);
        Assert.Equal(3, pool.View.Free);
    }

    [Fact]
    public void Interface_that_is_used_again_within_retention_is_kept()
    {
        var pool = Pool(warmEni: 1, warmIp: 0, minimumIp: 0);
        pool.Settle();
        var changes = 0;
        for (var job = 0; job < 6; job++)
        {
            var pods = Enumerable
                .Range(0, 7)
                .Select(_ =>
                {
                    var pod = pool.AddPod();
                    changes += pool.Settle();
                    return pod;
                })
                .ToArray();
            foreach (var pod in pods)
                pool.Ledger.Release(pod.Key, pool.Now);
            pool.Now += PoolLimits.IdleInterface - TimeSpan.FromSeconds(1);
            changes += pool.Settle();
        }

        // Added once, for the first job.
        Assert.Equal((2, 3), (changes, pool.View.Interfaces.Count));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Growth_and_release_do_not_alternate(int warmEni)
    {
        var pool = Pool(warmEni, warmIp: 0, minimumIp: 0);
        pool.Settle();
        while (pool.View.Free > 0)
            pool.AddPod();
        pool.Settle();
        for (var minute = 0; minute < 60; minute++)
        {
            pool.Now += TimeSpan.FromMinutes(1);
            Assert.Equal(0, pool.Settle());
        }
    }

    [Fact]
    public void Primary_interface_is_never_removed()
    {
        var pool = new PoolFixture(3, 3, new PoolTargets { WarmEniTarget = 0 }).WithPrimary();
        pool.Settle();
        pool.Now += TimeSpan.FromHours(1);
        pool.Settle();
        Assert.Contains(pool.View.Interfaces, item => item.IsPrimary);
    }

    private static PoolFixture Pool(int warmEni, int warmIp, int minimumIp) =>
        new PoolFixture(
            3,
            3,
            new PoolTargets
            {
                WarmEniTarget = warmEni,
                WarmIpTarget = warmIp,
                MinimumIpTarget = minimumIp,
            }
        ).WithPrimary();
}
