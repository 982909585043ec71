// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Nodes;
using k8s;
using k8s.Authentication;
using k8s.Autorest;
using k8s.Models;
using VpcCni.Lab.KubeApi;
using VpcCni.Lab.KubeApi.Store;
using Xunit;

namespace VpcCni.Lab.Tests.KubeApi;

/// <summary>Tests the lab's API with the official C# client.</summary>
public sealed class ClientTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kubeclient").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Watch_over_tls_continues_with_a_replaced_token()
    {
        await using var host = await KubeHost.StartAsync();
        var user = KubeTokens.ServiceAccount("kube-system", "aws-node");
        await File.WriteAllTextAsync(Path.Combine(_folder, "token"), host.Plane.Tokens.Issue(user), Token);
        await File.WriteAllTextAsync(Path.Combine(_folder, "ca.crt"), host.AuthorityPem, Token);
        // A client caches the token for a minute; a new client reads the file again.
        k8s.Kubernetes Client() =>
            new(
                new KubernetesClientConfiguration
                {
                    Host = host.SecureUrl,
                    TokenProvider = new TokenFileAuth(Path.Combine(_folder, "token")),
                    SslCaCerts = [X509Certificate2.CreateFromPem(host.AuthorityPem)],
                }
            );
        using var client = Client();
        host.Store.Create(BuiltInTypes.Nodes, "", Named("other"));
        host.Store.Create(BuiltInTypes.Nodes, "", Named("node-1"));
        var list = await client.CoreV1.ListNodeAsync(fieldSelector: "metadata.name=node-1", resourceVersion: "0", cancellationToken: Token);
        Assert.Equal("node-1", Assert.Single(list.Items!).Metadata!.Name);

        // From here on only a new token is valid.
        host.Plane.Tokens.RevokeAllExcept(user, token: null);
        var refusal = await Assert.ThrowsAsync<HttpOperationException>(() =>
            client.CoreV1.ReadNodeAsync("node-1", cancellationToken: Token)
        );
        Assert.Equal(HttpStatusCode.Unauthorized, refusal.Response!.StatusCode);
        await File.WriteAllTextAsync(Path.Combine(_folder, "token"), host.Plane.Tokens.Issue(user), Token);
        using var renewed = Client();
        var changes = renewed.CoreV1.WatchListNodeAsync(
            allowWatchBookmarks: true,
            fieldSelector: "metadata.name=node-1",
            resourceVersion: list.Metadata!.ResourceVersion,
            timeoutSeconds: 60,
            onError: error => Assert.Fail(error.Message),
            cancellationToken: Token
        );
        await using var next = changes.GetAsyncEnumerator(Token);
        Change(host, "other", node => node["spec"] = new JsonObject { ["unschedulable"] = true });
        Change(
            host,
            "node-1",
            node =>
                node["spec"] = new JsonObject
                {
                    ["taints"] = new JsonArray(new JsonObject { ["key"] = "node.kubernetes.io/unschedulable", ["effect"] = "NoSchedule" }),
                }
        );
        Assert.True(await next.MoveNextAsync());
        Assert.Equal(
            (WatchEventType.Modified, "node-1", "NoSchedule"),
            (next.Current.Item1, next.Current.Item2.Metadata!.Name, next.Current.Item2.Spec!.Taints!.Single().Effect)
        );
    }

    [Fact]
    public async Task Watch_from_a_compacted_version_reports_gone()
    {
        await using var host = await KubeHost.StartAsync();
        using var client = new k8s.Kubernetes(new KubernetesClientConfiguration { Host = host.Url });
        host.Store.Create(BuiltInTypes.Nodes, "", Named("node-1"));
        var old = (await client.CoreV1.ListNodeAsync(cancellationToken: Token)).Metadata!.ResourceVersion;
        Change(host, "node-1", node => node["metadata"]!["labels"] = new JsonObject { ["a"] = "b" });
        host.Store.Compact();
        Exception? error = null;
        try
        {
            await foreach (
                var (type, item) in client.CoreV1.WatchListNodeAsync(
                    resourceVersion: old,
                    timeoutSeconds: 5,
                    onError: failure => error ??= failure,
                    cancellationToken: Token
                )
            )
                Assert.Fail($"{type} {item.Metadata?.Name}");
        }
        catch (HttpOperationException failure)
        {
            error = failure;
        }

        Assert.Equal(
            410,
            error switch
            {
                KubernetesException failure => failure.Status?.Code,
                HttpOperationException failure => (int)failure.Response!.StatusCode,
                _ => null,
            }
        );
    }

    [Fact]
    public async Task Event_is_created_incremented_and_found_by_the_uid_of_its_pod()
    {
        await using var host = await KubeHost.StartAsync();
        using var client = new k8s.Kubernetes(new KubernetesClientConfiguration { Host = host.Url });
        host.Store.Create(BuiltInTypes.Namespaces, "", Named("prod"));
        var pod = host.Store.Create(BuiltInTypes.Pods, "prod", PodNamed("web"));
        var uid = pod["metadata"]!["uid"]!.GetValue<string>();
        Assert.Equal(
            ("node-1", uid),
            (await client.CoreV1.ReadNamespacedPodAsync("web", "prod", cancellationToken: Token)) is { } read
                ? (read.Spec!.NodeName, read.Metadata!.Uid)
                : default
        );
        await client.CoreV1.CreateNamespacedEventAsync(
            new Corev1Event
            {
                Metadata = new V1ObjectMeta { Name = "web.1", NamespaceProperty = "prod" },
                InvolvedObject = new V1ObjectReference
                {
                    ApiVersion = "v1",
                    Kind = "Pod",
                    Name = "web",
                    NamespaceProperty = "prod",
                    Uid = uid,
                },
                Reason = "SubnetExhausted",
                Message = "full",
                Type = "Warning",
                Count = 1,
                FirstTimestamp = new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc),
            },
            "prod",
            cancellationToken: Token
        );
        var counted = await client.CoreV1.PatchNamespacedEventAsync(
            new V1Patch("""{"count":7}""", V1Patch.PatchType.MergePatch),
            "web.1",
            "prod",
            cancellationToken: Token
        );
        Assert.Equal(
            (7, "full", new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc)),
            (counted.Count, counted.Message, counted.FirstTimestamp)
        );
        var found = await host.GetAsync(
            $"/api/v1/namespaces/prod/events?fieldSelector=involvedObject.uid%3D{uid},involvedObject.kind%3DPod"
        );
        Assert.Equal(["web.1"], found.Names);
    }

    [Fact]
    public async Task Annotation_for_another_pod_of_the_same_name_is_rejected()
    {
        await using var host = await KubeHost.StartAsync();
        using var client = new k8s.Kubernetes(new KubernetesClientConfiguration { Host = host.Url });
        host.Store.Create(BuiltInTypes.Namespaces, "", Named("prod"));
        var uid = host.Store.Create(BuiltInTypes.Pods, "prod", PodNamed("web"))["metadata"]!["uid"]!.GetValue<string>();
        V1Patch Annotate(string of) =>
            new(
                $$"""{"metadata":{"uid":"{{of}}","annotations":{"vpc.amazonaws.com/pod-ips":"10.0.0.5"} } }""",
                V1Patch.PatchType.MergePatch
            );
        var refusal = await Assert.ThrowsAsync<HttpOperationException>(() =>
            client.CoreV1.PatchNamespacedPodAsync(Annotate("00000000-0000-0000-0000-000000000000"), "web", "prod", cancellationToken: Token)
        );
        Assert.Equal(HttpStatusCode.Conflict, refusal.Response!.StatusCode);
        Assert.Equal(
            "10.0.0.5",
            (await client.CoreV1.PatchNamespacedPodAsync(Annotate(uid), "web", "prod", cancellationToken: Token)).Metadata!.Annotations![
                "vpc.amazonaws.com/pod-ips"
            ]
        );
    }

    [Fact]
    public async Task ENIConfig_is_listed_and_watched_by_name()
    {
        await using var host = await KubeHost.StartAsync();
        using var client = new k8s.Kubernetes(new KubernetesClientConfiguration { Host = host.Url });
        var type = host.Store.FindType(AmazonDefinitions.EniConfigGroup, AmazonDefinitions.Version, "eniconfigs")!;
        var zone = Named("zone-a");
        (zone["apiVersion"], zone["kind"], zone["spec"]) = (
            $"{AmazonDefinitions.EniConfigGroup}/{AmazonDefinitions.Version}",
            "ENIConfig",
            new JsonObject { ["subnet"] = "subnet-1", ["securityGroups"] = new JsonArray("sg-1") }
        );
        host.Store.Create(type, "", zone);
        var list = (JsonElement)
            await client.CustomObjects.ListClusterCustomObjectAsync(
                AmazonDefinitions.EniConfigGroup,
                AmazonDefinitions.Version,
                "eniconfigs",
                fieldSelector: "metadata.name=zone-a",
                cancellationToken: Token
            );
        Assert.Equal("subnet-1", list.GetProperty("items").EnumerateArray().Single().GetProperty("spec").GetProperty("subnet").GetString());
        var version = list.GetProperty("metadata").GetProperty("resourceVersion").GetString();
        await using var next = client
            .CustomObjects.WatchListClusterCustomObjectAsync(
                AmazonDefinitions.EniConfigGroup,
                AmazonDefinitions.Version,
                "eniconfigs",
                fieldSelector: "metadata.name=zone-a",
                resourceVersion: version,
                timeoutSeconds: 30,
                cancellationToken: Token
            )
            .GetAsyncEnumerator(Token);
        host.Store.Patch(
            type,
            "",
            "zone-a",
            current =>
            {
                current["spec"]!["subnet"] = "subnet-2";
                return current;
            }
        );
        Assert.True(await next.MoveNextAsync());
        Assert.Equal(
            (WatchEventType.Modified, "subnet-2"),
            (next.Current.Item1, ((JsonElement)next.Current.Item2).GetProperty("spec").GetProperty("subnet").GetString())
        );
    }

    private static JsonObject Named(string name) => new() { ["metadata"] = new JsonObject { ["name"] = name } };

    private static JsonObject PodNamed(string name)
    {
        var pod = Named(name);
        pod["spec"] = new JsonObject
        {
            ["nodeName"] = "node-1",
            ["containers"] = new JsonArray(new JsonObject { ["name"] = "c", ["image"] = "i" }),
        };
        return pod;
    }

    private static void Change(KubeHost host, string node, Action<JsonObject> change) =>
        host.Store.Patch(
            BuiltInTypes.Nodes,
            "",
            node,
            current =>
            {
                change(current);
                return current;
            }
        );
}
