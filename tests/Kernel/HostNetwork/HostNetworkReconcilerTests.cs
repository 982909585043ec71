// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>The reconciler on a real kernel on which another program makes changes.</summary>
public sealed class HostNetworkReconcilerTests
{
    /// <summary>Time limit of a repair.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(1);

    public static TheoryData<string, string, string> Damages =>
        new()
        {
            { "rules flushed", "ip rule flush", nameof(RepairKind.Rule) },
            { "the ENI's table emptied", "ip route flush table 2", nameof(RepairKind.Route) },
            { "the default route of the ENI's table leads elsewhere", "ip route replace default dev lo table 2", nameof(RepairKind.Route) },
            { "the nftables table deleted", "nft delete table ip vpccni", nameof(RepairKind.Nat) },
            { "a rule of the nftables table deleted", "nft flush chain ip vpccni to_outside", nameof(RepairKind.Nat) },
            { "the whole ruleset flushed", "nft flush ruleset", nameof(RepairKind.Nat) },
            { "a range removed from the nftables set", "nft delete element ip vpccni inside { 10.0.0.0/16 }", nameof(RepairKind.Nat) },
            { "the ENI's MTU changed", "ip link set ens6 mtu 1500", nameof(RepairKind.Link) },
            { "the primary's MTU changed", "ip link set eth0 mtu 1500", nameof(RepairKind.Link) },
            { "the ENI set down", "ip link set ens6 down", nameof(RepairKind.Link) },
            { "an address of a pod added to the ENI", "ip address add 10.0.0.21/24 dev ens6", nameof(RepairKind.Address) },
            {
                "the reverse path filter of the ENI made strict",
                "sh -c echo 1 > /proc/sys/net/ipv4/conf/ens6/rp_filter",
                nameof(RepairKind.Setting)
            },
            { "forwarding switched off", "sh -c echo 0 > /proc/sys/net/ipv4/ip_forward", nameof(RepairKind.Setting) },
            { "forwarding of the ENI switched off", "sh -c echo 0 > /proc/sys/net/ipv4/conf/ens6/forwarding", nameof(RepairKind.Setting) },
            {
                "forwarding of a pod's link switched off",
                $"sh -c echo 0 > /proc/sys/net/ipv4/conf/{HostLab.LinkOf("web")}/forwarding",
                nameof(RepairKind.Setting)
            },
            { "a pod's link set down", $"ip link set {HostLab.LinkOf("web")} down", nameof(RepairKind.PodLink) },
            {
                "a pod's link with another MAC address",
                $"ip link set {HostLab.LinkOf("web")} address 0a:00:00:00:99:99",
                nameof(RepairKind.PodLink)
            },
            { "a pod's route deleted", "ip route del 10.0.0.21", nameof(RepairKind.Route) },
            { "a pod's rule deleted", "ip rule del priority 1536", nameof(RepairKind.Rule) },
        };

