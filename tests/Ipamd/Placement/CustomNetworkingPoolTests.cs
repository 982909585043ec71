// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Placement;

/// <summary>
/// Custom networking through the whole pool: where pods get their addresses, and what happens when the ENIConfig changes under them.
/// </summary>
public sealed class CustomNetworkingPoolTests
{
    private static readonly IPNetwork Pods = IPNetwork.Parse("10.1.0.0/24");
    private static readonly IPNetwork Others = IPNetwork.Parse("10.2.0.0/24");

    [Fact]
    public async Task Pods_get_addresses_of_the_configured_subnet_and_the_primary_interface_is_never_grown()
    {
        var pool = Pool();
        Tell(pool, "subnet-pods", "sg-pods");
        for (var index = 0; index < 5; index++)
            Assert.True(Pods.Contains(await PodAsync(pool, $"p{index}")));
        Assert.Equal(
            [("subnet-1", 0), ("subnet-pods", 3), ("subnet-pods", 3), ("subnet-pods", 3)],
            pool.Cloud.Interfaces.Select(item => (item.SubnetId, item.Blocks.Count))
        );
        Assert.All(pool.Cloud.Interfaces.Skip(1), item => Assert.Equal(["sg-pods"], item.SecurityGroupIds));
    }

    [Fact]
    public async Task A_pod_that_comes_before_the_ENIConfig_is_known_waits_and_nothing_is_made_for_it()
    {
        var pool = Pool();
        await pool.StepAsync();
        var add = pool.AddAsync("early");
        await pool.StepAsync();
        Assert.False(add.IsCompleted);
        Assert.DoesNotContain("CreateInterface", pool.Cloud.Calls);
        Tell(pool, "subnet-pods");
        await pool.StepAsync();
        Assert.True(Pods.Contains(AddressOf(await add)));
    }

