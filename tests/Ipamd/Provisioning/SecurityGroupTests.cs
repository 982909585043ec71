// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Provisioning;

/// <summary>Interfaces follow the security groups of the primary interface.</summary>
public sealed class SecurityGroupTests
{
    [Fact]
    public async Task Changed_groups_of_the_primary_interface_are_applied_to_the_others()
    {
        var pool = await PoolWithTwoAsync();
        ChangePrimary(pool, "sg-2", "sg-3");
        await pool.GroupWatch.SyncAsync(CancellationToken.None);
        await pool.StepAsync();
        Assert.All(pool.Cloud.Interfaces, item => Assert.Equal(["sg-2", "sg-3"], item.SecurityGroupIds));
        Assert.Equal(1, Calls(pool, "SetSecurityGroups"));
        var change = Assert.Single(pool.Published.OfType<PoolEvent.GroupsChanged>());
        Assert.Equal((Secondary(pool).Id, null), (change.Interface, change.Failure));
        Assert.Equal("sg-1 -> sg-2 sg-3", $"{string.Join(' ', change.Before)} -> {string.Join(' ', change.Groups)}");
    }

    [Fact]
    public async Task Equal_groups_in_any_order_cause_no_call()
    {
        var pool = await PoolWithTwoAsync();
        ChangePrimary(pool, "sg-2", "sg-3");
        pool.Cloud.Change(Secondary(pool).Id, item => item with { SecurityGroupIds = ["sg-3", "sg-2"] });
        pool.Sync.RequestAt(pool.Time.GetUtcNow());
        await pool.StepAsync();
        var described = Calls(pool, "DescribeAttachedInterfaces");
        for (var check = 0; check < 10; check++)
            await pool.GroupWatch.SyncAsync(CancellationToken.None);
        await pool.StepAsync();
        Assert.Equal((described, 0), (Calls(pool, "DescribeAttachedInterfaces"), Calls(pool, "SetSecurityGroups")));
    }

    [Fact]
    public async Task Wrong_metadata_costs_few_descriptions_and_no_change()
    {
        var pool = await PoolWithTwoAsync();
        pool.Cloud.HintedGroups = ["sg-old"];
        var described = Calls(pool, "DescribeAttachedInterfaces");
        for (var check = 0; check < 240; check++)
        {
            await pool.GroupWatch.SyncAsync(CancellationToken.None);
            await pool.StepAsync();
            pool.Time.Advance(PoolLimits.GroupsInterval);
        }

        // Two hours: 8 regular ones, and about as many for the hint after its first minutes.
        Assert.InRange(Calls(pool, "DescribeAttachedInterfaces") - described, 8, 22);
        Assert.Equal(0, Calls(pool, "SetSecurityGroups"));
    }

