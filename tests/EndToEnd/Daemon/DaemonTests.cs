// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using System.Text.Json;
using VpcCni.Lab.Hosting;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>Daemon and plugin on a lab node, with and without failures.</summary>
public sealed class DaemonTests
{
    private const int AddressesOfNode = 27;

    [Fact]
    public async Task Pods_on_several_interfaces_reach_each_other()
    {
        await using var node = await NodeLab.StartAsync();
        List<LabPod> pods = [];
        for (var index = 0; index < 12; index++)
            pods.Add(await node.AddAsync($"p{index}"));
        Assert.Equal(12, pods.Select(pod => pod.Address).Distinct().Count());
        var status = await node.Lab.StatusAsync(TestContext.Current.CancellationToken);
        Assert.Equal([9, 3], status.Nodes[0].Enis.Where(eni => eni.Pods > 0).Select(eni => eni.Pods));
        Assert.True(await node.PingAsync("p0", pods[11].Address.ToString()));
        Assert.True(await node.PingAsync("p11", pods[0].Address.ToString()));
        Assert.True(await node.PingAsync("p11", node.TheNode.Address.ToString()));
    }

    [Fact]
    public async Task Burst_larger_than_the_pool_waits_until_every_pod_has_an_address()
    {
        await using var node = await NodeLab.StartAsync(change: options => options with { Ec2Latency = TimeSpan.FromMilliseconds(200) });
        var pods = await Task.WhenAll(Enumerable.Range(0, 24).Select(index => node.AddAsync($"p{index}")));
        Assert.Equal(24, pods.Select(pod => pod.Address).Distinct().Count());
        var calls = (await node.Lab.StatusAsync(TestContext.Current.CancellationToken)).CloudCalls;
        Assert.All(calls, call => Assert.Equal("OK", call.Outcome));
        Assert.Equal(2, calls.Single(call => call.Operation == "CreateNetworkInterface").Count);
    }

