// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Interop.Tests.Kubectl;

/// <summary>
/// The real kubectl against the lab's Kubernetes API. What it prints is kubectl's own and differs between versions; what it did is read
/// from the store.
/// </summary>
public sealed class KubectlTests
{
    private const string EniConfig = """
        apiVersion: crd.k8s.amazonaws.com/v1alpha1
        kind: ENIConfig
        metadata:
          name: us-west-2a
        spec:
          subnet: SUBNET
          securityGroups: [sg-1, sg-2]
        """;

    [Fact]
    public async Task Get_shows_the_tables_of_the_server()
    {
        await using var run = await KubectlRun.StartAsync();
        run.AddNode("node-1");
        run.AddPod("default", "web", "node-1");
        var nodes = Table(await run.OkAsync("get", "nodes"));
        Assert.Equal(["NAME", "STATUS", "ROLES", "AGE", "VERSION"], nodes[0]);
        Assert.Equal(["node-1", "Ready", "<none>"], nodes[1][..3]);
        var pods = Table(await run.OkAsync("get", "pods", "-A", "-o", "wide"));
        Assert.Equal(["default", "web", "0/1", "Pending", "0"], pods[1][..5]);
        Assert.Contains("node-1", pods[1]);
        var both = await run.OkAsync("get", "nodes,pods", "-A");
        Assert.Contains("node/node-1", both, StringComparison.Ordinal);
        Assert.Contains("pod/web", both, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_selects_and_prints_in_other_forms()
    {
        await using var run = await KubectlRun.StartAsync();
        run.AddNode("node-1");
        run.AddNode("node-2");
        run.AddPod("default", "web-1", "node-1");
        run.AddPod("default", "web-2", "node-2");
        Assert.Equal("node/node-2\n", await run.OkAsync("get", "nodes", "-l", "kubernetes.io/hostname in (node-2)", "-o", "name"));
        Assert.Equal("pod/web-1\n", await run.OkAsync("get", "pods", "--field-selector", "spec.nodeName=node-1", "-o", "name"));
        Assert.Equal("29", await run.OkAsync("get", "node", "node-1", "-o", "jsonpath={.status.capacity.pods}"));
        Assert.Equal("node-1", JsonNode.Parse(await run.OkAsync("get", "no", "node-1", "-o", "json")).Text("metadata", "name"));
        Assert.Contains("nodes \"nope\" not found", await run.FailAsync("get", "node", "nope"), StringComparison.Ordinal);
        Assert.Contains("doesn't have a resource type \"widgets\"", await run.FailAsync("get", "widgets"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Describe_shows_object_and_events()
    {
        await using var run = await KubectlRun.StartAsync();
        run.AddNode("node-1");
        run.AddPod("default", "web", "node-1");
        var uid = run.Store.Get(BuiltInTypes.Pods, "default", "web").Text("metadata", "uid");
        run.Store.Create(
            BuiltInTypes.Events,
            "default",
            JsonNode
                .Parse(
                    $$"""
                    {
                      "metadata": { "name": "web.1" }, "type": "Warning", "reason": "SubnetExhausted", "message": "no address is left in subnet-1", "count": 3, "source": { "component": "ipamd" },
                      "involvedObject": { "kind": "Pod", "namespace": "default", "name": "web", "uid": "{{uid}}" }, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z"
                    }
                    """
                )!
                .AsObject()
        );
        var pod = await run.OkAsync("describe", "pod", "web");
        Assert.Contains("SubnetExhausted", pod, StringComparison.Ordinal);
        Assert.Contains("no address is left in subnet-1", pod, StringComparison.Ordinal);
        var node = await run.OkAsync("describe", "node", "node-1");
        Assert.Contains("(1 in total)", node, StringComparison.Ordinal);
        Assert.Contains("SubnetExhausted", await run.OkAsync("get", "events"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Label_annotate_taint_and_cordon_change_the_node()
    {
        await using var run = await KubectlRun.StartAsync();
        run.AddNode("node-1");
        JsonObject Node() => run.Store.Get(BuiltInTypes.Nodes, "", "node-1");
        await run.OkAsync("label", "node", "node-1", "k8s.amazonaws.com/eniConfig=us-west-2a");
        await run.OkAsync("annotate", "node", "node-1", "note=a text, with signs \"{}\"");
        Assert.Equal(
            ("us-west-2a", "a text, with signs \"{}\""),
            (Node().Text("metadata", "labels", "k8s.amazonaws.com/eniConfig"), Node().Text("metadata", "annotations", "note"))
        );
        Assert.Contains(
            "already has a value",
            await run.FailAsync("label", "node", "node-1", "k8s.amazonaws.com/eniConfig=other"),
            StringComparison.Ordinal
        );
        await run.OkAsync("label", "node", "node-1", "k8s.amazonaws.com/eniConfig-");
        Assert.Equal("", Node().Text("metadata", "labels", "k8s.amazonaws.com/eniConfig"));
        await run.OkAsync("cordon", "node-1");
        Assert.True(Node().Flag("spec", "unschedulable"));
        await run.OkAsync("uncordon", "node-1");
        Assert.False(Node().Flag("spec", "unschedulable"));
        await run.OkAsync("taint", "node", "node-1", "dedicated=x:NoSchedule");
        Assert.Equal("dedicated", Assert.Single(Node().Objects("spec", "taints")).Text("key"));
        await run.OkAsync("taint", "node", "node-1", "dedicated-");
        Assert.Empty(Node().Objects("spec", "taints"));
    }

    [Fact]
    public async Task Apply_creates_changes_and_leaves_alone()
    {
        await using var run = await KubectlRun.StartAsync();
        var manifest = await run.ManifestAsync(EniConfig.Replace("SUBNET", "subnet-1", StringComparison.Ordinal));
        Assert.Contains("created", await run.OkAsync("apply", "-f", manifest), StringComparison.Ordinal);
        Assert.Contains("unchanged", await run.OkAsync("apply", "-f", manifest), StringComparison.Ordinal);
        await run.ManifestAsync(
            EniConfig
                .Replace("SUBNET", "subnet-2", StringComparison.Ordinal)
                .Replace("  securityGroups: [sg-1, sg-2]", "", StringComparison.Ordinal)
        );
        Assert.Contains("configured", await run.OkAsync("apply", "-f", manifest), StringComparison.Ordinal);
        var type = run.Store.FindType("crd.k8s.amazonaws.com", "v1alpha1", "eniconfigs")!;
        var stored = run.Store.Get(type, "", "us-west-2a");
        // what the manifest no longer says is gone
        Assert.Equal(("subnet-2", null), (stored.Text("spec", "subnet"), stored.At("spec", "securityGroups")));
        await run.OkAsync("delete", "-f", manifest);
        Assert.Null(run.Store.Find(type, "", "us-west-2a"));
    }

    [Fact]
    public async Task Apply_on_the_server_tells_managers_apart()
    {
        await using var run = await KubectlRun.StartAsync();
        var manifest = await run.ManifestAsync(EniConfig.Replace("SUBNET", "subnet-1", StringComparison.Ordinal));
        await run.OkAsync("apply", "--server-side", "-f", manifest);
        await run.ManifestAsync(EniConfig.Replace("SUBNET", "subnet-2", StringComparison.Ordinal));
        Assert.Contains(
            "conflict with \"kubectl\"",
            await run.FailAsync("apply", "--server-side", "--field-manager=other", "-f", manifest),
            StringComparison.Ordinal
        );
        await run.OkAsync("apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", manifest);
        Assert.Equal("subnet-2", await run.OkAsync("get", "eniconfig", "us-west-2a", "-o", "jsonpath={.spec.subnet}"));
    }

    [Fact]
    public async Task Apply_of_built_in_kinds_merges_by_key()
    {
        await using var run = await KubectlRun.StartAsync();
        var manifest = await run.ManifestAsync(
            """
            apiVersion: v1
            kind: Pod
            metadata: { name: two, labels: { app: a } }
            spec:
              containers:
              - { name: one, image: "x:1" }
              - { name: two, image: "y:1" }
            ---
            apiVersion: v1
            kind: ConfigMap
            metadata: { name: settings }
            data: { WARM_IP_TARGET: "2" }
            """
        );
        await run.OkAsync("apply", "-f", manifest);
        await run.ManifestAsync(
            (await File.ReadAllTextAsync(manifest))
                .Replace("y:1", "y:2", StringComparison.Ordinal)
                .Replace("app: a", "app: b", StringComparison.Ordinal)
        );
        await run.OkAsync("apply", "-f", manifest);
        var pod = run.Store.Get(BuiltInTypes.Pods, "default", "two");
        Assert.Equal(["x:1", "y:2"], pod.Objects("spec", "containers").Select(container => container.Text("image")));
        Assert.Equal("b", pod.Text("metadata", "labels", "app"));
        Assert.Equal(["settings"], (await run.OkAsync("get", "cm", "-o", "jsonpath={.items[*].metadata.name}")).Split(' '));
    }

    [Fact]
    public async Task Definition_is_applied_awaited_and_used()
    {
        await using var run = await KubectlRun.StartAsync();
        var manifest = await run.ManifestAsync(
            """
            apiVersion: apiextensions.k8s.io/v1
            kind: CustomResourceDefinition
            metadata: { name: widgets.test.example }
            spec:
              group: test.example
              scope: Namespaced
              names: { plural: widgets, singular: widget, kind: Widget, shortNames: [wd] }
              versions:
              - name: v1
                served: true
                storage: true
                additionalPrinterColumns: [{ name: Size, type: integer, jsonPath: .spec.size }]
                schema: { openAPIV3Schema: { type: object, properties: { spec: { type: object, properties: { size: { type: integer } } } } } }
            """
        );
        await run.OkAsync("apply", "-f", manifest);
        await run.OkAsync("wait", "--for=condition=established", "--timeout=10s", "crd/widgets.test.example");
        await run.ManifestAsync(
            """
            apiVersion: test.example/v1
            kind: Widget
            metadata: { name: w, namespace: default }
            spec: { size: 3 }
            """
        );
        await run.OkAsync("apply", "-f", manifest);
        Assert.Equal(["w", "3"], Table(await run.OkAsync("get", "wd"))[1]);
        await run.ManifestAsync(
            """
            apiVersion: test.example/v1
            kind: Widget
            metadata: { name: w, namespace: default }
            spec: { size: large }
            """
        );
        Assert.Contains("spec.size", await run.FailAsync("apply", "-f", manifest), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Wait_and_watch_follow_changes()
    {
        await using var run = await KubectlRun.StartAsync();
        run.AddNode("node-1");
        run.AddPod("default", "web", "node-1");
        var waiting = run.OkAsync("wait", "--for=condition=Ready", "pod/web", "--timeout=30s");
        using var watching = run.Start("get", "pods", "-w", "--no-headers");
        await Eventually.TrueAsync(() => run.Plane.Watches.Count == 2);
        run.Store.Patch(
            BuiltInTypes.Pods,
            "default",
            "web",
            pod =>
            {
                pod["status"] = JsonNode.Parse("""{ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] }""");
                return pod;
            },
            new WriteOptions(Subresource: WriteOptions.Status)
        );
        Assert.Contains("condition met", await waiting, StringComparison.Ordinal);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        string? line;
        while (
            (line = await watching.StandardOutput.ReadLineAsync(limit.Token)) is not null
            && !line.Contains("Running", StringComparison.Ordinal)
        ) { }

        Assert.NotNull(line);
        watching.Kill();
        await watching.WaitForExitAsync(limit.Token);
    }

    [Fact]
    public async Task Delete_waits_for_a_pod_that_ends_gracefully()
    {
        await using var run = await KubectlRun.StartAsync(new KubeStoreOptions { GracefulPodDeletion = true });
        run.AddPod("default", "web", "node-1");
        var deleting = run.OkAsync("delete", "pod", "web");
        await Eventually.TrueAsync(() =>
            run.Store.Get(BuiltInTypes.Pods, "default", "web").Text("metadata", "deletionTimestamp").Length > 0
        );
        Assert.Contains("Terminating", await run.OkAsync("get", "pods"), StringComparison.Ordinal);
        Assert.False(deleting.IsCompleted);
        run.Store.Delete(BuiltInTypes.Pods, "default", "web", new Preconditions(GracePeriodSeconds: 0)); // as its kubelet does
        await deleting;
        run.AddPod("default", "web", "node-1");
        await run.OkAsync("delete", "pod", "web", "--force", "--grace-period=0");
        Assert.Null(run.Store.Find(BuiltInTypes.Pods, "default", "web"));
    }

    [Fact]
    public async Task Drain_and_small_creations_send_bodies_that_are_read()
    {
        await using var run = await KubectlRun.StartAsync();
        run.AddNode("node-1");
        await run.OkAsync("create", "namespace", "shop");
        await run.OkAsync("create", "configmap", "settings", "--namespace", "shop", "--from-literal=a=b");
        run.AddPod("shop", "web", "node-1");
        await run.OkAsync("drain", "node-1", "--force", "--timeout=20s");
        Assert.Null(run.Store.Find(BuiltInTypes.Pods, "shop", "web"));
        Assert.True(run.Store.Get(BuiltInTypes.Nodes, "", "node-1").Flag("spec", "unschedulable"));
        await run.OkAsync("delete", "namespace", "shop");
        Assert.Null(run.Store.Find(BuiltInTypes.Namespaces, "", "shop"));
    }

    [Fact]
    public async Task Server_with_tls_is_trusted_by_its_authority_and_demands_the_token()
    {
        await using var run = await KubectlRun.StartAsync();
        run.AddNode("node-1");
        Assert.Equal("node/node-1\n", await run.OkAsync("--context", "node", "get", "nodes", "-o", "name"));
        run.Plane.Tokens.RevokeAllExcept("kubernetes-admin", token: null);
        Assert.Contains(
            "Unauthorized",
            (await run.FailAsync("--context", "node", "get", "nodes", "-o", "name")).Replace(
                "You must be logged in to the server",
                "Unauthorized",
                StringComparison.Ordinal
            ),
            StringComparison.Ordinal
        );
    }

    private static string[][] Table(string output) =>
        [
            .. output
                .Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)),
        ];
}
