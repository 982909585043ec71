// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using System.Text.Json;
using VpcCni.Lab.Hosting;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>
/// Changes of other programs to the node's network while pods run, with the real binaries: what is repaired, and what is reported.
/// </summary>
public sealed class HostChangesTests
{
    private const string SecondaryLink = "ens6";

    public static TheoryData<string, string> Damages =>
        new()
        {
            { "ip link set {link} down", "ip -o link show {link} up" },
            { "ip link set {link} address 0a:00:00:00:99:99", "ip -o link show {link} | grep -v 0a:00:00:00:99:99" },
            { "echo 0 > /proc/sys/net/ipv4/ip_forward", "grep 1 /proc/sys/net/ipv4/ip_forward" },
            { "echo 0 > /proc/sys/net/ipv4/conf/{link}/forwarding", "grep 1 /proc/sys/net/ipv4/conf/{link}/forwarding" },
            { "echo 0 > /proc/sys/net/ipv4/conf/eth0/forwarding", "grep 1 /proc/sys/net/ipv4/conf/eth0/forwarding" },
            { "ip route del {address}", "ip route show {address}" },
        };

    [Theory]
    [MemberData(nameof(Damages))]
    public async Task Change_to_a_pods_network_is_repaired_and_the_audit_has_no_findings(string change, string check)
    {
        await using var node = await NodeLab.StartAsync();
        var (pod, other) = (await node.AddAsync("a"), await node.AddAsync("b"));
        var link = await LinkOfAsync(node, pod.Address);
        string Filled(string command) =>
            command
                .Replace("{link}", link, StringComparison.Ordinal)
                .Replace("{address}", pod.Address.ToString(), StringComparison.Ordinal);
        await node.ExecAsync("sh", "-c", Filled(change));
        await Eventually.TrueAsync(async () => (await node.ExecAsync("sh", "-c", $"{Filled(check)} || true")).Length > 0);
        Assert.True(await node.PingAsync("a", other.Address.ToString()));
        Assert.True(await node.PingAsync("a", node.TheNode.Address.ToString()));
        Assert.Equal("", await FindingsAsync(node));
    }

    [Fact]
    public async Task Default_route_by_a_secondary_ENI_is_reported_with_the_command_to_fix_it()
    {
        await using var node = await NodeLab.StartAsync();
        for (var index = 0; index < 10; index++)
            await node.AddAsync($"p{index}");
        var before = await node.ExecAsync("ip", "route", "show", "default");
        await node.ExecAsync("ip", "route", "del", "default");
        await node.ExecAsync("ip", "route", "add", "default", "via", "10.0.0.1", "dev", "eth0", "metric", "512");
        await node.ExecAsync("ip", "route", "add", "default", "via", "10.0.0.1", "dev", SecondaryLink, "onlink", "metric", "100");
        var command = $"ip route del default dev {SecondaryLink} metric 100";
        await Eventually.TrueAsync(async () => (await ProblemsAsync(node)).Contains(command, StringComparison.Ordinal));
        Assert.Equal("default-route", await FindingsAsync(node));
        await node.ExecAsync("ip", "route", "del", "default", "dev", SecondaryLink, "metric", "100");
        await Eventually.TrueAsync(async () => !(await ProblemsAsync(node)).Contains("default route", StringComparison.Ordinal));
        Assert.NotEmpty(before);
    }