    [Fact]
    public async Task ADD_on_a_full_node_fails_at_once_with_code_11_and_the_reason()
    {
        await using var node = await NodeLab.StartAsync();
        for (var index = 0; index < AddressesOfNode; index++)
            await node.AddAsync($"p{index}");
        var started = Stopwatch.GetTimestamp();
        var failure = await Assert.ThrowsAsync<CniException>(() => node.AddAsync("one-too-many"));
        Assert.Equal(11, failure.Code);
        Assert.Contains("interface limit reached", failure.Message, StringComparison.Ordinal);
        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(10));
        // A node without free addresses stays ready: it keeps serving its pods.
        Assert.Equal(0, (await node.StatusAsync()).ExitCode);
    }

    [Fact]
    public async Task Address_of_a_deleted_pod_is_reused_after_its_cooldown()
    {
        await using var node = await NodeLab.StartAsync(
            new()
            {
                ["IP_COOLDOWN_PERIOD"] = "2",
                ["WARM_IP_TARGET"] = "1",
                ["MAX_ENI"] = "1",
            }
        );
        var first = await node.AddAsync("a");
        await node.DeleteAsync("a");
        Assert.Equal(1, (await node.StatusAsync()).Answer!.Value.GetProperty("pool").GetProperty("cooling").GetInt32());
        Assert.NotEqual(first.Address, (await node.AddAsync("b")).Address);
        await Eventually.TrueAsync(async () =>
            !(await node.StatusAsync()).Answer!.Value.GetProperty("pool").TryGetProperty("cooling", out var cooling)
            || cooling.GetInt32() == 0
        );
        Assert.Equal(first.Address, (await node.AddAsync("c")).Address);
    }

    [Fact]
    public async Task Killed_daemon_keeps_all_assignments_and_assigns_no_address_twice()
    {
        await using var node = await NodeLab.StartAsync();
        var pods = new[] { await node.AddAsync("a"), await node.AddAsync("b"), await node.AddAsync("c") };
        await node.Lab.RestartIpamdAsync(NodeLab.Node, TestContext.Current.CancellationToken);
        Assert.True(await node.PingAsync("a", pods[1].Address.ToString()));
        Assert.Equal(3, (await node.StatusAsync()).Answer!.Value.GetProperty("pool").GetProperty("assigned").GetInt32());
        var after = new[] { await node.AddAsync("d"), await node.AddAsync("e") };
        Assert.Equal(5, pods.Concat(after).Select(pod => pod.Address).Distinct().Count());
        await node.DeleteAsync("a");
        Assert.Equal(4, (await node.StatusAsync()).Answer!.Value.GetProperty("pool").GetProperty("assigned").GetInt32());
    }

    [Theory]
    [InlineData("{\"version\":\"vpc-cni-ipam/1\",\"alloc")]
    [InlineData("")]
    public async Task Corrupt_checkpoint_is_set_aside_and_no_address_in_use_is_assigned(string content)
    {
        await using var node = await NodeLab.StartAsync();
        var before = new[] { await node.AddAsync("a"), await node.AddAsync("b"), await node.AddAsync("c") };
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        var checkpoint = node.TheNode.Paths.Checkpoint;
        await File.WriteAllTextAsync(checkpoint, content, TestContext.Current.CancellationToken);
        node.TheNode.Ipamd.Start();
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        Assert.Equal(
            content,
            await File.ReadAllTextAsync(
                Assert.Single(Directory.GetFiles(Path.GetDirectoryName(checkpoint)!, "ipam.json.corrupt-*")),
                TestContext.Current.CancellationToken
            )
        );
        Assert.Contains("cannot be used", node.Log, StringComparison.Ordinal);
        Assert.Equal(3, (await node.StatusAsync()).Answer!.Value.GetProperty("pool").GetProperty("assigned").GetInt32());

        List<IPAddress> after = [];
        for (var index = 0; index < AddressesOfNode - 3; index++)
            after.Add((await node.AddAsync($"n{index}")).Address);
        Assert.Empty(after.Intersect(before.Select(pod => pod.Address)));
        Assert.Equal(after.Count, after.Distinct().Count());
        Assert.True(await node.PingAsync("a", after[^1].ToString()));
        // Pods that lost their record can still be deleted.
        await node.DeleteAsync("a");
    }

    [Fact]
    public async Task Without_daemon_ADD_fails_with_code_11_after_10_s_and_DEL_succeeds()
    {
        await using var node = await NodeLab.StartAsync();
        await node.AddAsync("a");
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        var started = Stopwatch.GetTimestamp();
        var failure = await Assert.ThrowsAsync<CniException>(() => node.AddAsync("b"));
        Assert.Equal(11, failure.Code);

        // Less than the deadline of the call, which is thirty seconds.
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.FromSeconds(9.5), TimeSpan.FromSeconds(20));
        started = Stopwatch.GetTimestamp();
        await node.DeleteAsync("a");
        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(5));
        var rules = await node.Lab.ExecAsync(NodeLab.Node, ["ip", "rule"], TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Assert.DoesNotContain("512:", rules.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Daemon_is_not_ready_until_EC2_answers()
    {
        await using var node = await NodeLab.StartAsync(beforeReady: lab =>
            lab.World.Inject(new FaultSpec { Operation = "DescribeNetworkInterfaces", Code = "InternalError" })
        );
        await Eventually.TrueAsync(async () =>
            (await node.StatusAsync()).Answer is { } answer
            && answer.TryGetProperty("problems", out var problems)
            && problems.EnumerateArray().Any(problem => problem.GetString()!.Contains("InternalError", StringComparison.Ordinal))
        );
        Assert.Equal(1, (await node.StatusAsync()).ExitCode);
        Assert.Contains("observe the attached interfaces", node.Log, StringComparison.Ordinal);
        node.Lab.World.ClearFaults(null);
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        await node.AddAsync("a");
    }

    [Fact]
    public async Task Daemon_is_not_ready_without_the_metadata_service()
    {
        // Nothing listens on the discard port of the node's loopback.
        await using var node = await NodeLab.StartAsync(
            new() { ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://127.0.0.1:9" },
            beforeReady: _ => { }
        );
        await Eventually.TrueAsync(async () =>
            (await node.StatusAsync()).Answer is { } answer
            && answer.TryGetProperty("problems", out var problems)
            && problems
                .EnumerateArray()
                .Any(problem => problem.GetString()!.Contains("could not identify this node", StringComparison.Ordinal))
        );
        Assert.Equal(1, (await node.StatusAsync()).ExitCode);
        Assert.Contains("a step of the start failed and is retried", node.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Restarted_daemon_without_EC2_serves_known_attachments()
    {
        await using var node = await NodeLab.StartAsync();
        await node.AddAsync("a");
        node.Lab.World.Inject(new FaultSpec { Operation = "DescribeNetworkInterfaces", Code = "InternalError" });
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        node.TheNode.Ipamd.Start();
        await Eventually.TrueAsync(async () => (await node.StatusAsync()).Answer is not null);
        Assert.Equal(1, (await node.StatusAsync()).ExitCode);
        await node.DeleteAsync("a");
        using var checkpoint = JsonDocument.Parse(
            await File.ReadAllTextAsync(node.TheNode.Paths.Checkpoint, TestContext.Current.CancellationToken)
        );
        Assert.Equal(0, checkpoint.RootElement.GetProperty("allocations").GetArrayLength());
    }

    [Fact]
    public async Task Second_daemon_on_the_same_socket_does_not_start()
    {
        await using var node = await NodeLab.StartAsync();
        var start = new ProcessStartInfo(Binaries.Ipamd, ["run"])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            UseShellExecute = false,
        };
        start.Environment["VPCCNI_SOCKET_PATH"] = node.TheNode.Paths.IpamdSocket;
        start.Environment["AWS_VPC_K8S_CNI_BACKING_STORE"] = node.TheNode.Paths.Checkpoint;
        start.Environment["AWS_VPC_K8S_CNI_LOG_FILE"] = "stdout";
        using var second = node.TheNode.Network.Run(() => Process.Start(start))!;
        var error = second.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        _ = second.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await second
            .WaitForExitAsync(TestContext.Current.CancellationToken)
            .WaitAsync(TimeSpan.FromSeconds(15), TestContext.Current.CancellationToken);
        Assert.Equal(1, second.ExitCode);
        Assert.Contains("(ipamd) has locked ", await error, StringComparison.Ordinal);
        await node.AddAsync("a");
    }

    [Fact]
    public async Task Invalid_environment_reports_every_problem_and_changes_nothing()
    {
        var folder = Directory.CreateTempSubdirectory("vpccni-env-");
        try
        {
            var start = new ProcessStartInfo(Binaries.Ipamd, ["run"]) { RedirectStandardError = true, UseShellExecute = false };
            start.Environment["VPCCNI_SOCKET_PATH"] = Path.Combine(folder.FullName, "ipamd.sock");
            start.Environment["AWS_VPC_K8S_CNI_BACKING_STORE"] = Path.Combine(folder.FullName, "ipam.json");
            start.Environment["AWS_VPC_K8S_CNI_LOG_FILE"] = Path.Combine(folder.FullName, "ipamd.log");
            start.Environment["IP_COOLDOWN_PERIOD"] = "soon";
            start.Environment["VPCCNI_MAX_PODS"] = "all";
            start.Environment["ENABLE_POD_ENI"] = "true";

            // The AWS VPC CNI accepts this value; so does the daemon, with a warning (docs/adr/0009).
            start.Environment["WARM_IP_TARGET"] = "many";
            using var process = Process.Start(start)!;
            var error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process
                .WaitForExitAsync(TestContext.Current.CancellationToken)
                .WaitAsync(TimeSpan.FromSeconds(15), TestContext.Current.CancellationToken);
            Assert.Equal(1, process.ExitCode);
            Assert.Contains("3 problem(s)", error, StringComparison.Ordinal);
            Assert.All(
                new[] { "IP_COOLDOWN_PERIOD='soon'", "VPCCNI_MAX_PODS='all'", "ENABLE_POD_ENI='true'" },
                problem => Assert.Contains(problem, error, StringComparison.Ordinal)
            );
            Assert.DoesNotContain("WARM_IP_TARGET", error, StringComparison.Ordinal);
            Assert.Empty(Directory.GetFileSystemEntries(folder.FullName));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Stop_removes_the_socket_and_leaves_pods_connected()
    {
        await using var node = await NodeLab.StartAsync();
        var (a, b) = (await node.AddAsync("a"), await node.AddAsync("b"));
        await node.TheNode.Ipamd!.DisposeAsync();
        Assert.False(File.Exists(node.TheNode.Paths.IpamdSocket));
        Assert.Contains("stopped; pods keep their addresses", node.Log, StringComparison.Ordinal);
        Assert.True(await node.PingAsync("a", b.Address.ToString()));
        Assert.NotEqual(a.Address, b.Address);
    }
}
