// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Provisioning;

/// <summary>The interfaces of a node follow the security groups of its primary one.</summary>
public sealed class SecurityGroupTests
{
    [Fact]
    public async Task A_change_on_the_primary_interface_is_found_by_the_metadata_and_made_on_the_others()
    {
        var pool = await PoolWithTwoAsync();
        ChangePrimary(pool, "sg-2", "sg-3");
        await pool.GroupWatch.SyncAsync(CancellationToken.None);
        await pool.StepAsync();
        Assert.All(pool.Cloud.Interfaces, item => Assert.Equal(["sg-2", "sg-3"], item.SecurityGroupIds));
        Assert.Equal(1, Calls(pool, "SetSecurityGroups"));
        var told = Assert.Single(pool.Told.OfType<PoolEvent.GroupsChanged>());
        Assert.Equal((Secondary(pool).Id, null), (told.Interface, told.Failure));
        Assert.Equal("sg-1 -> sg-2 sg-3", $"{string.Join(' ', told.Before)} -> {string.Join(' ', told.Groups)}");
    }

    [Fact]
    public async Task Nothing_is_asked_or_changed_while_the_groups_are_the_same_in_whatever_order()
    {
        var pool = await PoolWithTwoAsync();
        ChangePrimary(pool, "sg-2", "sg-3");
        pool.Cloud.Change(Secondary(pool).Id, item => item with { SecurityGroupIds = ["sg-3", "sg-2"] });
        pool.Membership.RequestAt(pool.Time.GetUtcNow());
        await pool.StepAsync();
        var described = Calls(pool, "DescribeAttachedInterfaces");
        for (var look = 0; look < 10; look++)
            await pool.GroupWatch.SyncAsync(CancellationToken.None);
        await pool.StepAsync();
        Assert.Equal((described, 0), (Calls(pool, "DescribeAttachedInterfaces"), Calls(pool, "SetSecurityGroups")));
    }

    [Fact]
    public async Task A_metadata_service_that_is_wrong_for_hours_costs_few_descriptions_and_changes_nothing()
    {
        var pool = await PoolWithTwoAsync();
        pool.Cloud.HintedGroups = ["sg-old"];
        var described = Calls(pool, "DescribeAttachedInterfaces");
        for (var look = 0; look < 240; look++)
        {
            await pool.GroupWatch.SyncAsync(CancellationToken.None);
            await pool.StepAsync();
            pool.Time.Advance(PoolLimits.GroupsInterval);
        }

        // Two hours: 8 regular ones, and as many again for the hint after its first minutes.
        Assert.InRange(Calls(pool, "DescribeAttachedInterfaces") - described, 8, 22);
        Assert.Equal(0, Calls(pool, "SetSecurityGroups"));
    }