    [Theory]
    [MemberData(nameof(Damages))]
    public async Task Change_of_another_program_is_repaired_within_a_second(string what, string command, string kind)
    {
        await using var lab = await HostLab.StartAsync(
            new HostNetworkOptions { ExternalServiceRanges = [IPNetwork.Parse("198.51.100.0/24")] }
        );
        var pod = lab.AddPod("web", "10.0.0.21");
        // A sync after the ADD records the link of the pod.
        await lab.Reconciler.SyncAsync(CancellationToken.None);
        var before = lab.Snapshot();
        var words = command.StartsWith("sh -c ", StringComparison.Ordinal) ? ["sh", "-c", command[6..]] : command.Split(' ');
        Iproute.Run(lab.Host, words[0], words[1..]);
        // The flush removes the kernel's rule for main, which is restored, and that for the table default, which is not needed.
        if (what == "rules flushed")
            lab.Host.IpBatch("", ["rule add priority 32767 table default"]);
        var started = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() => lab.Snapshot() == before);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, Bound);
        await Eventually.TrueAsync(() => lab.Repaired(Enum.Parse<RepairKind>(kind)) > 0);
        Assert.Null(lab.Reconciler.Problem);
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(pod, lab.First, new IPEndPoint(HostLab.Internet, 8080)));
    }

    [Fact]
    public async Task MAC_address_changed_before_the_first_sync_is_restored()
    {
        await using var lab = await HostLab.StartAsync(run: false);
        var pod = lab.AddPod("web", "10.0.0.21");
        var before = lab.Snapshot();
        lab.Host.Ip($"link set {HostLab.LinkOf("web")} address 0a:00:00:00:99:99");
        await lab.Reconciler.SyncAsync(CancellationToken.None);
        Assert.Equal(before, lab.Snapshot());
        Assert.Equal(1, lab.Repaired(RepairKind.PodLink));
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(pod, lab.First, new IPEndPoint(HostLab.Internet, 8080)));
    }

    [Theory]
    [InlineData("fd00::ac:7", true)]
    [InlineData("fd00::ad:7", false)]
    public async Task Pod_of_an_earlier_run_with_a_node_local_address_keeps_its_translation(string address, bool isTranslated)
    {
        await using var lab = await HostLab.StartAsync(before: lab =>
        {
            lab.Ipv6Address = IPAddress.Parse("2001:db8::10");
            lab.AddPod("web", "10.0.0.21");
            lab.Host.Ip($"-6 route add {address} dev {HostLab.LinkOf("web")}");
            Iproute.Run(lab.Host, "nft", ["add", "table", "ip6", "vpccni"]);
        });
        var tables = lab.Nft("list tables");
        Assert.Equal(isTranslated, tables.Contains("table ip6 vpccni", StringComparison.Ordinal));
        if (isTranslated)
            Assert.Contains("snat to 2001:db8::10", lab.Nft("list table ip6 vpccni"), StringComparison.Ordinal);
        Assert.Null(lab.Reconciler.Problem);
    }

    [Fact]
    public async Task Default_route_by_a_secondary_ENI_is_reported_and_not_changed()
    {
        await using var lab = await HostLab.StartAsync();
        lab.Host.IpBatch(
            "",
            [
                "route del default",
                "route add default via 10.0.0.1 dev eth0 metric 100",
                "route add default via 10.0.0.1 dev ens6 onlink metric 50",
            ]
        );
        await Eventually.TrueAsync(() =>
            lab.Reconciler.Problem?.Contains("ip route del default dev ens6 metric 50", StringComparison.Ordinal) == true
        );
        Assert.Contains(
            lab.Lines,
            line => line.Contains("the default route that table main prefers leads by ens6", StringComparison.Ordinal)
        );
        lab.Host.Ip("route del default dev ens6 metric 50");
        await Eventually.TrueAsync(() => lab.Reconciler.Problem is null);
        // A default route by the primary interface that is preferred is correct.
        lab.Host.Ip("route add default via 10.0.0.1 dev ens6 onlink metric 200");
        await lab.Reconciler.SyncAsync(CancellationToken.None);
        Assert.Null(lab.Reconciler.Problem);
    }

    [Fact]
    public async Task Rename_of_the_primary_link_is_followed()
    {
        await using var lab = await HostLab.StartAsync();
        lab.Host.IpBatch("", ["link set eth0 down", "link set eth0 name ens5", "link set ens5 up", "route add default via 10.0.0.1"]);
        await Eventually.TrueAsync(() => lab.Nft("list table ip vpccni").Contains("iifname \"ens5\"", StringComparison.Ordinal));
        lab.Host.Ip("link set ens6 name prod1");
        lab.Host.Ip("link set prod1 mtu 1500");
        await Eventually.TrueAsync(() => lab.Netlink.FindLink("prod1")!.Mtu == 9001);
    }

    [Fact]
    public async Task Rules_tables_and_routes_of_other_programs_are_not_changed()
    {
        await using var lab = await HostLab.StartAsync(before: lab =>
        {
            lab.Host.IpBatch(
                "",
                [
                    "rule add priority 100 from 10.0.0.21 table 77",
                    "rule add priority 512 to 192.0.2.1 table main",
                    "rule add priority 1024 fwmark 0x1/0x1 table main",
                    "rule add priority 1535 to 192.0.2.0/24 table 78",
                    "rule add priority 1536 from 192.0.2.7 table 79",
                    "route add 192.0.2.0/24 dev eth0 table 77",
                    "route add 198.18.0.0/15 dev eth0",
                ]
            );
            lab.Nft("add table ip mine");
            lab.Nft("add chain ip mine c { type nat hook postrouting priority 50 ; }");
        });
        var theirs = Foreign(lab);
        lab.AddPod("web", "10.0.0.21");
        lab.Host.Ip("rule del priority 512 to 10.0.0.21");
        lab.Nft("delete table ip vpccni");
        await Eventually.TrueAsync(() => lab.Repaired(RepairKind.Nat) > 0 && lab.Repaired(RepairKind.Rule) > 0);
        Assert.Equal(theirs, Foreign(lab));

        static string Foreign(HostLab lab) =>
            string.Join(
                '\n',
                lab.Snapshot()
                    .Split('\n')
                    .Where(line =>
                        line.Contains("192.0.2.", StringComparison.Ordinal)
                        || line.Contains("198.18.", StringComparison.Ordinal)
                        || line.Contains(" 77 ", StringComparison.Ordinal)
                        || line.Contains("1/1", StringComparison.Ordinal)
                    )
            ) + lab.Nft("list table ip mine");
    }

    [Fact]
    public async Task Rules_of_the_reference_are_adopted_unchanged()
    {
        await using var lab = await HostLab.StartAsync(before: lab =>
            lab.Host.IpBatch(
                "",
                ["rule add priority 1024 fwmark 0x80/0x80 table main", "rule add priority 32765 from 10.0.0.20 table 2 protocol 3"]
            )
        );
        Assert.Single(lab.Netlink.GetRules(IpFamily.V4), rule => rule.Priority == 1024);
        Assert.Single(lab.Netlink.GetRules(IpFamily.V4), rule => rule.Priority == 32765);
    }

    [Fact]
    public async Task Pod_without_a_link_gets_no_routes_or_rules()
    {
        await using var lab = await HostLab.StartAsync();
        lab.AddPod("web", "10.0.0.21");
        lab.Attach("coming", "10.0.0.22");
        lab.Host.IpBatch(
            "",
            ["rule del priority 512 to 10.0.0.21", "rule del priority 1536 from 10.0.0.21", $"link del {HostLab.LinkOf("web")}"]
        );
        // The repair of another change proves that a sync has run.
        lab.Host.Ip("link set ens6 mtu 1500");
        await Eventually.TrueAsync(() => lab.Netlink.FindLink("ens6")!.Mtu == 9001);
        Assert.DoesNotContain(lab.Netlink.GetRules(IpFamily.V4), rule => rule.Priority is 512 or 1536);
    }

    [Fact]
    public async Task ADDs_and_DELs_of_pods_cause_no_repairs()
    {
        await using var lab = await HostLab.StartAsync();
        for (var round = 0; round < 60; round++)
        {
            var name = $"p{round}";
            lab.AddPod(name, $"10.0.0.{21 + (round % 8)}");
            Assert.Equal(2, lab.Netlink.GetRules(IpFamily.V4).Count(rule => rule.Priority is 512 or 1536));
            var address = IpRanges.Single(IPAddress.Parse($"10.0.0.{21 + (round % 8)}"));
            lab.Netlink.Execute([
                RuleRequests.Remove(
                    new RuleInfo
                    {
                        Family = IpFamily.V4,
                        Priority = 512,
                        Destination = address,
                    }
                ),
                RuleRequests.Remove(
                    new RuleInfo
                    {
                        Family = IpFamily.V4,
                        Priority = 1536,
                        Source = address,
                        Table = HostLab.Table,
                    }
                ),
                LinkRequests.Delete(HostLab.LinkOf(name)),
            ]);
            lab.Release(name);
        }

        // None of them was reported as a repair.
        Assert.All(lab.Reconciler.Report.Kinds, item => Assert.Equal(0, item.Value.Repaired));
        lab.Host.Ip("link set ens6 mtu 1500");
        await Eventually.TrueAsync(() => lab.Netlink.FindLink("ens6")!.Mtu == 9001);
        Assert.DoesNotContain(lab.Netlink.GetRules(IpFamily.V4), rule => rule.Priority is 512 or 1536);
    }

    [Fact]
    public async Task Change_that_another_program_keeps_reverting_is_retried_less_often()
    {
        await using var lab = await HostLab.StartAsync();
        using var fighter = RouteMonitor.Start(
            lab.Host,
            RouteMonitorGroups.Ipv4Rules,
            change =>
            {
                if (change is RouteNotification.RuleChanged { Change: RouteChange.Set, Rule: { Priority: 1024 } rule })
                    lab.Netlink.Execute(RuleRequests.Remove(rule).Tolerating(Errno.ENOENT));
            },
            _ => { }
        );
        lab.Host.Ip("rule del priority 1024");
        await Eventually.TrueAsync(() => lab.Lines.Any(line => line.Contains("another program keeps undoing", StringComparison.Ordinal)));
        Assert.InRange(lab.Repaired(RepairKind.Rule), RepairBackoff.Patience, RepairBackoff.Patience + 3);
    }

    [Fact]
    public async Task Range_added_to_the_VPC_at_run_time_is_reached_without_SNAT()
    {
        await using var lab = await HostLab.StartAsync();
        var pod = lab.AddPod("web", "10.0.0.21");
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(pod, lab.First, new IPEndPoint(HostLab.Internet, 8080)));
        lab.Ranges = [.. lab.Ranges, IPNetwork.Parse("203.0.113.0/24")];
        lab.Reconciler.RequestSync();
        await Eventually.TrueAsync(() => lab.Nft("list table ip vpccni").Contains("203.0.113.0/24", StringComparison.Ordinal));
        Assert.Equal(IPAddress.Parse("10.0.0.21"), await HostLab.ConnectAsync(pod, lab.Second, new IPEndPoint(HostLab.Internet, 8080)));
    }
}
