// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.Paths;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Paths;

/// <summary>Checks every path of the data plane with the real binaries, repeated after restarts and changes of a node.</summary>
public sealed class PathTests
{
    [Theory]
    [InlineData("secondary addresses", "m5.large", 10, "false")]
    [InlineData("prefixes", "t3.micro", 17, "true")]
    public async Task Paths_work_also_after_a_restart_a_flush_and_a_new_range(string mode, string instanceType, int pods, string prefixes)
    {
        await using var lab = await StartAsync(instanceType, prefixes);
        for (var pod = 0; pod < pods; pod++)
            await lab.AddAsync($"web-{pod}");
        await lab.Lab.AddPodAsync("node-2", PodName.Parse("default/other"), TestContext.Current.CancellationToken);
        await lab.Lab.AddPodAsync("node-3", PodName.Parse("default/far"), TestContext.Current.CancellationToken);
        var paths = new PathMatrix(lab.Lab, TimeProvider.System);
        await paths.InstallServicesAsync(TestContext.Current.CancellationToken);
        await CheckAsync(paths, $"{mode}, fresh");

        await lab.Lab.RestartIpamdAsync(NodeLab.Node, TestContext.Current.CancellationToken);
        await CheckAsync(paths, $"{mode}, after a restart");

        await paths.FlushAsync(TestContext.Current.CancellationToken);
        var flushed = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() => paths.IsRestoredAsync(TestContext.Current.CancellationToken));
        Assert.InRange(Stopwatch.GetElapsedTime(flushed), TimeSpan.Zero, TimeSpan.FromSeconds(1));
        await CheckAsync(paths, $"{mode}, after a flush");

        await paths.AddRangeAsync(TestContext.Current.CancellationToken);
        await Eventually.TrueAsync(() => paths.HasAddedRangeAsync(TestContext.Current.CancellationToken));
        Assert.Contains(paths.Checks, check => check.What == PathMatrix.AddedRangePath);
        await CheckAsync(paths, $"{mode}, after a range was added");
    }

    [Fact]
    public async Task Pod_deleted_without_a_daemon_gets_no_rule_back()
    {
        await using var lab = await StartAsync("m5.large", "false");
        for (var pod = 0; pod < 10; pod++)
            await lab.AddAsync($"web-{pod}");
        await lab.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        for (var pod = 0; pod < 10; pod++)
            await lab.DeleteAsync($"web-{pod}");
        await IpAsync(lab, "rule del priority 1024");
        await IpAsync(lab, "rule add priority 512 to 192.0.2.1 table main");
        lab.TheNode.Ipamd.Start();
        await lab.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        await Eventually.TrueAsync(async () => (await RulesAsync(lab)).Contains("1024:", StringComparison.Ordinal));
        await IpAsync(lab, "rule del priority 1024");
        await Eventually.TrueAsync(async () => (await RulesAsync(lab)).Contains("1024:", StringComparison.Ordinal));
        var rules = await RulesAsync(lab);
        Assert.Equal(
            "512:\tfrom all to 192.0.2.1 lookup main",
            Assert.Single(rules.Split('\n'), rule => rule.StartsWith("512:", StringComparison.Ordinal))
        );
        Assert.DoesNotContain("1536:", rules, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Init_sets_the_parameters_once()
    {
        await using var lab = await StartAsync("m5.large", "false");
        string[] init = ["env", "AWS_REGION=us-west-2", Binaries.Ipamd, "init", "--json"];
        await lab.Lab.ExecAsync(
            NodeLab.Node,
            ["sh", "-c", "echo 0 > /proc/sys/net/ipv4/tcp_early_demux"],
            TimeSpan.FromSeconds(5),
            TestContext.Current.CancellationToken
        );
        var first = await lab.Lab.ExecAsync(NodeLab.Node, init, TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        var second = await lab.Lab.ExecAsync(NodeLab.Node, init, TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.Equal((0, 0), (first.ExitCode, second.ExitCode));
        Assert.Contains(
            """{"name":"net.ipv4.tcp_early_demux","value":"1","previous":"0","changed":true}""",
            first.Output,
            StringComparison.Ordinal
        );
        Assert.Contains(
            """{"name":"net.ipv4.conf.eth0.rp_filter","value":"2","previous":"2","changed":false}""",
            second.Output,
            StringComparison.Ordinal
        );
        Assert.DoesNotContain("\"changed\":true", second.Output, StringComparison.Ordinal);
    }

    private static Task<NodeLab> StartAsync(string instanceType, string prefixes) =>
        NodeLab.StartAsync(
            new()
            {
                ["ENABLE_PREFIX_DELEGATION"] = prefixes,
                ["AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS"] = FabricAddresses.OnPremises.ToString(),
                ["VPCCNI_RANGE_INTERVAL_SECONDS"] = "1",
            },
            options =>
                options with
                {
                    Nodes = [2, 1],
                    Subnets = [IPNetwork.Parse("10.0.0.0/20"), IPNetwork.Parse("10.0.16.0/20")],
                    InstanceType = instanceType,
                }
        );

    internal static async Task CheckAsync(PathMatrix paths, string when)
    {
        List<string> failures = [];
        foreach (var check in paths.Checks)
        {
            try
            {
                TestContext.Current.TestOutputHelper?.WriteLine(
                    $"{when}: {check.What}: {(await check.RunAsync(TestContext.Current.CancellationToken)).Detail}"
                );
            }
            catch (Exception failure) when (failure is CheckFailedException or TimeoutException or System.Net.Sockets.SocketException)
            {
                failures.Add($"{when}: {check.What}: {failure.Message}");
            }
        }

        // Assert.Empty would truncate the list of failed paths.
        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }

    private static async Task IpAsync(NodeLab lab, string arguments) =>
        Assert.Equal(
            0,
            (
                await lab.Lab.ExecAsync(
                    NodeLab.Node,
                    ["ip", .. arguments.Split(' ')],
                    TimeSpan.FromSeconds(5),
                    TestContext.Current.CancellationToken
                )
            ).ExitCode
        );

    private static async Task<string> RulesAsync(NodeLab lab) =>
        (await lab.Lab.ExecAsync(NodeLab.Node, ["ip", "rule"], TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken)).Output;
}
