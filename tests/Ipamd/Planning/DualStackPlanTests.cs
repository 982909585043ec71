// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Ipamd.Tests.Planning;

/// <summary>The plan for pods with addresses of another family than IPv4, or of both.</summary>
public sealed class DualStackPlanTests
{
    private static readonly PoolTargets Prefixes = new() { UsesPrefixes = true };

    [Fact]
    public void Ipv6_pods_get_one_prefix_on_the_primary_interface_whatever_the_targets()
    {
        foreach (var warm in new[] { 0, 1, 5 })
        {
            var pool = Pool(
                PodFamilies.Ipv6,
                Prefixes with
                {
                    WarmPrefixTarget = Math.Min(warm, 1),
                    WarmIpTarget = warm,
                    MinimumIpTarget = warm,
                }
            );
            pool.Settle();
            for (var pods = 0; pods < 100; pods++)
            {
                var pod = Assert.Single(pool.AddPod().Interfaces);
                Assert.Equal(IpFamily.V6, Assert.Single(pod.Addresses).AddressFamily);
                pool.Settle();
            }

            var primary = Assert.Single(pool.View.Interfaces);
            Assert.Equal(Shapes.Ipv6Prefix, Assert.Single(primary.Blocks).Shape);
        }
    }

    [Fact]
    public void Ipv6_prefix_without_pods_is_kept()
    {
        var pool = Pool(PodFamilies.Ipv6, Prefixes);
        pool.Settle();
        pool.Now += TimeSpan.FromHours(1);

        Assert.Empty(pool.Plan().Changes);
        Assert.Single(pool.View.Interfaces[0].Blocks);
    }

    [Fact]
    public void New_interface_of_dual_stack_is_created_with_both_families()
    {
        var pool = new PoolFixture(3, 2, Prefixes, maxPods: 110, families: PodFamilies.Dual).WithPrimary();
        var add = pool.FirstAddition();

        Assert.Equal([new BlockRequest(Shapes.Ipv4Prefix, 1), new BlockRequest(Shapes.Ipv6Prefix, 1)], add.Blocks);
    }

    [Fact]
    public void Dual_stack_without_prefixes_pairs_single_addresses()
    {
        var pool = Pool(PodFamilies.Dual, new PoolTargets { WarmIpTarget = 3, MinimumIpTarget = 5 });
        pool.Settle();

        var primary = Assert.Single(pool.View.Interfaces);
        Assert.Equal((5, 5), (primary.TotalOf(IpFamily.V4), primary.TotalOf(IpFamily.V6)));
        for (var pods = 0; pods < 5; pods++)
            Assert.Equal(2, Assert.Single(pool.AddPod().Interfaces).Addresses.Count);
    }

    [Fact]
    public void Interface_of_an_ipv4_node_gets_a_prefix_when_dual_stack_is_enabled()
    {
        var before = Pool(PodFamilies.Ipv4, Prefixes);
        before.Settle();
        var pod = before.AddPod();
        var pool = new PoolFixture(3, 9, Prefixes, maxPods: 110, families: PodFamilies.Dual);
        pool.Adopt(before.Ledger);

        pool.Settle();

        Assert.Equal(pod.Addresses, pool.Ledger.Find(pod.Key)!.Addresses);
        // The first pod's ADD is repeated.
        Assert.Single(pool.AddPod().Addresses);
        Assert.Equal(2, Assert.Single(pool.AddPod().Interfaces).Addresses.Count);
    }

    [Fact]
    public void Single_addresses_without_a_pair_are_released()
    {
        var targets = new PoolTargets { WarmIpTarget = 1, MinimumIpTarget = 6 };
        var before = Pool(PodFamilies.Dual, targets);
        before.Settle();
        var pool = new PoolFixture(3, 9, targets with { MinimumIpTarget = 2 }, families: PodFamilies.Dual);
        pool.Adopt(before.Ledger);

        for (var minutes = 0; minutes < 60; minutes++)
        {
            pool.Now += TimeSpan.FromMinutes(1);
            pool.Settle();
        }

        var primary = Assert.Single(pool.View.Interfaces);
        Assert.Equal((2, 2), (primary.TotalOf(IpFamily.V4), primary.TotalOf(IpFamily.V6)));
    }

