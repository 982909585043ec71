// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.KubeApi.Store;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Kubernetes;

/// <summary>The real daemon on a lab node with the lab's Kubernetes API, over TLS and with tokens, as in a cluster.</summary>
public sealed class ClusterTests
{
    [Fact]
    public async Task Daemon_follows_the_node_object_and_writes_events_and_annotations()
    {
        await using var node = await NodeLab.StartAsync(
            new()
            {
                ["ANNOTATE_POD_IP"] = "true",
                ["WARM_IP_TARGET"] = "1",
                ["VPCCNI_ADD_WAIT_SECONDS"] = "2",
            }
        );
        var store = node.Lab.Cluster.Plane.Store;
        var web = await node.AddAsync("web");
        await Eventually.TrueAsync(() =>
            store.Get(BuiltInTypes.Pods, "default", "web").Text("metadata", "annotations", "vpc.amazonaws.com/pod-ips")
            == web.Address.ToString()
        );

        ChangeNode(store, item => item["status"]!["capacity"]!["pods"] = "2", WriteOptions.Status);
        await Eventually.TrueAsync(() => node.Log.Contains("maxPods=2 unschedulable=false", StringComparison.Ordinal));
        ChangeNode(store, item => item["spec"]!["unschedulable"] = true);
        await Eventually.TrueAsync(() => node.Log.Contains("maxPods=2 unschedulable=true", StringComparison.Ordinal));
        ChangeNode(store, item => item["spec"]!.AsObject().Remove("unschedulable"));

        // One pod more than max pods: the lab's kubelet retries, and the repeated event has a count.
        foreach (var name in new[] { "second", "third" })
            store.Create(BuiltInTypes.Pods, "default", Pod(name));
        JsonObject[] FailedEvents() =>
            [.. store.List(BuiltInTypes.Events, Selection.All).Items.Where(item => item.Text("source", "component") == "vpc-cni")];
        await Eventually.TrueAsync(() => FailedEvents().Length > 0);
        var failed = Assert.Single(FailedEvents());
        var full = store.Get(BuiltInTypes.Pods, "default", failed.Text("involvedObject", "name"));
        Assert.Equal(
            ("MaxPodsReached", "Warning", full.Text("metadata", "uid"), NodeLab.Node),
            (failed.Text("reason"), failed.Text("type"), failed.Text("involvedObject", "uid"), failed.Text("source", "host"))
        );
        Assert.Contains("at most 2 pods", failed.Text("message"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Daemon_without_the_API_server_serves_and_resyncs_when_it_returns()
    {
        await using var node = await NodeLab.StartAsync(new() { ["ANNOTATE_POD_IP"] = "true", ["WARM_IP_TARGET"] = "1" });
        var (cluster, token) = (node.Lab.Cluster, TestContext.Current.CancellationToken);
        var store = cluster.Plane.Store;
        await cluster.SetListeningAsync(isListening: false, token);
        await node.Lab.RestartIpamdAsync(NodeLab.Node, token);
        var web = await node.AddAsync("web");
        ChangeNode(store, item => item["spec"]!["unschedulable"] = true);
        Assert.Equal("", store.Get(BuiltInTypes.Pods, "default", "web").Text("metadata", "annotations", "vpc.amazonaws.com/pod-ips"));

        await cluster.SetListeningAsync(isListening: true, token);
        await Eventually.TrueAsync(() => node.Log.Contains("unschedulable=true", StringComparison.Ordinal));
        await Eventually.TrueAsync(() =>
            store.Get(BuiltInTypes.Pods, "default", "web").Text("metadata", "annotations", "vpc.amazonaws.com/pod-ips")
            == web.Address.ToString()
        );

        // Interrupts a watch in every way at once: its token is rotated and revoked, its resource version expires, its connection is
        // closed.
        await cluster.RunActionAsync(new KubeActionSpec(KubeAction.RotateTokens, Revoke: true), token);
        await cluster.RunActionAsync(new KubeActionSpec(KubeAction.Compact), token);
        ChangeNode(store, item => item["status"]!["capacity"]!["pods"] = "17", WriteOptions.Status);
        await Eventually.TrueAsync(() => node.Log.Contains("maxPods=17 ", StringComparison.Ordinal), TimeSpan.FromSeconds(60));
    }

    private static void ChangeNode(KubeStore store, Action<JsonObject> change, string subresource = "") =>
        store.Patch(
            BuiltInTypes.Nodes,
            "",
            NodeLab.Node,
            current =>
            {
                change(current);
                return current;
            },
            new WriteOptions(Subresource: subresource)
        );

    private static JsonObject Pod(string name) =>
        new()
        {
            ["metadata"] = new JsonObject { ["name"] = name },
            ["spec"] = new JsonObject
            {
                ["nodeName"] = NodeLab.Node,
                ["containers"] = new JsonArray(new JsonObject { ["name"] = "c", ["image"] = "i" }),
            },
        };
}
