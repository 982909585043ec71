// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Ipamd.Tests.Placement;

/// <summary>Custom networking with the whole pool: the addresses of pods, and changes of the ENIConfig.</summary>
public sealed class CustomNetworkingPoolTests
{
    private static readonly IPNetwork Pods = IPNetwork.Parse("10.1.0.0/24");
    private static readonly IPNetwork Others = IPNetwork.Parse("10.2.0.0/24");

    [Fact]
    public async Task Pods_get_addresses_of_the_configured_subnet_only()
    {
        var pool = Pool();
        SetEniConfig(pool, "subnet-pods", "sg-pods");
        for (var index = 0; index < 5; index++)
            Assert.True(Pods.Contains(await PodAsync(pool, $"p{index}")));
        Assert.Equal(
            [("subnet-1", 0), ("subnet-pods", 3), ("subnet-pods", 3), ("subnet-pods", 3)],
            pool.Cloud.Interfaces.Select(item => (item.SubnetId, item.Blocks.Count))
        );
        Assert.All(pool.Cloud.Interfaces.Skip(1), item => Assert.Equal(["sg-pods"], item.SecurityGroupIds));
    }

    [Fact]
    public async Task ADD_before_the_ENIConfig_is_known_waits_and_creates_nothing()
    {
        var pool = Pool();
        await pool.StepAsync();
        var add = pool.AddAsync("early");
        await pool.StepAsync();
        Assert.False(add.IsCompleted);
        Assert.DoesNotContain("CreateInterface", pool.Cloud.Calls);
        SetEniConfig(pool, "subnet-pods");
        await pool.StepAsync();
        Assert.True(Pods.Contains(AddressOf(await add)));
    }

