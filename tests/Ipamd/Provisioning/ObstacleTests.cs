// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Provisioning;

/// <summary>The cost of failures of the cloud: calls that are not repeated, interfaces that are kept, reasons that are reported.</summary>
public sealed class ObstacleTests
{
    [Fact]
    public async Task Persistent_interface_limit_is_retried_with_backoff()
    {
        var pool = new PoolHarness(new FakeCloud(maxInterfaces: 1).WithPrimary(3));
        await RunAsync(pool, TimeSpan.FromHours(2), () => pool.Cloud.FailNext("AttachInterface", CloudErrorKind.InterfaceLimit), pod: true);
        Assert.InRange(pool.Cloud.Calls.Count(call => call == "CreateInterface"), 3, 16);
        Assert.Single(pool.Cloud.Interfaces);
    }

    [Fact]
    public async Task Persistently_rejected_release_is_retried_with_backoff()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), new PoolTargets { WarmIpTarget = 1 });
        await RunAsync(pool, TimeSpan.FromHours(2), () => pool.Cloud.FailNext("UnassignBlocks", CloudErrorKind.NotPermitted));
        Assert.InRange(pool.Cloud.Calls.Count(call => call == "UnassignBlocks"), 3, 16);
    }

    [Fact]
    public async Task New_interface_is_kept_while_the_cloud_throttles_its_attachment()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        pool.Cloud.FailNext("AttachInterface", CloudErrorKind.Throttled, times: 3);
        await pool.AddAsync("a");
        for (var second = 0; second < 30; second++)
        {
            await pool.StepAsync();
            pool.Time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal((1, 4, 2), (Calls(pool, "CreateInterface"), Calls(pool, "AttachInterface"), pool.Cloud.Interfaces.Count));
    }

    [Fact]
    public async Task New_interface_that_is_not_found_yet_is_attached_later()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        pool.Cloud.FailNext("AttachInterface", CloudErrorKind.NotFound);
        await pool.AddAsync("a");
        for (var second = 0; second < 5; second++)
        {
            await pool.StepAsync();
            pool.Time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(1, Calls(pool, "CreateInterface"));
        Assert.All(pool.Cloud.Interfaces, item => Assert.NotNull(item.AttachmentId));
    }

    [Fact]
    public async Task Forbidden_create_does_not_stop_growth_of_existing_interfaces()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(), new PoolTargets { WarmIpTarget = 1 });
        await pool.StepAsync();
        pool.Cloud.FailNext("CreateInterface", CloudErrorKind.NotPermitted, times: 50);
        for (var index = 0; index < 3; index++)
        {
            var add = pool.AddAsync($"p{index}");
            await pool.StepAsync();
            Assert.IsType<AddOutcome.Assigned>(await add);
        }

        var fourth = pool.AddAsync("p3");
        await pool.StepAsync();
        Assert.Equal(GrowthObstacleKind.NotPermitted, Assert.IsType<AddOutcome.NoAddress>(await fourth).Kind);
    }

    [Fact]
    public async Task Timed_out_ADD_reports_the_obstacle()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(), addWait: TimeSpan.FromSeconds(3));
        foreach (var operation in new[] { "AssignBlocks", "CreateInterface" })
            pool.Cloud.FailNext(operation, CloudErrorKind.Throttled, times: 50);
        var add = pool.AddAsync("a");
        for (var step = 0; step < 10 && !add.IsCompleted; step++)
        {
            await pool.StepAsync();
            pool.Time.Advance(TimeSpan.FromSeconds(0.5));
        }

        var outcome = Assert.IsType<AddOutcome.NoAddress>(await add);
        Assert.Equal(GrowthObstacleKind.Throttled, outcome.Kind);
        Assert.Contains("throttles", outcome.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tagged_interface_of_an_operator_is_neither_deleted_nor_changed()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        var operators = await cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest("t", DateTimeOffset.UnixEpoch, "subnet-1", [], [new BlockRequest(Shapes.Ipv4Address, 1)]),
            default
        );
        await cloud.AttachInterfaceAsync(operators.Id, new Slot(0, 1), default);
        cloud.Change(
            operators.Id,
            item =>
                item with
                {
                    Description = "database",
                    Tags = new Dictionary<string, string> { [EniTags.InstanceId] = "i-1" },
                }
        );
        await pool.StepAsync();
        Assert.False(cloud.Interfaces.Single(item => item.Id == operators.Id).DeleteOnTermination);
        cloud.Change(operators.Id, item => item with { AttachmentId = null, Slot = null });
        using var stop = new CancellationTokenSource();
        var leaked = new LeakedInterfaces(
            cloud,
            cloud,
            pool.Time,
            new Random(1),
            Microsoft.Extensions.Logging.Abstractions.NullLogger<LeakedInterfaces>.Instance
        ).RunAsync(everywhere: true, pool.Ledger.IsKnown, stop.Token);
        for (var hour = 0; hour < 5; hour++)
        {
            pool.Time.Advance(TimeSpan.FromHours(1));
            await Task.Yield();
        }

        stop.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaked);
        Assert.Contains(cloud.Interfaces, item => item.Id == operators.Id);
        Assert.Contains("DescribeLeakCandidates", cloud.Calls);
    }

    [Fact]
    public async Task Address_is_not_assigned_while_the_kernel_cannot_be_read()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(1), provisioningDisabled: true);
        await pool.StepAsync();
        await pool.AddAsync("a");
        await pool.DeleteAsync("a");
        pool.Host.CannotBeAsked = true;
        for (var second = 0; second < 60; second++)
        {
            pool.Time.Advance(TimeSpan.FromSeconds(1));
            await pool.StepAsync();
        }

        Assert.Equal((0, 1), (pool.View.Free, pool.View.Cooling));
        pool.Host.CannotBeAsked = false;
        for (var second = 0; second < 10; second++)
        {
            pool.Time.Advance(TimeSpan.FromSeconds(1));
            await pool.StepAsync();
        }

        Assert.Equal(1, pool.View.Free);
    }

    private static int Calls(PoolHarness pool, string operation) => pool.Cloud.Calls.Count(call => call == operation);

    private static async Task RunAsync(PoolHarness pool, TimeSpan length, Action fail, bool pod = false)
    {
        await pool.StepAsync();
        if (pod)
            await pool.AddAsync("a");
        for (var end = pool.Time.GetUtcNow() + length; pool.Time.GetUtcNow() < end; pool.Time.Advance(TimeSpan.FromSeconds(20)))
        {
            fail();
            await pool.StepAsync();
            pool.Cloud.Forgive();
        }
    }
}