    [Fact]
    public async Task Unmanaged_and_unused_interfaces_keep_their_groups()
    {
        var pool = await PoolWithTwoAsync(maxInterfaces: 4);
        var created = await pool.Cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest("t", pool.Time.GetUtcNow(), "subnet-1", ["sg-own"], [new BlockRequest(Shapes.Ipv4Address, 1)]),
            CancellationToken.None
        );
        await pool.Cloud.AttachInterfaceAsync(created.Id, new Slot(0, 2), CancellationToken.None);
        pool.Cloud.Change(
            created.Id,
            item => item with { Tags = new Dictionary<string, string> { [InterfacePolicy.UnmanagedTag] = "true" } }
        );
        var trunk = await pool.Cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest("u", pool.Time.GetUtcNow(), "subnet-1", ["sg-trunk"], [new BlockRequest(Shapes.Ipv4Address, 1)]),
            CancellationToken.None
        );
        await pool.Cloud.AttachInterfaceAsync(trunk.Id, new Slot(0, 3), CancellationToken.None);
        pool.Cloud.Change(trunk.Id, item => item with { InterfaceType = "trunk" });
        ChangePrimary(pool, "sg-2");
        pool.Sync.RequestAt(pool.Time.GetUtcNow());
        await pool.StepAsync();
        Assert.Equal(["sg-2", "sg-2", "sg-own", "sg-trunk"], pool.Cloud.Interfaces.Select(item => item.SecurityGroupIds[0]));
    }

    [Fact]
    public async Task Rejected_change_is_reported_and_retried_with_backoff()
    {
        var pool = await PoolWithTwoAsync();
        pool.Cloud.FailNext("SetSecurityGroups", CloudErrorKind.NotPermitted, times: 1000);
        ChangePrimary(pool, "sg-2");
        pool.Sync.RequestAt(pool.Time.GetUtcNow());
        await RunAsync(pool, TimeSpan.FromMinutes(12));
        Assert.InRange(Calls(pool, "SetSecurityGroups"), 6, 12);
        Assert.All(pool.Published.OfType<PoolEvent.GroupsChanged>(), change => Assert.Equal(CloudErrorKind.NotPermitted, change.Failure));
        pool.Cloud.Forgive();
        await RunAsync(pool, PoolLimits.GroupsRetries.Longest + TimeSpan.FromSeconds(2));
        Assert.Equal(["sg-2"], Secondary(pool).SecurityGroupIds);
    }

    [Fact]
    public async Task Different_groups_after_a_rejection_are_set_at_once()
    {
        var pool = await PoolWithTwoAsync();
        pool.Cloud.FailNext("SetSecurityGroups", CloudErrorKind.NotPermitted, times: 5);
        ChangePrimary(pool, "sg-wrong");
        pool.Sync.RequestAt(pool.Time.GetUtcNow());
        await RunAsync(pool, TimeSpan.FromMinutes(2));
        pool.Cloud.Forgive();
        ChangePrimary(pool, "sg-right");
        await pool.GroupWatch.SyncAsync(CancellationToken.None);
        await pool.StepAsync();
        Assert.Equal(["sg-right"], Secondary(pool).SecurityGroupIds);
    }

    [Fact]
    public async Task Late_description_does_not_repeat_the_change()
    {
        var pool = await PoolWithTwoAsync();
        ChangePrimary(pool, "sg-2");
        pool.Sync.RequestAt(pool.Time.GetUtcNow());
        await pool.StepAsync();
        pool.Cloud.Change(Secondary(pool).Id, item => item with { SecurityGroupIds = ["sg-1"] });
        pool.Sync.RequestAt(pool.Time.GetUtcNow());
        await pool.StepAsync();
        Assert.Equal(1, Calls(pool, "SetSecurityGroups"));

        // No longer late: someone changed it.
        pool.Time.Advance(IpLedger.ConsistencyWindow);
        pool.Sync.RequestAt(pool.Time.GetUtcNow());
        await pool.StepAsync();
        Assert.Equal(2, Calls(pool, "SetSecurityGroups"));
        Assert.Equal(["sg-2"], Secondary(pool).SecurityGroupIds);
    }

    [Fact]
    public async Task Disabled_provisioning_changes_no_groups()
    {
        var cloud = new FakeCloud().WithPrimary(1);
        var created = await cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest("t", default, "subnet-1", ["sg-own"], [new BlockRequest(Shapes.Ipv4Address, 1)]),
            CancellationToken.None
        );
        await cloud.AttachInterfaceAsync(created.Id, new Slot(0, 1), CancellationToken.None);
        var pool = new PoolHarness(cloud, provisioningDisabled: true);
        await pool.StepAsync();
        Assert.Equal((2, 0), (pool.View.Interfaces.Count, Calls(pool, "SetSecurityGroups")));
    }

    private static async Task<PoolHarness> PoolWithTwoAsync(int maxInterfaces = 2)
    {
        var pool = new PoolHarness(new FakeCloud(maxInterfaces).WithPrimary(3), maxInterfaces: 2);
        await pool.StepAsync();
        await pool.AddAsync("a");
        await pool.StepAsync();
        Assert.Equal((2, 0), (pool.Cloud.Interfaces.Count, Calls(pool, "SetSecurityGroups")));
        return pool;
    }

    private static void ChangePrimary(PoolHarness pool, params string[] groups) =>
        pool.Cloud.Change(pool.Cloud.Interfaces[0].Id, item => item with { SecurityGroupIds = groups });

    private static Ec2Interface Secondary(PoolHarness pool) => pool.Cloud.Interfaces.Single(item => item.Slot == new Slot(0, 1));

    private static int Calls(PoolHarness pool, string operation) => pool.Cloud.Calls.Count(call => call == operation);

    private static async Task RunAsync(PoolHarness pool, TimeSpan time)
    {
        for (var end = pool.Time.GetUtcNow() + time; pool.Time.GetUtcNow() < end; pool.Time.Advance(TimeSpan.FromSeconds(1)))
            await pool.StepAsync();
    }
}
