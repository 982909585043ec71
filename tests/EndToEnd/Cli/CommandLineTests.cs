// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.Json;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Cli;

/// <summary>The command line of the real binary: with a daemon, without one, and in a shell.</summary>
public sealed class CommandLineTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Program_without_a_command_prints_help_and_starts_no_daemon()
    {
        var folder = Directory.CreateTempSubdirectory("vpccni-bare-");
        try
        {
            var outcome = await RunAsync(
                [],
                new()
                {
                    ["VPCCNI_SOCKET_PATH"] = Path.Combine(folder.FullName, "ipamd.sock"),
                    ["AWS_VPC_K8S_CNI_BACKING_STORE"] = Path.Combine(folder.FullName, "ipam.json"),
                }
            );
            Assert.Equal((0, ""), (outcome.Code, outcome.Error));
            Assert.Contains("Usage:\n  ipamd [command] [options]", outcome.Output, StringComparison.Ordinal);
            Assert.Empty(folder.GetFileSystemInfos());
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Unknown_command_is_64_and_a_missing_daemon_is_2()
    {
        var wrong = await RunAsync(["statsu"]);
        Assert.Equal((64, ""), (wrong.Code, wrong.Output));
        Assert.Contains("did you mean 'status'?", wrong.Error, StringComparison.Ordinal);
        foreach (
            var command in (string[][])
                [
                    ["status"],
                    ["pods"],
                    ["explain", "default/web"],
                    ["audit"],
                    ["access"],
                    ["health"],
                ]
        )
        {
            var missing = await RunAsync([.. command, "--socket", "/nonexistent/ipamd.sock"]);
            Assert.Equal((2, ""), (missing.Code, missing.Output));
            Assert.StartsWith(
                "ipamd: the daemon is not running: the socket /nonexistent/ipamd.sock does not exist\n",
                missing.Error,
                StringComparison.Ordinal
            );
            Assert.DoesNotContain("localhost", missing.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Bash_completes_commands_options_and_values()
    {
        Requirement.NeedProgram("bash");
        Assert.Equal("status", await CompleteAsync("ipamd st", "st"));
        Assert.Equal("--offline", await CompleteAsync("ipamd status --off", "--off"));
        Assert.Equal("no-calls no-releases", await CompleteAsync("ipamd access no", "no"));
    }

    [Fact]
    public async Task Commands_print_text_and_valid_JSON()
    {
        await using var node = await NodeLab.StartAsync();
        var pod = "web-5968f7c9d4-" + new string('x', 40);
        await node.AddAsync(pod);
        var environment = new Dictionary<string, string> { ["VPCCNI_SOCKET_PATH"] = node.TheNode.Paths.IpamdSocket };

        foreach (
            var arguments in (string[][])
                [
                    ["status", "--json"],
                    ["--json", "status"],
                    ["pods", "--json"],
                    ["explain", pod, "--json"],
                    ["audit", "--without-cloud", "--json"],
                    ["access", "--json"],
                    ["health", "--verbose", "--json"],
                    ["health", "--json"],
                ]
        )
        {
            var answer = await RunAsync(arguments, environment);
            Assert.True(answer is { Code: 0, Error: "" }, $"{string.Join(' ', arguments)}: {answer}");
            using var document = JsonDocument.Parse(answer.Output);
            Assert.Equal(JsonValueKind.Object, document.RootElement.ValueKind);
        }

        using (var status = JsonDocument.Parse((await RunAsync(["status", "--json"], environment)).Output))
        {
            var cloud = status.RootElement.GetProperty("cloud");
            Assert.Equal(JsonValueKind.Number, cloud.GetProperty("driftFound").ValueKind);
            Assert.All(
                cloud.GetProperty("calls").EnumerateArray(),
                call => Assert.Equal(JsonValueKind.Number, call.GetProperty("count").ValueKind)
            );
            Assert.NotEqual(0, cloud.GetProperty("calls").GetArrayLength());
        }

        Assert.Contains($"default/{pod}", (await RunAsync(["pods"], environment)).Output, StringComparison.Ordinal);
        environment["COLUMNS"] = "60";
        Assert.All((await RunAsync(["pods"], environment)).Output.Split('\n'), line => Assert.True(line.Length <= 60, line));
        Assert.StartsWith(
            $"default/{pod} has",
            (await RunAsync(["explain", pod], environment)).Output.Replace('\n', ' '),
            StringComparison.Ordinal
        );
        var workload = await RunAsync(["explain", "default/web"], environment);
        Assert.Equal(3, workload.Code);
        Assert.Contains($"default/{pod}"[..50], workload.Output, StringComparison.Ordinal);
        Assert.Equal("cloud access is full\n", (await RunAsync(["access"], environment)).Output);
    }

    [Fact]
    public async Task Pods_table_fits_the_terminal()
    {
        Requirement.NeedProgram("script");
        await using var node = await NodeLab.StartAsync();
        await node.AddAsync("web-5968f7c9d4-" + new string('x', 40));
        var outcome = await RunAsync(
            "script",
            ["-qec", $"stty cols 64; {Binaries.Ipamd} pods --socket {node.TheNode.Paths.IpamdSocket}", "/dev/null"]
        );
        Assert.Contains("10.0.", outcome.Output, StringComparison.Ordinal);
        Assert.All(outcome.Output.Replace("\r", "", StringComparison.Ordinal).Split('\n'), line => Assert.True(line.Length <= 64, line));
    }

    [Fact]
    public async Task Status_of_a_killed_daemon_reports_it_and_offline_shows_its_files()
    {
        await using var node = await NodeLab.StartAsync();
        var pod = await node.AddAsync("web-1");
        var paths = node.TheNode.Paths;
        var environment = new Dictionary<string, string>
        {
            ["VPCCNI_SOCKET_PATH"] = paths.IpamdSocket,
            ["AWS_VPC_K8S_CNI_BACKING_STORE"] = paths.Checkpoint,
            ["AWS_VPC_K8S_CNI_LOG_FILE"] = paths.IpamdLog,
        };
        Assert.Contains(
            "`ipamd status` calls the daemon itself",
            (await RunAsync(["status", "--offline"], environment)).Output.Replace("\n           ", " ", StringComparison.Ordinal),
            StringComparison.Ordinal
        );
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        Assert.StartsWith(
            "ipamd: the daemon is not running: no process listens on ",
            (await RunAsync(["status"], environment)).Error,
            StringComparison.Ordinal
        );

        var before = Snapshot(paths.Folder);
        var offline = await RunAsync(["status", "--offline"], environment);
        Assert.Equal((0, ""), (offline.Code, offline.Error));
        Assert.StartsWith("OFFLINE ", offline.Output, StringComparison.Ordinal);
        Assert.Contains($"{pod.Address} default/web-1", offline.Output, StringComparison.Ordinal);
        Assert.Contains("level=", offline.Output, StringComparison.Ordinal);
        using var json = JsonDocument.Parse((await RunAsync(["status", "--offline", "--json"], environment)).Output);
        Assert.Equal("web-1", json.RootElement.GetProperty("checkpoint").GetProperty("attachments")[0].GetProperty("podName").GetString());
        Assert.Equal(before, Snapshot(paths.Folder));
    }

    private static string Snapshot(string folder) =>
        string.Join(
            '\n',
            new DirectoryInfo(folder)
                .GetFileSystemInfos()
                .OrderBy(item => item.Name, StringComparer.Ordinal)
                .Select(item => $"{item.Name} {item.LastWriteTimeUtc:O}")
        );

    /// <summary>Returns the completions of bash at the end of a line.</summary>
    private static async Task<string> CompleteAsync(string line, string word)
    {
        var script =
            $"PATH={Path.GetDirectoryName(Binaries.Ipamd)}:$PATH; source <(ipamd completion bash); "
            + $"COMP_LINE='{line}'; COMP_POINT={line.Length}; _ipamd ipamd '{word}' ipamd; echo \"${{COMPREPLY[*]}}\"";
        return (await RunAsync("bash", ["-c", script])).Output.Trim();
    }

    private static Task<(int Code, string Output, string Error)> RunAsync(
        string[] arguments,
        Dictionary<string, string>? environment = null
    ) => RunAsync(Binaries.Ipamd, arguments, environment);

    private static async Task<(int Code, string Output, string Error)> RunAsync(
        string program,
        string[] arguments,
        Dictionary<string, string>? environment = null
    )
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            UseShellExecute = false,
        };
        foreach (var (name, value) in environment ?? [])
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var (output, error) = (
            process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken),
            process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken)
        );
        try
        {
            await process
                .WaitForExitAsync(TestContext.Current.CancellationToken)
                .WaitAsync(Deadline, TestContext.Current.CancellationToken);
        }
        catch (TimeoutException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }

        return (process.ExitCode, await output, await error);
    }
}
