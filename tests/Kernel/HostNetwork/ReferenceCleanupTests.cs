// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>
/// Finding and removing rules of the AWS VPC CNI with any set of installed programs; rules that cannot be removed are reported.
/// </summary>
public sealed class ReferenceCleanupTests
{
    private static readonly string[] Chain = ["-t nat -N AWS-SNAT-CHAIN-0", "-t nat -A POSTROUTING -j AWS-SNAT-CHAIN-0"];

    [Theory]
    [InlineData("iptables-legacy")]
    [InlineData("iptables-nft")]
    public async Task Rules_without_a_program_to_remove_them_are_reported_until_it_exists(string kind)
    {
        using var ns = Node(kind);
        using var programs = new Programs();
        programs.Link("nft");
        foreach (var rule in Chain)
            Iproute.Run(ns, kind, rule.Split(' '));
        var cleanup = new ReferenceCleanup(new NetfilterProgram(ns, TimeProvider.System) { Folders = [programs.Folder] });
        var problem = await Assert.ThrowsAsync<HostNetworkException>(() => cleanup.RemoveAsync(CancellationToken.None));
        Assert.Contains($"{kind}-save", problem.Message, StringComparison.Ordinal);

        programs.Link($"{kind}-save");
        programs.Link($"{kind}-restore");
        Assert.True((await cleanup.RemoveAsync(CancellationToken.None)).Removed);
        Assert.DoesNotContain("AWS", Iproute.Run(ns, $"{kind}-save", []), StringComparison.Ordinal);
        Assert.False((await cleanup.RemoveAsync(CancellationToken.None)).Removed);
    }

    [Fact]
    public async Task Node_that_never_had_iptables_needs_none_of_its_programs()
    {
        using var ns = Node("nft");
        using var programs = new Programs();
        programs.Link("nft");
        Iproute.Run(ns, "nft", ["add", "table", "ip", "mine"]);
        Assert.False(
            (
                await new ReferenceCleanup(new NetfilterProgram(ns, TimeProvider.System) { Folders = [programs.Folder] }).RemoveAsync(
                    CancellationToken.None
                )
            ).Removed
        );
    }

