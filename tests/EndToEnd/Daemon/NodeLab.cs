// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Lab.Hosting;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>
/// A lab of one node with the real binaries, and queries of its state. The node is an m5.large: 3 interfaces with 9 secondary addresses
/// each.
/// </summary>
internal sealed class NodeLab : IAsyncDisposable
{
    public const string Node = "node-1";
    private static int _labs;
    private readonly VpcLab _lab;

    private NodeLab(VpcLab lab) => _lab = lab;

    public VpcLab Lab => _lab;
    public LabNode TheNode => _lab.Node(Node);

    /// <param name="environment">Variables of the daemon.</param>
    /// <param name="change">Changes other options of the lab.</param>
    /// <param name="beforeReady">Runs after the start of the daemon. With it, <c>StartAsync</c> does not wait for readiness.</param>
    public static async Task<NodeLab> StartAsync(
        Dictionary<string, string>? environment = null,
        Func<LabOptions, LabOptions>? change = null,
        Action<VpcLab>? beforeReady = null
    )
    {
        Requirement.NeedRoot();
        Requirement.NeedProgram("nft");
        var options = new LabOptions
        {
            Name = $"e2e{Environment.ProcessId % 10_000}{Interlocked.Increment(ref _labs)}",
            Nodes = [1],
            IpamdPath = Binaries.Ipamd,
            PluginPath = Binaries.Plugin,
            Environment = environment ?? [],
            ReadyDeadline = TimeSpan.FromSeconds(30),
        };
        if (change is not null)
            options = change(options);
        var lab = await VpcLab.BuildAsync(options, TimeProvider.System, NullLoggerProvider.Instance, TestContext.Current.CancellationToken);
        try
        {
            if (beforeReady is null)
                await lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
            else
                beforeReady(lab);
            return new NodeLab(lab);
        }
        catch
        {
            await lab.DisposeAsync();
            throw;
        }
    }

    public Task<LabPod> AddAsync(string pod) =>
        _lab.AddPodAsync(Node, PodName.Parse($"default/{pod}"), TestContext.Current.CancellationToken);

    public Task<TimeSpan> DeleteAsync(string pod) =>
        _lab.DeletePodAsync(Node, PodName.Parse($"default/{pod}"), TestContext.Current.CancellationToken);

    public async Task<bool> PingAsync(string fromPod, string address) =>
        (
            await _lab.ExecAsync(
                $"default/{fromPod}",
                ["ping", "-c", "1", "-W", "2", address],
                TimeSpan.FromSeconds(10),
                TestContext.Current.CancellationToken
            )
        ).ExitCode == 0;

    /// <summary>Runs <c>ipamd status --json</c> and returns its exit code and output; null output if the daemon does not answer.</summary>
    public async Task<(int ExitCode, JsonElement? Answer)> StatusAsync()
    {
        using var process = Process.Start(
            new ProcessStartInfo(Binaries.Ipamd, ["status", "--json", "--socket", TheNode.Paths.IpamdSocket])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                UseShellExecute = false,
            }
        )!;
        var output = process.StandardOutput.ReadToEndAsync();
        _ = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(15));
        var text = await output;
        return (process.ExitCode, text.Length == 0 ? null : JsonDocument.Parse(text).RootElement);
    }

    /// <summary>Returns the links, rules and routes of pods on the node, without those of interfaces, which the pool changes.</summary>
    public async Task<string> PodNetworkAsync()
    {
        var links = await ExecAsync("ip", "-o", "link", "show", "type", "veth");
        var rules = await ExecAsync("ip", "rule");
        var routes = await ExecAsync("ip", "route");
        return string.Join(
            '\n',
            $"{links}\n{rules}\n{routes}"
                .Split('\n')
                .Where(line =>
                    line.Contains(": eni", StringComparison.Ordinal)
                    || line.StartsWith("512:", StringComparison.Ordinal)
                    || line.StartsWith("1536:", StringComparison.Ordinal)
                    || line.Contains("dev eni", StringComparison.Ordinal)
                )
        );
    }

    /// <summary>Returns the number of assigned addresses that the daemon reports.</summary>
    public async Task<int> AssignedAsync() =>
        (await StatusAsync()).Answer!.Value.GetProperty("pool").TryGetProperty("assigned", out var assigned) ? assigned.GetInt32() : 0;

    /// <summary>Runs a program in the node's namespace and returns its output. Fails if the program fails.</summary>
    public async Task<string> ExecAsync(params string[] command)
    {
        var outcome = await _lab.ExecAsync(Node, command, TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Assert.True(outcome.ExitCode == 0, $"{string.Join(' ', command)}: {outcome.Errors}");
        return outcome.Output;
    }

    public string Log => File.Exists(TheNode.Paths.IpamdLog) ? ReadShared(TheNode.Paths.IpamdLog) : "";

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    private static string ReadShared(string path)
    {
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return reader.ReadToEnd();
    }
}
