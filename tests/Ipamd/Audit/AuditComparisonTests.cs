// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Audit;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Ipamd.Tests.Audit;

public sealed class AuditComparisonTests
{
    private const string OnPrimary = "10.0.0.5";
    private const string OnSecond = "10.0.0.9";

    public sealed record Case(string Name, string Kind, string Subject, bool Critical)
    {
        public required Action<object> Break { get; init; }

        public override string ToString() => Name;
    }

    public static TheoryData<Case> Cases => [.. AllCases()];

    [Fact]
    public void Consistent_node_has_no_finding() => Assert.Empty(AuditComparison.Of(new AuditWorld().Snapshot()));

    [Theory]
    [MemberData(nameof(Cases))]
    public void One_mismatch_is_one_finding(Case broken)
    {
        var world = new AuditWorld();
        broken.Break(world);
        var finding = Assert.Single(AuditComparison.Of(world.Snapshot()));
        Assert.Equal(
            (broken.Kind, broken.Subject, broken.Critical),
            (finding.Kind, finding.Subject, finding.Severity == Severity.Critical)
        );
        Assert.All([finding.Detail, finding.Advice], sentence => Assert.NotEmpty(sentence));
    }

    /// <summary>A pod that has just got its address may not be wired yet.</summary>
    [Fact]
    public void Pod_that_is_being_wired_has_no_finding()
    {
        var world = new AuditWorld();
        world.Run("d", TimeSpan.FromSeconds(5));
        world.Links.RemoveAt(world.Links.Count - 1);
        world.Routes.RemoveAt(world.Routes.Count - 1);
        world.Rules.RemoveAll(rule => rule.Destination == Host("10.0.0.10") || rule.Source == Host("10.0.0.10"));
        world.Sandboxes.Clear();
        foreach (var (pod, address) in new[] { ("a", OnPrimary), ("b", "10.0.0.6"), ("c", OnSecond) })
            world.Sandboxes.Add(AuditWorld.Sandbox(pod, address));
        Assert.Empty(AuditComparison.Of(world.Snapshot()));
    }

    [Fact]
    public void Recently_changed_interface_is_not_compared_with_ec2()
    {
        var world = new AuditWorld();
        world.Cloud.RemoveAt(1);
        world.RecentlyChanged.Add(new NetworkInterfaceId("eni-1"));
        Assert.Empty(AuditComparison.Of(world.Snapshot()));
    }

    [Fact]
    public void Links_and_rules_of_others_are_no_finding()
    {
        var world = new AuditWorld();
        world.Links.Add(
            new LinkInfo
            {
                Index = 90,
                Name = "veth12345678901",
                Kind = "veth",
                Flags = LinkFlags.Up,
            }
        );
        world.Links.Add(
            new LinkInfo
            {
                Index = 91,
                Name = "eni0123456789z",
                Kind = "veth",
                Flags = LinkFlags.Up,
            }
        );
        world.Links.Add(
            new LinkInfo
            {
                Index = 92,
                Name = "eni01234567890",
                Kind = "veth",
                Flags = LinkFlags.Up,
                Group = LinkGroups.Released,
            }
        );
        world.Rules.Add(
            new RuleInfo
            {
                Family = IpFamily.V4,
                Priority = RulePriorities.ToPod,
                Destination = Host("192.0.2.1"),
            }
        );
        world.Routes.Add(
            new RouteInfo
            {
                Family = IpFamily.V4,
                Destination = Host("192.0.2.1"),
                LinkIndex = 90,
            }
        );
        world.Sandboxes.Add(AuditWorld.Sandbox("other", "192.0.2.1"));
        // No link of this node leads there.
        world.Sandboxes.Add(AuditWorld.Sandbox("numbered", OnPrimary) with { NamespaceId = 4711 });
        // A pod of another node on this machine, as in the lab; its gateway is not a link of this node.
        world.Sandboxes.Add(AuditWorld.Sandbox("elsewhere", OnPrimary, MacAddress.Parse("0a:00:00:00:01:01")));
        Assert.Empty(AuditComparison.Of(world.Snapshot()));
    }

