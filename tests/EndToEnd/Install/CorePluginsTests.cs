// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.EndToEnd.Tests.Runtime;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Install;

/// <summary>
/// <c>ipamd install</c> from a folder like that of the image, on a node with the core plugins of the distribution, which support CNI 1.0.0.
/// A real runtime runs pods with the written configuration; STATUS and GC are called as a CNI 1.1 runtime does.
/// </summary>
public sealed class CorePluginsTests
{
    private const string Distribution = "/usr/lib/cni";

    [Fact]
    public async Task Configuration_offers_STATUS_and_GC_only_with_a_current_portmap()
    {
        Requirement.Need(
            File.Exists($"{Distribution}/portmap") && File.Exists($"{Distribution}/bridge"),
            $"the core plugins in {Distribution} (containernetworking-plugins)"
        );
        await using var node = await NodeLab.StartAsync();
        await using var runtime = await Containerd.StartAsync(node, conflist: null);
        var paths = node.TheNode.Paths;
        var image = Directory.CreateDirectory(Path.Combine(paths.Folder, "image"));
        File.Copy(Binaries.Plugin, Path.Combine(image.FullName, "vpc-cni"));
        foreach (var name in (string[])["portmap", "loopback", "bridge"])
            File.Copy($"{Distribution}/{name}", Path.Combine(paths.CniBin, name));

        var installed = await InstallAsync(node, image.FullName);
        Assert.Contains(
            "offers only CNI 1.0.0, so the runtime calls neither STATUS nor GC: the plugin portmap supports 1.0.0 at most",
            installed,
            StringComparison.Ordinal
        );
        Assert.Null(Read(paths.CniConf)["cniVersions"]);
        await RunPodAsync(runtime, node, "old");

        var core = Directory.CreateDirectory(Path.Combine(image.FullName, "cni"));
        foreach (var name in (string[])["portmap", "macvlan"])
            WriteCurrent(core.FullName, name);
        // The same build as the node's, so it is not older.
        File.Copy($"{Distribution}/bridge", Path.Combine(core.FullName, "bridge"));
        File.SetLastWriteTimeUtc(Path.Combine(core.FullName, "bridge"), DateTime.UnixEpoch);
        var before = File.GetLastWriteTimeUtc(Path.Combine(paths.CniBin, "bridge"));
        installed = await InstallAsync(node, image.FullName);
        Assert.Contains("portmap is written in place of the core plugin of an unknown version", installed, StringComparison.Ordinal);
        Assert.Contains("macvlan is written\n", installed, StringComparison.Ordinal);
        Assert.Equal(before, File.GetLastWriteTimeUtc(Path.Combine(paths.CniBin, "bridge")));
        var conflist = Read(paths.CniConf);
        Assert.Equal("1.0.0", (string?)conflist["cniVersion"]);
        Assert.Equal(["1.0.0", "1.1.0"], conflist["cniVersions"]!.AsArray().Select(version => (string?)version));

        // containerd 1.6 reads only cniVersion and must accept the rest.
        await RunPodAsync(runtime, node, "new");
        await AssertStatusAndGcAsync(node, conflist);
    }

    /// <summary>Calls the plugin as libcni does for the list: its newest version, its name, and the entry of one plugin.</summary>
    private static async Task AssertStatusAndGcAsync(NodeLab node, JsonObject conflist)
    {
        var plugin = new RawPlugin(node);
        void FromList(JsonObject configuration)
        {
            configuration.Clear();
            foreach (var (key, value) in conflist["plugins"]![0]!.AsObject())
                configuration[key] = value?.DeepClone();
            (configuration["cniVersion"], configuration["name"]) = (
                (string?)conflist["cniVersions"]!.AsArray()[^1],
                (string?)conflist["name"]
            );
        }

        Assert.Equal(0, (await plugin.RunAsync("STATUS", "", configuration: FromList)).Code);
        var added = await plugin.RunAsync("ADD", plugin.CreateNamespace("lost"), container: "lost", configuration: FromList);
        Assert.Equal("1.1.0", (string?)added.Result["cniVersion"]);
        Assert.Equal(1, await node.AssignedAsync());
        await LetAttachmentsAgeAsync(node);
        var collected = await plugin.RunAsync(
            "GC",
            "",
            configuration: configuration =>
            {
                FromList(configuration);
                configuration["cni.dev/valid-attachments"] = new JsonArray();
            }
        );
        Assert.True(collected.Code == 0, collected.Output);
        Assert.Equal(0, await node.AssignedAsync());

        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        var away = await plugin.RunAsync("STATUS", "", configuration: FromList);
        Assert.Equal(50, away.Code);
        Assert.Contains("ipamd", away.Message, StringComparison.Ordinal);
    }

    /// <summary>
    /// Waits until the attachments are old enough for GC, which keeps those of the last minute because the runtime's list may be older.
    /// </summary>
    private static async Task LetAttachmentsAgeAsync(NodeLab node)
    {
        var ipamd = node.TheNode.Ipamd!;
        await ipamd.KillAsync(TestContext.Current.CancellationToken);
        var checkpoint = JsonNode.Parse(await File.ReadAllTextAsync(node.TheNode.Paths.Checkpoint, TestContext.Current.CancellationToken))!;
        foreach (var allocation in checkpoint["allocations"]!.AsArray())
            allocation!["allocationTimestamp"] = 1_700_000_000_000_000_000;
        await File.WriteAllTextAsync(node.TheNode.Paths.Checkpoint, checkpoint.ToJsonString(), TestContext.Current.CancellationToken);
        ipamd.Start();
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        Assert.Equal(1, await node.AssignedAsync());
    }

    private static async Task<string> InstallAsync(NodeLab node, string image)
    {
        var installed = await node.TheNode.Ipamd!.RunCommandAsync(
            ["install", "--plugin", Path.Combine(image, "vpc-cni")],
            TestContext.Current.CancellationToken
        );
        Assert.True(installed.ExitCode == 0, installed.Output + installed.Errors);
        return installed.Output;
    }

    private static async Task RunPodAsync(Containerd runtime, NodeLab node, string name)
    {
        await runtime.WaitForNetworkAsync();
        var pod = await runtime.RunPodAsync(name);
        Assert.Equal(1, await node.AssignedAsync());
        await runtime.RemovePodAsync(pod.SandboxId);
        Assert.Equal(0, await node.AssignedAsync());
    }

    /// <summary>
    /// Writes a fake plugin that reports CNI 1.1, which no available distribution has, and delegates to that of the distribution.
    /// </summary>
    private static void WriteCurrent(string folder, string name)
    {
        var path = Path.Combine(folder, name);
        File.WriteAllText(
            path,
            $$"""
            #!/bin/sh
            case "$CNI_COMMAND" in
              "") echo "CNI {{name}} plugin v1.7.1" >&2 ;;
              VERSION) cat >/dev/null; echo '{"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}' ;;
              *) exec {{Distribution}}/{{name}} ;;
            esac

            """
        );
        File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
    }

    private static JsonObject Read(string folder) => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "10-aws.conflist")))!.AsObject();
}
