// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Ipamd.Tests.Planning;

/// <summary>Plans for a node whose primary interface carries no pods.</summary>
public sealed class CustomNetworkingPlanTests
{
    private static readonly GrowthObstacle NoPlace = new(GrowthObstacleKind.EniConfig, null, "no ENIConfig");

    /// <summary>
    /// The formulas of the AWS VPC CNI's docs/eni-and-ip-target.md with one interface less: t3.small, 2 interfaces for pods with 3
    /// secondary addresses each.
    /// </summary>
    public static TheoryData<int, int, int, int, int, int, int> Targets =>
        new()
        {
            // E, W, M, pods -> interfaces, addresses, unused
            { 1, 0, 0, 0, 2, 3, 3 },
            { 1, 0, 0, 1, 3, 6, 5 },
            { 1, 0, 0, 5, 3, 6, 1 },
            { 1, 0, 0, 6, 3, 6, 0 },
            { 1, 1, 1, 0, 2, 1, 1 },
            { 1, 1, 1, 3, 3, 4, 1 },
            { 1, 1, 1, 6, 3, 6, 0 },
            { 1, 2, 5, 0, 3, 5, 5 },
            { 1, 2, 5, 4, 3, 6, 2 },
        };

    [Theory]
    [MemberData(nameof(Targets))]
    public void Plan_without_primary_interface_settles_at_the_documented_pool(
        int warmEni,
        int warmIp,
        int minimumIp,
        int pods,
        int interfaces,
        int addresses,
        int unused
    )
    {
        var pool = Pool(
            new PoolTargets
            {
                WarmEniTarget = warmEni,
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

        var view = pool.View;
        Assert.Equal((interfaces, addresses, unused, 0), (view.Interfaces.Count, view.Total, view.Free, view.Interfaces[0].Total));
    }

    [Fact]
    public void Plan_with_full_interfaces_reports_that_the_primary_carries_no_pods()
    {
        var pool = Pool(new PoolTargets { WarmIpTarget = 1 }, maxPods: 100);
        pool.Waiting = 10;
        pool.Settle();
        pool.Waiting = 0;
        for (var pod = 0; pod < 6; pod++)
            pool.AddPod();
        pool.Waiting = 1;
        var obstacle = pool.Plan().Obstacle!;
        Assert.Equal(
            (
                GrowthObstacleKind.InterfaceLimit,
                "all 3 interfaces of this node are attached, the primary one carries no pods, and carry 3 blocks each"
            ),
            (obstacle.Kind, obstacle.Detail)
        );
    }

    [Fact]
    public void Plan_without_placement_fills_existing_interfaces_only()
    {
        var pool = Pool(new PoolTargets { WarmIpTarget = 1 });
        pool.Settle();
        pool.NoPlace = NoPlace;
        pool.Waiting = 3;
        pool.Settle();
        Assert.Equal((2, 3), (pool.View.Interfaces.Count, pool.View.Total));
        Assert.Equal((NoPlace, 1), (pool.LastPlan.Obstacle, pool.LastPlan.Shortage));
    }

    [Fact]
    public void Plan_at_interface_limit_without_placement_reports_the_placement()
    {
        var pool = Pool(new PoolTargets { WarmIpTarget = 1 });
        pool.Waiting = 6;
        pool.Settle();
        pool.NoPlace = NoPlace;
        pool.Waiting = 8;
        Assert.Equal(NoPlace, pool.Plan().Obstacle);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Plan_with_backoff_of_existing_interfaces_reports_it_before_placement(bool mayEndAnyMoment)
    {
        var pool = Pool(new PoolTargets { WarmIpTarget = 1 });
        pool.Settle();
        var until = pool.Now + TimeSpan.FromSeconds(10);
        pool.Obstacles = GrowthObstacles.None with
        {
            Subnets = new Dictionary<(string, AddressFamily), SubnetObstacle>
            {
                [("subnet-1", IpFamily.V4)] = new(new GrowthObstacle(GrowthObstacleKind.SubnetExhausted, until, "full"), 0, null),
            },
        };
        pool.NoPlace = NoPlace with { MayEndAnyMoment = mayEndAnyMoment };
        pool.Waiting = 2;
        var plan = pool.Plan();
        Assert.Equal(
            (GrowthObstacleKind.SubnetExhausted, mayEndAnyMoment, until),
            (plan.Obstacle!.Kind, plan.Obstacle.MayEndAnyMoment, plan.ReplanAt)
        );
    }

    [Fact]
    public void Plan_without_prefixes_and_placement_adds_single_addresses()
    {
        var pool = Pool(new PoolTargets { UsesPrefixes = true, WarmIpTarget = 1 }, maxPods: 110);
        pool.Settle();
        pool.Obstacles = GrowthObstacles.None with
        {
            Subnets = new Dictionary<(string, AddressFamily), SubnetObstacle>
            {
                [("subnet-1", IpFamily.V4)] = new(
                    null,
                    int.MaxValue,
                    new GrowthObstacle(GrowthObstacleKind.SubnetExhausted, pool.Now.AddHours(1), "no contiguous prefix")
                ),
            },
        };
        pool.NoPlace = NoPlace;
        pool.Waiting = 17;
        var change = Assert.IsType<PoolChange.AssignBlocks>(Assert.Single(pool.Plan().Changes));
        Assert.Equal(new BlockRequest(Shapes.Ipv4Address, 2), change.Blocks);
    }

    [Fact]
    public void Plan_with_full_subnet_still_removes_an_unused_excluded_interface()
    {
        var pool = Pool(new PoolTargets { WarmIpTarget = 2 });
        pool.Settle();
        pool.Ledger.Exclude(pool.View.Interfaces.ToDictionary(item => item.Id, _ => true));
        pool.Subnets = [new SubnetCandidate("subnet-2", 0)];
        pool.Settle();
        Assert.Equal((2, GrowthObstacleKind.SubnetExhausted), (pool.View.Interfaces.Count, pool.LastPlan.Obstacle!.Kind));
        Assert.Equal(pool.Now + PoolLimits.MinimumInterfaceAge, pool.LastPlan.ReplanAt);
        pool.Now += PoolLimits.MinimumInterfaceAge;
        pool.Settle();
        Assert.Single(pool.View.Interfaces);
    }

    /// <summary>In any state of the pool, excluded interfaces get no block, and no interface is added without a subnet for it.</summary>
    [Fact]
    public void Plan_never_grows_excluded_interfaces_nor_adds_one_without_placement()
    {
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var targets = new PoolTargets
            {
                UsesPrefixes = random.Next(3) == 0,
                WarmEniTarget = random.Next(3),
                WarmIpTarget = random.Next(4),
                MinimumIpTarget = random.Next(2) * random.Next(8),
            };
            var pool = new PoolFixture(random.Next(1, 5), random.Next(1, 6), targets).WithPrimary(isExcluded: true);
            for (var round = 0; round < 20; round++)
            {
                switch (random.Next(6))
                {
                    case 0:
                        pool.Waiting = random.Next(5);
                        break;
                    case 1:
                        pool.NoPlace = random.Next(2) == 0 ? NoPlace : null;
                        break;
                    case 2:
                        pool.Ledger.Exclude(
                            pool.View.Interfaces.ToDictionary(item => item.Id, item => item.IsPrimary || random.Next(3) == 0)
                        );
                        break;
                    case 3 when pool.View.Free > 0:
                        pool.AddPod();
                        break;
                    case 4:
                        pool.Now += TimeSpan.FromMinutes(random.Next(20));
                        break;
                    default:
                        pool.IsUnschedulable = random.Next(4) == 0;
                        break;
                }

                pool.Settle(plan =>
                {
                    var view = pool.View;
                    foreach (var assign in plan.Changes.OfType<PoolChange.AssignBlocks>())
                        Assert.True(view.Interfaces.Single(item => item.Id == assign.Interface).IsUsable, $"seed {seed}");
                    if (pool.NoPlace is null)
                        return;
                    Assert.True(
                        plan.Changes.All(change => change is PoolChange.AssignBlocks),
                        $"seed {seed}: {string.Join(", ", plan.Changes)} without placement"
                    );
                });
            }
        }
    }

    private static PoolFixture Pool(PoolTargets targets, int? maxPods = null) =>
        new PoolFixture(maxInterfaces: 3, blocksPerInterface: 3, targets, maxPods, usesPrimary: false).WithPrimary(isExcluded: true);
}