    [Fact]
    public async Task Program_that_fails_does_not_count_as_no_rules()
    {
        using var ns = Node("iptables-legacy");
        using var programs = new Programs();
        programs.Link("nft");
        programs.Write("iptables-legacy-save", "echo no >&2; exit 3");
        Iproute.Run(ns, "iptables-legacy", ["-t", "nat", "-N", "MINE"]);
        var cleanup = new ReferenceCleanup(new NetfilterProgram(ns, TimeProvider.System) { Folders = [programs.Folder] });
        Assert.Contains(
            "exit code 3",
            (await Assert.ThrowsAsync<HostNetworkException>(() => cleanup.RemoveAsync(CancellationToken.None))).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("iptables-legacy")]
    [InlineData("iptables-nft")]
    public async Task Exemption_that_ends_with_the_takeover_is_logged(string kind)
    {
        Requirement.NeedProgram(kind);
        await using var lab = await HostLab.StartAsync(before: lab =>
        {
            Iproute.Run(lab.Host, kind, ["-t", "nat", "-A", "POSTROUTING", "-d", "198.51.100.0/24", "-j", "ACCEPT"]);
            foreach (var rule in Chain)
                Iproute.Run(lab.Host, kind, rule.Split(' '));
        });
        Assert.Contains(
            lab.Lines,
            line =>
                line.StartsWith("Warning", StringComparison.Ordinal)
                && line.Contains("-d 198.51.100.0/24 -j ACCEPT", StringComparison.Ordinal)
        );
        Assert.Contains("198.51.100.0/24", Iproute.Run(lab.Host, $"{kind}-save", []), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Table_that_the_old_daemon_restores_is_removed_again()
    {
        await using var lab = await HostLab.StartAsync(before: lab => lab.Nft("add table ip aws-cni"));
        Assert.DoesNotContain("aws-cni", lab.Nft("list tables"), StringComparison.Ordinal);
        lab.Nft("add table ip aws-cni");
        await Eventually.TrueAsync(() => !lab.Nft("list tables").Contains("aws-cni", StringComparison.Ordinal));
        await Eventually.TrueAsync(() =>
            lab.Lines.Any(line => line.Contains("does its daemon run on this node?", StringComparison.Ordinal))
        );
    }

    /// <summary>Two networks on one node must not keep the daemon busy or fill the log.</summary>
    [Fact]
    public async Task Table_that_keeps_recurring_is_removed_with_backoff_and_logged_once()
    {
        Iproute.Need();
        using var ns = NetworkNamespace.CreateAnonymous();
        using var programs = new Programs();
        var removals = programs.Folder + "removals";
        programs.Write(
            "nft",
            $"""
            case "$*" in
            "list tables" | "list tables ip") echo "table ip aws-cni" ;;
            "-f -") echo >> {removals} ;;
            *) echo "No such file or directory" >&2; exit 1 ;;
            esac
            """
        );
        var (time, log) = (new ManualTimeProvider(), new RecordingLogger<ReferenceCleanup>());
        var tried = 0;
        var keeper = new NatReconciler(
            new NetfilterProgram(ns, time) { Folders = [programs.Folder] },
            new RepairJournal(_ => { }, time, log),
            () => tried++,
            time,
            new Random(1),
            log
        );
        await keeper.SyncAsync(CancellationToken.None);
        Assert.Equal((false, 0), (keeper.WasTried, tried));
        keeper.Declare(new NatDeclaration("nothing", HasIpv4: false, HasIpv6: false, Ranges: 0));
        for (var end = time.GetUtcNow().AddHours(1); time.GetUtcNow() < end; time.Advance(TimeSpan.FromSeconds(5)))
        {
            keeper.OnTableChange("aws-cni");
            await keeper.SyncAsync(CancellationToken.None);
        }

        Assert.Equal((true, 1), (keeper.WasTried, tried));
        Assert.InRange((await File.ReadAllLinesAsync(removals, TestContext.Current.CancellationToken)).Length, 8, 13);
        Assert.Single(log.Lines, line => line.Contains("does its daemon run on this node?", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Node_without_SNAT_needs_no_nft()
    {
        using var programs = new Programs();
        await using var lab = await HostLab.StartAsync(
            new HostNetworkOptions { ExternalSnat = true, NodePorts = false },
            programs: [programs.Folder]
        );
        Assert.Null(lab.Reconciler.Problem);
    }

    [Theory]
    [InlineData("iptables-legacy")]
    [InlineData("iptables-nft")]
    [InlineData("nft")]
    public async Task Rollback_to_the_reference_keeps_our_table_until_its_rules_exist(string kind)
    {
        using var ns = Node(kind);
        var removal = new NatRemoval(new NetfilterProgram(ns, TimeProvider.System));
        Assert.Equal(NatRemovalOutcome.NotThere, await removal.RemoveAsync(always: true, CancellationToken.None));
        Iproute.Run(ns, "nft", ["add", "table", "ip", "vpccni"]);
        Assert.Equal(NatRemovalOutcome.Kept, await removal.RemoveAsync(always: false, CancellationToken.None));
        if (kind == "nft")
            Iproute.Run(ns, "nft", ["add", "table", "ip", "aws-cni"]);
        else
            foreach (var rule in Chain)
                Iproute.Run(ns, kind, rule.Split(' '));

        Assert.Equal(NatRemovalOutcome.Removed, await removal.RemoveAsync(always: false, CancellationToken.None));
        Assert.DoesNotContain("vpccni", Iproute.Run(ns, "nft", ["list", "tables"]), StringComparison.Ordinal);
        if (kind != "nft")
            Assert.Contains("AWS-SNAT-CHAIN-0", Iproute.Run(ns, $"{kind}-save", []), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rollback_on_request_removes_our_table_without_a_replacement()
    {
        using var ns = Node("nft");
        Iproute.Run(ns, "nft", ["add", "table", "ip", "vpccni"]);
        Assert.Equal(
            NatRemovalOutcome.Removed,
            await new NatRemoval(new NetfilterProgram(ns, TimeProvider.System)).RemoveAsync(always: true, CancellationToken.None)
        );
    }

    private static NetworkNamespace Node(string program)
    {
        Iproute.Need();
        Requirement.NeedProgram("nft");
        Requirement.NeedProgram(program);
        return NetworkNamespace.CreateAnonymous();
    }
}
