// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using Grpc.Core;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.EndToEnd.Tests.Runtime.Cri;
using VpcCni.Lab.Hosting;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Runtime;

/// <summary>
/// A real runtime with a chained plugin that is missing or hangs, or with a daemon that hangs: no address is leaked or assigned twice, and
/// no call waits without limit.
/// </summary>
public sealed class ContainerdChainTests
{
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(8);

    /// <summary>containerd 5768: DEL starts with the last plugin, stops at the first error, and is retried without limit.</summary>
    [Fact]
    public async Task Pod_whose_last_plugin_is_missing_keeps_its_address_until_it_is_back()
    {
        await using var node = await NodeLab.StartAsync();
        await using var runtime = await Containerd.StartAsync(node, Conflist(node, "portmap"));
        var before = await node.PodNetworkAsync();
        var pod = await runtime.RunPodAsync("p");
        var last = Path.Combine(node.TheNode.Paths.CniBin, "portmap");
        File.Move(last, last + ".away");

        for (var attempt = 0; attempt < 2; attempt++)
        {
            var failure = await Assert.ThrowsAsync<RpcException>(() => StopAsync(runtime, pod.SandboxId, Containerd.Deadline));
            Assert.Contains("failed to find plugin", failure.Status.Detail, StringComparison.Ordinal);
            Assert.Equal(1, await node.AssignedAsync());
        }

        File.Move(last + ".away", last);
        await runtime.RemovePodAsync(pod.SandboxId);
        await Eventually.TrueAsync(
            async () => await node.PodNetworkAsync() == before,
            what: "links, rules and routes are as before the pod"
        );
        Assert.Equal(0, await node.AssignedAsync());
    }

    /// <summary>
    /// containerd 4666: a plugin after ours hangs. The runtime gives up at the deadline of its caller, and the DEL of its next attempt
    /// releases our address.
    /// </summary>
    [Fact]
    public async Task Chained_plugin_that_hangs_leaves_no_address_and_no_wiring()
    {
        await using var node = await NodeLab.StartAsync();
        Write(node, "last", "[ \"$CNI_COMMAND\" = ADD ] && exec sleep 300; exit 0");
        await using var runtime = await Containerd.StartAsync(node, Conflist(node, "last"));
        var before = await node.PodNetworkAsync();

        var config = Sandbox("p");
        var failure = await Assert.ThrowsAsync<RpcException>(async () =>
            await runtime.Cri.RunPodSandboxAsync(new RunPodSandboxRequest { Config = config }, deadline: DateTime.UtcNow + Short)
        );
        Assert.True(failure.StatusCode is StatusCode.DeadlineExceeded or StatusCode.Unknown, failure.Status.Detail);

        await Eventually.TrueAsync(
            async () => await node.PodNetworkAsync() == before,
            TimeSpan.FromSeconds(30),
            "links, rules and routes are as before the pod"
        );
        await Eventually.TrueAsync(async () => await node.AssignedAsync() == 0, TimeSpan.FromSeconds(30), "the address is released");
    }

    /// <summary>A stopped daemon neither blocks the runtime nor assigns a second address.</summary>
    [Fact]
    public async Task Daemon_that_hangs_fails_the_pod_at_the_deadline_and_serves_it_later()
    {
        await using var node = await NodeLab.StartAsync();
        await using var runtime = await Containerd.StartAsync(node, Conflist(node, last: null));
        var before = await node.PodNetworkAsync();
        var running = await runtime.RunPodAsync("before");
        var daemon = node.TheNode.Ipamd!.ProcessId!.Value;
        Posix.Kill(daemon, Stop);
        try
        {
            var started = Stopwatch.GetTimestamp();
            var failure = await Assert.ThrowsAsync<RpcException>(async () =>
                await runtime.Cri.RunPodSandboxAsync(new RunPodSandboxRequest { Config = Sandbox("p") }, deadline: Containerd.Deadline)
            );
            Assert.Contains("ipamd did not answer", failure.Status.Detail, StringComparison.Ordinal);
            // 3 s for the ADD, 3 s for the DEL, and the runtime's own time.
            Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(20));

            await StopAsync(runtime, running.SandboxId, Containerd.Deadline);
            Assert.Equal(before, await node.PodNetworkAsync());
        }
        finally
        {
            Posix.Kill(daemon, Continue);
        }

        // The daemon releases the address of the missed DEL when it finds no trace of the pod (tests/Simulation).
        var pod = await runtime.RunPodAsync("p");
        Assert.Equal(BusyboxImage.Page, await runtime.ExecAsync(pod, "/bin/busybox", "wget", "-q", "-O-", $"http://{pod.Address}:8080/"));
        await runtime.RemovePodAsync(pod.SandboxId);
        await Eventually.TrueAsync(
            async () => await node.PodNetworkAsync() == before,
            what: "links, rules and routes are as before the pods"
        );
    }

    private const int Stop = 19;
    private const int Continue = 18;

    private static async Task StopAsync(Containerd runtime, string sandbox, DateTime deadline) =>
        await runtime.Cri.StopPodSandboxAsync(new StopPodSandboxRequest { PodSandboxId = sandbox }, deadline: deadline);

    private static PodSandboxConfig Sandbox(string name) =>
        new()
        {
            Metadata = new PodSandboxMetadata
            {
                Name = name,
                Namespace = "default",
                Uid = $"uid-{name}",
            },
            Hostname = name,
            Linux = new LinuxPodSandboxConfig { CgroupParent = $"/vpccni-e2e-{Environment.ProcessId}" },
        };

    private static void Write(NodeLab node, string name, string body)
    {
        var path = Path.Combine(node.TheNode.Paths.CniBin, name);
        File.WriteAllText(path, $"#!/bin/sh\n{body}\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private static string Conflist(NodeLab node, string? last) =>
        $$"""
            {
              "cniVersion": "0.4.0",
              "name": "aws-cni",
              "disableCheck": true,
              "plugins": [
                {"type": "vpc-cni", "vethPrefix": "eni", "mtu": "9001", "pluginLogFile": "{{node.TheNode.Paths.PluginLog}}", "ipamdSocket": "{{node.TheNode.Paths.IpamdSocket}}", "ipamdTimeoutSeconds": 3}
                {{(last is null ? "" : $$""", {"type": "{{last}}"}""")}}
              ]
            }
            """;
}