    [Fact]
    public async Task Route_of_another_program_recovers_no_pod_after_checkpoint_loss()
    {
        await using var node = await NodeLab.StartAsync(new() { ["MAX_ENI"] = "1" });
        var pod = await node.AddAsync("a");
        var foreign = Free(node, pod.Address);
        await LoseCheckpointAsync(
            node,
            async () =>
            {
                await node.ExecAsync("ip", "link", "add", "cilium_host", "type", "veth", "peer", "name", "cilium_net");
                await node.ExecAsync("ip", "link", "set", "cilium_host", "up");
                await node.ExecAsync("ip", "route", "add", $"{foreign}/32", "dev", "cilium_host");
                await node.ExecAsync("ip", "route", "replace", "10.0.0.1/32", "dev", "eth0", "proto", "dhcp");
            }
        );
        Assert.Equal("foreign-route", await FindingsAsync(node));
        // Seven addresses are left for pods; the eighth is never assigned.
        for (var index = 0; index < 7; index++)
            Assert.NotEqual(foreign, (await node.AddAsync($"n{index}")).Address);
        await Assert.ThrowsAsync<CniException>(() => node.AddAsync("too-many"));
        Assert.DoesNotContain(foreign.ToString(), await node.ExecAsync("ip", "rule"), StringComparison.Ordinal);
        await node.ExecAsync("ip", "route", "del", $"{foreign}/32");
        await WaitForSyncAsync(node);
        Assert.DoesNotContain(foreign.ToString(), await node.ExecAsync("ip", "route"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Address_of_the_host_is_never_assigned()
    {
        await using var node = await NodeLab.StartAsync(new() { ["MAX_ENI"] = "1" });
        var pod = await node.AddAsync("a");
        var floating = Free(node, pod.Address);
        await node.ExecAsync("ip", "address", "add", $"{floating}/32", "dev", "lo");
        await node.Lab.RestartIpamdAsync(NodeLab.Node, TestContext.Current.CancellationToken);
        for (var index = 0; index < 7; index++)
            Assert.NotEqual(floating, (await node.AddAsync($"n{index}")).Address);
        await Assert.ThrowsAsync<CniException>(() => node.AddAsync("too-many"));
        Assert.True(await node.PingAsync("n0", floating.ToString()));
        Assert.Equal("", await FindingsAsync(node));
    }

    [Fact]
    public async Task Recreated_pod_after_checkpoint_loss_does_not_get_its_old_route()
    {
        await using var node = await NodeLab.StartAsync();
        var old = await node.AddAsync("ss-0");
        await LoseCheckpointAsync(node);
        await node.DeleteAsync("ss-0");
        var renewed = await node.AddAsync("ss-0");
        Assert.NotEqual(old.Address, renewed.Address);
        await WaitForSyncAsync(node);
        var routes = await node.ExecAsync("ip", "route");
        Assert.Contains(renewed.Address.ToString(), routes, StringComparison.Ordinal);
        Assert.DoesNotContain(old.Address.ToString(), routes, StringComparison.Ordinal);
        // A rule that an earlier daemon or an administrator restored is removed once no pod has its address.
        var free = Free(node, old.Address, renewed.Address);
        await node.ExecAsync("ip", "route", "add", $"{free}/32", "dev", await LinkOfAsync(node, renewed.Address));
        await WaitForSyncAsync(node);
        await Eventually.TrueAsync(async () => !(await node.ExecAsync("ip", "route")).Contains(free.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Interface_that_attaches_during_the_start_is_wired_and_ADDs_wait_for_it()
    {
        await using var node = await NodeLab.StartAsync(
            new() { ["MAX_ENI"] = "2" },
            options => options with { AttachLatency = TimeSpan.FromSeconds(8) }
        );
        for (var index = 0; index < 9; index++)
            await node.AddAsync($"p{index}");
        // The second interface is being attached, and the checkpoint has no intent for it.
        await LoseCheckpointAsync(node);
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                await node.AddAsync("p9");
                break;
            }
            catch (CniException failure) when (Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(20))
            {
                // A slow machine needs longer than an ADD waits; the error is correct in that case too.
                Assert.Contains(
                    "attached with 9 addresses, and the link is not configured yet",
                    failure.ToString(),
                    StringComparison.Ordinal
                );
            }
        }

        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(20));
        Assert.True(await node.PingAsync("p9", node.TheNode.Address.ToString()));
    }

    /// <summary>Returns an address of the primary interface that is not one of these.</summary>
    private static IPAddress Free(NodeLab node, params IPAddress[] taken) =>
        node.Lab.World.With(world =>
            world
                .InterfacesOf(world.Instances.Single().Id)
                .Single(eni => eni.Attachment!.DeviceIndex == 0)
                .SecondaryAddresses.First(address => !taken.Contains(address))
        );

    private static async Task LoseCheckpointAsync(NodeLab node, Func<Task>? meanwhile = null)
    {
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        File.Delete(node.TheNode.Paths.Checkpoint);
        if (meanwhile is not null)
            await meanwhile();
        node.TheNode.Ipamd.Start();
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>Waits for a repair that always happens, which shows that a sync has run.</summary>
    private static async Task WaitForSyncAsync(NodeLab node)
    {
        await node.ExecAsync("ip", "rule", "del", "priority", "1024");
        await Eventually.TrueAsync(async () => (await node.ExecAsync("ip", "rule")).Contains("1024:", StringComparison.Ordinal));
    }

    private static async Task<string> LinkOfAsync(NodeLab node, IPAddress address)
    {
        var words = (await node.ExecAsync("ip", "-o", "route", "show", address.ToString())).Split(
            ' ',
            StringSplitOptions.RemoveEmptyEntries
        );
        return words[Array.IndexOf(words, "dev") + 1];
    }

    private static async Task<string> ProblemsAsync(NodeLab node)
    {
        var answer = (await node.StatusAsync()).Answer!.Value;
        return answer.TryGetProperty("problems", out var problems)
            ? string.Join('\n', problems.EnumerateArray().Select(problem => problem.GetString()))
            : "";
    }

    /// <summary>Returns the kinds of the findings of <c>ipamd audit --json</c>.</summary>
    private static async Task<string> FindingsAsync(NodeLab node)
    {
        var outcome = await node.Lab.ExecAsync(
            NodeLab.Node,
            [Binaries.Ipamd, "audit", "--json", "--socket", node.TheNode.Paths.IpamdSocket],
            TimeSpan.FromSeconds(30),
            TestContext.Current.CancellationToken
        );
        var answer = JsonDocument.Parse(outcome.Output).RootElement;
        return answer.TryGetProperty("findings", out var findings)
            ? string.Join(' ', findings.EnumerateArray().Select(finding => finding.GetProperty("kind").GetString()).Distinct().Order())
            : "";
    }
}
