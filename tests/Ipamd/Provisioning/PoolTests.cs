// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Provisioning;

public sealed class PoolTests
{
    [Fact]
    public async Task ADD_with_a_warm_pool_makes_no_cloud_call()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        await pool.StepAsync();
        var calls = pool.Cloud.Calls.Count;
        var assigned = Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("a"));
        Assert.Equal(calls, pool.Cloud.Calls.Count);
        Assert.Equal(0, assigned.Attachment.Addresses[0].Slot!.Value.Slot.DeviceIndex);
        Assert.Equal(PoolHarness.Key("a"), Assert.Single(CheckpointFormat.Read(pool.File.Content).Attachments).Key);
    }

    [Fact]
    public async Task ADDs_on_an_empty_pool_are_served_by_one_request_per_interface()
    {
        var pool = new PoolHarness(
            new FakeCloud(4, 15).WithPrimary(),
            new PoolTargets { WarmIpTarget = 1 },
            maxInterfaces: 4,
            blocksPerInterface: 14
        );
        var adds = Enumerable.Range(0, 40).Select(index => pool.AddAsync($"p{index}")).ToArray();
        Assert.All(adds, add => Assert.False(add.IsCompleted));
        await pool.StepAsync();
        var addresses = (await Task.WhenAll(adds))
            .Select(outcome => Assert.IsType<AddOutcome.Assigned>(outcome).Attachment.Addresses[0].Address)
            .ToArray();
        Assert.Equal(40, addresses.Distinct().Count());
        Assert.Equal(1, pool.Cloud.Calls.Count(call => call == "AssignBlocks"));
        Assert.Equal(2, pool.Cloud.Calls.Count(call => call == "CreateInterface"));
    }

    [Fact]
    public async Task Pending_ADDs_are_served_in_order_of_arrival()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        await pool.StepAsync();
        foreach (var container in new[] { "a", "b", "c" })
            await pool.AddAsync(container);
        var first = pool.AddAsync("first");
        var second = pool.AddAsync("second");
        await pool.DeleteAsync("a");
        pool.Time.Advance(TimeSpan.FromSeconds(15));
        Assert.False(first.IsCompleted);
        pool.Time.Advance(TimeSpan.FromSeconds(4));
        await pool.DeleteAsync("b");
        pool.Time.Advance(TimeSpan.FromSeconds(0.5));
        Assert.False(first.IsCompleted || second.IsCompleted);
        pool.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.IsType<AddOutcome.NoAddress>(await first);
        Assert.IsType<AddOutcome.NoAddress>(await second);
        var third = pool.AddAsync("third");
        var fourth = pool.AddAsync("fourth");
        pool.Time.Advance(TimeSpan.FromSeconds(10));
        pool.Waiting.Serve();
        Assert.IsType<AddOutcome.Assigned>(await third);
        Assert.False(fourth.IsCompleted);
    }

    [Fact]
    public async Task ADD_whose_client_goes_away_leaves_the_queue_without_address()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        using var client = new CancellationTokenSource();
        var add = pool.AddAsync("gone", client.Token);
        var stays = pool.AddAsync("stays");
        await client.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => add);
        Assert.Equal(1, pool.Waiting.Demand);
        await pool.StepAsync();
        Assert.IsType<AddOutcome.Assigned>(await stays);
        Assert.Null(pool.Ledger.Find(PoolHarness.Key("gone")));
        Assert.Equal(1, pool.View.Assigned);
    }

    [Fact]
    public async Task ADD_that_times_out_reports_the_wait_and_has_no_address()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(), addWait: TimeSpan.FromSeconds(20));
        var add = pool.AddAsync("a");
        pool.Time.Advance(TimeSpan.FromSeconds(20));
        var outcome = Assert.IsType<AddOutcome.NoAddress>(await add);
        Assert.Contains("within 20 s", outcome.Reason, StringComparison.Ordinal);
        await pool.StepAsync();
        Assert.Equal(0, pool.View.Assigned);
    }

    [Theory]
    [InlineData(CloudErrorKind.SubnetExhausted, GrowthObstacleKind.SubnetExhausted, "the subnet has no free address")]
    [InlineData(CloudErrorKind.NotPermitted, GrowthObstacleKind.NotPermitted, "not permitted")]
    internal async Task Unservable_ADD_fails_at_once_with_the_reason(CloudErrorKind failure, GrowthObstacleKind kind, string words)
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        pool.Cloud.FailNext("AssignBlocks", failure, times: 5);
        pool.Cloud.FailNext("CreateInterface", failure, times: 5);
        await pool.StepAsync();
        var add = pool.AddAsync("a");
        await pool.StepAsync();
        var outcome = Assert.IsType<AddOutcome.NoAddress>(await add);
        Assert.Equal(kind, outcome.Kind);
        Assert.Contains(words, outcome.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ADD_on_a_full_node_reports_the_interface_limit()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        for (var index = 0; index < 9; index++)
        {
            await pool.StepAsync();
            Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync($"p{index}"));
        }

        await pool.StepAsync();
        var add = pool.AddAsync("one too many");
        await pool.StepAsync();
        Assert.Equal(GrowthObstacleKind.InterfaceLimit, Assert.IsType<AddOutcome.NoAddress>(await add).Kind);
    }

    [Fact]
    public async Task ADD_on_a_full_node_waits_for_a_cooldown_that_ends_in_time()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(), addWait: TimeSpan.FromSeconds(20));
        for (var index = 0; index < 9; index++)
        {
            await pool.StepAsync();
            Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync($"p{index}"));
        }

        await pool.DeleteAsync("p0");
        var early = pool.AddAsync("early");
        await pool.StepAsync();
        Assert.Contains(
            "1 cooling, the first of them for another 30 s",
            Assert.IsType<AddOutcome.NoAddress>(await early).Reason,
            StringComparison.Ordinal
        );

        pool.Time.Advance(TimeSpan.FromSeconds(15));
        var late = pool.AddAsync("late");
        await pool.StepAsync();
        Assert.False(late.IsCompleted);
        for (var second = 0; second < 16; second++)
        {
            pool.Time.Advance(TimeSpan.FromSeconds(1));
            await pool.StepAsync();
        }

        Assert.IsType<AddOutcome.Assigned>(await late);
    }

    [Fact]
    public async Task ADD_survives_throttling_that_ends_within_its_wait()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        pool.Cloud.FailNext("AssignBlocks", CloudErrorKind.Throttled);
        pool.Cloud.FailNext("CreateInterface", CloudErrorKind.Throttled);
        var add = pool.AddAsync("a");
        var outcome = await pool.StepAsync();
        Assert.False(add.IsCompleted);
        pool.Time.Advance(outcome.NextAt - pool.Time.GetUtcNow());
        await pool.StepAsync();
        Assert.IsType<AddOutcome.Assigned>(await add);
    }

    [Fact]
    public async Task Backoff_grows_and_stays_bounded()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        pool.Cloud.FailNext("AssignBlocks", CloudErrorKind.Throttled, times: 12);
        List<TimeSpan> pauses = [];
        for (var index = 0; index < 12; index++)
        {
            await pool.StepAsync();
            var pause = pool.Backoff.View().Everything!.Until!.Value - pool.Time.GetUtcNow();
            pauses.Add(pause);
            pool.Time.Advance(pause);
        }

        Assert.InRange(pauses[0], TimeSpan.FromSeconds(0.5), PoolLimits.CallRetries.First);
        Assert.All(pauses, pause => Assert.True(pause <= PoolLimits.CallRetries.Longest));
        Assert.True(pauses[^1] >= PoolLimits.CallRetries.Longest / 2);
        await pool.StepAsync();
        Assert.Null(pool.Backoff.View().Everything);
    }

    [Theory]
    [InlineData("CreateInterface")]
    [InlineData("AttachInterface")]
    [InlineData("SetDeleteOnTermination")]
    public async Task Addition_with_unanswered_call_is_resumed_without_duplicates(string operation)
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        pool.Cloud.FailNext(operation, CloudErrorKind.Transient);
        await pool.AddAsync("a");
        await pool.StepAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(2));
        await pool.StepAsync();
        Assert.Equal(2, pool.Cloud.Interfaces.Count);
        Assert.Equal((6, 0), (pool.View.Total, pool.View.Intents.Count));
    }

    [Fact]
    public async Task Interface_that_cannot_be_attached_is_deleted()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        pool.Cloud.FailNext("AttachInterface", CloudErrorKind.Invalid);
        await pool.AddAsync("a");
        await pool.StepAsync();
        Assert.Single(pool.Cloud.Interfaces);
        Assert.Contains("DeleteInterface", pool.Cloud.Calls);
        Assert.Single(pool.View.Interfaces);
    }

    [Fact]
    public async Task Interface_without_link_is_deleted_and_provides_no_address()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        pool.Host.Broken.Add("02:00:00:00:00:01");
        await pool.AddAsync("a");
        await pool.StepAsync();
        Assert.Single(pool.Cloud.Interfaces);
        Assert.Equal(3, pool.View.Total);
    }

    [Fact]
    public async Task Interface_whose_link_fails_provides_no_address_until_it_works()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud, provisioningDisabled: true);
        var second = await cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest("t", DateTimeOffset.UnixEpoch, "subnet-1", [], [new BlockRequest(Shapes.Ipv4Address, 3)]),
            default
        );
        await cloud.AttachInterfaceAsync(second.Id, new Slot(0, 1), default);
        pool.Host.Broken.Add(second.Mac);
        await pool.StepAsync();
        Assert.Equal(3, pool.View.Free);
        pool.Host.Broken.Clear();
        pool.Time.Advance(TimeSpan.FromMinutes(2));
        await pool.StepAsync();
        Assert.Equal(6, pool.View.Free);
    }

    [Fact]
    public async Task Address_that_the_kernel_routes_to_a_pod_is_not_released()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), new PoolTargets { WarmIpTarget = 1 });
        await pool.StepAsync();
        var inUse = pool.View.Interfaces[0].Blocks[2].Range;
        pool.Host.Route("eni1", inUse.BaseAddress);
        pool.Time.Advance(PoolLimits.IdleBlock);
        await pool.StepAsync();
        Assert.Contains(inUse, pool.Cloud.Interfaces[0].Blocks);
        Assert.Equal((2, 1, 1), (pool.View.Total, pool.View.Assigned, pool.View.Free));
        pool.Host.Pods.Clear();
        for (var check = 0; check < 8; check++)
        {
            pool.Time.Advance(TimeSpan.FromSeconds(67));
            await pool.StepAsync();
        }

        Assert.Equal((1, 0), (pool.View.Total, pool.View.Assigned));
    }

    [Fact]
    public async Task Failed_release_leaves_the_addresses_assignable()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), new PoolTargets { WarmIpTarget = 1 });
        await pool.StepAsync();
        pool.Cloud.FailNext("UnassignBlocks", CloudErrorKind.Throttled);
        pool.Time.Advance(PoolLimits.IdleBlock);
        await pool.StepAsync();
        Assert.Equal((3, 3), (pool.View.Total, pool.View.Free));
    }

    [Fact]
    public async Task Unused_interface_is_detached_cleaned_up_and_deleted()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        await pool.AddAsync("a");
        await pool.StepAsync();
        Assert.Equal(2, pool.Cloud.Interfaces.Count);
        await pool.DeleteAsync("a");
        pool.Time.Advance(PoolLimits.IdleInterface);
        await pool.StepAsync();
        Assert.Single(pool.Cloud.Interfaces);
        Assert.Equal(["02:00:00:00:00:00"], pool.Host.Wired);
        Assert.Single(pool.View.Interfaces);
    }

    [Fact]
    public async Task Detached_interface_is_deleted_although_its_rule_remains()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        await pool.AddAsync("a");
        await pool.StepAsync();
        await pool.DeleteAsync("a");
        pool.Time.Advance(PoolLimits.IdleInterface);
        pool.Host.KeepsRule.Add(pool.Cloud.Interfaces[1].Mac);
        await pool.StepAsync();
        Assert.Single(pool.Cloud.Interfaces);
    }

    [Fact]
    public async Task ADD_with_failed_checkpoint_fails_and_frees_the_address()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        pool.File.RefuseWrites = true;
        await Assert.ThrowsAsync<IOException>(() => pool.AddAsync("a"));
        Assert.Equal((3, 0), (pool.View.Free, pool.View.Cooling));
        pool.File.RefuseWrites = false;
        Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("a"));
    }

    [Fact]
    public async Task DEL_with_failed_checkpoint_succeeds_and_is_written_later()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        await pool.AddAsync("a");
        pool.File.RefuseWrites = true;
        Assert.NotNull(await pool.DeleteAsync("a"));
        Assert.Equal((0, 1), (pool.View.Assigned, pool.View.Cooling));
        pool.File.RefuseWrites = false;
        await pool.AddAsync("b");
        Assert.Equal(PoolHarness.Key("b"), Assert.Single(CheckpointFormat.Read(pool.File.Content).Attachments).Key);
    }

    [Theory]
    [InlineData(CloudErrorKind.Transient, 0)]
    [InlineData(CloudErrorKind.Throttled, 3)]
    internal async Task Release_with_unknown_outcome_stays_unassignable(CloudErrorKind failure, int free)
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), new PoolTargets { WarmIpTarget = 1 });
        await pool.StepAsync();
        await pool.AddAsync("a");
        await pool.DeleteAsync("a");
        pool.Time.Advance(PoolLimits.IdleBlock);
        pool.Cloud.FailNext("UnassignBlocks", failure);
        pool.Cloud.FailNext("DescribeAttachedInterfaces", CloudErrorKind.Transient, times: 9);
        await pool.StepAsync();
        Assert.Equal(free == 0 ? 1 : 3, pool.View.Free);
    }

    [Fact]
    public async Task Failed_release_does_not_stop_growth()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), new PoolTargets { WarmIpTarget = 1 });
        await pool.StepAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(31));
        pool.Cloud.FailNext("UnassignBlocks", CloudErrorKind.NotPermitted);
        await pool.StepAsync();
        Assert.Null(pool.Backoff.View().Everything);
        for (var index = 0; index < 5; index++)
        {
            var add = pool.AddAsync($"p{index}");
            await pool.StepAsync();
            Assert.IsType<AddOutcome.Assigned>(await add);
        }
    }

    [Fact]
    public async Task ADD_whose_growth_is_impossible_fails_in_the_same_step()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        pool.Cloud.FailNext("AssignBlocks", CloudErrorKind.NotPermitted);
        pool.Cloud.FailNext("CreateInterface", CloudErrorKind.NotPermitted);
        var add = pool.AddAsync("a");
        await pool.StepAsync();
        Assert.Equal(GrowthObstacleKind.NotPermitted, Assert.IsType<AddOutcome.NoAddress>(await add).Kind);
        Assert.Equal(GrowthObstacleKind.NotPermitted, pool.Reconciler.LastPlan!.Obstacle!.Kind);
    }

    [Fact]
    public async Task Repeated_ADD_is_served_before_pending_ones()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(1), provisioningDisabled: true);
        await pool.StepAsync();
        await pool.AddAsync("a");
        var waits = pool.AddAsync("waits");
        Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("a"));
        Assert.False(waits.IsCompleted);
    }

    [Fact]
    public async Task Rolled_back_ADD_does_not_free_the_address_of_its_retry()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        using var client = new CancellationTokenSource();
        var first = pool.AddAsync("a", client.Token);
        var retry = pool.AddAsync("a");
        await client.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        await pool.StepAsync();
        var assigned = Assert.IsType<AddOutcome.Assigned>(await retry).Attachment;
        Assert.Equal(assigned.Addresses, pool.Ledger.Find(PoolHarness.Key("a"))!.Addresses);
    }

    [Fact]
    public async Task Pod_that_the_reference_adopted_from_a_runtime_can_be_deleted()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        pool.Ledger.Assign(new AttachmentKey("_migrated-from-cri", "a", "unknown"), default, "", pool.Time.GetUtcNow());
        Assert.NotNull(await pool.DeleteAsync("a"));
        Assert.Equal(0, pool.View.Assigned);
    }

    [Fact]
    public async Task ADDs_are_served_while_the_cloud_does_not_answer()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        var assigned = Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("a"));
        pool.Cloud.FailNext("DescribeAttachedInterfaces", CloudErrorKind.Transient);
        pool.Time.Advance(TimeSpan.FromMinutes(2));
        await pool.StepAsync();
        Assert.Equal(assigned.Attachment.Key, pool.Ledger.Find(PoolHarness.Key("a"))!.Key);
        Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("b"));
    }

    [Fact]
    public async Task Answer_without_a_primary_interface_is_rejected()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        await pool.AddAsync("a");
        pool.Cloud.Change(new NetworkInterfaceId("eni-0"), item => item with { AttachmentId = null });
        pool.Time.Advance(TimeSpan.FromMinutes(2));
        await pool.StepAsync();
        Assert.Empty(pool.View.Orphans);
        Assert.Contains(pool.View.Interfaces, item => item.IsPrimary);
    }

    [Fact]
    public async Task Address_taken_from_a_live_pod_is_reported()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        await pool.StepAsync();
        var assigned = Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("a")).Attachment.Addresses[0].Address;
        pool.Cloud.Change(
            new NetworkInterfaceId("eni-0"),
            item => item with { Blocks = [.. item.Blocks.Where(block => !block.Contains(assigned))] }
        );
        pool.Time.Advance(TimeSpan.FromMinutes(2));
        await pool.StepAsync();
        Assert.Equal(PoolHarness.Key("a"), Assert.Single(pool.View.Orphans).Attachment.Key);
        Assert.NotNull(await pool.DeleteAsync("a"));
        Assert.Empty(pool.View.Orphans);
    }

    [Fact]
    public async Task Unrecorded_address_in_use_is_reserved_until_the_route_is_gone()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        await pool.Interfaces.ObserveAsync(default);
        var inUse = pool.View.Interfaces[0].Blocks[0].Range.BaseAddress;
        pool.Host.Route("eni0123456789a", inUse);
        pool.Usage.ReserveInUse();
        Assert.Equal(1, pool.View.Assigned);
        await pool.StepAsync();
        Assert.NotEqual(inUse, Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("a")).Attachment.Addresses[0].Address);
        pool.Host.Pods.Clear();
        for (var check = 0; check < 2; check++)
        {
            pool.Time.Advance(TimeSpan.FromMinutes(2));
            await pool.StepAsync();
        }

        // It has cooled since the first of the two checks.
        Assert.Equal((1, 0, 2), (pool.View.Assigned, pool.View.Cooling, pool.View.Free));
    }

    [Fact]
    public async Task Address_on_a_link_of_the_host_is_not_assigned()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(2), provisioningDisabled: true);
        var own = pool.Cloud.Interfaces[0].Blocks[0].BaseAddress;
        pool.Host.Addresses.AddRange([
            new LinkAddress("lo", IPAddress.Loopback),
            new LinkAddress("eth0", own),
            new LinkAddress("eth0", pool.Cloud.Interfaces[0].PrimaryAddress),
        ]);
        await pool.StepAsync();
        var assigned = Assert.Single(pool.Ledger.Attachments());
        Assert.Equal((true, "eth0", own), (assigned.IsHostOwned, assigned.Key.ContainerId, assigned.Addresses[0].Address));
        Assert.NotEqual(own, Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("a")).Attachment.Addresses[0].Address);
        // Not a pod: no host network state is declared for it.
        Assert.Single(HostNetworkDeclaration.Of(pool.Ledger, null, new NetworkRanges(() => { }), pool.Time.GetUtcNow()).Pods);
        pool.Host.Addresses.Clear();
        for (var check = 0; check < 2; check++)
        {
            pool.Time.Advance(TimeSpan.FromMinutes(2));
            await pool.StepAsync();
        }

        Assert.DoesNotContain(pool.Ledger.Attachments(), item => item.IsHostOwned);
    }

    [Fact]
    public async Task Cooling_address_that_is_still_routed_stays_unassignable()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        await pool.StepAsync();
        var address = Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("a")).Attachment.Addresses[0].Address;
        pool.Host.Route("eni0123456789a", address);
        await pool.DeleteAsync("a");
        var outcome = await pool.StepAsync();
        Assert.Equal(TimeSpan.FromSeconds(25), outcome.NextAt - pool.Time.GetUtcNow());
        pool.Time.Advance(TimeSpan.FromSeconds(25));
        await pool.StepAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(10));
        var others = new[] { await pool.AddAsync("b"), await pool.AddAsync("c") };
        Assert.DoesNotContain(address, others.Select(other => Assert.IsType<AddOutcome.Assigned>(other).Attachment.Addresses[0].Address));
        Assert.Equal((3, 0), (pool.View.Assigned, pool.View.Free));
    }

    [Theory]
    [InlineData("route")]
    [InlineData("veth")]
    [InlineData("namespace")]
    public async Task Attachment_with_a_trace_in_the_kernel_is_never_released(string usage)
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        await pool.StepAsync();
        var address = Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync("a")).Attachment.Addresses[0].Address;
        if (usage == "route")
            pool.Host.Route("eni0123456789a", address);
        if (usage == "veth")
            pool.Host.Links.Add("cali" + KernelUsage.LinkSuffix(new PodReference("default", "a")));
        if (usage == "namespace")
            pool.Host.Namespaces.Add("/run/netns/a");
        for (var check = 0; check < 8; check++)
        {
            pool.Time.Advance(TimeSpan.FromSeconds(67));
            await pool.StepAsync();
        }

        Assert.NotNull(pool.Ledger.Find(PoolHarness.Key("a")));
    }

    [Theory]
    [InlineData("kube-system", "coredns-57ff979f67-qqbdh", "b5faff8a083")]
    [InlineData("kube-system", "coredns-57ff979f67-8ns9b", "9571956a6cc")]
    [InlineData("default", "sample-pod", "cc21c2d7785")]
    public void Names_of_host_links_are_those_of_the_reference(string podNamespace, string name, string suffix) =>
        Assert.Equal(suffix, KernelUsage.LinkSuffix(new PodReference(podNamespace, name)));

    [Theory]
    [InlineData("CreateInterface")]
    [InlineData("AttachInterface")]
    [InlineData("SetDeleteOnTermination")]
    public async Task Addition_interrupted_by_a_crash_is_completed_by_the_next_run(string operation)
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        await pool.AddAsync("a");
        pool.Cloud.HangAfter(operation);
        pool.Reconciler.Step(CancellationToken.None);
        pool.Cloud.LetGo();
        var next = new PoolHarness(pool.Cloud);
        next.Ledger.Restore(CheckpointFormat.Read(pool.File.Content), new ClockReading(next.Time.GetUtcNow(), TimeSpan.Zero));
        await next.StepAsync();
        Assert.Equal(2, next.Cloud.Interfaces.Count);
        Assert.All(next.Cloud.Interfaces, item => Assert.NotNull(item.AttachmentId));
        Assert.Equal((6, 1, 0), (next.View.Total, next.View.Assigned, next.View.Intents.Count));
    }

    [Theory]
    [InlineData("DetachInterface")]
    [InlineData("DescribeAttachedInterfaces")]
    [InlineData("DeleteInterface")]
    public async Task Removal_interrupted_by_a_crash_is_completed_by_the_next_run(string operation)
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        await pool.AddAsync("a");
        await pool.StepAsync();
        await pool.DeleteAsync("a");
        pool.Time.Advance(PoolLimits.IdleInterface - TimeSpan.FromSeconds(15));
        await pool.StepAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(14));
        pool.Reconciler.Step(CancellationToken.None);
        pool.Time.Advance(TimeSpan.FromSeconds(2));
        pool.Cloud.HangAfter(operation);
        pool.Reconciler.Step(CancellationToken.None);
        pool.Cloud.LetGo();
        var next = new PoolHarness(pool.Cloud);
        next.Ledger.Restore(CheckpointFormat.Read(pool.File.Content), new ClockReading(next.Time.GetUtcNow(), TimeSpan.Zero));
        await next.StepAsync();
        next.Time.Advance(TimeSpan.FromSeconds(5));
        await next.StepAsync();
        Assert.Single(next.Cloud.Interfaces);
        Assert.Equal((3, 0), (next.View.Total, next.View.Intents.Count));
    }

    [Fact]
    public async Task Interface_that_would_outlive_the_node_is_repaired_on_observation()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        var second = await cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest("t", DateTimeOffset.UnixEpoch, "subnet-1", [], [new BlockRequest(Shapes.Ipv4Address, 1)]),
            default
        );
        await cloud.AttachInterfaceAsync(second.Id, new Slot(0, 1), default);
        cloud.Change(
            second.Id,
            item =>
                item with
                {
                    Description = EniTags.DescriptionPrefix + "i-1",
                    Tags = new Dictionary<string, string> { [EniTags.InstanceId] = "i-1" },
                }
        );
        await pool.StepAsync();
        Assert.True(cloud.Interfaces.Single(item => item.Id == second.Id).DeleteOnTermination);
    }

    [Fact]
    public async Task Disabled_provisioning_never_changes_the_cloud()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), new PoolTargets { WarmIpTarget = 1 }, provisioningDisabled: true);
        for (var index = 0; index < 3; index++)
        {
            await pool.StepAsync();
            pool.Time.Advance(TimeSpan.FromMinutes(2));
        }

        Assert.All(
            pool.Cloud.Calls,
            call => Assert.Contains(call, new[] { "IdentifyNode", "DescribeAttachedInterfaces", "HintAttachedInterfaces" })
        );
    }

    [Fact]
    public async Task ADD_with_zero_wait_fails_at_once_on_an_empty_pool()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(), addWait: TimeSpan.Zero);
        Assert.IsType<AddOutcome.NoAddress>(await pool.AddAsync("a"));
    }

    [Fact]
    public async Task Restored_attachment_is_served_before_the_cloud_answers()
    {
        var before = new PoolHarness(new FakeCloud().WithPrimary(3));
        await before.StepAsync();
        var assigned = Assert.IsType<AddOutcome.Assigned>(await before.AddAsync("a")).Attachment;
        var after = new PoolHarness(before.Cloud);
        after.Ledger.Restore(CheckpointFormat.Read(before.File.Content), new ClockReading(after.Time.GetUtcNow(), TimeSpan.Zero));
        var again = Assert.IsType<AddOutcome.Assigned>(await after.AddAsync("a")).Attachment;
        Assert.Equal(assigned.Addresses, again.Addresses);
        await after.StepAsync();
        Assert.NotEqual(
            assigned.Addresses[0].Address,
            Assert.IsType<AddOutcome.Assigned>(await after.AddAsync("b")).Attachment.Addresses[0].Address
        );
    }

    [Fact]
    public async Task Attachment_of_another_daemons_file_gets_its_slot_on_observation()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var address = cloud.Interfaces[0].Blocks[1].BaseAddress;
        var pool = new PoolHarness(cloud);
        pool.Ledger.Restore(
            CheckpointFormat.Read(
                System.Text.Encoding.UTF8.GetBytes(
                    $$$"""{"version":"vpc-cni-ipam/1","allocations":[{"networkName":"aws-cni","containerID":"a","ifName":"eth0","ipv4":"{{{address}}}","allocationTimestamp":1700000000000000000,"metadata":{"k8sPodNamespace":"default","k8sPodName":"web"}}]}"""
                )
            ),
            new ClockReading(pool.Time.GetUtcNow(), TimeSpan.Zero)
        );
        var add = pool.AddAsync("a");
        Assert.False(add.IsCompleted);
        await pool.StepAsync();
        var assigned = Assert.IsType<AddOutcome.Assigned>(await add).Attachment.Addresses[0];
        Assert.Equal((address, 0), (assigned.Address, assigned.Slot!.Value.Slot.DeviceIndex));
    }

    [Fact]
    public async Task Many_ADDs_share_checkpoint_writes_and_each_reply_is_durable()
    {
        var pool = new PoolHarness(new FakeCloud(15, 50).WithPrimary(49), maxInterfaces: 15, blocksPerInterface: 49);
        await pool.StepAsync();
        using var gate = new ManualResetEventSlim();
        pool.File.BeforeWrite = () => gate.Wait(TimeSpan.FromSeconds(10));
        var adds = Enumerable
            .Range(0, 40)
            .Select(index =>
                Task.Run(async () =>
                {
                    var assigned = Assert.IsType<AddOutcome.Assigned>(await pool.AddAsync($"p{index}"));
                    Assert.Contains(CheckpointFormat.Read(pool.File.Content!).Attachments, item => item.Key == assigned.Attachment.Key);
                })
            )
            .ToArray();
        // All have an address and wait for the disk.
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() => pool.View.Assigned == 40);
        gate.Set();
        await Task.WhenAll(adds);
        Assert.InRange(pool.File.Writes, 1, 3);
    }
}
