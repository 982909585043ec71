// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Lab.Fabric;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Runtime;

/// <summary>The plugin with a real container runtime, chained with portmap.</summary>
public sealed class ContainerdTests
{
    private const int HostPort = 18080;

    [Fact]
    public async Task Pods_of_containerd_reach_each_other_and_leave_nothing()
    {
        await using var node = await NodeLab.StartAsync();
        await using var runtime = await Containerd.StartAsync(node, Conflist(node));
        var before = await node.PodNetworkAsync();

        var server = await runtime.RunPodAsync("server", HostPort);
        var client = await runtime.RunPodAsync("client");
        Assert.True(IPNetwork.Parse("10.0.0.0/16").Contains(IPAddress.Parse(server.Address)), server.Address);
        Assert.NotEqual(server.Address, client.Address);
        Assert.Equal(
            BusyboxImage.Page,
            await runtime.ExecAsync(client, "/bin/busybox", "wget", "-q", "-O-", $"http://{server.Address}:8080/")
        );
        Assert.Equal(
            BusyboxImage.Page,
            await runtime.ExecAsync(client, "/bin/busybox", "wget", "-q", "-O-", $"http://{node.TheNode.Address}:{HostPort}/")
        );
        Assert.Equal(BusyboxImage.Page, (await ExecAsync(node, "busybox", "wget", "-q", "-O-", $"http://{server.Address}:8080/")).Output);
        Assert.Equal(2, await node.AssignedAsync());

        await runtime.RemovePodAsync(server.SandboxId);
        Assert.Equal(
            BusyboxImage.Page,
            await runtime.ExecAsync(client, "/bin/busybox", "wget", "-q", "-O-", $"http://{client.Address}:8080/")
        );
        await runtime.RemovePodAsync(client.SandboxId);

        await VpcCni.Tests.Shared.Eventually.TrueAsync(
            async () => await node.PodNetworkAsync() == before,
            what: "links, rules and routes are as before the pods"
        );
        Assert.Equal(0, await node.AssignedAsync());
        Assert.DoesNotContain($"{HostPort}", (await ExecAsync(node, "iptables-save")).Output, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries($"{runtime.Root}{runtime.Folder}/state/io.containerd.grpc.v1.cri/netns"));
        Assert.Empty(Directory.GetFileSystemEntries($"{runtime.Root}/var/lib/cni/results"));
    }

    [Fact]
    public async Task Pod_without_an_address_leaves_nothing_and_reports_the_reason()
    {
        await using var node = await NodeLab.StartAsync(new() { ["VPCCNI_ADD_WAIT_SECONDS"] = "0" });
        await using var runtime = await Containerd.StartAsync(node, Conflist(node));
        var before = await node.PodNetworkAsync();
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);

        var failure = await Assert.ThrowsAsync<Grpc.Core.RpcException>(() => runtime.RunPodAsync("p"));

        Assert.Contains("ipamd does not answer", failure.Status.Detail, StringComparison.Ordinal);
        Assert.Equal(before, await node.PodNetworkAsync());
    }

    private static Task<ProcessOutcome> ExecAsync(NodeLab node, params string[] command) =>
        node.Lab.ExecAsync(NodeLab.Node, command, TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);

    private static string Conflist(NodeLab node) =>
        $$"""
            {
              "cniVersion": "0.4.0",
              "name": "aws-cni",
              "disableCheck": true,
              "plugins": [
                {"type": "vpc-cni", "vethPrefix": "eni", "mtu": "9001", "pluginLogFile": "{{node.TheNode.Paths.PluginLog}}", "pluginLogLevel": "DEBUG", "ipamdSocket": "{{node.TheNode.Paths.IpamdSocket}}"},
                {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}
              ]
            }
            """;
}
