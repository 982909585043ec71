// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>Rules of the AWS VPC CNI are found whatever programs there are, and what cannot be removed is said.</summary>
public sealed class ReferenceCleanupTests
{
    private static readonly string[] Chain = ["-t nat -N AWS-SNAT-CHAIN-0", "-t nat -A POSTROUTING -j AWS-SNAT-CHAIN-0"];

    [Theory]
    [InlineData("iptables-legacy")]
    [InlineData("iptables-nft")]
    public async Task Rules_without_the_program_to_remove_them_are_a_problem_until_it_is_there(string kind)
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
    public async Task A_node_that_never_had_iptables_needs_none_of_its_programs()
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
    public async Task A_program_that_fails_is_no_proof_that_nothing_is_left()
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
    public async Task An_exemption_that_ends_with_the_takeover_is_named(string kind)
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
    public async Task A_table_that_the_old_daemon_puts_back_is_removed_again()
    {
        await using var lab = await HostLab.StartAsync(before: lab => lab.Nft("add table ip aws-cni"));
        Assert.DoesNotContain("aws-cni", lab.Nft("list tables"), StringComparison.Ordinal);
        lab.Nft("add table ip aws-cni");
        await Eventually.TrueAsync(() => !lab.Nft("list tables").Contains("aws-cni", StringComparison.Ordinal));
        await Eventually.TrueAsync(() =>
            lab.Lines.Any(line => line.Contains("does its daemon run on this node?", StringComparison.Ordinal))
        );
    }

    /// <summary>Two networks on one node: neither may keep it busy, and an hour of it must not fill the log.</summary>
    [Fact]
    public async Task A_table_that_comes_back_for_ever_is_removed_ever_less_often_and_said_once()
    {
        Iproute.Need();
        using var ns = NetworkNamespace.CreateAnonymous();
        using var programs = new Programs();
        var removals = programs.Folder + "removals";
        programs.Write(
            "nft",
            $"""
            case "$*" in
            "list tables ip") echo "table ip aws-cni" ;;
            "-f -") echo >> {removals} ;;
            *) echo "No such file or directory" >&2; exit 1 ;;
            esac
            """
        );
        var (time, log) = (new ManualTimeProvider(), new LinesLogger());
        var keeper = new NatReconciler(
            new NetfilterProgram(ns, time) { Folders = [programs.Folder] },
            new RepairJournal(time, log),
            time,
            new Random(1),
            log
        );
        keeper.Declare(new NatDeclaration("nothing", IsNeeded: false, Ranges: 0));
        for (var end = time.GetUtcNow().AddHours(1); time.GetUtcNow() < end; time.Advance(TimeSpan.FromSeconds(5)))
        {
            keeper.OnTableChange("aws-cni");
            await keeper.SyncAsync(CancellationToken.None);
        }

        Assert.InRange((await File.ReadAllLinesAsync(removals, TestContext.Current.CancellationToken)).Length, 8, 13);
        Assert.Single(log.Lines, line => line.Contains("does its daemon run on this node?", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_node_that_translates_nothing_needs_no_nft()
    {
        using var programs = new Programs();
        await using var lab = await HostLab.StartAsync(
            new HostNetworkOptions { ExternalSnat = true, NodePorts = false },
            programs: [programs.Folder]
        );
        Assert.Null(lab.Keeper.Problem);
    }

    [Theory]
    [InlineData("iptables-legacy")]
    [InlineData("iptables-nft")]
    [InlineData("nft")]
    public async Task Given_back_the_node_keeps_our_table_until_the_others_rules_are_there(string kind)
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
    public async Task Asked_to_our_table_goes_although_nothing_takes_its_place()
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

    private sealed class LinesLogger : ILogger
    {
        public List<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => Lines.Add(LogFields.Text(state, formatter));
    }
}
