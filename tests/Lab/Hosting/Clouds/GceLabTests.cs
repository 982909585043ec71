// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.KubeApi.Store;
using VpcCni.Lab.Tests.Fabric;
using VpcCni.Tests.Shared;
using Xunit;
using static VpcCni.Lab.Tests.Hosting.Clouds.CloudLab;

namespace VpcCni.Lab.Tests.Hosting.Clouds;

/// <summary>Tests the lab of GCE as its nodes see it: metadata, API with the metadata's token, and packets.</summary>
public sealed class GceLabTests
{
    private const string Project = "/compute/v1/projects/vpc-lab";

    [Fact]
    public async Task Alias_range_is_delivered_to_its_node_and_may_be_a_source()
    {
        await using var lab = await StartAsync(LabCloud.Gce, options => options with { OperationLatency = TimeSpan.FromMilliseconds(50) });
        var (one, two) = (lab.Nodes[0], lab.Nodes[1]);
        using var client = await AuthorizedAsync(one);
        FabricBench.AddAddress(one.Network, "10.4.0.5");
        Assert.False(await RepliesAsync(two, "10.4.0.5"));
        Assert.False(await MaySendFromAsync(one, "10.4.0.5", two));
        Assert.Equal(1, await SpoofedAsync(lab, one));

        await SetAliasesAsync(client, """[{ "ipCidrRange": "/28", "subnetworkRangeName": "pods" }]""");
        await Eventually.TrueAsync(() => RepliesAsync(two, "10.4.0.5"));
        Assert.True(await MaySendFromAsync(one, "10.4.0.5", two));
        Assert.False(await MaySendFromAsync(one, "10.4.0.16", two));
        Assert.Equal(2, await SpoofedAsync(lab, one));

        await SetAliasesAsync(client, "[]");
        await Eventually.TrueAsync(async () => !await RepliesAsync(two, "10.4.0.5"));
        Assert.False(await MaySendFromAsync(one, "10.4.0.5", two));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Route_delivers_to_an_instance_that_may_forward_only(bool mayForward)
    {
        await using var lab = await StartAsync(
            LabCloud.Gce,
            options => options with { MayForward = mayForward, PodCidrs = [IPNetwork.Parse("172.20.0.0/16")] }
        );
        var (one, two) = (lab.Nodes[0], lab.Nodes[1]);
        Assert.Equal([IPNetwork.Parse("172.20.1.0/24")], two.PodRanges);
        FabricBench.AddAddress(two.Network, "172.20.1.5");
        using var client = await AuthorizedAsync(two);
        var inserted = await client.PostAsync(
            $"{Project}/global/routes",
            Json(
                """
                {
                  "name": "node-2", "network": "projects/vpc-lab/global/networks/lab", "destRange": "172.20.1.0/24",
                  "nextHopInstance": "zones/us-central1-a/instances/node-2"
                }
                """
            )
        );
        Assert.Equal(HttpStatusCode.OK, inserted.StatusCode);
        await lab.Fabric.WaitUntilAppliedAsync(FabricBench.Cancellation);
        Assert.Equal(mayForward, await RepliesAsync(one, "172.20.1.5"));
        Assert.Equal(mayForward, await MaySendFromAsync(two, "172.20.1.5", one));
        var status = await lab.StatusAsync(FabricBench.Cancellation);
        Assert.Equal(mayForward ? 0 : 1, status.DroppedUnowned.Packets);

        await client.DeleteAsync($"{Project}/global/routes/node-2");
        await lab.Fabric.WaitUntilAppliedAsync(FabricBench.Cancellation);
        Assert.False(await RepliesAsync(one, "172.20.1.5"));
    }

    [Fact]
    public async Task Each_node_has_its_own_metadata_and_address()
    {
        await using var lab = await StartAsync(LabCloud.Gce);
        foreach (var node in lab.Nodes)
        {
            using var client = Metadata(node);
            Assert.Equal(node.Name, await client.GetStringAsync("/computeMetadata/v1/instance/name"));
            var nic = "/computeMetadata/v1/instance/network-interfaces/0/";
            Assert.Equal($"{node.Address}", await client.GetStringAsync(nic + "ip"));
            using var netlink = node.Network.OpenRouteNetlink();
            var link = netlink.FindLink("eth0")!;
            Assert.Equal($"{link.Mac}", await client.GetStringAsync(nic + "mac"));
            Assert.Equal($"{link.Mtu}", await client.GetStringAsync(nic + "mtu"));
        }
    }

    [Fact]
    public async Task Nodes_of_the_cluster_have_provider_ids_and_pod_ranges()
    {
        await using var lab = await StartAsync(LabCloud.Gce, options => options with { PodCidrs = [IPNetwork.Parse("172.20.0.0/16")] });
        var node = lab.Cluster.Plane.Store.Get(BuiltInTypes.Nodes, "", "node-2");
        Assert.Equal("gce://vpc-lab/us-central1-a/node-2", node.Text("spec", "providerID"));
        Assert.Equal("172.20.1.0/24", node.Text("spec", "podCIDR"));
        Assert.Equal("""["172.20.1.0/24"]""", node["spec"]!["podCIDRs"]!.ToJsonString());
        Assert.Equal("us-central1", node.Text("metadata", "labels", "topology.kubernetes.io/region"));
        Assert.Equal("110", node.Text("status", "capacity", "pods"));
    }

    [Fact]
    public async Task Faults_and_timing_apply_to_methods_of_the_api()
    {
        await using var lab = await StartAsync(LabCloud.Gce);
        using var client = await AuthorizedAsync(lab.Nodes[0]);
        lab.Cloud.Inject(
            new FaultSpec
            {
                Operation = "instances.get",
                Code = "quotaExceeded",
                Times = 1,
            }
        );
        using var failed = await client.GetAsync($"{Project}/zones/us-central1-a/instances/node-1");
        Assert.Equal(HttpStatusCode.Forbidden, failed.StatusCode);
        var status = await lab.StatusAsync(FabricBench.Cancellation);
        Assert.Contains(new CloudCallCount("instances.get", "quotaExceeded", 1), status.CloudCalls);

        lab.Cloud.Inject(
            new FaultSpec
            {
                Operation = "*",
                Code = "IP_SPACE_EXHAUSTED",
                Times = null,
            }
        );
        Assert.Equal("IP_SPACE_EXHAUSTED", Assert.Single((await lab.StatusAsync(FabricBench.Cancellation)).Faults).Code);
        lab.Cloud.ClearFaults(null);
        Assert.Empty((await lab.StatusAsync(FabricBench.Cancellation)).Faults);

        lab.Cloud.SetTiming(new TimingSpec { RatePerSecond = 0.001 });
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync($"{Project}/global/routes")).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await client.GetAsync($"{Project}/global/routes")).StatusCode);
    }

    [Theory]
    [InlineData("AttachNetworkInterface", "rateLimitExceeded", "no method 'AttachNetworkInterface'")]
    [InlineData("instances.update", "rateLimitExceeded", "expected * for all")]
    [InlineData("instances.get", "RateLimitExceeded", "did you mean rateLimitExceeded?")]
    [InlineData("instances.get", "", "a fault needs an error code")]
    public async Task Faults_that_can_never_apply_are_rejected(string method, string code, string expected)
    {
        await using var lab = await StartAsync(LabCloud.Gce, options => options with { Nodes = [1], HasKubernetes = false });
        var error = Assert.Throws<LabException>(() => lab.Cloud.Inject(new FaultSpec { Operation = method, Code = code }));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Contains(
            "--operation",
            Assert.Throws<LabException>(() => lab.Cloud.SetTiming(new TimingSpec { AttachMilliseconds = 1 })).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<LabException>(() => lab.World);
    }

    private static async Task SetAliasesAsync(HttpClient client, string aliases)
    {
        const string Instance = $"{Project}/zones/us-central1-a/instances/node-1";
        var read = JsonNode.Parse(await client.GetStringAsync(Instance))!;
        var fingerprint = (string?)read["networkInterfaces"]![0]!["fingerprint"];
        using var response = await client.PatchAsync(
            $"{Instance}/updateNetworkInterface?networkInterface=nic0",
            Json($$"""{ "fingerprint": "{{fingerprint}}", "aliasIpRanges": {{aliases}} }""")
        );
        var operation = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
        using var waited = await client.PostAsync($"{Project}/zones/us-central1-a/operations/{operation["name"]}/wait", content: null);
        var done = JsonNode.Parse(await waited.Content.ReadAsStringAsync())!;
        Assert.Equal(("DONE", null), ((string?)done["status"], done["error"]?.ToJsonString()));
    }

    private static HttpClient Metadata(LabNode node)
    {
        var client = ClientIn(node.Network);
        client.BaseAddress = new Uri("http://169.254.169.254");
        client.DefaultRequestHeaders.Add("Metadata-Flavor", "Google");
        return client;
    }

    /// <summary>A client of the API in a node's namespace, with the token of the node's metadata.</summary>
    private static async Task<HttpClient> AuthorizedAsync(LabNode node)
    {
        using var metadata = Metadata(node);
        var token = await metadata.GetFromJsonAsync<JsonObject>("/computeMetadata/v1/instance/service-accounts/default/token");
        var client = ClientIn(node.Network);
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (string?)token!["access_token"]);
        return client;
    }

    private static StringContent Json(string text) => new(text, System.Text.Encoding.UTF8, "application/json");
}