    /// <summary>A subnet without an IPv6 range, or an exhausted one: the pods' error names it.</summary>
    [Fact]
    public void Refused_ipv6_prefix_makes_pending_ADDs_unservable()
    {
        var pool = Pool(PodFamilies.Dual, Prefixes);
        pool.Obstacles = GrowthObstacles.None with
        {
            Subnets = new Dictionary<(string, AddressFamily), SubnetObstacle>
            {
                [("subnet-1", IpFamily.V6)] = new(
                    null,
                    int.MaxValue,
                    new GrowthObstacle(GrowthObstacleKind.SubnetExhausted, pool.Now.AddMinutes(2), "no IPv6")
                ),
            },
        };
        pool.Settle();
        pool.Waiting = 2;

        var plan = pool.Plan();

        Assert.Equal([0, 1], plan.Unservable);
        Assert.Equal("no IPv6", plan.Obstacle!.Detail);
    }

    [Fact]
    public void Instance_type_without_ipv6_is_an_obstacle_of_dual_stack()
    {
        var pool = new PoolFixture(3, 9, Prefixes, maxPods: 110, families: PodFamilies.Dual, ipv6PerInterface: 0).WithPrimary();
        pool.Settle();
        pool.Waiting = 1;

        var plan = pool.Plan();

        Assert.Equal(
            (GrowthObstacleKind.AddressLimit, "this instance type has no IPv6 addresses"),
            (plan.Obstacle!.Kind, plan.Obstacle.Detail)
        );
        Assert.Single(plan.Unservable);
    }

    [Fact]
    public void Ipv6_node_with_pods_is_neither_short_nor_beyond_its_targets()
    {
        var pool = Pool(PodFamilies.Ipv6, Prefixes);
        pool.Settle();
        for (var pods = 0; pods < 20; pods++)
            pool.AddPod();

        var plan = pool.Plan();

        Assert.Equal((0, null), (plan.Shortage, plan.Obstacle));
        Assert.Null(plan.SurplusReport);
    }

    [Fact]
    public void Ipv6_node_removes_the_empty_interfaces_of_an_ipv4_mode()
    {
        var pool = Pool(PodFamilies.Ipv6, Prefixes);
        pool.Observe(["10.0.0.9/32", "2001:db8:0:1:7::/80"], ["10.0.1.9/32", "10.0.1.10/32"]);
        pool.AddPod();

        // No load could need it, so it is not kept for any.
        for (var minutes = 0; minutes < 2; minutes++)
        {
            pool.Now += TimeSpan.FromMinutes(1);
            pool.Settle();
        }

        Assert.True(Assert.Single(pool.View.Interfaces).IsPrimary);
    }

    /// <summary>EC2 gives new interfaces an IPv6 address in a subnet that assigns them, also those of an IPv4 mode.</summary>
    [Fact]
    public void Single_addresses_of_an_earlier_mode_do_not_stand_in_for_the_ipv6_prefix()
    {
        var pool = Pool(PodFamilies.Ipv6, Prefixes);
        pool.Observe(["10.0.0.9/32"], ["10.0.1.9/32", "2001:db8:0:1::5/128"]);

        var assign = Assert.IsType<PoolChange.AssignBlocks>(Assert.Single(pool.Plan().Changes));
        Assert.Equal(("eni-1", new BlockRequest(Shapes.Ipv6Prefix, 1)), (assign.Interface.Value, assign.Blocks));
        pool.Settle();
        pool.AddPod();
        for (var minutes = 0; minutes < 60; minutes++)
        {
            pool.Now += TimeSpan.FromMinutes(1);
            pool.Settle();
        }

        Assert.Equal(Shapes.Ipv6Prefix, Assert.Single(pool.View.Interfaces).Blocks.Single(block => block.Assigned > 0).Shape);
    }

