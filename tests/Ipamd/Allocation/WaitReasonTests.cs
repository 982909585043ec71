// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Ipamd.Tests.Planning;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Ipamd.Tests.Allocation;

/// <summary>The reason of an ADD without an address is the one that delayed it.</summary>
public sealed class WaitReasonTests
{
    private static readonly GrowthObstacle Throttled = new(
        GrowthObstacleKind.Throttled,
        null,
        "AssignPrivateIpAddresses: RequestLimitExceeded: Request limit exceeded."
    );

    [Fact]
    public async Task Add_without_answer_of_the_cloud_names_the_call_and_its_start()
    {
        var pool = await FullPrimaryAsync();
        pool.Cloud.HangAfter("CreateInterface");
        var add = pool.AddAsync("waits");
        pool.Reconciler.Step(default);
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.True(add.IsCompleted);
        var refused = Assert.IsType<AddOutcome.NoAddress>(await add);
        Assert.Equal(GrowthObstacleKind.CloudFailure, refused.Kind);
        Assert.Contains(
            "the cloud has not answered yet: to add an interface with 3 blocks as device 1 in subnet-1 is in flight since",
            refused.Reason,
            StringComparison.Ordinal
        );
        Assert.Contains("(5.0 s)", refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Add_whose_call_waits_for_the_local_budget_names_the_budget()
    {
        // Enough tokens for the primary interface's tags and one interface; the next one waits six seconds.
        var pool = await FullPrimaryAsync(new ApiBudgetOptions { Mutate = new CallAllowance(Capacity: 4, PerSecond: 0.5) });
        for (var index = 0; index < 3; index++)
            await AddAsync(pool, $"more{index}");
        var add = pool.AddAsync("waits");
        pool.Reconciler.Step(default);
        Assert.False(add.IsCompleted);
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.True(add.IsCompleted);
        var refused = Assert.IsType<AddOutcome.NoAddress>(await add);
        Assert.Equal(GrowthObstacleKind.Throttled, refused.Kind);
        Assert.Contains("this node's budget of calls is used up: to add an interface", refused.Reason, StringComparison.Ordinal);
        Assert.Contains("waits for this node's budget of Mutate calls: tokens return in", refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Add_refused_by_the_local_budget_does_not_blame_the_cloud()
    {
        var pool = await FullPrimaryAsync(new ApiBudgetOptions { Mutate = new CallAllowance(Capacity: 4, PerSecond: 0.1) });
        for (var index = 0; index < 3; index++)
            await AddAsync(pool, $"more{index}");
        var add = pool.AddAsync("waits");
        pool.Reconciler.Step(default);
        pool.Reconciler.Step(default);
        Assert.True(add.IsCompleted);
        var refused = Assert.IsType<AddOutcome.NoAddress>(await add);
        Assert.Equal(GrowthObstacleKind.Throttled, refused.Kind);
        Assert.Contains("this node's budget of calls is used up", refused.Reason, StringComparison.Ordinal);
        Assert.DoesNotContain("the cloud throttles this account", refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Plan_names_the_retried_throttling_before_the_limit_behind_it()
    {
        var pool = new PoolFixture(1, 5, new PoolTargets { WarmEniTarget = 1 }).WithPrimary();
        var eni = Assert.Single(pool.View.Interfaces).Id;
        Assert.NotNull(pool.Ledger.BeginAssign(eni, new BlockRequest(Shapes.Ipv4Address, 5), pool.Now));
        pool.Waiting = 3;
        Assert.Equal(GrowthObstacleKind.InterfaceLimit, pool.Plan().Obstacle?.Kind);
        pool.Obstacles = GrowthObstacles.None with { Retried = Throttled with { MayEndAnyMoment = true } };
        Assert.Equal(GrowthObstacleKind.Throttled, pool.Plan().Obstacle?.Kind);
        // More pending ADDs than the node has room for.
        pool.Waiting = 6;
        Assert.Equal(GrowthObstacleKind.InterfaceLimit, pool.Plan().Obstacle?.Kind);
    }

    [Fact]
    public void Plan_of_a_full_node_names_its_limit_while_the_cloud_throttles()
    {
        var pool = Full(interfaces: 1);
        pool.Waiting = 1;
        pool.Obstacles = GrowthObstacles.None with { Everything = Throttled with { Until = pool.Now.AddSeconds(10) } };
        Assert.Equal(GrowthObstacleKind.InterfaceLimit, pool.Plan().Obstacle?.Kind);
    }

    [Fact]
    public void Plan_with_room_names_the_throttling_and_has_no_action()
    {
        var pool = Full(interfaces: 2);
        pool.Waiting = 1;
        pool.Obstacles = GrowthObstacles.None with { Everything = Throttled with { Until = pool.Now.AddSeconds(10) } };
        var plan = pool.Plan();
        Assert.Equal((0, GrowthObstacleKind.Throttled), (plan.Changes.Count, plan.Obstacle?.Kind));
    }

    [Theory]
    [InlineData(5, 60, GrowthObstacleKind.Throttled)]
    [InlineData(60, 5, GrowthObstacleKind.AddressLimit)]
    internal void Plan_names_the_obstacle_that_ends_first(int newInterfaces, int addresses, GrowthObstacleKind expected)
    {
        var pool = new PoolFixture(2, 5, new PoolTargets { WarmIpTarget = 1 }).WithPrimary();
        pool.Waiting = 1;
        pool.Obstacles = GrowthObstacles.None with
        {
            NewInterfaces = Throttled with { Until = pool.Now.AddSeconds(newInterfaces) },
            Interfaces = new Dictionary<(NetworkInterfaceId, AddressFamily), GrowthObstacle>
            {
                [(Assert.Single(pool.View.Interfaces).Id, IpFamily.V4)] = new(
                    GrowthObstacleKind.AddressLimit,
                    pool.Now.AddSeconds(addresses),
                    "full"
                ),
            },
        };
        Assert.Equal(expected, pool.Plan().Obstacle?.Kind);
    }

    private static PoolFixture Full(int interfaces)
    {
        var pool = new PoolFixture(interfaces, 3, new PoolTargets { WarmIpTarget = 1 }).WithPrimary();
        for (var pod = 0; pod < 3; pod++)
        {
            pool.Settle();
            pool.AddPod();
        }

        return pool;
    }

    /// <summary>Three pods use the primary interface's three addresses, and another interface can be added.</summary>
    private static async Task<PoolHarness> FullPrimaryAsync(ApiBudgetOptions? budget = null)
    {
        var pool = new PoolHarness(
            new FakeCloud().WithPrimary(3),
            new PoolTargets { WarmEniTarget = 0 },
            addWait: TimeSpan.FromSeconds(5),
            budget: budget
        );
        await pool.StepAsync();
        for (var pod = 0; pod < 3; pod++)
            Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync($"p{pod}"));
        return pool;
    }

    private static async Task AddAsync(PoolHarness pool, string name)
    {
        var add = pool.AddAsync(name);
        for (var step = 0; step < 10 && !add.IsCompleted; step++)
            pool.Reconciler.Step(default);
        Assert.True(add.IsCompleted, $"{name} waits: {pool.Waiting.Obstacle}");
        Assert.IsType<AddOutcome.Assigned>(await add);
    }
}
