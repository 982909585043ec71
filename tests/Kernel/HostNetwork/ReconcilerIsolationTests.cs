// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>Independence of repairs from each other's failures, and what is logged and counted.</summary>
public sealed class ReconcilerIsolationTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(1);

    [Fact]
    public async Task Defect_in_the_repair_of_rules_is_reported_and_NAT_is_repaired()
    {
        await using var lab = await HostLab.StartAsync();
        lab.BeforeInputs = () => throw new InvalidOperationException("a defect");
        lab.Reconciler.RequestSync();
        await Eventually.TrueAsync(() =>
            lab.Reconciler.Problem is { } problem
            && problem.Contains("repair of routes and rules failed because of a defect", StringComparison.Ordinal)
        );
        lab.Nft("delete table ip vpccni");
        await Eventually.TrueAsync(() => lab.Nft("list tables").Contains("vpccni", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Disputed_MTU_delays_neither_rules_nor_a_new_range()
    {
        await using var lab = await HostLab.StartAsync();
        lab.AddPod("web", "10.0.0.21");
        using var fighter = RouteMonitor.Start(
            lab.Host,
            RouteMonitorGroups.Links,
            change =>
            {
                if (change is RouteNotification.LinkChanged { Link: { Name: "ens6", Mtu: 9001 } link })
                    lab.Netlink.Execute(LinkRequests.SetMtu(link.Index, 1500));
            },
            _ => { }
        );
        lab.Host.Ip("link set ens6 mtu 1500");
        await Eventually.TrueAsync(() => lab.Reconciler.Report.Kinds[RepairKind.Link].IsDisputed);

        var started = Stopwatch.GetTimestamp();
        lab.Host.Ip("rule del priority 1536");
        lab.Ranges = [.. lab.Ranges, IPNetwork.Parse("203.0.113.0/24")];
        lab.Reconciler.RequestSync();
        await Eventually.TrueAsync(() => lab.Netlink.GetRules(IpFamily.V4).Any(rule => rule.Priority == 1536));
        await Eventually.TrueAsync(() => lab.Nft("list table ip vpccni").Contains("203.0.113.0/24", StringComparison.Ordinal));
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, Bound);
        Assert.False(lab.Reconciler.Report.Kinds[RepairKind.Rule].IsDisputed);
        Assert.Contains("(Link)", lab.Reconciler.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Program_that_hangs_delays_no_repair()
    {
        using var programs = new Programs();
        programs.Write("nft", "exec sleep 20");
        await using var lab = await HostLab.StartAsync(run: false, programs: [programs.Folder], sync: false);
        lab.AddPod("web", "10.0.0.21");
        lab.Run();
        // The first sync adds the rule for marks.
        await Eventually.TrueAsync(() => lab.Netlink.GetRules(IpFamily.V4).Any(rule => rule.Priority == 1024));
        var started = Stopwatch.GetTimestamp();
        lab.Host.Ip("rule del priority 1536");
        await Eventually.TrueAsync(() => lab.Netlink.GetRules(IpFamily.V4).Any(rule => rule.Priority == 1536));
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, Bound);
    }

    [Fact]
    public async Task Program_that_fails_is_not_restarted_at_every_change()
    {
        using var programs = new Programs();
        programs.Write("nft", "echo x >> $(dirname $0)/starts; echo broken >&2; exit 1");
        await using var lab = await HostLab.StartAsync(programs: [programs.Folder]);
        for (var round = 0; round < 8; round++)
        {
            lab.Host.Ip("link set ens6 mtu 1500");
            await Eventually.TrueAsync(() => lab.Netlink.FindLink("ens6")!.Mtu == 9001);
        }

        Assert.Contains("broken", lab.Reconciler.Problem, StringComparison.Ordinal);
        Assert.InRange(File.ReadAllLines(programs.Folder + "starts").Length, 1, 3);
    }

    [Fact]
    public async Task Program_that_is_only_in_PATH_is_not_run()
    {
        using var programs = new Programs();
        await using var lab = await HostLab.StartAsync(run: false, programs: [programs.Folder]);
        Assert.Contains("there is no program nft", lab.Reconciler.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Table_flushed_during_its_creation_is_repaired()
    {
        using var programs = new Programs();
        programs.Write(
            "nft",
            "cd $(dirname $0); [ \"$1\" = -f ] || exec /usr/sbin/nft \"$@\"; /usr/sbin/nft -f - || exit; [ -e flushed ] || { touch "
                + "flushed; exec /usr/sbin/nft flush ruleset; }"
        );
        await using var lab = await HostLab.StartAsync(programs: [programs.Folder]);
        await Eventually.TrueAsync(() => lab.Nft("list tables").Contains("vpccni", StringComparison.Ordinal));
        Assert.True(File.Exists(programs.Folder + "flushed"));
        Assert.Equal(
            HostLab.PrimaryAddress,
            await HostLab.ConnectAsync(lab.AddPod("web", "10.0.0.21"), lab.First, new IPEndPoint(HostLab.Internet, 8080))
        );
    }

    [Fact]
    public async Task Pod_link_that_went_down_and_up_gets_its_route_back()
    {
        await using var lab = await HostLab.StartAsync();
        var pod = lab.AddPod("web", "10.0.0.21");
        lab.Host.IpBatch("", [$"link set {HostLab.LinkOf("web")} down", $"link set {HostLab.LinkOf("web")} up"]);
        var started = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() =>
            lab.Netlink.GetRoutes(IpFamily.V4, RouteTables.Main).Any(route => route.Destination == IPNetwork.Parse("10.0.0.21/32"))
        );
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, Bound);
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(pod, lab.First, new IPEndPoint(HostLab.Internet, 8080)));
    }

    [Fact]
    public async Task Flush_is_logged_once_and_counts_every_rule()
    {
        const int pods = 30;
        await using var lab = await HostLab.StartAsync();
        lab.AddPodLinks(pods);
        lab.Host.IpBatch("", ["rule flush"]);
        // Two rules per pod, the rule for marks, the kernel's rule for main and that of the interface. Rules that a sync restores during
        // the flush and that are flushed again count twice.
        await Eventually.TrueAsync(() => lab.Repaired(RepairKind.Rule) >= (2 * pods) + 3);
        await Eventually.TrueAsync(() => lab.Netlink.GetRules(IpFamily.V4).Count(rule => rule.Priority is 512 or 1536) == 2 * pods);
        Assert.InRange(lab.Lines.Count(line => line.Contains("repair=Rule", StringComparison.Ordinal)), 1, 3);
        Assert.NotNull(lab.Reconciler.Report.Kinds[RepairKind.Rule].LastRepair);
        Assert.Equal(0, lab.Repaired(RepairKind.Leftover));
    }

    [Fact]
    public async Task Two_links_with_the_MAC_of_the_primary_are_reported_until_one_is_gone()
    {
        await using var lab = await HostLab.StartAsync();
        lab.Host.IpBatch("", ["link add twin type veth peer name other", $"link set twin address {HostLab.PrimaryMac}"]);
        await Eventually.TrueAsync(() => lab.Reconciler.Problem?.Contains("eth0, twin", StringComparison.Ordinal) == true);
        lab.Host.Ip("rule del priority 1024");
        await Eventually.TrueAsync(() => lab.Netlink.GetRules(IpFamily.V4).Any(rule => rule.Priority == 1024));
        lab.Host.Ip("link del twin");
        await Eventually.TrueAsync(() => lab.Reconciler.Problem is null);
    }

    [Fact]
    public async Task Interface_whose_slot_is_reused_leaves_no_rule()
    {
        await using var lab = await HostLab.StartAsync();
        lab.Host.IpBatch("", ["link del ens6", "link add ens7 type veth peer name up7", "link set ens7 address 02:00:00:00:00:07"]);
        await lab.WireAsync("02:00:00:00:00:07", 1, IPAddress.Parse("10.0.0.30"));
        Assert.Equal(
            [IPNetwork.Parse("10.0.0.30/32")],
            lab.Netlink.GetRules(IpFamily.V4).Where(rule => rule.Priority == 32765).Select(rule => rule.Source!.Value)
        );
    }

    [Fact]
    public async Task Setting_that_cannot_be_written_is_reported_and_delays_nothing_else()
    {
        // A file that even root can read but not write.
        var folder = Directory.CreateTempSubdirectory("vpccni-settings");
        foreach (var link in new[] { "eth0", "ens6" })
        {
            folder.CreateSubdirectory($"ipv4/conf/{link}");
            File.CreateSymbolicLink($"{folder.FullName}/ipv4/conf/{link}/rp_filter", "/proc/version");
        }

        await using var lab = await HostLab.StartAsync(settings: folder.FullName);
        var pod = lab.AddPod("web", "10.0.0.21");
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(pod, lab.First, new IPEndPoint(HostLab.Internet, 8080)));
        Assert.Contains("rp_filter", lab.Reconciler.Problem, StringComparison.Ordinal);
        Assert.Contains(lab.Netlink.GetRules(IpFamily.V4), rule => rule.Priority == 32765);
        Assert.Equal(0, lab.Repaired(RepairKind.Setting));
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Change_that_the_kernel_rejects_is_reported_and_delays_nothing_else()
    {
        await using var lab = await HostLab.StartAsync(mtu: 100_000);
        lab.AddPod("web", "10.0.0.21");
        Assert.Contains("mtu 100000", lab.Reconciler.Problem, StringComparison.Ordinal);
        lab.Host.Ip("rule del priority 1536");
        lab.Nft("delete table ip vpccni");
        await Eventually.TrueAsync(() => lab.Netlink.GetRules(IpFamily.V4).Any(rule => rule.Priority == 1536));
        await Eventually.TrueAsync(() => lab.Nft("list tables").Contains("vpccni", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Rules_left_by_a_deleted_pod_are_removed_and_counted_apart()
    {
        await using var lab = await HostLab.StartAsync();
        lab.AddPod("web", "10.0.0.21");
        // A repair that runs during the deletion of the pod restores rules that belong to no pod.
        lab.Host.Ip("rule del priority 1536");
        await Eventually.TrueAsync(() => lab.Repaired(RepairKind.Rule) > 0);
        lab.Release("web");
        lab.Host.Ip($"link del {HostLab.LinkOf("web")}");
        lab.Reconciler.RequestSync();
        await Eventually.TrueAsync(
            () => !lab.Netlink.GetRules(IpFamily.V4).Any(rule => rule.Priority is 512 or 1536),
            TimeSpan.FromSeconds(5)
        );
        Assert.Equal((1, 2), (lab.Repaired(RepairKind.Rule), lab.Repaired(RepairKind.Leftover)));
    }

    [Fact]
    public async Task Address_assigned_while_its_old_rules_expire_keeps_them()
    {
        await using var lab = await HostLab.StartAsync(run: false);
        lab.AddPod("web", "10.0.0.21");
        lab.Host.Ip("rule del priority 1536");
        await lab.Reconciler.SyncAsync(CancellationToken.None);
        lab.Release("web");
        lab.Host.Ip($"link del {HostLab.LinkOf("web")}");
        await lab.Reconciler.SyncAsync(CancellationToken.None);
        var stale = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() => Stopwatch.GetElapsedTime(stale) > StaleRules.MinimumAgeOfRepaired);
        // The address is free when the sync reads the desired state, and assigned when the rules are to be removed.
        var asked = 0;
        lab.BeforeInputs = () =>
        {
            if (++asked == 2)
                lab.Attach("next", "10.0.0.21");
        };
        await lab.Reconciler.SyncAsync(CancellationToken.None);
        Assert.Equal(2, asked);
        Assert.Equal(2, lab.Netlink.GetRules(IpFamily.V4).Count(rule => rule.Priority is 512 or 1536));
        lab.Release("next");
        lab.BeforeInputs = () => { };
        await lab.Reconciler.SyncAsync(CancellationToken.None);
        Assert.DoesNotContain(lab.Netlink.GetRules(IpFamily.V4), rule => rule.Priority is 512 or 1536);
    }
}
