// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.KubeApi;
using VpcCni.Lab.KubeApi.Store;
using VpcCni.Lab.Tests.Fabric;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Lab.Tests.Hosting;

/// <summary>Tests a lab's cluster, in real namespaces and without daemons.</summary>
public sealed class LabClusterTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Node_object_describes_the_nodes_instance()
    {
        await using var lab = await StartAsync();
        var store = lab.Cluster.Plane.Store;
        Assert.Equal(
            ["node-1", "node-2"],
            store.List(BuiltInTypes.Nodes, Selection.All).Items.Select(node => node.Text("metadata", "name"))
        );
        var (node, instance) = (store.Get(BuiltInTypes.Nodes, "", "node-2"), lab.Nodes[1].Instance);
        Assert.Equal($"aws:///{instance.Zone}/{instance.Id}", node.Text("spec", "providerID"));
        Assert.Equal(
            (instance.Zone, "m5.large", "29"),
            (
                node.Text("metadata", "labels", "topology.kubernetes.io/zone"),
                node.Text("metadata", "labels", "node.kubernetes.io/instance-type"),
                node.Text("status", "capacity", "pods")
            )
        );
        Assert.Equal(lab.Nodes[1].Address.ToString(), node.Objects("status", "addresses").First().Text("address"));
        Assert.NotNull(store.Find(AmazonDefinitions.CniNodes(store), "", "node-2"));
    }

    [Fact]
    public async Task Node_reaches_the_api_with_its_folders_token_until_it_is_revoked()
    {
        await using var lab = await StartAsync();
        var node = lab.Nodes[0];
        using var before = InCluster(node);
        Assert.Equal("NodeList", JsonNode.Parse(await before.GetStringAsync("/api/v1/nodes", Cancellation)).Text("kind"));
        lab.Cluster.RotateTokens(revoke: true);
        using var rejected = await before.GetAsync("/api/v1/nodes", Cancellation);
        Assert.Equal(HttpStatusCode.Unauthorized, rejected.StatusCode);
        using var after = InCluster(node);
        using var again = await after.GetAsync("/api/v1/nodes", Cancellation);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
        Assert.Contains(
            new KubeCallCount("system:serviceaccount:kube-system:aws-node", "list", "nodes", 200, 2),
            lab.Cluster.Status().Calls
        );
    }

    [Fact]
    public async Task Outage_refuses_the_nodes_connections_until_it_ends()
    {
        await using var lab = await StartAsync();
        using var client = InCluster(lab.Nodes[0]);
        await lab.Cluster.RunActionAsync(new KubeActionSpec(KubeAction.BeginOutage), Cancellation);
        Assert.False((await lab.StatusAsync(Cancellation)).Kubernetes!.IsListening);
        var error = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("/version", Cancellation));
        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(error.InnerException).SocketErrorCode);
        await lab.Cluster.RunActionAsync(new KubeActionSpec(KubeAction.EndOutage), Cancellation);
        using var answer = await client.GetAsync("/version", Cancellation);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task Pod_without_a_node_is_scheduled_and_its_failures_are_events()
    {
        await using var lab = await StartAsync(); // without a plugin
        var store = lab.Cluster.Plane.Store;
        store.Patch(
            BuiltInTypes.Nodes,
            "",
            "node-1",
            node =>
            {
                node["spec"]!["unschedulable"] = true;
                return node;
            }
        );
        store.Create(
            BuiltInTypes.Pods,
            "default",
            JsonNode
                .Parse("""{ "metadata": { "name": "web" }, "spec": { "containers": [{ "name": "app", "image": "none" }] } }""")!
                .AsObject()
        );
        await Eventually.TrueAsync(() => store.Get(BuiltInTypes.Pods, "default", "web").Text("spec", "nodeName") == "node-2");
        await Eventually.TrueAsync(() =>
            store
                .List(BuiltInTypes.Events, Selection.All)
                .Items.Any(@event =>
                    @event.Text("reason") == "FailedCreatePodSandBox"
                    && @event.Text("message").Contains("without a CNI plugin", StringComparison.Ordinal)
                )
        );
        store.Delete(BuiltInTypes.Pods, "default", "web");
        await Eventually.TrueAsync(() => store.Find(BuiltInTypes.Pods, "default", "web") is null);
    }

    [Fact]
    public async Task Kubeconfig_is_readable_only_by_its_owner()
    {
        await using var lab = await StartAsync();
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(lab.Paths.Kubeconfig));
        Assert.Contains(
            "server: https://169.254.169.251:443",
            await File.ReadAllTextAsync(lab.Paths.Kubeconfig, Cancellation),
            StringComparison.Ordinal
        );
    }

    private static async Task<VpcLab> StartAsync()
    {
        Requirement.NeedRoot();
        Requirement.NeedProgram("nft");
        var names = FabricBench.NewNames();
        var options = new LabOptions
        {
            Name = names.Lab,
            RunFolder = Path.Combine(Path.GetTempPath(), names.Prefix + "run"),
            Nodes = [2],
        };
        return await VpcLab.StartAsync(options, TimeProvider.System, NullLoggerProvider.Instance, Cancellation);
    }

    /// <summary>
    /// Creates a client like that of a pod on the host network: the service's address, the folder's ca.crt and token, and connections from
    /// the node's namespace.
    /// </summary>
    private static HttpClient InCluster(LabNode node)
    {
        var folder = node.Paths.ServiceAccount;
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancellationToken) =>
            {
                var socket = node.Network.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                try
                {
                    await socket.ConnectAsync(
                        new IPEndPoint(IPAddress.Parse(context.DnsEndPoint.Host), context.DnsEndPoint.Port),
                        cancellationToken
                    );
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        };
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            CustomTrustStore = { X509Certificate2.CreateFromPem(File.ReadAllText(Path.Combine(folder, "ca.crt"))) },
        };
        return new HttpClient(handler)
        {
            BaseAddress = new Uri("https://169.254.169.251"),
            Timeout = TimeSpan.FromSeconds(20),
            DefaultRequestHeaders = { Authorization = new("Bearer", File.ReadAllText(Path.Combine(folder, "token"))) },
        };
    }
}
