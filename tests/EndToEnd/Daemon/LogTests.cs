// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using VpcCni.Lab.Hosting;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>Compares docs/logs.md with the output of the real binaries.</summary>
public sealed partial class LogTests
{
    [Fact]
    public async Task Daemon_and_plugin_have_the_same_format_and_field_names()
    {
        await using var node = await NodeLab.StartAsync();
        await node.AddAsync("web-1");
        await node.DeleteAsync("web-1");

        var (daemon, plugin) = (
            Lines(node.Log),
            Lines(await File.ReadAllTextAsync(node.TheNode.Paths.PluginLog, TestContext.Current.CancellationToken))
        );
        Assert.All([.. daemon, .. plugin], line => Assert.Matches(Format(), line));
        var assigned = Assert.Single(daemon, line => line.Contains("msg=\"address assigned\"", StringComparison.Ordinal));
        var wired = Assert.Single(plugin, line => line.Contains("msg=wired", StringComparison.Ordinal));
        foreach (var field in (string[])["pod", "containerId", "ifName", "ip"])
            Assert.Equal(Value(assigned, field), Value(wired, field));
        Assert.Equal("default/web-1", Value(wired, "pod"));
        await Eventually.TrueAsync(
            () => node.Log.Contains("msg=\"ready: ADDs can be served\"", StringComparison.Ordinal),
            what: "the log has the text of status"
        );
        // The default text of a record is "Name { A = b }".
        Assert.All(daemon, line => Assert.DoesNotContain(" { ", line, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Json_is_enabled_by_one_variable()
    {
        await using var node = await NodeLab.StartAsync(new() { ["VPCCNI_LOG_FORMAT"] = "json" });
        await node.AddAsync("web-1");

        foreach (var line in Lines(node.Log))
        {
            var names = JsonDocument.Parse(line).RootElement.EnumerateObject().Select(field => field.Name).ToList();
            Assert.Equal(["time", "level", "msg"], names.Take(3));
        }
    }

    [Fact]
    public async Task EC2_error_is_one_short_line_with_its_kind_and_no_stack()
    {
        await using var node = await NodeLab.StartAsync();
        node.Lab.World.Inject(new FaultSpec { Operation = "AssignPrivateIpAddresses", Code = "UnauthorizedOperation" });
        node.Lab.World.Inject(new FaultSpec { Operation = "CreateNetworkInterface", Code = "UnauthorizedOperation" });
        for (var pod = 0; pod < 4; pod++)
            await node.AddAsync($"p{pod}");

        await Eventually.TrueAsync(() => node.Log.Contains("kind=NotPermitted", StringComparison.Ordinal));
        var lines = Lines(node.Log);
        Assert.All(lines, line => Assert.DoesNotContain("stack=", line, StringComparison.Ordinal));
        Assert.All(lines, line => Assert.InRange(line.Length, 0, 1500));
        var rejected = lines.First(line => line.Contains("kind=NotPermitted", StringComparison.Ordinal));
        Assert.Single(Regex.Matches(rejected, "injected by vpc-lab", RegexOptions.None, TimeSpan.FromSeconds(1)));
        Assert.DoesNotContain("Exception", rejected, StringComparison.Ordinal);
        await Eventually.TrueAsync(
            () => node.Log.Contains("reasons=MissingPermissions", StringComparison.Ordinal),
            what: "the log has the text of status"
        );
    }

    [Fact]
    public async Task Unwritable_log_file_is_reported_and_stops_nothing()
    {
        await using var node = await NodeLab.StartAsync(
            new() { ["AWS_VPC_K8S_CNI_LOG_FILE"] = "/proc/none/ipamd.log", ["VPCCNI_METRICS_BIND_ADDRESS"] = "127.0.0.1:61678" }
        );
        await node.AddAsync("a");

        var problem = Assert
            .Single(
                (await node.StatusAsync()).Answer!.Value.GetProperty("problems").EnumerateArray(),
                text => text.GetString()!.Contains("log file", StringComparison.Ordinal)
            )
            .GetString()!;
        Assert.StartsWith("the log file /proc/none/ipamd.log cannot be written", problem, StringComparison.Ordinal);
        Assert.Contains(
            "vpccni_log_ok 0",
            await node.ExecAsync("busybox", "wget", "-q", "-O-", "http://127.0.0.1:61678/metrics"),
            StringComparison.Ordinal
        );
        var output = await File.ReadAllTextAsync(node.TheNode.Paths.IpamdOutput, TestContext.Current.CancellationToken);
        Assert.Single(Lines(output), line => line.Contains("the log file cannot be written", StringComparison.Ordinal));
        Assert.Contains("msg=\"address assigned\"", output, StringComparison.Ordinal);
    }

    /// <summary>A second daemon on the same checkpoint ends on its own; its output streams are captured separately.</summary>
    [Fact]
    public async Task Lines_that_cannot_be_written_to_the_file_go_to_standard_output()
    {
        await using var node = await NodeLab.StartAsync();
        var paths = node.TheNode.Paths;
        var second = await node.Lab.ExecAsync(
            NodeLab.Node,
            [
                "env",
                "AWS_VPC_K8S_CNI_LOG_FILE=/proc/none/ipamd.log",
                $"AWS_VPC_K8S_CNI_BACKING_STORE={paths.Checkpoint}",
                $"VPCCNI_SOCKET_PATH={paths.IpamdSocket}.second",
                Binaries.Ipamd,
                "run",
            ],
            TimeSpan.FromSeconds(30),
            TestContext.Current.CancellationToken
        );

        Assert.NotEqual(0, second.ExitCode);
        Assert.Contains("the log file cannot be written: lines go to standard output", second.Output, StringComparison.Ordinal);
        Assert.Contains("msg=\"ipamd starts\"", second.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("msg=\"ipamd starts\"", second.Errors, StringComparison.Ordinal);
    }

    /// <summary>Values that the AWS VPC CNI's chart always sets.</summary>
    [Fact]
    public async Task Defaults_of_the_reference_chart_cause_no_warning()
    {
        await using var node = await NodeLab.StartAsync(
            new()
            {
                ["WARM_ENI_TARGET"] = "1",
                ["WARM_PREFIX_TARGET"] = "1",
                ["ENABLE_PREFIX_DELEGATION"] = "false",
                ["ENABLE_SUBNET_DISCOVERY"] = "true",
                ["NETWORK_POLICY_ENFORCING_MODE"] = "standard",
                ["VPC_CNI_VERSION"] = "v1.23.1",
                ["ENABLE_MULTI_NIC"] = "false",
                ["ENABLE_IMDS_ONLY_MODE"] = "false",
                ["ENABLE_IPv4"] = "true",
                ["ENABLE_IPv6"] = "false",
                ["ENABLE_POD_ENI"] = "false",
            }
        );

        var status = await node.ExecAsync(Binaries.Ipamd, "status", "--socket", node.TheNode.Paths.IpamdSocket);
        Assert.StartsWith("READY", status, StringComparison.Ordinal);
        Assert.DoesNotContain("has no effect", status, StringComparison.Ordinal);
        Assert.DoesNotContain("warning", status, StringComparison.Ordinal);
        Assert.Contains("level=info msg=\"NETWORK_POLICY_ENFORCING_MODE=standard", node.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("level=warn msg=\"NETWORK_POLICY", node.Log, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("fifo")]
    [InlineData("folder")]
    [InlineData("device")]
    public async Task Plugin_whose_log_file_is_not_a_regular_file_adds_the_pod_at_once(string what)
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var path = what == "device" ? "/dev/null" : Path.Combine(node.TheNode.Paths.Folder, what);
        if (what == "fifo")
            await node.ExecAsync("mkfifo", path);
        if (what == "folder")
            Directory.CreateDirectory(path);
        var netns = plugin.CreateNamespace("log");
        var started = Stopwatch.GetTimestamp();

        var answer = await plugin.RunAsync("ADD", netns, configuration: json => json["pluginLogFile"] = path);

        Assert.True(await plugin.AnswersAsync(answer.Address));
        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(5));
        Assert.Single(
            Lines(answer.Errors),
            line =>
                line.Contains("the log file cannot be written", StringComparison.Ordinal)
                && line.Contains("expected a regular file", StringComparison.Ordinal)
        );
        Assert.Equal(0, (await plugin.RunAsync("DEL", netns, configuration: json => json["pluginLogFile"] = path)).ExitCode);
    }

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static string Value(string line, string field) =>
        Regex.Match(line, $" {field}=([^ ]+)", RegexOptions.None, TimeSpan.FromSeconds(1)).Groups[1].Value;

    [GeneratedRegex(
        """^time=[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z level=(debug|info|warn|error|fatal) msg=("(?:[^"\\]|\\.)*"|[^ "]+)( [A-Za-z0-9]+=("(?:[^"\\]|\\.)*"|[^ "]+))*$""",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Format();
}
