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

/// <summary>Tests the lab of Azure as its nodes see it: metadata, API with the metadata's token, and packets.</summary>
public sealed class AzureLabTests
{
    private const string Group = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/vpc-lab/providers/";
    private const string Network = Group + "Microsoft.Network/";
    private const string Version = "?api-version=2024-05-01";

    [Fact]
    public async Task Configuration_is_delivered_to_its_node_and_may_be_a_source()
    {
        await using var lab = await StartAsync(
            LabCloud.Azure,
            options => options with { OperationLatency = TimeSpan.FromMilliseconds(50) }
        );
        var (one, two) = (lab.Nodes[0], lab.Nodes[1]);
        using var client = await AuthorizedAsync(one);
        // The lowest free address and block after those of two nodes, 10.0.0.4 and 10.0.0.5.
        FabricBench.AddAddress(one.Network, "10.0.0.6");
        FabricBench.AddAddress(one.Network, "10.0.0.20");
        Assert.False(await RepliesAsync(two, "10.0.0.6"));
        Assert.False(await MaySendFromAsync(one, "10.0.0.6", two));
        Assert.Equal(1, await SpoofedAsync(lab, one));

        await ConfigureAsync(
            client,
            configurations =>
            {
                configurations.Add(Configuration(configurations, "pod-1", length: null));
                configurations.Add(Configuration(configurations, "block-1", length: 28));
            }
        );
        await Eventually.TrueAsync(() => RepliesAsync(two, "10.0.0.6"));
        Assert.True(await RepliesAsync(two, "10.0.0.20"));
        Assert.True(await MaySendFromAsync(one, "10.0.0.6", two));
        Assert.False(await MaySendFromAsync(one, "10.0.0.7", two));
        Assert.Equal(2, await SpoofedAsync(lab, one));

        await ConfigureAsync(client, configurations => configurations.RemoveAt(1));
        await Eventually.TrueAsync(async () => !await RepliesAsync(two, "10.0.0.6"));
        Assert.True(await RepliesAsync(two, "10.0.0.20"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Route_delivers_to_an_appliance_that_may_forward_only(bool mayForward)
    {
        await using var lab = await StartAsync(LabCloud.Azure, options => options with { MayForward = mayForward });
        var (one, two) = (lab.Nodes[0], lab.Nodes[1]);
        FabricBench.AddAddress(two.Network, "172.20.1.5");
        using var client = await AuthorizedAsync(two);
        const string Route = $"{Network}routeTables/nodes/routes/node-2{Version}";
        using var created = await client.PutAsync(
            Route,
            Json(
                $$"""
                {
                  "properties": { "addressPrefix": "172.20.1.0/24", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "{{two.Address}}" }
                }
                """
            )
        );
        Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        await lab.Fabric.WaitUntilAppliedAsync(FabricBench.Cancellation);
        Assert.Equal(mayForward, await RepliesAsync(one, "172.20.1.5"));
        Assert.Equal(mayForward, await MaySendFromAsync(two, "172.20.1.5", one));

        using var deleted = await client.DeleteAsync(Route);
        await lab.Fabric.WaitUntilAppliedAsync(FabricBench.Cancellation);
        Assert.False(await RepliesAsync(one, "172.20.1.5"));
    }

    [Fact]
    public async Task Forwarding_of_the_interface_is_changed_by_a_put()
    {
        await using var lab = await StartAsync(LabCloud.Azure);
        var (one, two) = (lab.Nodes[0], lab.Nodes[1]);
        using var client = await AuthorizedAsync(one);
        Assert.False(await MaySendFromAsync(one, "172.20.1.5", two));
        await PutAsync(client, nic => nic["properties"]!["enableIPForwarding"] = true);
        await lab.Fabric.WaitUntilAppliedAsync(FabricBench.Cancellation);
        Assert.True(await MaySendFromAsync(one, "172.20.1.5", two));
    }

    [Fact]
    public async Task Nodes_have_their_metadata_and_provider_ids()
    {
        await using var lab = await StartAsync(
            LabCloud.Azure,
            options => options with { ScaleSet = "pool", PodCidrs = [IPNetwork.Parse("172.20.0.0/16")] }
        );
        foreach (var node in lab.Nodes)
        {
            using var client = Metadata(node);
            const string Instance = "/metadata/instance";
            const string Query = "?api-version=2021-02-01&format=text";
            Assert.Equal(node.Name, await client.GetStringAsync($"{Instance}/compute/osProfile/computerName{Query}"));
            Assert.Equal(
                $"{node.Address}",
                await client.GetStringAsync($"{Instance}/network/interface/0/ipv4/ipAddress/0/privateIpAddress{Query}")
            );
        }

        var second = lab.Cluster.Plane.Store.Get(BuiltInTypes.Nodes, "", "node-2");
        Assert.Equal($"azure://{Group}Microsoft.Compute/virtualMachineScaleSets/pool/virtualMachines/1", second.Text("spec", "providerID"));
        Assert.Equal("172.20.1.0/24", second.Text("spec", "podCIDR"));
    }

    [Fact]
    public async Task Faults_apply_to_calls_and_to_operations()
    {
        await using var lab = await StartAsync(LabCloud.Azure, options => options with { Nodes = [1] });
        using var client = await AuthorizedAsync(lab.Nodes[0]);
        lab.Cloud.Inject(
            new FaultSpec
            {
                Operation = "networkInterfaces.get",
                Code = "TooManyRequests",
                Times = 1,
            }
        );
        using var throttled = await client.GetAsync($"{Network}networkInterfaces/node-1-nic{Version}");
        Assert.Equal(HttpStatusCode.TooManyRequests, throttled.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(1), throttled.Headers.RetryAfter!.Delta);

        lab.Cloud.Inject(
            new FaultSpec
            {
                Operation = "*",
                Code = "operation:InternalServerError",
                Times = 1,
            }
        );
        Assert.Equal("operation:InternalServerError", Assert.Single((await lab.StatusAsync(FabricBench.Cancellation)).Faults).Code);
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => PutAsync(client, _ => { }));
        Assert.Contains("InternalServerError", error.Message, StringComparison.Ordinal);
        Assert.Contains(
            "did you mean SubnetIsFull?",
            Assert.Throws<LabException>(() => lab.Cloud.Inject(new FaultSpec { Operation = "*", Code = "SubnetsFull" })).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<LabException>(() => lab.Cloud.Inject(new FaultSpec { Operation = "instances.get", Code = "SubnetIsFull" }));
        Assert.Throws<LabException>(() => lab.Cloud.Inject(new FaultSpec { Operation = "*", Code = "operation:" }));
    }

    private static Task ConfigureAsync(HttpClient client, Action<JsonArray> change) =>
        PutAsync(client, nic => change(nic["properties"]!["ipConfigurations"]!.AsArray()));

    /// <summary>Reads the first node's interface, changes it, PUTs it under its etag, and waits until the operation is done.</summary>
    private static async Task PutAsync(HttpClient client, Action<JsonObject> change)
    {
        const string Nic = $"{Network}networkInterfaces/node-1-nic{Version}";
        var nic = (await client.GetFromJsonAsync<JsonObject>(Nic))!;
        change(nic);
        using var request = new HttpRequestMessage(HttpMethod.Put, Nic) { Content = Json(nic.ToJsonString()) };
        request.Headers.TryAddWithoutValidation("If-Match", (string?)nic["etag"]);
        using var response = await client.SendAsync(request);
        response.EnsureSuccessStatusCode();
        var operation = response.Headers.GetValues("Azure-AsyncOperation").Single();
        JsonObject status = [];
        await Eventually.TrueAsync(async () =>
        {
            status = (await client.GetFromJsonAsync<JsonObject>(operation))!;
            return (string?)status["status"] != "InProgress";
        });
        if ((string?)status["status"] != "Succeeded")
            throw new InvalidOperationException(status.ToJsonString());
    }

    private static JsonObject Configuration(JsonArray configurations, string name, int? length)
    {
        var properties = new JsonObject { ["subnet"] = configurations[0]!["properties"]!["subnet"]!.DeepClone() };
        if (length is not null)
            properties["privateIPAddressPrefixLength"] = length;
        return new JsonObject { ["name"] = name, ["properties"] = properties };
    }

    private static HttpClient Metadata(LabNode node)
    {
        var client = ClientIn(node.Network);
        client.BaseAddress = new Uri("http://169.254.169.254");
        client.DefaultRequestHeaders.Add("Metadata", "true");
        return client;
    }

    private static async Task<HttpClient> AuthorizedAsync(LabNode node)
    {
        using var metadata = Metadata(node);
        var token = await metadata.GetFromJsonAsync<JsonObject>(
            "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/"
        );
        var client = ClientIn(node.Network);
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (string?)token!["access_token"]);
        return client;
    }

    private static StringContent Json(string text) => new(text, System.Text.Encoding.UTF8, "application/json");
}