    private static IEnumerable<Case> AllCases()
    {
        yield return New(
            "route of a pod is gone",
            "pod-route",
            $"default/a {OnPrimary}",
            true,
            world => world.Routes.RemoveAll(route => route.Destination == Host(OnPrimary))
        );
        yield return New(
            "route of a pod leads to the node's link",
            "pod-route",
            $"default/a {OnPrimary}",
            true,
            world => Replace(world.Routes, route => route.Destination == Host(OnPrimary), route => route with { LinkIndex = 2 })
        );
        yield return New(
            "link of a pod is down",
            "pod-link",
            $"default/a {OnPrimary}",
            true,
            world => Replace(world.Links, link => link.Name == AuditWorld.NameOf("a"), link => link with { Flags = default })
        );
        yield return New(
            "rule to a pod is gone",
            "pod-rule",
            $"default/a {OnPrimary}",
            true,
            world => world.Rules.RemoveAll(rule => rule.Destination == Host(OnPrimary))
        );
        yield return New(
            "rule from a pod is gone",
            "pod-table",
            $"default/c {OnSecond}",
            true,
            world => world.Rules.RemoveAll(rule => rule.Source == Host(OnSecond))
        );
        yield return New(
            "rule from a pod leads to another table",
            "pod-table",
            $"default/c {OnSecond}",
            true,
            world => Replace(world.Rules, rule => rule.Source == Host(OnSecond), rule => rule with { Table = 7 })
        );
        yield return New(
            "a rule sends a pod of the primary interface away",
            "pod-table",
            $"default/a {OnPrimary}",
            true,
            world =>
                world.Rules.Add(
                    new RuleInfo
                    {
                        Family = IpFamily.V4,
                        Priority = RulePriorities.FromPod,
                        Source = Host(OnPrimary),
                        Table = 2,
                    }
                )
        );
        yield return New(
            "nothing is left of a pod",
            "lost-delete",
            $"default/a {OnPrimary}",
            false,
            world =>
            {
                world.Routes.RemoveAll(route => route.Destination == Host(OnPrimary));
                world.Rules.RemoveAll(rule => rule.Destination == Host(OnPrimary));
                world.Links.RemoveAll(link => link.Name == AuditWorld.NameOf("a"));
            }
        );
        yield return New(
            "a route to an address that is free",
            "unknown-route",
            "10.0.0.10",
            true,
            world => AddLink(world, Eni("stranger"))
        );
        yield return New(
            "a pod's link with the address of an earlier sandbox",
            "link-addresses",
            AuditWorld.NameOf("c"),
            false,
            world => world.Routes.Add(world.Routes[^1] with { Destination = Host("10.0.0.10") })
        );
        yield return New(
            "the same, held as recovered",
            "link-addresses",
            AuditWorld.NameOf("c"),
            false,
            world =>
            {
                world.Routes.Add(world.Routes[^1] with { Destination = Host("10.0.0.10") });
                world.Rules.AddRange([
                    world.Rules[^2] with
                    {
                        Destination = Host("10.0.0.10"),
                    },
                    world.Rules[^1] with
                    {
                        Source = Host("10.0.0.10"),
                    },
                ]);
                world.Ledger.Recover(
                    [(AuditWorld.NameOf("c"), IPAddress.Parse("10.0.0.10"))],
                    TimeSpan.Zero,
                    AuditWorld.Now - TimeSpan.FromMinutes(5)
                );
            }
        );
        yield return New(
            "a veth of another program within the node",
            "foreign-route",
            "10.0.0.10",
            false,
            world => AddLink(world, Eni("stranger") with { Name = "cilium_host", PeerNamespaceId = null })
        );
        yield return New(
            "a route by DHCP to the node's link",
            "foreign-route",
            "10.0.0.10",
            false,
            world => world.Routes.Add(world.Routes[^1] with { Destination = Host("10.0.0.10"), LinkIndex = 3 })
        );
        yield return New(
            "route of a pod leads to a veth within the node",
            "pod-route",
            $"default/a {OnPrimary}",
            true,
            world => Replace(world.Links, link => link.Name == AuditWorld.NameOf("a"), link => link with { PeerNamespaceId = null })
        );
        yield return New(
            "a recovered pod lost its link",
            "lost-delete",
            "link eni00000000000 10.0.0.10",
            false,
            world =>
                world.Ledger.Recover(
                    [("eni00000000000", IPAddress.Parse("10.0.0.10"))],
                    TimeSpan.Zero,
                    AuditWorld.Now - TimeSpan.FromMinutes(5)
                )
        );
        yield return New(
            "a recovered pod lost its route",
            "pod-route",
            "link eni00000000000 10.0.0.10",
            true,
            world =>
            {
                world.Links.Add(
                    new LinkInfo
                    {
                        Index = 900,
                        Name = "eni00000000000",
                        Kind = "veth",
                        Flags = LinkFlags.Up,
                    }
                );
                world.Ledger.Recover(
                    [("eni00000000000", IPAddress.Parse("10.0.0.10"))],
                    TimeSpan.Zero,
                    AuditWorld.Now - TimeSpan.FromMinutes(5)
                );
            }
        );
        yield return New(
            "link of a pod has another MAC address",
            "pod-neighbour",
            $"default/a {OnPrimary}",
            true,
            world =>
                Replace(
                    world.Links,
                    link => link.Name == AuditWorld.NameOf("a"),
                    link => link with { Mac = MacAddress.Parse("0a:00:00:00:99:99") }
                )
        );
        yield return New(
            "the node does not forward",
            "forwarding",
            "net.ipv4.ip_forward",
            true,
            world => world.Settings[0] = world.Settings[0] with { Forwards = false }
        );
        yield return New(
            "a pod's link does not forward",
            "forwarding",
            $"net.ipv4.conf.{AuditWorld.NameOf("a")}.forwarding",
            true,
            world =>
                world.Settings.Add(
                    new LinkConfiguration(
                        world.Links.Find(link => link.Name == AuditWorld.NameOf("a"))!.Index,
                        Forwards: false,
                        ReversePathFilter: 0
                    )
                )
        );
        yield return New(
            "an interface's reverse path filter is strict",
            "reverse-path-filter",
            "net.ipv4.conf.eth1.rp_filter",
            false,
            world => world.Settings.Add(new LinkConfiguration(3, Forwards: true, ReversePathFilter: 1))
        );
        yield return New(
            "the default route leads by a secondary interface",
            "default-route",
            "eni-1",
            true,
            world =>
                world.Routes.AddRange([
                    new RouteInfo
                    {
                        Family = IpFamily.V4,
                        LinkIndex = 2,
                        Gateway = IPAddress.Parse("10.0.0.1"),
                        Metric = 100,
                    },
                    new RouteInfo
                    {
                        Family = IpFamily.V4,
                        LinkIndex = 3,
                        Gateway = IPAddress.Parse("10.0.0.1"),
                        Metric = 50,
                    },
                ])
        );
        yield return New(
            "a route to an address that cools",
            "leftover-route",
            OnPrimary,
            false,
            world =>
            {
                Release(world, "a");
                world.Rules.RemoveAll(rule => rule.Destination == Host(OnPrimary));
            }
        );
        yield return New(
            "rules of an address that is free",
            "leftover-rule",
            "10.0.0.10",
            false,
            world => world.Rules.Add(world.Rules[^1] with { Source = Host("10.0.0.10") })
        );
        yield return New(
            "link of a pod that is gone",
            "leftover-link",
            AuditWorld.NameOf("gone"),
            false,
            world =>
                world.Links.Add(
                    new LinkInfo
                    {
                        Index = 99,
                        Name = AuditWorld.NameOf("gone"),
                        Kind = "veth",
                    }
                )
        );
        yield return New(
            "interface is down",
            "interface-link",
            "eni-1",
            true,
            world => Replace(world.Links, link => link.Name == "eth1", link => link with { Flags = default })
        );
        yield return New(
            "interface has no link",
            "interface-link",
            "eni-1",
            true,
            world => world.Links.RemoveAll(link => link.Name == "eth1")
        );
        yield return New(
            "table of an interface is empty",
            "interface-route",
            "eni-1",
            true,
            world => world.Routes.RemoveAll(route => route.Table == 2)
        );
        yield return New(
            "rule of an interface is gone",
            "interface-rule",
            "eni-1",
            false,
            world => world.Rules.RemoveAll(rule => rule.Priority == RulePriorities.FromInterface)
        );
        yield return New(
            "namespace of a pod is gone",
            "sandbox-gone",
            $"default/a {OnPrimary}",
            false,
            world => world.Sandboxes.RemoveAll(sandbox => sandbox.Path.EndsWith("/a", StringComparison.Ordinal))
        );
        yield return New(
            "a pod lost its address",
            "sandbox-address",
            $"default/a {OnPrimary}",
            true,
            world =>
                Replace(
                    world.Sandboxes,
                    sandbox => sandbox.Path.EndsWith("/a", StringComparison.Ordinal),
                    sandbox => sandbox with { Addresses = [] }
                )
        );
        yield return New(
            "a namespace uses an address that is free",
            "unknown-sandbox",
            "10.0.0.10",
            true,
            world => world.Sandboxes.Add(AuditWorld.Sandbox("x", "10.0.0.10", world.Links[^1].Mac!.Value))
        );
        yield return New(
            "a namespace that is seen by its number uses an address that is free",
            "unknown-sandbox",
            "10.0.0.10",
            true,
            world =>
            {
                Replace(world.Links, link => link.Name == AuditWorld.NameOf("a"), link => link with { PeerNamespaceId = 7 });
                world.Sandboxes.Add(AuditWorld.Sandbox("x", "10.0.0.10") with { NamespaceId = 7 });
            }
        );
        yield return New(
            "two namespaces use an address",
            "shared-address",
            OnPrimary,
            true,
            world => world.Sandboxes.Add(AuditWorld.Sandbox("x", OnPrimary, world.Links[^1].Mac!.Value))
        );
        yield return New("ec2 has detached an interface", "cloud-interface", "eni-1", true, world => world.Cloud.RemoveAt(1));
        yield return New(
            "ec2 has taken an address of a pod",
            "cloud-block",
            "10.0.0.9/32",
            true,
            world => Replace(world.Cloud, item => item.Slot == new Slot(0, 1), item => item with { Blocks = [.. item.Blocks.Skip(1)] })
        );
        yield return New(
            "ec2 has an address more",
            "cloud-block-unknown",
            "10.0.0.77/32",
            false,
            world =>
                Replace(
                    world.Cloud,
                    item => item.Slot == new Slot(0, 1),
                    item => item with { Blocks = [.. item.Blocks, IPNetwork.Parse("10.0.0.77/32")] }
                )
        );
        yield return New(
            "ec2 has an interface more",
            "cloud-interface-unknown",
            "eni-9",
            false,
            world => world.Cloud.Add(world.Cloud[1] with { Id = new NetworkInterfaceId("eni-9"), Slot = new Slot(0, 2) })
        );
    }

