// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
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
    public async Task An_add_is_served_from_the_warm_pool_without_any_cloud_call()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        await pool.StepAsync();
        var calls = pool.Cloud.Calls.Count;
        var held = Assert.IsType<AddOutcome.Held>(await pool.AddAsync("a"));
        Assert.Equal(calls, pool.Cloud.Calls.Count);
        Assert.Equal(0, held.Attachment.Addresses[0].Place!.Value.DeviceIndex);
        Assert.Equal(PoolHarness.Key("a"), Assert.Single(CheckpointFormat.Read(pool.File.Content).Attachments).Key);
    }

    [Fact]
    public async Task Adds_that_find_the_pool_empty_wait_and_are_served_by_one_request_per_interface()
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
            .Select(outcome => Assert.IsType<AddOutcome.Held>(outcome).Attachment.Addresses[0].Address)
            .ToArray();
        Assert.Equal(40, addresses.Distinct().Count());
        Assert.Equal(1, pool.Cloud.Calls.Count(call => call == "AssignBlocks"));
        Assert.Equal(2, pool.Cloud.Calls.Count(call => call == "CreateInterface"));
    }

    [Fact]
    public async Task Waiting_adds_are_served_in_the_order_of_their_arrival()
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
        Assert.IsType<AddOutcome.Held>(await third);
        Assert.False(fourth.IsCompleted);
    }

    [Fact]
    public async Task A_client_that_goes_away_leaves_its_place_and_holds_nothing()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        using var client = new CancellationTokenSource();
        var add = pool.AddAsync("gone", client.Token);
        var stays = pool.AddAsync("stays");
        await client.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => add);
        Assert.Equal(1, pool.Waiting.Demand);
        await pool.StepAsync();
        Assert.IsType<AddOutcome.Held>(await stays);
        Assert.Null(pool.Ledger.Find(PoolHarness.Key("gone")));
        Assert.Equal(1, pool.View.Assigned);
    }

    [Fact]
    public async Task An_add_that_waited_its_time_says_so_and_holds_nothing()
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
    internal async Task An_add_that_nothing_can_serve_in_time_fails_at_once_with_the_reason(
        CloudErrorKind failure,
        GrowthObstacleKind kind,
        string words
    )
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
    public async Task A_full_node_says_that_its_interface_limit_is_reached()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        for (var index = 0; index < 9; index++)
        {
            await pool.StepAsync();
            Assert.IsType<AddOutcome.Held>(await pool.AddAsync($"p{index}"));
        }

        await pool.StepAsync();
        var add = pool.AddAsync("one too many");
        await pool.StepAsync();
        Assert.Equal(GrowthObstacleKind.InterfaceLimit, Assert.IsType<AddOutcome.NoAddress>(await add).Kind);
    }

    [Fact]
    public async Task Full_node_says_when_an_address_has_cooled_and_an_add_that_can_wait_so_long_does()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(), addWait: TimeSpan.FromSeconds(20));
        for (var index = 0; index < 9; index++)
        {
            await pool.StepAsync();
            Assert.IsType<AddOutcome.Held>(await pool.AddAsync($"p{index}"));
        }

        await pool.DeleteAsync("p0");
        var early = pool.AddAsync("early");
        await pool.StepAsync();
        Assert.Contains(
            "1 cooling, the first of them until 30 s from now",
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

        Assert.IsType<AddOutcome.Held>(await late);
    }

    [Fact]
    public async Task An_add_outlives_throttling_that_ends_within_its_wait()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        pool.Cloud.FailNext("AssignBlocks", CloudErrorKind.Throttled);
        pool.Cloud.FailNext("CreateInterface", CloudErrorKind.Throttled);
        var add = pool.AddAsync("a");
        var outcome = await pool.StepAsync();
        Assert.False(add.IsCompleted);
        pool.Time.Advance(outcome.NextAt - pool.Time.GetUtcNow());
        await pool.StepAsync();
        Assert.IsType<AddOutcome.Held>(await add);
    }

    [Fact]
    public async Task Pauses_after_repeated_failures_grow_and_stay_bounded()
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

        Assert.InRange(pauses[0], TimeSpan.FromSeconds(0.5), PoolLimits.FirstBackoff);
        Assert.All(pauses, pause => Assert.True(pause <= PoolLimits.LongestBackoff));
        Assert.True(pauses[^1] >= PoolLimits.LongestBackoff / 2);
        await pool.StepAsync();
        Assert.Null(pool.Backoff.View().Everything);
    }

    [Theory]
    [InlineData("CreateInterface")]
    [InlineData("AttachInterface")]
    [InlineData("SetDeleteOnTermination")]
    public async Task An_addition_whose_call_was_not_answered_is_gone_on_with_and_nothing_is_made_twice(string operation)
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
    public async Task An_interface_that_cannot_be_attached_is_taken_back()
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
    public async Task An_interface_that_the_kernel_does_not_show_is_taken_back_and_gives_no_address()
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
    public async Task An_attached_interface_that_cannot_be_wired_gives_no_address_until_it_can()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud, provisioningDisabled: true);
        var second = await cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest("t", DateTimeOffset.UnixEpoch, "subnet-1", [], new BlockRequest(BlockKind.Ipv4Address, 3)),
            default
        );
        await cloud.AttachInterfaceAsync(second.Id, 1, default);
        pool.Host.Broken.Add(second.Mac);
        await pool.StepAsync();
        Assert.Equal(3, pool.View.Free);
        pool.Host.Broken.Clear();
        pool.Time.Advance(TimeSpan.FromMinutes(2));
        await pool.StepAsync();
        Assert.Equal(6, pool.View.Free);
    }

    [Fact]
    public async Task Nothing_is_given_back_while_the_kernel_routes_it_to_a_pod()
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
        for (var look = 0; look < 8; look++)
        {
            pool.Time.Advance(TimeSpan.FromSeconds(67));
            await pool.StepAsync();
        }

        Assert.Equal((1, 0), (pool.View.Total, pool.View.Assigned));
    }

    [Fact]
    public async Task A_release_that_fails_leaves_the_addresses_usable()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), new PoolTargets { WarmIpTarget = 1 });
        await pool.StepAsync();
        pool.Cloud.FailNext("UnassignBlocks", CloudErrorKind.Throttled);
        pool.Time.Advance(PoolLimits.IdleBlock);
        await pool.StepAsync();
        Assert.Equal((3, 3), (pool.View.Total, pool.View.Free));
    }

    [Fact]
    public async Task An_unused_interface_is_detached_unwired_and_deleted()
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
    public async Task A_detached_interface_is_deleted_although_its_rule_cannot_be_removed()
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
    public async Task A_checkpoint_that_cannot_be_written_fails_the_add_and_the_address_is_free_again()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        pool.File.RefuseWrites = true;
        await Assert.ThrowsAsync<IOException>(() => pool.AddAsync("a"));
        Assert.Equal((3, 0), (pool.View.Free, pool.View.Cooling));
        pool.File.RefuseWrites = false;
        Assert.IsType<AddOutcome.Held>(await pool.AddAsync("a"));
    }

    [Fact]
    public async Task A_del_succeeds_although_the_checkpoint_cannot_be_written_and_the_file_catches_up()
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
    internal async Task A_release_without_a_certain_outcome_is_not_used_again_before_an_observation(CloudErrorKind failure, int free)
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
    public async Task A_failed_release_does_not_stop_growth()
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
            Assert.IsType<AddOutcome.Held>(await add);
        }
    }

    [Fact]
    public async Task An_add_whose_growth_fails_for_good_is_told_in_the_same_step()
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
    public async Task A_repeated_add_is_answered_although_others_wait()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(1), provisioningDisabled: true);
        await pool.StepAsync();
        await pool.AddAsync("a");
        var waits = pool.AddAsync("waits");
        Assert.IsType<AddOutcome.Held>(await pool.AddAsync("a"));
        Assert.False(waits.IsCompleted);
    }

    [Fact]
    public async Task An_add_that_is_undone_does_not_take_the_address_from_the_retry_of_the_same_add()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary());
        using var client = new CancellationTokenSource();
        var first = pool.AddAsync("a", client.Token);
        var retry = pool.AddAsync("a");
        await client.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        await pool.StepAsync();
        var held = Assert.IsType<AddOutcome.Held>(await retry).Attachment;
        Assert.Equal(held.Addresses, pool.Ledger.Find(PoolHarness.Key("a"))!.Addresses);
    }

    [Fact]
    public async Task A_pod_that_the_reference_took_over_from_a_runtime_can_be_deleted()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        pool.Ledger.Assign(
            new AttachmentKey("_migrated-from-cri", "a", "unknown"),
            default,
            "",
            [System.Net.Sockets.AddressFamily.InterNetwork],
            pool.Time.GetUtcNow()
        );
        Assert.NotNull(await pool.DeleteAsync("a"));
        Assert.Equal(0, pool.View.Assigned);
    }

    [Fact]
    public async Task A_cloud_that_does_not_answer_leaves_serving_as_it_was()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3));
        await pool.StepAsync();
        var held = Assert.IsType<AddOutcome.Held>(await pool.AddAsync("a"));
        pool.Cloud.FailNext("DescribeAttachedInterfaces", CloudErrorKind.Transient);
        pool.Time.Advance(TimeSpan.FromMinutes(2));
        await pool.StepAsync();
        Assert.Equal(held.Attachment.Key, pool.Ledger.Find(PoolHarness.Key("a"))!.Key);
        Assert.IsType<AddOutcome.Held>(await pool.AddAsync("b"));
    }

    [Fact]
    public async Task An_answer_without_a_primary_interface_is_not_believed()
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
    public async Task An_address_that_somebody_takes_away_under_a_pod_is_reported_and_not_given_to_another()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        await pool.StepAsync();
        var held = Assert.IsType<AddOutcome.Held>(await pool.AddAsync("a")).Attachment.Addresses[0].Address;
        pool.Cloud.Change(
            new NetworkInterfaceId("eni-0"),
            item => item with { Blocks = [.. item.Blocks.Where(block => !block.Contains(held))] }
        );
        pool.Time.Advance(TimeSpan.FromMinutes(2));
        await pool.StepAsync();
        Assert.Equal(PoolHarness.Key("a"), Assert.Single(pool.View.Orphans).Attachment.Key);
        Assert.NotNull(await pool.DeleteAsync("a"));
        Assert.Empty(pool.View.Orphans);
    }

    [Fact]
    public async Task Addresses_in_use_without_a_record_are_held_until_the_kernel_shows_them_no_more()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        await pool.Interfaces.ObserveAsync(default);
        var inUse = pool.View.Interfaces[0].Blocks[0].Range.BaseAddress;
        pool.Host.Route("eni0123456789a", inUse);
        pool.Evidence.ReserveInUse();
        Assert.Equal(1, pool.View.Assigned);
        await pool.StepAsync();
        Assert.NotEqual(inUse, Assert.IsType<AddOutcome.Held>(await pool.AddAsync("a")).Attachment.Addresses[0].Address);
        pool.Host.Pods.Clear();
        for (var look = 0; look < 2; look++)
        {
            pool.Time.Advance(TimeSpan.FromMinutes(2));
            await pool.StepAsync();
        }

        // It has cooled since the first of the two looks.
        Assert.Equal((1, 0, 2), (pool.View.Assigned, pool.View.Cooling, pool.View.Free));
    }

    [Fact]
    public async Task An_address_that_is_configured_on_a_link_of_the_host_is_no_pods()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(2), provisioningDisabled: true);
        var own = pool.Cloud.Interfaces[0].Blocks[0].BaseAddress;
        pool.Host.Addresses.AddRange([
            new LinkAddress("lo", IPAddress.Loopback),
            new LinkAddress("eth0", own),
            new LinkAddress("eth0", pool.Cloud.Interfaces[0].PrimaryAddress),
        ]);
        await pool.StepAsync();
        var held = Assert.Single(pool.Ledger.Attachments());
        Assert.Equal((true, "eth0", own), (held.IsHostOwned, held.Key.ContainerId, held.Addresses[0].Address));
        Assert.NotEqual(own, Assert.IsType<AddOutcome.Held>(await pool.AddAsync("a")).Attachment.Addresses[0].Address);
        // No pod: nothing is declared for it.
        Assert.Single(HostNetworkDeclaration.Of(pool.Ledger, null, new NetworkRanges(), pool.Time.GetUtcNow()).Pods);
        pool.Host.Addresses.Clear();
        for (var look = 0; look < 2; look++)
        {
            pool.Time.Advance(TimeSpan.FromMinutes(2));
            await pool.StepAsync();
        }

        Assert.DoesNotContain(pool.Ledger.Attachments(), item => item.IsHostOwned);
    }

    [Fact]
    public async Task A_cooling_address_that_is_still_routed_to_a_pod_is_not_handed_out_when_its_cooldown_ends()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        await pool.StepAsync();
        var address = Assert.IsType<AddOutcome.Held>(await pool.AddAsync("a")).Attachment.Addresses[0].Address;
        pool.Host.Route("eni0123456789a", address);
        await pool.DeleteAsync("a");
        var outcome = await pool.StepAsync();
        Assert.Equal(TimeSpan.FromSeconds(25), outcome.NextAt - pool.Time.GetUtcNow());
        pool.Time.Advance(TimeSpan.FromSeconds(25));
        await pool.StepAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(10));
        var others = new[] { await pool.AddAsync("b"), await pool.AddAsync("c") };
        Assert.DoesNotContain(address, others.Select(other => Assert.IsType<AddOutcome.Held>(other).Attachment.Addresses[0].Address));
        Assert.Equal((3, 0), (pool.View.Assigned, pool.View.Free));
    }

    [Theory]
    [InlineData("route")]
    [InlineData("veth")]
    [InlineData("namespace")]
    public async Task An_attachment_of_which_anything_is_left_is_never_given_back(string evidence)
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        await pool.StepAsync();
        var address = Assert.IsType<AddOutcome.Held>(await pool.AddAsync("a")).Attachment.Addresses[0].Address;
        if (evidence == "route")
            pool.Host.Route("eni0123456789a", address);
        if (evidence == "veth")
            pool.Host.Links.Add("cali" + KernelUsage.LinkSuffix(new PodReference("default", "a")));
        if (evidence == "namespace")
            pool.Host.Namespaces.Add("/run/netns/a");
        for (var look = 0; look < 8; look++)
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
    public void Names_of_pods_host_interfaces_are_those_of_the_reference(string podNamespace, string name, string suffix) =>
        Assert.Equal(suffix, KernelUsage.LinkSuffix(new PodReference(podNamespace, name)));

    [Theory]
    [InlineData("CreateInterface")]
    [InlineData("AttachInterface")]
    [InlineData("SetDeleteOnTermination")]
    public async Task An_addition_that_a_crash_interrupts_is_finished_by_the_next_daemon(string operation)
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
    public async Task A_removal_that_a_crash_interrupts_is_finished_by_the_next_daemon(string operation)
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
    public async Task An_own_interface_that_would_outlive_the_node_is_mended_by_the_next_observation()
    {
        var cloud = new FakeCloud().WithPrimary(3);
        var pool = new PoolHarness(cloud);
        var second = await cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest("t", DateTimeOffset.UnixEpoch, "subnet-1", [], new BlockRequest(BlockKind.Ipv4Address, 1)),
            default
        );
        await cloud.AttachInterfaceAsync(second.Id, 1, default);
        cloud.Change(
            second.Id,
            item =>
                item with
                {
                    Description = "ours",
                    Tags = new Dictionary<string, string> { ["owner"] = "i-1" },
                }
        );
        await pool.StepAsync();
        Assert.True(cloud.Interfaces.Single(item => item.Id == second.Id).DeleteOnTermination);
    }

    [Fact]
    public async Task Provisioning_disabled_never_changes_the_cloud()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(3), new PoolTargets { WarmIpTarget = 1 }, provisioningDisabled: true);
        for (var index = 0; index < 3; index++)
        {
            await pool.StepAsync();
            pool.Time.Advance(TimeSpan.FromMinutes(2));
        }

        Assert.All(pool.Cloud.Calls, call => Assert.Contains(call, new[] { "DescribeAttachedInterfaces", "HintAttachedInterfaces" }));
    }

    [Fact]
    public async Task A_zero_wait_fails_an_add_on_an_empty_pool_at_once()
    {
        var pool = new PoolHarness(new FakeCloud().WithPrimary(), addWait: TimeSpan.Zero);
        Assert.IsType<AddOutcome.NoAddress>(await pool.AddAsync("a"));
    }

    [Fact]
    public async Task A_restored_attachment_is_answered_before_the_cloud_and_again_after_it()
    {
        var before = new PoolHarness(new FakeCloud().WithPrimary(3));
        await before.StepAsync();
        var held = Assert.IsType<AddOutcome.Held>(await before.AddAsync("a")).Attachment;
        var after = new PoolHarness(before.Cloud);
        after.Ledger.Restore(CheckpointFormat.Read(before.File.Content), new ClockReading(after.Time.GetUtcNow(), TimeSpan.Zero));
        var again = Assert.IsType<AddOutcome.Held>(await after.AddAsync("a")).Attachment;
        Assert.Equal(held.Addresses, again.Addresses);
        await after.StepAsync();
        Assert.NotEqual(
            held.Addresses[0].Address,
            Assert.IsType<AddOutcome.Held>(await after.AddAsync("b")).Attachment.Addresses[0].Address
        );
    }

    [Fact]
    public async Task An_attachment_of_another_daemons_file_learns_its_place_from_the_first_observation()
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
        var held = Assert.IsType<AddOutcome.Held>(await add).Attachment.Addresses[0];
        Assert.Equal((address, 0), (held.Address, held.Place!.Value.DeviceIndex));
    }

    [Fact]
    public async Task Many_adds_share_checkpoint_writes_and_each_reply_is_durable()
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
                    var held = Assert.IsType<AddOutcome.Held>(await pool.AddAsync($"p{index}"));
                    Assert.Contains(CheckpointFormat.Read(pool.File.Content!).Attachments, item => item.Key == held.Attachment.Key);
                })
            )
            .ToArray();
        // All of them have their address and wait for the disk.
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() => pool.View.Assigned == 40);
        gate.Set();
        await Task.WhenAll(adds);
        Assert.InRange(pool.File.Writes, 1, 3);
    }
}
