// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Lab.KubeApi.Store;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Lab;

/// <summary>Pods that <c>kubectl</c> creates and deletes in a lab run on its node, with the real daemon and plugin.</summary>
public sealed class KubeletTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Pod_is_wired_by_kubectl_run_and_unwired_by_kubectl_delete()
    {
        Requirement.NeedProgram("kubectl");
        await using var node = await NodeLab.StartAsync();
        await KubectlAsync(node, "run", "web", "--image=none", "--restart=Never");
        await KubectlAsync(node, "wait", "--for=condition=Ready", "pod/web", "--timeout=30s");
        var address = await KubectlAsync(node, "get", "pod", "web", "-o", "jsonpath={.status.podIP}");
        Assert.Equal(address, node.Lab.Node(NodeLab.Node).FindPod("default/web")!.Address.ToString());
        Assert.Equal(
            0,
            (
                await node.Lab.ExecAsync(NodeLab.Node, ["ping", "-c", "1", "-W", "2", address], TimeSpan.FromSeconds(10), Cancellation)
            ).ExitCode
        );
        await KubectlAsync(node, "delete", "pod", "web");
        Assert.Null(node.Lab.Node(NodeLab.Node).FindPod("default/web"));
        Assert.Equal("", await node.PodNetworkAsync());
    }

    [Fact]
    public async Task Forced_deletion_and_namespace_deletion_leave_nothing_on_the_node()
    {
        await using var node = await NodeLab.StartAsync();
        var store = node.Lab.Cluster.Plane.Store;
        await node.AddAsync("forced");
        store.Create(BuiltInTypes.Namespaces, "", new JsonObject { ["metadata"] = new JsonObject { ["name"] = "shop" } });
        store.Create(
            BuiltInTypes.Pods,
            "shop",
            JsonNode
                .Parse("""{ "metadata": { "name": "web" }, "spec": { "containers": [{ "name": "app", "image": "none" }] } }""")!
                .AsObject()
        );
        await Eventually.TrueAsync(() => store.Get(BuiltInTypes.Pods, "shop", "web").Text("status", "phase") == "Running");
        store.Delete(BuiltInTypes.Pods, "default", "forced", new Preconditions(GracePeriodSeconds: 0));
        store.Delete(BuiltInTypes.Namespaces, "", "shop");
        await Eventually.TrueAsync(() => node.TheNode.Pods.Count == 0);
        await Eventually.TrueAsync(async () => await node.PodNetworkAsync() == "");
    }

    [Fact]
    public async Task Pod_object_exists_as_long_as_the_pod_of_the_command_line()
    {
        await using var node = await NodeLab.StartAsync();
        var store = node.Lab.Cluster.Plane.Store;
        var pod = await node.AddAsync("web");
        var o = store.Get(BuiltInTypes.Pods, "default", "web");
        Assert.Equal(
            ("Running", pod.Address.ToString(), NodeLab.Node),
            (o.Text("status", "phase"), o.Text("status", "podIP"), o.Text("spec", "nodeName"))
        );
        await node.DeleteAsync("web");
        Assert.Null(store.Find(BuiltInTypes.Pods, "default", "web"));
    }

    private static async Task<string> KubectlAsync(NodeLab node, params string[] arguments)
    {
        var outcome = await node.Lab.ExecAsync(
            NodeLab.Node,
            ["kubectl", "--kubeconfig", node.Lab.Paths.Kubeconfig, .. arguments],
            TimeSpan.FromSeconds(60),
            Cancellation
        );
        Assert.True(outcome.ExitCode == 0, $"kubectl {string.Join(' ', arguments)}: {outcome.Output}{outcome.Errors}");
        return outcome.Output;
    }
}
