// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Events;

public sealed class PoolEventTests
{
    [Fact]
    public async Task ADD_from_the_warm_pool_is_published_once_without_a_wait()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        await pool.StepAsync();
        await pool.AddAsync("a");
        await pool.AddAsync("a");
        var served = Of<PoolEvent.AddServed>(pool);
        Assert.Equal([true, false], served.Select(item => item.IsNew));
        Assert.All(served, item => Assert.Equal(TimeSpan.Zero, item.Waited));
        Assert.Equal(PoolHarness.Key("a"), served[0].Attachment.Key);
        Assert.Null(served[0].ReusedAfter);
        Assert.Empty(Of<PoolEvent.AddQueued>(pool));
    }

    [Fact]
    public async Task ADD_that_waits_is_published_at_its_start_and_end()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        var add = pool.AddAsync("a");
        var second = pool.AddAsync("b");
        pool.Time.Advance(TimeSpan.FromSeconds(2));
        await pool.StepAsync();
        await Task.WhenAll(add, second);
        Assert.Equal([0, 1], Of<PoolEvent.AddQueued>(pool).Select(item => item.Ahead));
        Assert.All(Of<PoolEvent.AddServed>(pool), item => Assert.InRange(item.Waited, TimeSpan.FromSeconds(2), item.Took));
    }

    [Fact]
    public async Task ADD_without_address_is_published_with_the_obstacle()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(), provisioningDisabled: true);
        var add = pool.AddAsync("a");
        await pool.StepAsync();
        var outcome = Assert.IsType<AddOutcome.NoAddress>(await add);
        var failed = Assert.Single(Of<PoolEvent.AddFailed>(pool));
        Assert.Equal(
            (AddFailureKind.NoAddress, GrowthObstacleKind.ProvisioningDisabled, outcome.Reason),
            (failed.Kind, failed.Obstacle, failed.Reason)
        );
        Assert.Equal("a", failed.Pod.Name);
    }

    [Fact]
    public async Task Cancelled_client_and_full_disk_are_different_failures()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        using var client = new CancellationTokenSource();
        var gone = pool.AddAsync("gone", client.Token);
        await client.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);
        await pool.StepAsync();
        pool.File.RefuseWrites = true;
        await Assert.ThrowsAsync<IOException>(() => pool.AddAsync("full"));
        Assert.Equal([AddFailureKind.ClientGone, AddFailureKind.NotDurable], Of<PoolEvent.AddFailed>(pool).Select(item => item.Kind));
    }

    [Fact]
    public async Task DEL_is_published_and_the_next_ADD_has_the_time_since_then()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(1), provisioningDisabled: true);
        await pool.StepAsync();
        await pool.AddAsync("a");
        await pool.DeleteAsync("a");
        await pool.DeleteAsync("a");
        Assert.Equal([PoolHarness.Key("a"), null], Of<PoolEvent.Deleted>(pool).Select(item => item.Released?.Key));
        pool.Time.Advance(TimeSpan.FromSeconds(45));
        await pool.AddAsync("b");
        Assert.Equal(TimeSpan.FromSeconds(45), Of<PoolEvent.AddServed>(pool)[^1].ReusedAfter);
    }

    [Fact]
    public async Task New_interface_is_published_from_plan_to_end()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        await pool.AddAsync("a");
        await pool.StepAsync();
        var planned = Of<PoolEvent.Planned>(pool).SelectMany(item => item.Plan.Changes).ToArray();
        Assert.Contains(planned, action => action is PoolChange.AddInterface);
        var began = Assert.Single(Of<PoolEvent.ChangeBegan>(pool), item => item.Intent.Change is PoolChange.AddInterface);
        Assert.False(began.IsRepeated);
        var stages = Of<PoolEvent.ChangeAdvanced>(pool)
            .Where(item => item.Intent.Number == began.Intent.Number)
            .Select(item => item.Intent)
            .ToArray();
        Assert.NotNull(stages[0].Created);
        Assert.Equal(IntentStage.Attached, stages[^1].Stage);
        var ended = Assert.Single(Of<PoolEvent.ChangeEnded>(pool), item => item.Intent.Number == began.Intent.Number);
        Assert.Null(ended.Failure);
    }

    [Fact]
    public async Task Rejected_change_is_published_with_the_kind_of_failure()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        pool.Cloud.FailNext("AssignBlocks", CloudErrorKind.NotPermitted);
        await pool.StepAsync();
        var ended = Of<PoolEvent.ChangeEnded>(pool).First(item => item.Intent.Change is PoolChange.AssignBlocks);
        Assert.Equal(CloudErrorKind.NotPermitted, ended.Failure!.CloudKind);
        Assert.NotEmpty(ended.Failure.Reason);
    }

    [Fact]
    public async Task Observation_is_published_whether_it_succeeds_or_fails()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        await pool.StepAsync();
        Assert.NotEmpty(Of<PoolEvent.Observed>(pool)[0].Changes.InterfacesAdded);
        pool.Cloud.FailNext("DescribeAttachedInterfaces", CloudErrorKind.Throttled);
        pool.Time.Advance(PoolLimits.ResyncInterval * 1.2);
        await pool.StepAsync();
        Assert.Equal(CloudErrorKind.Throttled, Assert.Single(Of<PoolEvent.ObserveFailed>(pool)).Failure);
    }

    private static T[] Of<T>(PoolHarness pool)
        where T : PoolEvent => [.. pool.Published.OfType<T>()];
}