    [Fact]
    public async Task An_interface_that_is_not_managed_and_one_that_no_pod_uses_keep_their_groups()
    {
        var pool = await PoolWithTwoAsync(maxInterfaces: 4);
        var created = await pool.Cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest("t", pool.Time.GetUtcNow(), "subnet-1", ["sg-own"], new BlockRequest(BlockKind.Ipv4Address, 1)),
            CancellationToken.None
        );
        await pool.Cloud.AttachInterfaceAsync(created.Id, 2, CancellationToken.None);
        pool.Cloud.Change(
            created.Id,
            item => item with { Tags = new Dictionary<string, string> { [InterfacePolicy.UnmanagedTag] = "true" } }
        );
        var trunk = await pool.Cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest("u", pool.Time.GetUtcNow(), "subnet-1", ["sg-trunk"], new BlockRequest(BlockKind.Ipv4Address, 1)),
            CancellationToken.None
        );
        await pool.Cloud.AttachInterfaceAsync(trunk.Id, 3, CancellationToken.None);
        pool.Cloud.Change(trunk.Id, item => item with { InterfaceType = "trunk" });
        ChangePrimary(pool, "sg-2");
        pool.Membership.RequestAt(pool.Time.GetUtcNow());
        await pool.StepAsync();
        Assert.Equal(["sg-2", "sg-2", "sg-own", "sg-trunk"], pool.Cloud.Interfaces.Select(item => item.SecurityGroupIds[0]));
    }

    [Fact]
    public async Task A_refused_change_is_told_and_tried_less_and_less_often()
    {
        var pool = await PoolWithTwoAsync();
        pool.Cloud.FailNext("SetSecurityGroups", CloudErrorKind.NotPermitted, times: 1000);
        ChangePrimary(pool, "sg-2");
        pool.Membership.RequestAt(pool.Time.GetUtcNow());
        await RunAsync(pool, TimeSpan.FromMinutes(12));
        Assert.InRange(Calls(pool, "SetSecurityGroups"), 6, 12);
        Assert.All(pool.Told.OfType<PoolEvent.GroupsChanged>(), told => Assert.Equal(CloudErrorKind.NotPermitted, told.Failure));
        pool.Cloud.Forgive();
        await RunAsync(pool, PoolLimits.LongestGroupsRetry + TimeSpan.FromSeconds(2));
        Assert.Equal(["sg-2"], Secondary(pool).SecurityGroupIds);
    }

    [Fact]
    public async Task Other_groups_than_those_that_were_refused_are_tried_at_once()
    {
        var pool = await PoolWithTwoAsync();
        pool.Cloud.FailNext("SetSecurityGroups", CloudErrorKind.NotPermitted, times: 5);
        ChangePrimary(pool, "sg-wrong");
        pool.Membership.RequestAt(pool.Time.GetUtcNow());
        await RunAsync(pool, TimeSpan.FromMinutes(2));
        pool.Cloud.Forgive();
        ChangePrimary(pool, "sg-right");
        await pool.GroupWatch.SyncAsync(CancellationToken.None);
        await pool.StepAsync();
        Assert.Equal(["sg-right"], Secondary(pool).SecurityGroupIds);
    }

    [Fact]
    public async Task A_description_that_is_late_does_not_make_the_same_change_again()
    {
        var pool = await PoolWithTwoAsync();
        ChangePrimary(pool, "sg-2");
        pool.Membership.RequestAt(pool.Time.GetUtcNow());
        await pool.StepAsync();
        pool.Cloud.Change(Secondary(pool).Id, item => item with { SecurityGroupIds = ["sg-1"] });
        pool.Membership.RequestAt(pool.Time.GetUtcNow());
        await pool.StepAsync();
        Assert.Equal(1, Calls(pool, "SetSecurityGroups"));

        // Not late any more: somebody changed it.
        pool.Time.Advance(IpLedger.ConsistencyWindow);
        pool.Membership.RequestAt(pool.Time.GetUtcNow());
        await pool.StepAsync();
        Assert.Equal(2, Calls(pool, "SetSecurityGroups"));
        Assert.Equal(["sg-2"], Secondary(pool).SecurityGroupIds);
    }

    [Fact]
    public async Task A_daemon_that_changes_nothing_in_the_cloud_leaves_the_groups_alone()
    {
        var cloud = new FakeCloud().WithPrimary(1);
        var created = await cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest("t", default, "subnet-1", ["sg-own"], new BlockRequest(BlockKind.Ipv4Address, 1)),
            CancellationToken.None
        );
        await cloud.AttachInterfaceAsync(created.Id, 1, CancellationToken.None);
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

    private static CloudInterface Secondary(PoolHarness pool) => pool.Cloud.Interfaces.Single(item => item.DeviceIndex == 1);

    private static int Calls(PoolHarness pool, string operation) => pool.Cloud.Calls.Count(call => call == operation);

    private static async Task RunAsync(PoolHarness pool, TimeSpan time)
    {
        for (var end = pool.Time.GetUtcNow() + time; pool.Time.GetUtcNow() < end; pool.Time.Advance(TimeSpan.FromSeconds(1)))
            await pool.StepAsync();
    }
}