    [Fact]
    public async Task ADD_that_times_out_before_the_ENIConfig_is_known_reports_that()
    {
        var pool = Pool();
        await pool.StepAsync();
        var add = pool.AddAsync("early");
        await pool.StepAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(20));
        var failed = Assert.IsType<AddOutcome.NoAddress>(await add);
        Assert.Equal(GrowthObstacleKind.EniConfig, failed.Kind);
        Assert.EndsWith(
            "custom networking has no usable ENIConfig for this node: the ENIConfig of this node is not known: the Kubernetes API has "
                + "not answered yet",
            failed.Reason,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task ADD_fails_at_once_while_the_ENIConfig_does_not_exist()
    {
        var pool = Pool();
        await pool.StepAsync();
        pool.EniConfig.Set(new EniConfigState.Missing("pods", "no such object; named by the node's label k8s.amazonaws.com/eniConfig"));
        var add = pool.AddAsync("a");
        await pool.StepAsync();
        var failed = Assert.IsType<AddOutcome.NoAddress>(await add);
        Assert.Equal(GrowthObstacleKind.EniConfig, failed.Kind);
        Assert.Contains("ENIConfig 'pods': no such object; named by the node's label", failed.Reason, StringComparison.Ordinal);
        SetEniConfig(pool, "subnet-pods");
        Assert.True(Pods.Contains(await PodAsync(pool, "a")));
    }

    [Fact]
    public async Task Subnet_of_another_zone_costs_one_lookup_and_no_interface()
    {
        var pool = Pool();
        SetEniConfig(pool, "subnet-far");
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
    public async Task Changed_subnet_stops_new_pods_on_the_old_interface_and_removes_it()
    {
        var pool = Pool();
        SetEniConfig(pool, "subnet-pods");
        var before = await PodAsync(pool, "old");
        SetEniConfig(pool, "subnet-other");
        // Free addresses of the old subnet exist and stay unused.
        Assert.True(Others.Contains(await PodAsync(pool, "new")));
        Assert.Equal(before, AddressOf(await pool.AddAsync("old")));
        Assert.Contains(pool.Cloud.Interfaces, item => item.SubnetId == "subnet-pods");

        await pool.DeleteAsync("old");
        await RunAsync(pool, TimeSpan.FromMinutes(3));
        Assert.DoesNotContain(pool.Cloud.Interfaces, item => item.SubnetId == "subnet-pods");
        Assert.True(Others.Contains(AddressOf(await pool.AddAsync("new"))));
    }

    [Fact]
    public async Task Interface_created_while_the_subnet_changes_gets_no_pod()
    {
        var pool = Pool();
        SetEniConfig(pool, "subnet-pods");
        await pool.StepAsync();
        // Created; its attachment is throttled.
        for (var index = 0; index < 3; index++)
            Assert.True(Pods.Contains(AddressOf(await pool.AddAsync($"old{index}"))));
        pool.Cloud.FailNext("AttachInterface", CloudErrorKind.Throttled);
        pool.Reconciler.Step(CancellationToken.None);
        await pool.Reconciler.IdleAsync();
        Assert.Contains(pool.Ledger.OpenIntents(), open => open.Intent.Change is PoolChange.AddInterface { SubnetId: "subnet-pods" });

        SetEniConfig(pool, "subnet-other");
        var add = pool.AddAsync("new");
        await RunAsync(pool, TimeSpan.FromSeconds(10));
        Assert.True(Others.Contains(AddressOf(await add)));
        Assert.Equal(2, pool.View.Interfaces.Count(item => item is { SubnetId: "subnet-pods", IsExcluded: true }));
    }

    [Fact]
    public async Task Deleted_ENIConfig_keeps_the_pool_unchanged()
    {
        var pool = Pool();
        SetEniConfig(pool, "subnet-pods");
        await PodAsync(pool, "a");
        pool.EniConfig.Set(new EniConfigState.Missing("pods", "it was deleted"));
        Assert.True(Pods.Contains(AddressOf(await pool.AddAsync("b"))));
        await pool.DeleteAsync("a");
        await pool.DeleteAsync("b");
        var created = Calls(pool, "CreateInterface");
        await RunAsync(pool, TimeSpan.FromHours(1));
        Assert.Equal((created, 0, 0), (Calls(pool, "CreateInterface"), Calls(pool, "DetachInterface"), Calls(pool, "UnassignBlocks")));
    }

    [Fact]
    public async Task Changed_groups_of_the_ENIConfig_apply_to_all_interfaces()
    {
        var pool = Pool();
        SetEniConfig(pool, "subnet-pods", "sg-a");
        for (var index = 0; index < 3; index++)
            await PodAsync(pool, $"p{index}");
        SetEniConfig(pool, "subnet-pods", "sg-b", "sg-c");
        await PodAsync(pool, "p3");
        await pool.StepAsync();
        Assert.All(pool.Cloud.Interfaces.Skip(1), item => Assert.Equal(["sg-b", "sg-c"], item.SecurityGroupIds));
        Assert.Equal(["sg-1"], pool.Cloud.Interfaces[0].SecurityGroupIds);
        Assert.Equal(0, Calls(pool, "DetachInterface"));
    }

    [Fact]
    public async Task Primary_interface_keeps_its_pods_and_releases_the_rest_when_enabled()
    {
        var pool = Pool(primaryBlocks: 3);
        pool.EniConfig.Set(new EniConfigState.Present("pods", "subnet-pods", []));
        // The state of a daemon without custom networking.
        var own = pool.Cloud.Interfaces[0].Blocks[0].BaseAddress;
        pool.Host.Route("eni1", own);
        await pool.StepAsync();
        pool.Usage.ReserveInUse();
        await RunAsync(pool, TimeSpan.FromMinutes(2));
        Assert.Equal([IpRanges.Single(own)], pool.Cloud.Interfaces[0].Blocks);
        Assert.True(Pods.Contains(await PodAsync(pool, "new")));
    }

    [Fact]
    public async Task Failed_lookup_is_retried_soon_and_serves_pending_ADDs()
    {
        var pool = Pool();
        await pool.StepAsync();
        pool.Cloud.FailNext("FindSubnet", CloudErrorKind.Throttled);
        SetEniConfig(pool, "subnet-pods");
        var add = pool.AddAsync("a");
        await pool.StepAsync();
        Assert.False(add.IsCompleted);
        await RunAsync(pool, TimeSpan.FromSeconds(10));
        Assert.True(Pods.Contains(AddressOf(await add)));
        Assert.Equal(2, Calls(pool, "FindSubnet"));
    }

    [Fact]
    public async Task Routed_cooling_address_of_an_excluded_interface_is_reserved()
    {
        var (pool, address) = await PoolOfAFormerSubnetAsync();
        // Its teardown failed.
        pool.Host.Route("eni1", address);
        await pool.DeleteAsync("old");
        await RunAsync(pool, TimeSpan.FromSeconds(29));
        Assert.Equal(address, Assert.Single(pool.Ledger.Attachments(), item => item.IsRecovered).Addresses[0].Address);
    }

    [Fact]
    public async Task Kernel_is_checked_before_an_excluded_interface_gets_pods_again()
    {
        var (pool, _) = await PoolOfAFormerSubnetAsync();
        var routed = pool
            .View.Interfaces.First(item => item.SubnetId == "subnet-pods")
            .Blocks.First(block => block.Free > 0)
            .Range.BaseAddress;
        pool.Host.Route("eni1", routed);
        SetEniConfig(pool, "subnet-pods");
        Assert.Equal(routed, Assert.Single(pool.Ledger.Attachments(), item => item.IsRecovered).Addresses[0].Address);
        Assert.NotEqual(routed, AddressOf(await pool.AddAsync("new")));
    }

    [Fact]
    public async Task Excluded_interface_gets_no_pods_before_the_kernel_answers()
    {
        var (pool, _) = await PoolOfAFormerSubnetAsync();
        pool.Host.CannotBeAsked = true;
        SetEniConfig(pool, "subnet-pods");
        pool.Sync.RequestAt(pool.Time.GetUtcNow());
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
    public async Task Host_address_of_the_primary_interface_is_not_released()
    {
        var pool = Pool(primaryBlocks: 3);
        var own = pool.Cloud.Interfaces[0].Blocks[1].BaseAddress;
        pool.Host.Addresses.Add(new LinkAddress("eth0", own));
        SetEniConfig(pool, "subnet-pods");
        await RunAsync(pool, TimeSpan.FromMinutes(5));
        Assert.Equal([IpRanges.Single(own)], pool.Cloud.Interfaces[0].Blocks);
        pool.Host.Addresses.Clear();
        await RunAsync(pool, TimeSpan.FromMinutes(5));
        Assert.Empty(pool.Cloud.Interfaces[0].Blocks);
    }

    [Fact]
    public async Task Groups_that_change_during_an_update_apply_to_the_next_interface()
    {
        var pool = Pool();
        SetEniConfig(pool, "subnet-pods", "sg-a");
        for (var index = 0; index < 3; index++)
            await PodAsync(pool, $"p{index}");
        await pool.StepAsync();
        Assert.Equal(3, pool.Cloud.Interfaces.Count);
        pool.Cloud.Gate = new TaskCompletionSource();
        SetEniConfig(pool, "subnet-pods", "sg-b");
        pool.Reconciler.Step(CancellationToken.None);
        SetEniConfig(pool, "subnet-pods", "sg-c");
        pool.Cloud.Gate.SetResult();
        await pool.StepAsync();
        Assert.All(pool.Cloud.Interfaces.Skip(1), item => Assert.Equal(["sg-c"], item.SecurityGroupIds));
        Assert.Equal(3, Calls(pool, "SetSecurityGroups"));
    }

    /// <summary>A pod 'old' with an address of subnet-pods, and an ENIConfig that now names subnet-other.</summary>
    private static async Task<(PoolHarness Pool, IPAddress Address)> PoolOfAFormerSubnetAsync()
    {
        var pool = Pool();
        SetEniConfig(pool, "subnet-pods");
        var address = await PodAsync(pool, "old");
        SetEniConfig(pool, "subnet-other");
        await pool.StepAsync();
        return (pool, address);
    }

    private static void SetEniConfig(PoolHarness pool, string subnet, params string[] groups) =>
        pool.EniConfig.Set(new EniConfigState.Present("pods", subnet, groups));

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

    private static IPAddress AddressOf(AddOutcome outcome) => Assert.IsType<AddOutcome.Assigned>(outcome).Attachment.Addresses[0].Address;

    private static int Calls(PoolHarness pool, string operation) => pool.Cloud.Calls.Count(call => call == operation);

    private static async Task RunAsync(PoolHarness pool, TimeSpan time)
    {
        for (var end = pool.Time.GetUtcNow() + time; pool.Time.GetUtcNow() < end; pool.Time.Advance(TimeSpan.FromSeconds(1)))
            await pool.StepAsync();
    }
}
