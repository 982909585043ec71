// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.Json;
using VpcCni.MissedDels;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>DELs without a daemon: the real plugin records them, and the next daemon executes them.</summary>
public sealed class MissedDelTests
{
    private static readonly string[] Ended = ["web-0", "web-2", "web-4"];

    /// <summary>Limit from the creation of the socket until the addresses cool.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(1);

    [Fact]
    public async Task Addresses_of_missed_DELs_cool_within_a_second_of_the_start()
    {
        await using var node = await NodeLab.StartAsync();
        for (var index = 0; index < 6; index++)
            await node.AddAsync($"web-{index}");
        var before = await AllocationsAsync(node);
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);

        foreach (var pod in Ended)
            await node.DeleteAsync(pod);
        Assert.Equal(Ended.Length, Directory.GetFiles(FolderOf(node), "*.json").Length);
        await StartAndReadAsync(node);

        var after = await AllocationsAsync(node);
        Assert.Equal(before.Where(pair => !Ended.Contains(pair.Key)), after);
        var pool = (await node.StatusAsync()).Answer!.Value.GetProperty("pool");
        Assert.Equal((3, Ended.Length), (pool.GetProperty("assigned").GetInt32(), pool.GetProperty("cooling").GetInt32()));
        foreach (var pod in after.Keys)
            Assert.True(await node.PingAsync(pod, node.TheNode.Address.ToString()), pod);
        Assert.Contains("while the daemon was down", await ExplainAsync(node, Ended[0]), StringComparison.Ordinal);
        Assert.Contains("vpccni_missed_dels_total{outcome=\"released\"} 3", await MetricsAsync(node), StringComparison.Ordinal);
    }

    /// <summary>A daemon that does not answer in time, such as one stopped in a debugger: for the plugin the outcome is unknown.</summary>
    [Fact]
    public async Task DEL_answered_too_late_releases_once()
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var netns = plugin.CreateNamespace("late");
        Assert.Equal(0, (await plugin.RunAsync("ADD", netns)).Code);
        var daemon = node.TheNode.Ipamd!.ProcessId!.Value;
        Signal(daemon, "STOP");
        try
        {
            Assert.Equal(0, (await plugin.RunAsync("DEL", netns, configuration: json => json["ipamdTimeoutSeconds"] = 1)).Code);
        }
        finally
        {
            Signal(daemon, "CONT");
        }

        await Eventually.TrueAsync(async () => await node.AssignedAsync() == 0, TimeSpan.FromSeconds(5), "the address is released");
        await Eventually.TrueAsync(() => Directory.GetFiles(FolderOf(node)).Length == 0, TimeSpan.FromSeconds(5), "the record is read");
    }

    /// <summary>A sandbox that is added again before the daemon reads the record of its DEL keeps its address.</summary>
    [Fact]
    public async Task Sandbox_added_again_is_not_released_by_an_earlier_record()
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var netns = plugin.CreateNamespace("again");
        Assert.Equal(0, (await plugin.RunAsync("ADD", netns)).Code);
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, (await plugin.RunAsync("DEL", netns)).Code);
        var note = Assert.Single(Directory.GetFiles(FolderOf(node), "*.json"));
        var content = await File.ReadAllBytesAsync(note, TestContext.Current.CancellationToken);
        await StartAndReadAsync(node);
        var address = (await plugin.RunAsync("ADD", netns)).Address;

        // A delayed plugin writes its record now.
        using (var folder = MissedDelFolder.Open(node.TheNode.Paths.IpamdSocket))
            folder.Write(Path.GetFileNameWithoutExtension(note), content, unique: 1);

        await Eventually.TrueAsync(() => Directory.GetFiles(FolderOf(node)).Length == 0, TimeSpan.FromSeconds(5), "the record is read");
        Assert.Equal(1, await node.AssignedAsync());
        Assert.True(await plugin.AnswersAsync(address));
        Assert.Contains("older than the ADD", node.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Invalid_files_in_the_folder_have_no_effect()
    {
        await using var node = await NodeLab.StartAsync();
        await node.AddAsync("web-0");
        await node.AddAsync("web-1");
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        await node.DeleteAsync("web-0");
        var secret = Path.Combine(node.TheNode.Paths.Folder, "secret");
        await File.WriteAllTextAsync(secret, "secret", TestContext.Current.CancellationToken);
        string Named(int number) => Path.Combine(FolderOf(node), $"{number:x40}.json");
        for (var number = 1; number <= 3000; number++)
            await File.WriteAllTextAsync(Named(number), "{\"version\":1,", TestContext.Current.CancellationToken);
        File.CreateSymbolicLink(Named(3001), secret);
        Directory.CreateDirectory(Path.Combine(Named(3002), "inner"));
        await File.WriteAllBytesAsync(Named(3003), new byte[10_000_000], TestContext.Current.CancellationToken);
        using (var fifo = Process.Start("mkfifo", [Named(3004)]))
            await fifo.WaitForExitAsync(TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(FolderOf(node), "README"), "", TestContext.Current.CancellationToken);

        node.TheNode.Ipamd.Start();
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);

        await Eventually.TrueAsync(async () => await node.AssignedAsync() == 1, TimeSpan.FromSeconds(5), "the valid record is read");
        await Eventually.TrueAsync(
            () => Directory.GetFileSystemEntries(FolderOf(node)).Length == 2,
            TimeSpan.FromSeconds(5),
            "removable files are removed"
        );
        Assert.Equal("secret", await File.ReadAllTextAsync(secret, TestContext.Current.CancellationToken));
        var (exitCode, answer) = await node.StatusAsync();
        Assert.Equal(3, exitCode);
        Assert.Equal("MissedDels", answer!.Value.GetProperty("health").GetProperty("causes")[0].GetProperty("reason").GetString());
        // The log has one line for all of them.
        Assert.Single(
            node.Log.Split('\n'),
            line => line.Contains("a file in the folder of missed DELs is invalid", StringComparison.Ordinal)
        );
    }

    private static async Task StartAndReadAsync(NodeLab node)
    {
        node.TheNode.Ipamd!.Start();
        await Eventually.TrueAsync(() => File.Exists(node.TheNode.Paths.IpamdSocket), what: "the daemon listens");
        var served = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() => Directory.GetFiles(FolderOf(node)).Length == 0, what: "the records are read");
        Assert.True(
            Stopwatch.GetElapsedTime(served) < Bound,
            $"the records were read {Stopwatch.GetElapsedTime(served).TotalMilliseconds:0} ms after the socket was there"
        );
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
    }

    private static string FolderOf(NodeLab node) => MissedDelFolder.PathBeside(node.TheNode.Paths.IpamdSocket);

    /// <summary>Returns pods and addresses of the checkpoint.</summary>
    private static async Task<SortedDictionary<string, string>> AllocationsAsync(NodeLab node)
    {
        using var document = JsonDocument.Parse(
            await File.ReadAllBytesAsync(node.TheNode.Paths.Checkpoint, TestContext.Current.CancellationToken)
        );
        return new SortedDictionary<string, string>(
            document
                .RootElement.GetProperty("allocations")
                .EnumerateArray()
                .ToDictionary(
                    item => item.GetProperty("metadata").GetProperty("k8sPodName").GetString()!,
                    item => item.GetProperty("ipv4").GetString()!
                ),
            StringComparer.Ordinal
        );
    }

    private static async Task<string> ExplainAsync(NodeLab node, string pod) =>
        (
            await node.TheNode.Ipamd!.RunCommandAsync(
                ["explain", $"default/{pod}", "--json", "--socket", node.TheNode.Paths.IpamdSocket],
                TestContext.Current.CancellationToken
            )
        ).Output;

    private static Task<string> MetricsAsync(NodeLab node) =>
        node.ExecAsync("busybox", "wget", "-q", "-O-", "http://127.0.0.1:61678/metrics");

    private static void Signal(int process, string name)
    {
        using var kill = Process.Start("kill", [$"-{name}", $"{process}"]);
        Assert.True(kill.WaitForExit(TimeSpan.FromSeconds(5)) && kill.ExitCode == 0);
    }
}
