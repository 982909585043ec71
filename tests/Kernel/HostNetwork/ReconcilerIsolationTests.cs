// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>What must not wait for what, and what is said and counted.</summary>
public sealed class KeeperPaceTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(1);

    [Fact]
    public async Task A_defect_in_the_repair_of_rules_is_shown_and_NAT_is_repaired_on()
    {
        await using var lab = await HostLab.StartAsync();
        lab.Asked = () => throw new InvalidOperationException("a defect");
        lab.Keeper.RequestSync();
        await Eventually.TrueAsync(() =>
            lab.Keeper.Problem is { } problem
            && problem.Contains("repair of routes and rules failed because of a defect", StringComparison.Ordinal)
        );
        lab.Nft("delete table ip vpccni");
        await Eventually.TrueAsync(() => lab.Nft("list tables").Contains("vpccni", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_quarrel_over_an_MTU_delays_neither_rules_nor_a_new_range()
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
        await Eventually.TrueAsync(() => lab.Keeper.Report.Kinds[RepairKind.Link].IsDisputed);

        var started = Stopwatch.GetTimestamp();
        lab.Host.Ip("rule del priority 1536");
        lab.Ranges = [.. lab.Ranges, IPNetwork.Parse("203.0.113.0/24")];
        lab.Keeper.RequestSync();
        await Eventually.TrueAsync(() => lab.Netlink.GetRules(AddressFamily.InterNetwork).Any(rule => rule.Priority == 1536));
        await Eventually.TrueAsync(() => lab.Nft("list table ip vpccni").Contains("203.0.113.0/24", StringComparison.Ordinal));
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, Bound);
        Assert.False(lab.Keeper.Report.Kinds[RepairKind.Rule].IsDisputed);
        Assert.Contains("(Link)", lab.Keeper.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_that_hangs_delays_no_repair()
    {
        using var programs = new Programs();
        programs.Write("nft", "exec sleep 20");
        await using var lab = await HostLab.StartAsync(run: false, programs: [programs.Folder], look: false);
        lab.AddPod("web", "10.0.0.21");
        lab.Run();
        // The first look puts the rule for marks there.
        await Eventually.TrueAsync(() => lab.Netlink.GetRules(AddressFamily.InterNetwork).Any(rule => rule.Priority == 1024));
        var started = Stopwatch.GetTimestamp();
        lab.Host.Ip("rule del priority 1536");
        await Eventually.TrueAsync(() => lab.Netlink.GetRules(AddressFamily.InterNetwork).Any(rule => rule.Priority == 1536));
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, Bound);
    }

    [Fact]
    public async Task A_program_that_fails_is_not_started_again_at_every_change()
    {
        using var programs = new Programs();
        programs.Write("nft", "echo x >> $(dirname $0)/starts; echo broken >&2; exit 1");
        await using var lab = await HostLab.StartAsync(programs: [programs.Folder]);
        for (var round = 0; round < 8; round++)
        {
            lab.Host.Ip("link set ens6 mtu 1500");
            await Eventually.TrueAsync(() => lab.Netlink.FindLink("ens6")!.Mtu == 9001);
        }

        Assert.Contains("broken", lab.Keeper.Problem, StringComparison.Ordinal);
        Assert.InRange(File.ReadAllLines(programs.Folder + "starts").Length, 1, 3);
    }

    [Fact]
    public async Task A_program_that_is_only_in_the_PATH_is_not_run()
    {
        using var programs = new Programs();
        await using var lab = await HostLab.StartAsync(run: false, programs: [programs.Folder]);
        Assert.Contains("there is no program nft", lab.Keeper.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_table_that_is_flushed_while_it_is_put_there_is_not_taken_for_right()
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
    public async Task A_pods_link_that_went_down_and_came_up_again_gets_its_route_back_at_once()
    {
        await using var lab = await HostLab.StartAsync();
        var pod = lab.AddPod("web", "10.0.0.21");
        lab.Host.IpBatch("", [$"link set {HostLab.LinkOf("web")} down", $"link set {HostLab.LinkOf("web")} up"]);
        var started = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() =>
            lab
                .Netlink.GetRoutes(AddressFamily.InterNetwork, RouteTables.Main)
                .Any(route => route.Destination == IPNetwork.Parse("10.0.0.21/32"))
        );
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, Bound);
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(pod, lab.First, new IPEndPoint(HostLab.Internet, 8080)));
    }

    [Fact]
    public async Task One_flush_is_one_line_and_counts_every_rule()
    {
        const int pods = 30;
        await using var lab = await HostLab.StartAsync();
        lab.AddPodLinks(pods);
        lab.Host.IpBatch("", ["rule flush"]);
        // Two of each pod, the one for marks, the kernel's own for main and the one of the interface; those that a look in the middle of
        // the flush put back, and the rest of it took again, count twice.
        await Eventually.TrueAsync(() => lab.Repaired(RepairKind.Rule) >= (2 * pods) + 3);
        await Eventually.TrueAsync(() =>
            lab.Netlink.GetRules(AddressFamily.InterNetwork).Count(rule => rule.Priority is 512 or 1536) == 2 * pods
        );
        Assert.InRange(lab.Lines.Count(line => line.Contains("repair=Rule", StringComparison.Ordinal)), 1, 3);
        Assert.NotNull(lab.Keeper.Report.Kinds[RepairKind.Rule].LastRepair);
        Assert.Equal(0, lab.Repaired(RepairKind.Leftover));
    }

    [Fact]
    public async Task Two_links_with_the_primarys_MAC_are_named_until_one_of_them_is_gone()
    {
        await using var lab = await HostLab.StartAsync();
        lab.Host.IpBatch("", ["link add twin type veth peer name other", $"link set twin address {HostLab.PrimaryMac}"]);
        await Eventually.TrueAsync(() => lab.Keeper.Problem?.Contains("eth0, twin", StringComparison.Ordinal) == true);
        lab.Host.Ip("rule del priority 1024");
        await Eventually.TrueAsync(() => lab.Netlink.GetRules(AddressFamily.InterNetwork).Any(rule => rule.Priority == 1024));
        lab.Host.Ip("link del twin");
        await Eventually.TrueAsync(() => lab.Keeper.Problem is null);
    }

    [Fact]
    public async Task An_interface_whose_place_another_one_took_leaves_no_rule()
    {
        await using var lab = await HostLab.StartAsync();
        lab.Host.IpBatch("", ["link del ens6", "link add ens7 type veth peer name up7", "link set ens7 address 02:00:00:00:00:07"]);
        await lab.WireAsync("02:00:00:00:00:07", 1, IPAddress.Parse("10.0.0.30"));
        Assert.Equal(
            [IPNetwork.Parse("10.0.0.30/32")],
            lab.Netlink.GetRules(AddressFamily.InterNetwork).Where(rule => rule.Priority == 32765).Select(rule => rule.Source!.Value)
        );
    }

    [Fact]
    public async Task A_setting_that_cannot_be_written_is_a_problem_and_delays_nothing_else()
    {
        // Readable and not writable, also for root.
        var folder = Directory.CreateTempSubdirectory("vpccni-settings");
        foreach (var link in new[] { "eth0", "ens6" })
        {
            folder.CreateSubdirectory($"ipv4/conf/{link}");
            File.CreateSymbolicLink($"{folder.FullName}/ipv4/conf/{link}/rp_filter", "/proc/version");
        }

        await using var lab = await HostLab.StartAsync(settings: folder.FullName);
        var pod = lab.AddPod("web", "10.0.0.21");
        Assert.Equal(HostLab.PrimaryAddress, await HostLab.ConnectAsync(pod, lab.First, new IPEndPoint(HostLab.Internet, 8080)));
        Assert.Contains("rp_filter", lab.Keeper.Problem, StringComparison.Ordinal);
        Assert.Contains(lab.Netlink.GetRules(AddressFamily.InterNetwork), rule => rule.Priority == 32765);
        Assert.Equal(0, lab.Repaired(RepairKind.Setting));
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task What_the_kernel_refuses_is_a_problem_and_delays_nothing_else()
    {
        await using var lab = await HostLab.StartAsync(mtu: 100_000);
        lab.AddPod("web", "10.0.0.21");
        Assert.Contains("mtu 100000", lab.Keeper.Problem, StringComparison.Ordinal);
        lab.Host.Ip("rule del priority 1536");
        lab.Nft("delete table ip vpccni");
        await Eventually.TrueAsync(() => lab.Netlink.GetRules(AddressFamily.InterNetwork).Any(rule => rule.Priority == 1536));
        await Eventually.TrueAsync(() => lab.Nft("list tables").Contains("vpccni", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Rules_that_a_deleted_pod_left_go_and_are_counted_apart()
    {
        await using var lab = await HostLab.StartAsync();
        lab.AddPod("web", "10.0.0.21");
        // A repair that came while the pod was being deleted: what it put back is nobody's.
        lab.Host.Ip("rule del priority 1536");
        await Eventually.TrueAsync(() => lab.Repaired(RepairKind.Rule) > 0);
        lab.Release("web");
        lab.Host.Ip($"link del {HostLab.LinkOf("web")}");
        lab.Keeper.RequestSync();
        await Eventually.TrueAsync(
            () => !lab.Netlink.GetRules(AddressFamily.InterNetwork).Any(rule => rule.Priority is 512 or 1536),
            TimeSpan.FromSeconds(5)
        );
        Assert.Equal((1, 2), (lab.Repaired(RepairKind.Rule), lab.Repaired(RepairKind.Leftover)));
    }

    [Fact]
    public async Task An_address_that_is_given_out_just_when_its_old_rules_are_to_go_keeps_them()
    {
        await using var lab = await HostLab.StartAsync(run: false);
        lab.AddPod("web", "10.0.0.21");
        lab.Host.Ip("rule del priority 1536");
        await lab.Keeper.SyncAsync(CancellationToken.None);
        lab.Release("web");
        lab.Host.Ip($"link del {HostLab.LinkOf("web")}");
        await lab.Keeper.SyncAsync(CancellationToken.None);
        var stale = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() => Stopwatch.GetElapsedTime(stale) > StaleRules.MinimumAgeOfRepaired);
        // Held by nobody when the look declares what must be, and by somebody when the rules are to be removed.
        var asked = 0;
        lab.Asked = () =>
        {
            if (++asked == 2)
                lab.Hold("next", "10.0.0.21");
        };
        await lab.Keeper.SyncAsync(CancellationToken.None);
        Assert.Equal(2, asked);
        Assert.Equal(2, lab.Netlink.GetRules(AddressFamily.InterNetwork).Count(rule => rule.Priority is 512 or 1536));
        lab.Release("next");
        lab.Asked = () => { };
        await lab.Keeper.SyncAsync(CancellationToken.None);
        Assert.DoesNotContain(lab.Netlink.GetRules(AddressFamily.InterNetwork), rule => rule.Priority is 512 or 1536);
    }
}