    [Fact]
    public async Task A_pod_whose_time_is_up_before_the_ENIConfig_is_known_is_told_what_it_waited_for()
    {
        var pool = Pool();
        await pool.StepAsync();
        var add = pool.AddAsync("early");
        await pool.StepAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(20));
        var failed = Assert.IsType<AddOutcome.NoAddress>(await add);
        Assert.Equal(GrowthObstacleKind.EniConfig, failed.Kind);
        Assert.EndsWith(
            "custom networking has no network for this node's pods: the ENIConfig of this node is not known: the Kubernetes API has "
                + "not been asked yet",
            failed.Reason,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task A_pod_fails_at_once_while_the_ENIConfig_does_not_exist_and_is_served_when_it_does()
    {
        var pool = Pool();
        await pool.StepAsync();
        pool.EniConfig.Tell(new EniConfigState.Missing("pods", "no such object; named by the node's label k8s.amazonaws.com/eniConfig"));
        var add = pool.AddAsync("a");
        await pool.StepAsync();
        var failed = Assert.IsType<AddOutcome.NoAddress>(await add);
        Assert.Equal(GrowthObstacleKind.EniConfig, failed.Kind);
        Assert.Contains("ENIConfig 'pods': no such object; named by the node's label", failed.Reason, StringComparison.Ordinal);
        Tell(pool, "subnet-pods");
        Assert.True(Pods.Contains(await PodAsync(pool, "a")));
    }

    [Fact]
    public async Task A_subnet_of_another_zone_costs_one_lookup_and_no_interface()
    {
        var pool = Pool();
        Tell(pool, "subnet-far");
        await pool.StepAsync();
        var add = pool.AddAsync("a");
        await pool.StepAsync();
        Assert.Contains(
            "is in zone fake-1b, and this node is in fake-1a",
            Assert.IsType<AddOutcome.NoAddress>(await add).Reason,
            StringComparison.Ordinal
        );
        Assert.Equal((1, 0), (Calls(pool, "FindSubnet"), Calls(pool, "CreateInterface")));
    }

    [Fact]
    public async Task After_a_change_of_the_subnet_no_new_pod_gets_an_address_of_the_old_one_and_its_interface_goes_when_it_is_empty()
    {
        var pool = Pool();
        Tell(pool, "subnet-pods");
        var before = await PodAsync(pool, "old");
        Tell(pool, "subnet-other");
        // Free addresses of the old subnet are there, and stay unused.
        Assert.True(Others.Contains(await PodAsync(pool, "new")));
        Assert.Equal(before, AddressOf(await pool.AddAsync("old")));
        Assert.Contains(pool.Cloud.Interfaces, item => item.SubnetId == "subnet-pods");

        await pool.DeleteAsync("old");
        await RunAsync(pool, TimeSpan.FromMinutes(3));
        Assert.DoesNotContain(pool.Cloud.Interfaces, item => item.SubnetId == "subnet-pods");
        Assert.True(Others.Contains(AddressOf(await pool.AddAsync("new"))));
    }

    [Fact]
    public async Task An_interface_that_was_being_made_when_the_subnet_changed_gets_no_pod()
    {
        var pool = Pool();
        Tell(pool, "subnet-pods");
        await pool.StepAsync();
        // Made, and throttled when it is to be attached.
        for (var index = 0; index < 3; index++)
            Assert.True(Pods.Contains(AddressOf(await pool.AddAsync($"old{index}"))));
        pool.Cloud.FailNext("AttachInterface", CloudErrorKind.Throttled);
        pool.Reconciler.Step(CancellationToken.None);
        await pool.Reconciler.IdleAsync();
        Assert.Contains(pool.Ledger.OpenIntents(), open => open.Intent is Intent.AddInterface { SubnetId: "subnet-pods" });

        Tell(pool, "subnet-other");
        var add = pool.AddAsync("new");
        await RunAsync(pool, TimeSpan.FromSeconds(10));
        Assert.True(Others.Contains(AddressOf(await add)));
        Assert.Equal(2, pool.View.Interfaces.Count(item => item is { SubnetId: "subnet-pods", IsExcluded: true }));
    }

    [Fact]
    public async Task A_pool_whose_ENIConfig_is_gone_serves_what_it_has_makes_nothing_and_gives_nothing_back()
    {
        var pool = Pool();
        Tell(pool, "subnet-pods");
        await PodAsync(pool, "a");
        pool.EniConfig.Tell(new EniConfigState.Missing("pods", "it was deleted"));
        Assert.True(Pods.Contains(AddressOf(await pool.AddAsync("b"))));
        await pool.DeleteAsync("a");
        await pool.DeleteAsync("b");
        var created = Calls(pool, "CreateInterface");
        await RunAsync(pool, TimeSpan.FromHours(1));
        Assert.Equal((created, 0, 0), (Calls(pool, "CreateInterface"), Calls(pool, "DetachInterface"), Calls(pool, "UnassignBlocks")));
    }

    [Fact]
    public async Task Other_groups_in_the_ENIConfig_are_given_to_the_interfaces_that_are_there_and_to_new_ones()
    {
        var pool = Pool();
        Tell(pool, "subnet-pods", "sg-a");
        for (var index = 0; index < 3; index++)
            await PodAsync(pool, $"p{index}");
        Tell(pool, "subnet-pods", "sg-b", "sg-c");
        await PodAsync(pool, "p3");
        await pool.StepAsync();
        Assert.All(pool.Cloud.Interfaces.Skip(1), item => Assert.Equal(["sg-b", "sg-c"], item.SecurityGroupIds));
        Assert.Equal(["sg-1"], pool.Cloud.Interfaces[0].SecurityGroupIds);
        Assert.Equal(0, Calls(pool, "DetachInterface"));
    }

    [Fact]
    public async Task Switched_on_under_pods_the_primary_interface_keeps_them_and_gives_back_the_rest()
    {
        var pool = Pool(primaryBlocks: 3);
        pool.EniConfig.Tell(new EniConfigState.Present("pods", "subnet-pods", []));
        // The state that a daemon without custom networking left behind.
        var own = pool.Cloud.Interfaces[0].Blocks[0].BaseAddress;
        pool.Host.Route("eni1", own);
        await pool.StepAsync();
        pool.Evidence.ReserveInUse();
        await RunAsync(pool, TimeSpan.FromMinutes(2));
        Assert.Equal([AddressBlocks.Single(own)], pool.Cloud.Interfaces[0].Blocks);
        Assert.True(Pods.Contains(await PodAsync(pool, "new")));
    }

    [Fact]
    public async Task A_lookup_that_fails_is_tried_again_soon_and_a_waiting_pod_is_served_then()
    {
        var pool = Pool();
        await pool.StepAsync();
        pool.Cloud.FailNext("FindSubnet", CloudErrorKind.Throttled);
        Tell(pool, "subnet-pods");
        var add = pool.AddAsync("a");
        await pool.StepAsync();
        Assert.False(add.IsCompleted);
        await RunAsync(pool, TimeSpan.FromSeconds(10));
        Assert.True(Pods.Contains(AddressOf(await add)));
        Assert.Equal(2, Calls(pool, "FindSubnet"));
    }

    [Fact]
    public async Task A_cooling_address_of_an_excluded_interface_that_is_still_routed_is_held_when_its_cooldown_ends()
    {
        var (pool, address) = await PoolOfAFormerSubnetAsync();
        // Its teardown failed.
        pool.Host.Route("eni1", address);
        await pool.DeleteAsync("old");
        await RunAsync(pool, TimeSpan.FromSeconds(29));
        Assert.Equal(address, Assert.Single(pool.Ledger.Attachments(), item => item.IsRecovered).Addresses[0].Address);
    }

    [Fact]
    public async Task The_kernel_is_looked_at_before_an_interface_that_was_excluded_gets_pods_again()
    {
        var (pool, _) = await PoolOfAFormerSubnetAsync();
        var routed = pool
            .View.Interfaces.First(item => item.SubnetId == "subnet-pods")
            .Blocks.First(block => block.Free > 0)
            .Range.BaseAddress;
        pool.Host.Route("eni1", routed);
        Tell(pool, "subnet-pods");
        Assert.Equal(routed, Assert.Single(pool.Ledger.Attachments(), item => item.IsRecovered).Addresses[0].Address);
        Assert.NotEqual(routed, AddressOf(await pool.AddAsync("new")));
    }

    [Fact]
    public async Task An_interface_that_was_excluded_gets_no_pods_before_the_kernel_answers()
    {
        var (pool, _) = await PoolOfAFormerSubnetAsync();
        pool.Host.CannotBeAsked = true;
        Tell(pool, "subnet-pods");
        pool.Membership.RequestAt(pool.Time.GetUtcNow());
        for (var second = 0; second < 3; second++)
        {
            pool.Reconciler.Step(CancellationToken.None);
            await pool.Reconciler.IdleAsync();
            pool.Time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(0, pool.View.Free);
        pool.Host.CannotBeAsked = false;
        await RunAsync(pool, TimeSpan.FromSeconds(2));
        Assert.True(Pods.Contains(AddressOf(await pool.AddAsync("new"))));
    }

    [Fact]
    public async Task An_address_of_the_primary_interface_that_the_host_has_on_a_link_is_not_given_back()
    {
        var pool = Pool(primaryBlocks: 3);
        var own = pool.Cloud.Interfaces[0].Blocks[1].BaseAddress;
        pool.Host.Addresses.Add(new LinkAddress("eth0", own));
        Tell(pool, "subnet-pods");
        await RunAsync(pool, TimeSpan.FromMinutes(5));
        Assert.Equal([AddressBlocks.Single(own)], pool.Cloud.Interfaces[0].Blocks);
        pool.Host.Addresses.Clear();
        await RunAsync(pool, TimeSpan.FromMinutes(5));
        Assert.Empty(pool.Cloud.Interfaces[0].Blocks);
    }

    [Fact]
    public async Task Groups_that_change_while_they_are_given_to_one_interface_reach_the_next_one_at_once()
    {
        var pool = Pool();
        Tell(pool, "subnet-pods", "sg-a");
        for (var index = 0; index < 3; index++)
            await PodAsync(pool, $"p{index}");
        await pool.StepAsync();
        Assert.Equal(3, pool.Cloud.Interfaces.Count);
        pool.Cloud.Gate = new TaskCompletionSource();
        Tell(pool, "subnet-pods", "sg-b");
        pool.Reconciler.Step(CancellationToken.None);
        Tell(pool, "subnet-pods", "sg-c");
        pool.Cloud.Gate.SetResult();
        await pool.StepAsync();
        Assert.All(pool.Cloud.Interfaces.Skip(1), item => Assert.Equal(["sg-c"], item.SecurityGroupIds));
        Assert.Equal(3, Calls(pool, "SetSecurityGroups"));
    }

    /// <summary>A pod 'old' with an address of subnet-pods, and an ENIConfig that names subnet-other now.</summary>
    private static async Task<(PoolHarness Pool, IPAddress Address)> PoolOfAFormerSubnetAsync()
    {
        var pool = Pool();
        Tell(pool, "subnet-pods");
        var address = await PodAsync(pool, "old");
        Tell(pool, "subnet-other");
        await pool.StepAsync();
        return (pool, address);
    }

    private static void Tell(PoolHarness pool, string subnet, params string[] groups) =>
        pool.EniConfig.Tell(new EniConfigState.Present("pods", subnet, groups));

    private static PoolHarness Pool(int primaryBlocks = 0) =>
        new(
            new FakeCloud(maxInterfaces: 4)
                .WithPrimary(primaryBlocks)
                .WithSubnet("subnet-pods", "10.1.0.0/24")
                .WithSubnet("subnet-other", "10.2.0.0/24")
                .WithSubnet("subnet-far", "10.3.0.0/24", zone: "fake-1b"),
            customNetworking: true,
            maxInterfaces: 4
        );

    private static async Task<IPAddress> PodAsync(PoolHarness pool, string name)
    {
        await pool.StepAsync();
        var add = pool.AddAsync(name);
        await pool.StepAsync();
        return AddressOf(await add);
    }

    private static IPAddress AddressOf(AddOutcome outcome) => Assert.IsType<AddOutcome.Held>(outcome).Attachment.Addresses[0].Address;

    private static int Calls(PoolHarness pool, string operation) => pool.Cloud.Calls.Count(call => call == operation);

    private static async Task RunAsync(PoolHarness pool, TimeSpan time)
    {
        for (var end = pool.Time.GetUtcNow() + time; pool.Time.GetUtcNow() < end; pool.Time.Advance(TimeSpan.FromSeconds(1)))
            await pool.StepAsync();
    }
}