    [Fact]
    public void Unused_single_address_makes_room_for_the_ipv6_prefix_and_used_ones_stay()
    {
        var pool = Pool(PodFamilies.Ipv6, Prefixes);
        string[] Singles(string subnet) => [.. Enumerable.Range(1, 9).Select(index => $"2001:db8:0:1:{subnet}::{index}/128")];
        pool.Observe(Singles("0"), Singles("1"));
        Attachment[] pods = [.. Enumerable.Range(0, 8).Select(_ => pool.AddPod())];

        var release = Assert.IsType<PoolChange.ReleaseBlocks>(Assert.Single(pool.Plan().Changes));
        Assert.Equal(("eni-1", 1), (release.Interface.Value, release.Blocks.Count));
        pool.Settle();
        var next = pool.AddPod();
        for (var minutes = 0; minutes < 60; minutes++)
        {
            pool.Now += TimeSpan.FromMinutes(1);
            pool.Settle();
        }

        var primary = Assert.Single(pool.View.Interfaces);
        Assert.Equal((1, 8), (primary.Blocks.Count(block => !block.IsSingle), primary.Blocks.Count(block => block.IsSingle)));
        Assert.Equal(1, primary.Blocks.Single(block => !block.IsSingle).Assigned);
        Assert.All(pods.Append(next), pod => Assert.NotNull(pool.Ledger.Find(pod.Key)));
    }

    /// <summary>While pods use all slots of the primary interface, single addresses serve new ones, and stay.</summary>
    [Fact]
    public void Single_addresses_serve_pods_while_the_ipv6_prefix_cannot_be_had()
    {
        var pool = Pool(PodFamilies.Ipv6, Prefixes);
        pool.Observe(
            [.. Enumerable.Range(1, 9).Select(index => $"2001:db8:0:1::{index}/128")],
            ["2001:db8:0:1:1::1/128", "2001:db8:0:1:1::2/128", "2001:db8:0:1:1::3/128"]
        );
        var pods = Enumerable.Range(0, 9).Select(_ => pool.AddPod()).ToArray();
        pool.Waiting = 2;

        var plan = pool.Plan();

        Assert.Empty(plan.Changes);
        Assert.Empty(plan.Unservable);
        pool.Waiting = 0;
        Assert.Equal("eni-2", Assert.Single(pool.AddPod().Interfaces).Slot!.Value.Id.Value);
        pool.Now += TimeSpan.FromHours(1);
        Assert.Empty(pool.Plan().Changes);

        pool.Ledger.Release(pods[0].Key, pool.Now);
        pool.Now += TimeSpan.FromMinutes(1);
        pool.Settle();
        Assert.Contains(pool.View.Interfaces.Single(item => item.IsPrimary).Blocks, block => !block.IsSingle);
    }

    [Fact]
    public void Refused_ipv6_prefix_is_replaced_by_no_more_single_addresses_than_pods_need()
    {
        var pool = Pool(PodFamilies.Ipv6, Prefixes);
        pool.Obstacles = GrowthObstacles.None with
        {
            Subnets = new Dictionary<(string, AddressFamily), SubnetObstacle>
            {
                [("subnet-1", IpFamily.V6)] = new(null, int.MaxValue, NoIpv6(pool.Now)),
            },
        };

        pool.Settle();
        Assert.Equal(1, pool.View.Free);
        pool.AddPod();
        pool.Settle();
        Assert.Equal((2, 1), (pool.View.Total, pool.View.Free));
    }

    /// <summary>A node whose primary interface cannot get a prefix now must not give pods addresses of another one.</summary>
    [Fact]
    public void Ipv6_prefix_is_for_the_primary_interface_alone()
    {
        var pool = Pool(PodFamilies.Ipv6, Prefixes);
        pool.Observe(["10.0.0.9/32"], ["10.0.1.9/32"]);
        pool.Obstacles = Refusing("eni-1", pool.Now);
        pool.Waiting = 1;

        var plan = pool.Plan();

        Assert.Empty(plan.Changes);
        Assert.Single(plan.Unservable);
        Assert.Equal("no IPv6", plan.Obstacle!.Detail);
    }

    /// <summary>IPv6 follows an IPv4 change on the same interface: pods wait for both.</summary>
    [Fact]
    public void Pending_ADDs_wait_for_the_pair_of_a_planned_address()
    {
        var pool = new PoolFixture(1, 9, new PoolTargets { WarmEniTarget = 1 }, families: PodFamilies.Dual).WithPrimary();
        pool.Waiting = 3;

        var plan = pool.Plan();

        Assert.IsType<PoolChange.AssignBlocks>(Assert.Single(plan.Changes));
        Assert.Empty(plan.Unservable);
    }

