// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Datapath;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Ipamd.Tests.Planning;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Observation;

/// <summary>Descriptions that lag behind, and changes by others. All found by the simulation.</summary>
public sealed class LateDescriptionTests
{
    [Fact]
    public async Task Interface_with_link_that_is_described_as_attaching_is_usable()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        await pool.StepAsync();
        await pool.AddAsync("a");
        await pool.StepAsync();
        cloud.Change(cloud.Interfaces[1].Id, item => item with { State = Ec2InterfaceState.Attaching });
        pool.Sync.RequestAt(pool.Time.GetUtcNow());
        await pool.StepAsync();
        Assert.All(pool.View.Interfaces, item => Assert.True(item.CarriesPods));
    }

    [Fact]
    public async Task Interface_missing_in_a_late_description_can_be_removed()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        await pool.StepAsync();
        await pool.AddAsync("a");
        await pool.StepAsync();
        var (second, attachment) = (cloud.Interfaces[1].Id, cloud.Interfaces[1].AttachmentId);
        cloud.Change(second, item => item with { AttachmentId = null });
        pool.Sync.RequestAt(pool.Time.GetUtcNow());
        await pool.StepAsync();
        cloud.Change(second, item => item with { AttachmentId = attachment });
        await pool.DeleteAsync("a");
        pool.Time.Advance(PoolLimits.IdleInterface);
        await pool.StepAsync();
        Assert.Single(cloud.Interfaces);
    }

    /// <summary>Only a second observation tells a lost address from a description that lags behind the checkpoint.</summary>
    [Fact]
    public async Task First_observation_after_a_start_without_cloud_is_confirmed_later()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var before = new PoolHarness(cloud);
        await before.StepAsync();
        var held = Assert.IsType<AddOutcome.Assigned>(await before.AddAsync("a")).Attachment.Addresses[0].Address;
        var next = new PoolHarness(cloud);
        next.Ledger.Restore(CheckpointFormat.Read(before.File.Content), ClockReading.Of(next.Time));
        await next.Interfaces.ApplyHintAsync(CancellationToken.None);
        next.Sync.RecordFailedStart(
            new CloudException(CloudErrorKind.Transient, "DescribeAttachedInterfaces", "RequestTimeout", "no answer")
        );
        cloud.Change(
            cloud.Interfaces[0].Id,
            item => item with { Blocks = [.. item.Blocks.Where(block => !block.BaseAddress.Equals(held))] }
        );
        next.Time.Advance(PoolLimits.ObserveRetries.First * 1.5);
        await next.StepAsync();
        Assert.NotNull(next.Sync.LastObservedAt);
        Assert.Empty(next.View.Orphans);

        next.Time.Advance(IpLedger.ConsistencyWindow);
        await next.StepAsync();
        Assert.Equal("a", Assert.Single(next.View.Orphans).Attachment.Key.ContainerId);
    }

    [Fact]
    public async Task Refuted_hint_is_followed_again_after_a_while()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        await pool.StepAsync();
        // The metadata is ahead of the description, as if the latter lagged by minutes.
        var taken = cloud.Interfaces[0].Blocks[0];
        cloud.HintFilter = hints => [.. hints.Select(hint => hint with { Blocks = [.. hint.Blocks.Where(block => block != taken)] })];
        pool.Time.Advance(TimeSpan.FromMinutes(2));
        await pool.StepAsync();
        Assert.Equal(3, pool.View.Total);
        cloud.Change(cloud.Interfaces[0].Id, item => item with { Blocks = [.. item.Blocks.Where(block => block != taken)] });
        for (var minute = 0; minute < 3; minute++)
        {
            pool.Time.Advance(TimeSpan.FromMinutes(1.2));
            await pool.StepAsync();
        }

        Assert.DoesNotContain(pool.View.Interfaces[0].Blocks, block => block.Range == taken);
    }

    [Fact]
    public void Unused_excluded_interface_is_removed_while_an_ADD_is_pending()
    {
        var pool = new PoolFixture(maxInterfaces: 2, blocksPerInterface: 3, new PoolTargets { WarmIpTarget = 1 });
        InterfaceObservation Interface(int index, bool isExcluded) =>
            new()
            {
                Id = new NetworkInterfaceId($"eni-{index}"),
                Slot = new Slot(0, index),
                PrimaryAddress = System.Net.IPAddress.Parse($"10.0.9.{index + 10}"),
                SubnetId = "subnet-0",
                Blocks = [],
                IsExcluded = isExcluded,
            };
        pool.Ledger.Observe([Interface(0, isExcluded: true), Interface(1, isExcluded: true)], pool.Now);
        pool.Waiting = 1;
        Assert.Equal(
            new NetworkInterfaceId("eni-1"),
            Assert.IsType<PoolChange.RemoveInterface>(Assert.Single(pool.Plan().Changes)).Interface
        );
    }

    [Fact]
    public async Task Interface_that_the_ledger_has_is_not_deleted_as_leaked()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        await pool.StepAsync();
        await pool.AddAsync("a");
        await pool.StepAsync();
        var second = cloud.Interfaces[1].Id;
        // Someone detached it, which no observation has shown yet.
        cloud.Change(second, item => Old(item, pool.Time.GetUtcNow().AddHours(-2)) with { AttachmentId = null });
        await Leaked(pool).CleanAsync(pool.Ledger.IsKnown, CancellationToken.None);
        Assert.Contains(cloud.Interfaces, item => item.Id == second);
    }

    [Fact]
    public async Task Leaked_interface_with_a_future_creation_time_is_retagged_first()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        var leaked = await cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest("t", DateTimeOffset.UnixEpoch, "subnet-1", [], []),
            default
        );
        cloud.Change(leaked.Id, item => Old(item, pool.Time.GetUtcNow().AddHours(5)));
        await Leaked(pool).CleanAsync(pool.Ledger.IsKnown, CancellationToken.None);
        Assert.Equal("TagInterface", cloud.Calls[^1]);
        cloud.Change(leaked.Id, item => Old(item, pool.Time.GetUtcNow()));
        pool.Time.Advance(TimeSpan.FromHours(1));
        await Leaked(pool).CleanAsync(pool.Ledger.IsKnown, CancellationToken.None);
        Assert.DoesNotContain(cloud.Interfaces, item => item.Id == leaked.Id);
    }

    [Fact]
    public async Task Restarted_cleanup_keeps_interfaces_of_this_run()
    {
        var cloud = new FakeCloud().WithPrimary();
        var pool = new PoolHarness(cloud);
        var cleanup = Leaked(pool);
        using var stop = new CancellationTokenSource();
        cloud.FailNext("DescribeUnattachedInterfaces", () => new InvalidOperationException("a defect"));
        var first = cleanup.RunAsync(everywhere: false, pool.Ledger.IsKnown, stop.Token);
        pool.Time.Advance(LeakedInterfaces.OwnDelay);
        await Assert.ThrowsAsync<InvalidOperationException>(() => first);
        var request = new CreateInterfaceRequest("new", pool.Time.GetUtcNow(), "subnet-1", [], [new BlockRequest(Shapes.Ipv4Address, 1)]);
        var made = await cloud.CreateInterfaceAsync(request, CancellationToken.None);
        cloud.Change(made.Id, item => Old(item, pool.Time.GetUtcNow()));
        var leftover = await cloud.CreateInterfaceAsync(request with { IdempotencyToken = "old" }, CancellationToken.None);
        cloud.Change(leftover.Id, item => Old(item, pool.Time.GetUtcNow().AddHours(-1)));
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        var second = cleanup.RunAsync(everywhere: false, pool.Ledger.IsKnown, stop.Token);
        pool.Time.Advance(LeakedInterfaces.OwnDelay);
        await Eventually.TrueAsync(() => cloud.Interfaces.All(item => item.Id != leftover.Id));
        Assert.Contains(cloud.Interfaces, item => item.Id == made.Id);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
    }

    private static LeakedInterfaces Leaked(PoolHarness pool) =>
        new(pool.Cloud, pool.Cloud, pool.Time, new Random(1), NullLogger<LeakedInterfaces>.Instance);

    private static Ec2Interface Old(Ec2Interface item, DateTimeOffset createdAt) =>
        item with
        {
            Tags = new Dictionary<string, string> { [EniTags.CreatedAt] = $"{createdAt.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss'Z'}" },
        };
}