    private static LinkInfo Eni(string pod) =>
        new()
        {
            Index = 98,
            Name = AuditWorld.NameOf(pod),
            Kind = "veth",
            Flags = LinkFlags.Up,
            PeerNamespaceId = 98,
        };

    /// <summary>Adds a route to the free address.</summary>
    private static void AddLink(AuditWorld world, LinkInfo link)
    {
        world.Links.Add(link);
        world.Routes.Add(
            new RouteInfo
            {
                Family = IpFamily.V4,
                Destination = Host("10.0.0.10"),
                LinkIndex = link.Index,
                Scope = RouteScope.Link,
            }
        );
    }

    private static Case New(string name, string kind, string subject, bool critical, Action<AuditWorld> spoil) =>
        new(name, kind, subject, critical) { Break = world => spoil((AuditWorld)world) };

    private static void Replace<T>(List<T> list, Predicate<T> which, Func<T, T> how) =>
        list[list.FindIndex(which)] = how(list.Find(which)!);

    private static void Release(AuditWorld world, string pod)
    {
        world.Ledger.Release(new AttachmentKey("aws-cni", $"sandbox-{pod}", "eth0"), AuditWorld.Now);
        world.Sandboxes.RemoveAll(sandbox => sandbox.Path.EndsWith($"/{pod}", StringComparison.Ordinal));
    }

    private static IPNetwork Host(string address) => IpRanges.Single(IPAddress.Parse(address));
}