    /// <summary>Free IPv4 addresses that get no IPv6 are of no use to a pod: the pool grows elsewhere.</summary>
    [Fact]
    public void Ipv4_addresses_without_a_pair_do_not_count_as_available()
    {
        var pool = new PoolFixture(3, 9, new PoolTargets { WarmIpTarget = 2 }, families: PodFamilies.Dual);
        pool.Observe(["10.0.0.9/32", "2001:db8:0:1::9/128"], ["10.0.1.9/32", "10.0.1.10/32", "10.0.1.11/32"]);
        pool.Obstacles = Refusing("eni-2", pool.Now);
        pool.AddPod();
        pool.Waiting = 1;

        var plan = pool.Plan();

        Assert.Contains(plan.Changes, change => change is PoolChange.AssignBlocks { Interface.Value: "eni-1", Blocks.Count: >= 3 });
        Assert.Empty(plan.Unservable);
    }

    /// <summary>
    /// The IPv6 address of a pod whose IPv4 address was taken from the node pairs with no other: a free IPv4 address gets one of its own.
    /// </summary>
    [Fact]
    public void Ipv6_address_of_a_pod_without_ipv4_is_no_pair()
    {
        var pool = new PoolFixture(1, 9, new PoolTargets { WarmIpTarget = 1 }, families: PodFamilies.Dual);
        pool.Observe(["10.0.0.9/32", "2001:db8:0:1::9/128"]);
        pool.AddPod();
        pool.Observe(["10.0.0.10/32", "2001:db8:0:1::9/128"]);

        pool.Settle();

        Assert.Equal(1, pool.View.FreeOf(IpFamily.V6));
        Assert.Equal(2, Assert.Single(pool.AddPod().Interfaces).Addresses.Count);
    }

    [Fact]
    public void Subnet_that_refused_ipv6_gets_no_new_interface()
    {
        var pool = new PoolFixture(3, 2, Prefixes, maxPods: 110, families: PodFamilies.Dual).WithPrimary();
        pool.Subnets = [new SubnetCandidate("subnet-1", 4000), new SubnetCandidate("subnet-2", 100)];
        pool.Obstacles = GrowthObstacles.None with
        {
            Subnets = new Dictionary<(string, AddressFamily), SubnetObstacle>
            {
                [("subnet-1", IpFamily.V6)] = new(null, int.MaxValue, NoIpv6(pool.Now)),
            },
        };
        pool.Waiting = 40;

        Assert.All(pool.Plan().Changes.OfType<PoolChange.AddInterface>(), add => Assert.Equal("subnet-2", add.SubnetId));
        Assert.NotEmpty(pool.Plan().Changes.OfType<PoolChange.AddInterface>());
    }

    private static GrowthObstacles Refusing(string id, DateTimeOffset now) =>
        GrowthObstacles.None with
        {
            Interfaces = new Dictionary<(NetworkInterfaceId, AddressFamily), GrowthObstacle>
            {
                [(new NetworkInterfaceId(id), IpFamily.V6)] = NoIpv6(now),
            },
        };

    private static GrowthObstacle NoIpv6(DateTimeOffset now) => new(GrowthObstacleKind.SubnetExhausted, now.AddMinutes(2), "no IPv6");

    [Fact]
    public void Ipv4_plan_leaves_ipv6_blocks_alone()
    {
        var pool = Pool(PodFamilies.Ipv4, new PoolTargets { WarmIpTarget = 1 });
        pool.Observe(["10.0.0.9/32", "2001:db8:0:1::5/128", "2001:db8:0:1:7::/80"]);

        for (var minutes = 0; minutes < 60; minutes++)
        {
            pool.Settle();
            pool.Now += TimeSpan.FromMinutes(1);
        }

        Assert.Equal(3, Assert.Single(pool.View.Interfaces).Blocks.Count);
        Assert.Equal((1, 1), (pool.View.Total, pool.View.Free));
    }

    private static PoolFixture Pool(PodFamilies families, PoolTargets targets) =>
        new PoolFixture(3, 9, targets, maxPods: 110, families: families).WithPrimary();
}
