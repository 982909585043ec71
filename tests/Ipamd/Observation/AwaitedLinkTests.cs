// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Observation;

/// <summary>An interface that is attached before the guest has its link, as when a daemon starts while EC2 still attaches.</summary>
public sealed class AwaitedLinkTests
{
    [Fact]
    public async Task Link_that_appears_is_configured_at_once_and_serves_pending_ADDs()
    {
        var (pool, second) = await StartAsync();
        await FillAsync(pool);
        var add = pool.AddAsync("waits");
        await pool.StepAsync();
        Assert.False(add.IsCompleted);
        Assert.Null(pool.Sync.Awaited.Problem);
        pool.Host.Broken.Clear();
        pool.Host.LinkSeen(second.Mac);
        await pool.StepAsync();
        Assert.Equal(second.Id, Assert.IsType<AddOutcome.Assigned>(await add).Attachment.Addresses[0].Slot!.Value.Id);
    }

    [Fact]
    public async Task ADD_that_times_out_names_the_interface_without_link()
    {
        var (pool, second) = await StartAsync(addWait: TimeSpan.FromSeconds(5));
        await FillAsync(pool);
        var add = pool.AddAsync("waits");
        await pool.StepAsync();
        Assert.Equal(GrowthObstacleKind.CloudFailure, pool.Reconciler.LastPlan!.Obstacle!.Kind);
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        var refused = Assert.IsType<AddOutcome.NoAddress>(await add);
        Assert.Contains(
            $"{second.Id} is attached with 3 addresses, and the link is not configured yet: no link with MAC {second.Mac}",
            refused.Reason,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task Link_that_does_not_appear_in_time_is_a_problem()
    {
        var (pool, second) = await StartAsync();
        await FillAsync(pool);
        pool.Time.Advance(PoolLimits.LinkDeadline);
        var add = pool.AddAsync("late");
        await pool.StepAsync();
        Assert.Contains("interface limit reached", Assert.IsType<AddOutcome.NoAddress>(await add).Reason, StringComparison.Ordinal);
        Assert.Contains(second.Id.Value, pool.Sync.Awaited.Problem, StringComparison.Ordinal);
        pool.Host.Broken.Clear();
        pool.Host.LinkSeen(null);
        await pool.StepAsync();
        Assert.Null(pool.Sync.Awaited.Problem);
        Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("later"));
    }

    [Fact]
    public async Task Reports_of_a_broken_link_cause_observations_with_backoff()
    {
        var (pool, second) = await StartAsync();
        var before = pool.Cloud.Calls.Count(call => call.StartsWith("DescribeAttachedInterfaces", StringComparison.Ordinal));
        for (var second_ = 0; second_ < 60; second_++)
        {
            pool.Host.LinkSeen(second.Mac);
            pool.Time.Advance(TimeSpan.FromSeconds(1));
            await pool.StepAsync();
        }

        Assert.InRange(
            pool.Cloud.Calls.Count(call => call.StartsWith("DescribeAttachedInterfaces", StringComparison.Ordinal)) - before,
            2,
            7
        );
    }

    [Fact]
    public void Link_that_appears_early_is_not_missed()
    {
        var time = new VpcCni.Tests.Shared.ManualTimeProvider();
        var links = new AwaitedLinks(time);
        List<DateTimeOffset> asked = [];
        var item = FakeCloud.ToPort(new FakeCloud().WithPrimary(2).Interfaces[0]);
        links.Begin(item);
        links.Seen(item.Mac);
        links.Failed(item.Id, "no link");
        links.Watch(asked.Add);
        Assert.Equal([time.GetUtcNow()], asked);
        links.Keep(new HashSet<NetworkInterfaceId>());
        Assert.Equal(AwaitedAddresses.None, links.Addresses);
    }

    /// <summary>A node whose second and last interface is attached with three addresses and has no link.</summary>
    private static async Task<(PoolHarness Pool, Ec2Interface Second)> StartAsync(TimeSpan? addWait = null)
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud, maxInterfaces: 2, addWait: addWait);
        var second = await cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest("t", DateTimeOffset.UnixEpoch, "subnet-1", [], [new BlockRequest(Shapes.Ipv4Address, 3)]),
            default
        );
        await cloud.AttachInterfaceAsync(second.Id, new Slot(0, 1), default);
        pool.Host.Broken.Add(second.Mac);
        await pool.StepAsync();
        Assert.Equal(3, pool.View.Free);
        return (pool, second);
    }

    private static async Task FillAsync(PoolHarness pool)
    {
        for (var index = 0; index < 3; index++)
            Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync($"p{index}"));
    }
}
