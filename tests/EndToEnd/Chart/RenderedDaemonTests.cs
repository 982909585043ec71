// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using VpcCni.Chart.Tests;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.EndToEnd.Tests.Runtime;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.Paths;
using VpcCni.MissedDels;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Chart;

/// <summary>
/// Runs the containers of the rendered chart with a real runtime on a node of the lab: command, environment, mounts, capabilities,
/// read-only root and the runtime's default seccomp profile. All paths of the data plane work with these privileges, and fail without them.
/// </summary>
public sealed class RenderedDaemonTests
{
    /// <summary>Bit of CAP_NET_ADMIN in a capability set (capability.h).</summary>
    private const ulong NetAdmin = 1UL << 12;

    private const string LegacyChain = "AWS-SNAT-CHAIN-0";

    private static readonly string Image = $$"""image: {override: "{{DaemonImage.Name}}"}""";

    [Fact]
    public async Task Containers_of_the_chart_need_exactly_their_privileges()
    {
        DaemonImage.NeedNative("ipamd");
        await using var node = await StartAsync();
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        await using var runtime = await Containerd.StartAsync(node, conflist: null);
        var image = Path.Combine(runtime.Folder, "daemon.tar");
        DaemonImage.Write(image);
        await runtime.ImportAsync(image);

        // Without CAP_NET_ADMIN the daemon answers but repairs nothing.
        await ExecAsync(node, "nft", "delete", "table", "ip", "vpccni");
        await ExecAsync(node, "ip", "rule", "del", "priority", "1024");
        var powerless = new RenderedPod(node, runtime, HelmRenderer.Render(Image, "securityContext: {capabilities: {add: []}}"));
        await powerless.StartSandboxAsync("powerless");
        await powerless.StartDaemonAsync();
        await powerless.WaitUntilReadyAsync();
        await Eventually.TrueAsync(
            () =>
                powerless.DaemonLog.Contains("ip rule add", StringComparison.Ordinal)
                && powerless.DaemonLog.Contains("EPERM", StringComparison.Ordinal),
            what: "the change that the kernel rejected is logged"
        );
        Assert.False(await IsRepairedAsync(node));
        await powerless.RemoveAsync();
        foreach (var folder in (string[])[node.TheNode.Paths.CniConf, node.TheNode.Paths.CniBin])
        {
            foreach (var file in Directory.EnumerateFiles(folder))
                File.Delete(file);
        }

        // With the privileges of the chart.
        var pod = new RenderedPod(node, runtime, HelmRenderer.Render(Image, Values));
        await pod.StartSandboxAsync("aws-node");
        await ExecAsync(node, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/tcp_early_demux; echo 1 > /proc/sys/net/ipv4/conf/eth0/rp_filter");
        var (exitCode, log) = await pod.RunInitAsync();
        Assert.True(exitCode == 0, log);
        Assert.Equal(
            "1\n2\n",
            (await ExecAsync(node, "cat", "/proc/sys/net/ipv4/tcp_early_demux", "/proc/sys/net/ipv4/conf/eth0/rp_filter")).Output
        );
        // Leaves a chain as aws-node does with iptables-legacy. Reading it requires CAP_NET_RAW; without it the daemon reports that the
        // chain may exist.
        await ExecAsync(node, "iptables-legacy", "-t", "nat", "-N", LegacyChain);
        await pod.StartDaemonAsync();
        await pod.WaitUntilReadyAsync();
        Assert.Equal(0, await pod.ProbeAsync("livenessProbe"));
        await Eventually.TrueAsync(() => IsRepairedAsync(node), what: "the rule and the table are restored");

        var status = pod.ProcessStatus();
        foreach (var set in (string[])["CapPrm", "CapEff", "CapBnd"])
            Assert.Equal(NetAdmin, ulong.Parse(status[set], NumberStyles.HexNumber));
        Assert.Equal(("1", "2", "0"), (status["NoNewPrivs"], status["Seccomp"], status["Uid"].Split('\t')[0]));
        Assert.StartsWith("ro,", pod.MountOptions("/"), StringComparison.Ordinal);
        Assert.StartsWith("ro,", pod.MountOptions("/proc/sys"), StringComparison.Ordinal);
        await Eventually.TrueAsync(
            () => File.Exists(Path.Combine(node.TheNode.Paths.CniConf, "10-aws.conflist")),
            what: "the configuration is installed"
        );
        foreach (var name in (string[])["vpc-cni", "portmap", "bandwidth", "loopback"])
            Assert.True(File.Exists(Path.Combine(node.TheNode.Paths.CniBin, name)), name);

        await Eventually.TrueAsync(
            async () =>
                (await pod.ExecAsync("/app/ipamd", "status", "--json")).Output.Contains(
                    "iptables-legacy-save does not show them",
                    StringComparison.Ordinal
                ),
            what: "status reports the rules that may be left"
        );

        // Two interfaces with pods, all paths, and repairs.
        for (var index = 0; index < 10; index++)
            await node.AddAsync($"web-{index}");
        await node.Lab.AddPodAsync("node-2", PodName.Parse("default/other"), TestContext.Current.CancellationToken);
        await node.Lab.AddPodAsync("node-3", PodName.Parse("default/far"), TestContext.Current.CancellationToken);
        var paths = new PathMatrix(node.Lab, TimeProvider.System);
        await paths.InstallServicesAsync(TestContext.Current.CancellationToken);
        foreach (var check in paths.Checks)
            TestContext.Current.TestOutputHelper?.WriteLine($"{check.What}: {await check.RunAsync(TestContext.Current.CancellationToken)}");
        await paths.FlushAsync(TestContext.Current.CancellationToken);
        await Eventually.TrueAsync(() => paths.IsRestoredAsync(TestContext.Current.CancellationToken));
        var asked = await pod.ExecAsync("/app/ipamd", "status");
        // The only problem is that the privileges of the chart do not permit reading the legacy rules.
        Assert.True(asked.ExitCode == 3, asked.Output);
        Assert.StartsWith("DEGRADED   HostNetwork: rules of the AWS VPC CNI may be left", asked.Output, StringComparison.Ordinal);
        Assert.Contains(
            node.Lab.Cluster.Plane.Calls.Counts,
            call => call is { User: RoleTests.User, Verb: "list", Resource: "nodes", Outcome: 200 }
        );

        // The daemon can read namespaces that were created after its start, without CAP_SYS_ADMIN.
        var (auditExit, audit) = await pod.ExecAsync("/app/ipamd", "audit", "--json");
        Assert.True(auditExit == 0, audit);
        Assert.Matches("\"1[0-9] namespaces\"", audit);

        // Restarts as in a rolling update: pods keep their addresses and the paths work.
        await pod.StopDaemonAsync();
        Assert.Equal(0, (await pod.DaemonStatusAsync()).ExitCode);
        await pod.RemoveAsync();
        Assert.True(File.Exists(Path.Combine(node.TheNode.Paths.CniConf, "10-aws.conflist")));
        Assert.Contains(LegacyChain, (await ExecAsync(node, "iptables-legacy-save")).Output, StringComparison.Ordinal);
        await node.DeleteAsync("web-8");
        var notes = MissedDelFolder.PathBeside(node.TheNode.Paths.IpamdSocket);
        Assert.Single(Directory.GetFiles(notes));
        const string asAwsNode = "env: {AWS_VPC_K8S_CNI_LOG_FILE: /host/var/log/aws-routed-eni/ipamd.log}";
        const string withNetRaw = "securityContext: {capabilities: {add: [NET_ADMIN, NET_RAW]}}";
        var next = new RenderedPod(node, runtime, HelmRenderer.Render(Image, Values, asAwsNode, withNetRaw));
        await next.StartSandboxAsync("aws-node-next");
        await next.StartDaemonAsync();
        await next.WaitUntilReadyAsync();
        await Eventually.TrueAsync(() => Directory.GetFiles(notes).Length == 0, what: "the missed DEL is executed");
        // The log file of aws-node's values is written on the node although the root of the container is read-only.
        var logged = Path.Combine(node.TheNode.Paths.Folder, "var-log", "ipamd.log");
        const string ready = "ready: ADDs can be served";
        await Eventually.TrueAsync(
            () => File.Exists(logged) && File.ReadAllText(logged).Contains(ready, StringComparison.Ordinal),
            what: "the log file is on the node"
        );
        Assert.DoesNotContain(ready, next.DaemonLog, StringComparison.Ordinal);
        await Eventually.TrueAsync(
            async () => !(await ExecAsync(node, "iptables-legacy-save")).Output.Contains(LegacyChain, StringComparison.Ordinal),
            what: "the chain of aws-node is gone"
        );
        foreach (var check in paths.Checks)
            await check.RunAsync(TestContext.Current.CancellationToken);
        await node.DeleteAsync("web-9");
    }

    private static async Task<bool> IsRepairedAsync(NodeLab node) =>
        (await ExecAsync(node, "nft", "list", "table", "ip", "vpccni")).ExitCode == 0
        && (await ExecAsync(node, "ip", "rule")).Output.Contains("1024:", StringComparison.Ordinal);

    /// <summary>Destinations outside of the VPC that the path checks reach with the address of the pod.</summary>
    private static string Values => $$"""env: {AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS: "{{FabricAddresses.OnPremises}}"}""";

    private static Task<NodeLab> StartAsync() =>
        NodeLab.StartAsync(
            new() { ["AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS"] = FabricAddresses.OnPremises.ToString() },
            options => options with { Nodes = [2, 1], Subnets = [IPNetwork.Parse("10.0.0.0/20"), IPNetwork.Parse("10.0.16.0/20")] }
        );

    private static Task<ProcessOutcome> ExecAsync(NodeLab node, params string[] command) =>
        node.Lab.ExecAsync(NodeLab.Node, command, TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
}
