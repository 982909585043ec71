// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using VpcCni.Chart.Tests;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Lab.Hosting;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Chart;

/// <summary>
/// Compares the sandbox of the lab's daemons with the privileges and mounts of the rendered chart, so that the other end-to-end tests and
/// the demo run what is released.
/// </summary>
public sealed class DaemonSandboxTests
{
    private static readonly RenderedChart Chart = HelmRenderer.Render(HelmRenderer.WithImage);

    [Fact]
    public void Sandbox_has_the_capabilities_and_the_root_of_the_chart()
    {
        var context = Chart.Daemon["securityContext"]!;
        Assert.Equal(["ALL"], context["capabilities"]!["drop"]!.AsArray().Select(name => (string?)name));
        Assert.Equal(
            DaemonSandbox.Capabilities.Select(capability => capability.Name),
            context["capabilities"]!["add"]!.AsArray().Select(name => (string?)name)
        );
        Assert.True((bool)context["readOnlyRootFilesystem"]!);
        Assert.False((bool)context["allowPrivilegeEscalation"]!);
    }

    [Fact]
    public void Sandbox_has_the_mounts_of_the_chart()
    {
        var volumes = Chart.PodSpec["volumes"]!
            .AsArray()
            .ToDictionary(volume => (string)volume!["name"]!, volume => (string)volume!["hostPath"]!["path"]!);
        var rendered = Chart.Daemon["volumeMounts"]!
            .AsArray()
            .Select(mount => (Path: volumes[(string)mount!["name"]!], IsReadOnly: (bool?)mount["readOnly"] ?? false))
            .Order();

        Assert.Equal(DaemonSandbox.Mounts.Select(mount => (mount.HostPath, mount.IsReadOnly)).Order(), rendered);
    }

    [Fact]
    public async Task Daemon_of_a_lab_runs_in_the_sandbox()
    {
        await using var node = await NodeLab.StartAsync();
        var daemon = $"/proc/{node.TheNode.Ipamd!.ProcessId}";
        var status = File.ReadLines($"{daemon}/status")
            .Select(line => line.Split(':', 2))
            .ToDictionary(part => part[0], part => part[1].Trim(), StringComparer.Ordinal);
        var expected = DaemonSandbox.Capabilities.Aggregate(0UL, (set, capability) => set | (1UL << capability.Number));
        foreach (var set in (string[])["CapPrm", "CapEff", "CapBnd"])
            Assert.Equal(expected, ulong.Parse(status[set], NumberStyles.HexNumber));
        Assert.Equal("1", status["NoNewPrivs"]);
        var options = File.ReadLines($"{daemon}/mountinfo")
            .Select(line => line.Split(' '))
            .GroupBy(part => part[4], StringComparer.Ordinal)
            .ToDictionary(mounts => mounts.Key, mounts => mounts.Last()[5].Split(',')[0], StringComparer.Ordinal);
        string[] writable = [.. DaemonSandbox.Mounts.Where(mount => !mount.IsReadOnly).Select(mount => mount.InLab(node.TheNode.Paths))];
        foreach (var path in writable)
            Assert.Equal("rw", options[path]);
        // Mounts of the machine since then, such as namespaces of pods, appear in the sandbox.
        Assert.DoesNotContain(
            options,
            mount => mount.Value == "rw" && !writable.Contains(mount.Key) && !mount.Key.StartsWith("/run/netns/", StringComparison.Ordinal)
        );

        // Namespaces created after the start of the daemon appear in it, and disappear when the machine removes them.
        var plugin = new RawPlugin(node);
        var netns = plugin.CreateNamespace("late");
        Assert.Contains(File.ReadLines($"{daemon}/mountinfo"), line => line.Contains($" {netns} ", StringComparison.Ordinal));
        RawPlugin.DeleteNamespace(netns);
        Assert.DoesNotContain(File.ReadLines($"{daemon}/mountinfo"), line => line.Contains($" {netns} ", StringComparison.Ordinal));
    }
}
