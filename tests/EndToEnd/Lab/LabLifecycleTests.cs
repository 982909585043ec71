// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.Json.Nodes;
using VpcCni.Lab.Hosting;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Lab;

/// <summary>
/// Starts, uses and stops a lab from outside, including every abnormal end. Runs no daemons, so it needs no native binaries.
/// </summary>
public sealed class LabLifecycleTests
{
    [Fact]
    public async Task Detached_lab_serves_until_down_which_leaves_nothing()
    {
        await using var program = LabProgram.Create();
        var up = await program.RunAsync(
            "up",
            "--no-ipamd",
            "--nodes",
            "2,1",
            "--subnet-cidr",
            "10.0.0.0/24",
            "--subnet-cidr",
            "10.0.1.0/24",
            "--detach"
        );
        Assert.True(up.ExitCode == 0, up.Errors);
        Assert.Equal(6, program.Namespaces().Count);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(program.LabFolder));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(program.LabFolder, "control.sock")));

        var status = JsonNode.Parse((await program.RunAsync("status", "--json")).Output)!;
        Assert.Equal(["10.0.0.0/24", "10.0.0.0/24", "10.0.1.0/24"], status["nodes"]!.AsArray().Select(node => (string)node!["subnet"]!));
        var address = (string)status["nodes"]![2]!["address"]!;
        var seen = await program.RunAsync("exec", "node-3", "--", "cat", "/proc/thread-self/net/fib_trie");
        Assert.Contains(address, seen.Output, StringComparison.Ordinal);
        Assert.Equal(7, (await program.RunAsync("exec", "router", "--", "sh", "-c", "exit 7")).ExitCode);

        var down = await program.RunAsync("down");
        Assert.True(down.ExitCode == 0, down.Errors);
        Assert.Empty(program.Namespaces());
        Assert.False(Directory.Exists(program.RunFolder));
        Assert.Equal(1, (await program.RunAsync("status")).ExitCode);
    }

    [Fact]
    public async Task Second_up_reports_the_running_lab_and_changes_nothing()
    {
        await using var program = LabProgram.Create();
        Assert.Equal(0, (await program.RunAsync("up", "--no-ipamd", "--nodes", "1", "--detach")).ExitCode);
        var processId = (int)JsonNode.Parse((await program.RunAsync("status", "--json")).Output)!["processId"]!;

        foreach (
            var detach in (string[][])
                [
                    [],
                    ["--detach"],
                ]
        )
        {
            var second = await program.RunAsync(["up", "--no-ipamd", .. detach]);
            Assert.Equal(1, second.ExitCode);
            Assert.Contains($"process {processId}", second.Errors, StringComparison.Ordinal);
            Assert.Contains($"vpclab-{program.Name}-router", second.Errors, StringComparison.Ordinal);
            Assert.Contains($"vpc-lab down --name {program.Name}", second.Errors, StringComparison.Ordinal);
        }

        Assert.Equal(0, (await program.RunAsync("status")).ExitCode);
        Assert.Equal(4, program.Namespaces().Count);
    }

    [Theory]
    [InlineData(2)] // SIGINT, Ctrl-C
    [InlineData(15)] // SIGTERM
    public async Task Signal_ends_a_lab_in_the_foreground_and_leaves_nothing(int signal)
    {
        await using var program = LabProgram.Create();
        using var lab = program.Start("up", "--no-ipamd", "--nodes", "1");
        string? line;
        do line = await lab.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken);
        while (line is not null && !line.StartsWith("Ctrl-C", StringComparison.Ordinal));
        Assert.Equal(4, program.Namespaces().Count);

        Posix.Kill(lab.Id, signal);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        await lab.WaitForExitAsync(limit.Token);
        Assert.Empty(program.Namespaces());
        Assert.False(Directory.Exists(program.RunFolder));
    }

    [Fact]
    public async Task Down_ends_a_program_that_runs_on_a_node()
    {
        await using var program = LabProgram.Create();
        Assert.Equal(0, (await program.RunAsync("up", "--no-ipamd", "--nodes", "1", "--detach")).ExitCode);
        using var exec = program.Start("exec", "node-1", "--", "sleep", "600");
        await Eventually.TrueAsync(() => Children(exec.Id).Count == 1);
        var sleeper = Children(exec.Id)[0];

        var down = await program.RunAsync("down");
        Assert.True(down.ExitCode == 0, down.Errors);
        await Eventually.TrueAsync(() => !File.Exists($"/proc/{sleeper}/exe"));
        await Eventually.TrueAsync(() => exec.HasExited);
    }

    [Fact]
    public async Task Crashed_lab_is_reported_by_up_and_removed_by_down()
    {
        await using var program = LabProgram.Create();
        Assert.Equal(0, (await program.RunAsync("up", "--no-ipamd", "--nodes", "1", "--detach")).ExitCode);
        using var left = program.Start("exec", "node-1", "--", "sleep", "600");
        await Eventually.TrueAsync(() => Children(left.Id).Count == 1);
        var sleeper = Children(left.Id)[0];
        var processId = (int)JsonNode.Parse((await program.RunAsync("status", "--json")).Output)!["processId"]!;
        Posix.Kill(processId, Posix.SigKill);
        await Eventually.TrueAsync(() => !File.Exists($"/proc/{processId}/exe"));

        var up = await program.RunAsync("up", "--no-ipamd", "--detach");
        Assert.Equal(1, up.ExitCode);
        Assert.Contains("crashed", up.Errors, StringComparison.Ordinal);
        Assert.Contains($"vpc-lab down --name {program.Name}", up.Errors, StringComparison.Ordinal);

        var down = await program.RunAsync("down");
        Assert.True(down.ExitCode == 0, down.Errors);
        Assert.Contains("1 processes, 4 namespaces", down.Output, StringComparison.Ordinal);
        Assert.Empty(program.Namespaces());
        await Eventually.TrueAsync(() => !File.Exists($"/proc/{sleeper}/exe"));
        Assert.Equal(0, (await program.RunAsync("up", "--no-ipamd", "--nodes", "1", "--detach")).ExitCode);
    }

    [Fact]
    public async Task Invalid_options_are_all_reported_before_anything_is_created()
    {
        await using var program = LabProgram.Create();
        var up = await program.RunAsync(
            "up",
            "--no-ipamd",
            "--nodes",
            "0",
            "--vpc-cidr",
            "169.254.0.0/16",
            "--subnet-cidr",
            "10.0.0.0/8",
            "--listen",
            "1.2.3.4:5",
            "--ec2-rate",
            "0"
        );
        Assert.Equal(1, up.ExitCode);
        foreach (
            var part in (string[])["--nodes 0", "169.254.0.0/16 overlaps", "--subnet-cidr 10.0.0.0/8", "--listen 1.2.3.4:5", "--ec2-rate 0"]
        )
            Assert.Contains(part, up.Errors, StringComparison.Ordinal);
        Assert.Empty(program.Namespaces());

        var type = await program.RunAsync("up", "--no-ipamd", "--instance-type", "m5.huge", "--detach");
        Assert.Equal(1, type.ExitCode);
        Assert.Contains("m5.huge", type.Errors, StringComparison.Ordinal);
        Assert.Empty(program.Namespaces());
        Assert.False(Directory.Exists(program.RunFolder));
    }

    [Fact]
    public async Task Invalid_pod_commands_are_rejected()
    {
        await using var program = LabProgram.Create();
        Assert.Equal(0, (await program.RunAsync("up", "--no-ipamd", "--nodes", "1", "--detach")).ExitCode);
        foreach (
            var (arguments, expected) in ((string[], string)[])
                [
                    (["add", "node-9", "default/web"], "there is no node 'node-9'"),
                    (["add", "node-1", "web"], "'web' is not a pod name"),
                    (["del", "node-1", "default/web"], "there is no pod default/web on node-1"),
                    (["restart-ipamd", "node-1"], "without daemons"),
                    (["exec", "default/web", "--", "true"], "neither a node"),
                ]
        )
        {
            var outcome = await program.RunAsync(arguments);
            Assert.Equal(1, outcome.ExitCode);
            Assert.Contains(expected, outcome.Errors, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Invalid_fault_is_rejected_with_a_suggestion()
    {
        await using var program = LabProgram.Create();
        Assert.Equal(0, (await program.RunAsync("up", "--no-ipamd", "--nodes", "1", "--detach")).ExitCode);
        foreach (
            var (arguments, expected) in ((string[], string)[])
                [
                    (["fault", "error", "AttachNetworkInterfaces", "InternalError"], "did you mean AttachNetworkInterface?"),
                    (["fault", "error", "AttachNetworkInterface", "RequestLimitExceded"], "did you mean RequestLimitExceeded?"),
                    (["fault", "clear", "AttachInterface"], "has no operation 'AttachInterface'"),
                    (["fault", "kube", "garbage", "--verb", "fetch"], "'fetch'"),
                ]
        )
        {
            var outcome = await program.RunAsync(arguments);
            Assert.Equal(1, outcome.ExitCode);
            Assert.Contains(expected, outcome.Errors, StringComparison.Ordinal);
        }

        Assert.Equal(0, (await program.RunAsync("fault", "error", "AttachNetworkInterface", "NeverHeardOf", "--any-code")).ExitCode);
        Assert.Equal(
            "NeverHeardOf",
            (string)JsonNode.Parse((await program.RunAsync("status", "--json")).Output)!["faults"]!.AsArray().Single()!["code"]!
        );
    }

    /// <summary>A daemon with an invalid environment ends at once.</summary>
    [Fact]
    public async Task Lab_that_does_not_become_ready_is_removed_unless_kept()
    {
        await using var program = LabProgram.Create();
        string[] broken = ["up", "--ipamd", Binaries.Ipamd, "--nodes", "1", "--env", "IP_COOLDOWN_PERIOD=soon", "--detach"];
        var removed = await program.RunAsync(broken);
        Assert.Equal(1, removed.ExitCode);
        Assert.Contains("with --keep it stays", removed.Errors, StringComparison.Ordinal);
        Assert.Empty(program.Namespaces());

        var kept = await program.RunAsync([.. broken, "--keep"]);
        Assert.Equal(1, kept.ExitCode);
        Assert.Contains("IP_COOLDOWN_PERIOD='soon'", kept.Errors, StringComparison.Ordinal);
        Assert.Contains($"vpc-lab down --name {program.Name}", kept.Errors, StringComparison.Ordinal);
        Assert.Equal(4, program.Namespaces().Count);
        Assert.Contains(
            "IP_COOLDOWN_PERIOD",
            await File.ReadAllTextAsync(Path.Combine(program.LabFolder, "node-1", "ipamd.out"), TestContext.Current.CancellationToken),
            StringComparison.Ordinal
        );
        Assert.NotNull(JsonNode.Parse((await program.RunAsync("status", "--json")).Output)!["keptBecause"]);
        Assert.Equal(0, (await program.RunAsync("exec", "node-1", "--", "ip", "link")).ExitCode);

        Assert.Equal(0, (await program.RunAsync("down")).ExitCode);
        Assert.Empty(program.Namespaces());
        Assert.False(Directory.Exists(program.RunFolder));
    }

    /// <summary>As in README: without path, socket or environment.</summary>
    [Fact]
    public async Task Commands_on_a_node_use_its_daemon()
    {
        await using var program = LabProgram.Create();
        var up = await program.RunAsync("up", "--ipamd", Binaries.Ipamd, "--plugin", Binaries.Plugin, "--nodes", "2", "--detach");
        Assert.True(up.ExitCode == 0, up.Errors);
        Assert.Equal(0, (await program.RunAsync("add", "node-2", "default/web-0")).ExitCode);
        var status = await program.RunAsync("exec", "node-2", "--", "ipamd", "status");
        Assert.True(status.ExitCode == 0, status.Errors);
        Assert.StartsWith("READY", status.Output, StringComparison.Ordinal);
        Assert.Contains(
            "default/web-0",
            (await program.RunAsync("exec", "node-2", "--", "ipamd", "pods")).Output,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "default/web-0",
            (await program.RunAsync("exec", "node-2", "--", "sh", "-c", "ipamd explain web-0")).Output,
            StringComparison.Ordinal
        );
        Assert.DoesNotContain(
            "default/web-0",
            (await program.RunAsync("exec", "node-1", "--", "ipamd", "pods")).Output,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task Demo_passes_with_the_native_binaries()
    {
        var (ipamd, plugin) = (LabProgram.NeedBuilt("ipamd"), LabProgram.NeedBuilt("vpc-cni"));
        await using var program = LabProgram.Create();
        var demo = await program.RunAsync("demo", "--ipamd", ipamd, "--plugin", plugin);
        Assert.True(demo.ExitCode == 0, demo.Output + demo.Errors);
        Assert.Empty(program.Namespaces());
    }

    /// <summary>Returns the child processes of a process (field 4 of /proc/PID/stat).</summary>
    private static List<int> Children(int parent)
    {
        var children = new List<int>();
        foreach (var process in Process.GetProcesses())
        {
            using (process)
            {
                try
                {
                    var stat = File.ReadAllText($"/proc/{process.Id}/stat");
                    if (int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1]) == parent)
                        children.Add(process.Id);
                }
                catch (IOException)
                {
                    // The process ended after the listing.
                }
            }
        }

        return children;
    }
}
