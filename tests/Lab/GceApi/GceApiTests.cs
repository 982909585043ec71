// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json.Nodes;
using VpcCni.Lab.ModelParts;
using VpcCni.Lab.Tests.GceModel;
using Xunit;

namespace VpcCni.Lab.Tests.GceApi;

public sealed class GceApiTests
{
    private const string Update = "updateNetworkInterface?networkInterface=nic0";

    [Fact]
    public async Task Alias_ranges_are_read_changed_and_polled()
    {
        await using var host = await GceHost.StartAsync();
        var instance = host.Test.Launch();
        host.Test.World.Timing.Running = TimeSpan.FromMilliseconds(200);

        var read = await host.CallAsync("GET", $"{GceHost.Instances}/node-1");
        Assert.Equal(HttpStatusCode.OK, read.Status);
        Assert.Equal(("compute#instance", $"{instance.Id}", "RUNNING"), (read.Text("kind"), read.Text("id"), read.Text("status")));
        Assert.Equal("https://www.googleapis.com/compute/v1/projects/vpc-lab/zones/us-central1-a", read.Text("zone"));
        Assert.Equal(("nic0", "10.0.0.2"), ((string?)read.Nic["name"], (string?)read.Nic["networkIP"]));
        Assert.False(read.Nic.ContainsKey("aliasIpRanges"));

        // As the clients of Google do, the body is the interface that was read, with other ranges.
        var body = read.Nic.DeepClone().AsObject();
        body["aliasIpRanges"] = JsonNode.Parse(
            """[{ "ipCidrRange": "/28", "subnetworkRangeName": "pods" }, { "ipCidrRange": "10.0.0.9" }]"""
        );
        var started = await host.CallAsync("PATCH", $"{GceHost.Instances}/node-1/{Update}", body.ToJsonString());
        Assert.Equal(HttpStatusCode.OK, started.Status);
        Assert.Equal(
            ("compute#operation", "updateNetworkInterface", "RUNNING", $"{instance.Id}"),
            (started.Text("kind"), started.Text("operationType"), started.Text("status"), started.Text("targetId"))
        );
        Assert.EndsWith("/zones/us-central1-a/instances/node-1", started.Text("targetLink"), StringComparison.Ordinal);

        var operation = $"/compute/v1/projects/vpc-lab/zones/us-central1-a/operations/{started.Text("name")}";
        Assert.Equal("RUNNING", (await host.CallAsync("GET", operation)).Text("status"));
        var done = await host.CallAsync("POST", $"{operation}/wait");
        Assert.Equal(("DONE", 100), (done.Text("status"), (int)done.Body["progress"]!));
        Assert.Null(done.Body["error"]);
        Assert.Equal("DONE", (await host.CallAsync("GET", operation)).Text("status"));

        var after = await host.CallAsync("GET", $"{GceHost.Instances}/node-1");
        Assert.Equal(
            """[{"ipCidrRange":"10.0.0.9/32"},{"ipCidrRange":"10.4.0.0/28","subnetworkRangeName":"pods"}]""",
            after.Nic["aliasIpRanges"]!.ToJsonString()
        );
        Assert.NotEqual((string?)read.Nic["fingerprint"], (string?)after.Nic["fingerprint"]);

        var stale = await host.CallAsync("PATCH", $"{GceHost.Instances}/node-1/{Update}", body.ToJsonString());
        Assert.Equal((HttpStatusCode.PreconditionFailed, "conditionNotMet"), (stale.Status, stale.Reason));
        Assert.Equal(412, (int)stale.Body["error"]!["code"]!);
        Assert.Equal("If-Match", (string?)stale.Body["error"]!["errors"]![0]!["location"]);
    }

    [Fact]
    public async Task Failed_operation_has_status_200_and_an_error()
    {
        await using var host = await GceHost.StartAsync();
        host.Test.Launch();
        var failed = await PatchAsync(
            host,
            """[{ "ipCidrRange": "/27", "subnetworkRangeName": "few" }, { "ipCidrRange": "/32", "subnetworkRangeName": "few" }]"""
        );
        Assert.Equal((HttpStatusCode.OK, "DONE"), (failed.Status, failed.Text("status")));
        Assert.Equal("IP_SPACE_EXHAUSTED_WITH_DETAILS", (string?)failed.Body["error"]!["errors"]![0]!["code"]);
        Assert.Equal((400, "BAD REQUEST"), ((int)failed.Body["httpErrorStatusCode"]!, failed.Text("httpErrorMessage")));
    }

    [Fact]
    public async Task Repeated_request_id_returns_the_same_operation()
    {
        await using var host = await GceHost.StartAsync();
        host.Test.Launch();
        const string Id = "&requestId=5d4f0c1e-7a58-4f0e-9a53-0f3f3a3ed6d1";
        var first = await PatchAsync(host, """[{ "ipCidrRange": "/28", "subnetworkRangeName": "pods" }]""", Id);
        var second = await PatchAsync(host, """[{ "ipCidrRange": "/28", "subnetworkRangeName": "pods" }]""", Id);
        Assert.Equal(first.Text("name"), second.Text("name"));
        Assert.Equal("5d4f0c1e-7a58-4f0e-9a53-0f3f3a3ed6d1", second.Text("clientOperationId"));
        Assert.Single(host.Test.Aliases());
    }

    [Theory]
    [InlineData("PATCH", "/node-1/updateNetworkInterface", "{}", HttpStatusCode.BadRequest, "required")]
    [InlineData("PATCH", "/node-1/" + Update, "", HttpStatusCode.BadRequest, "badRequest")]
    [InlineData("PATCH", "/node-1/" + Update, "{", HttpStatusCode.BadRequest, "badRequest")]
    [InlineData("PATCH", "/node-1/" + Update, """{ "aliases": [] }""", HttpStatusCode.BadRequest, "badRequest")]
    [InlineData("PATCH", "/node-1/" + Update, """{ "aliasIpRanges": {} }""", HttpStatusCode.BadRequest, "badRequest")]
    [InlineData("PATCH", "/node-1/" + Update, """{ "name": "nic0", "name": "nic1" }""", HttpStatusCode.BadRequest, "badRequest")]
    [InlineData("PATCH", "/node-1/" + Update, """{ "networkIP": "10.0.0.77" }""", HttpStatusCode.BadRequest, "invalid")]
    [InlineData("PATCH", "/node-1/" + Update, """{ "accessConfigs": [{}] }""", HttpStatusCode.BadRequest, "invalid")]
    [InlineData("PATCH", "/node-9/" + Update, "{}", HttpStatusCode.NotFound, "notFound")]
    [InlineData("GET", "/node-1?colour=red", null, HttpStatusCode.BadRequest, "badRequest")]
    [InlineData("GET", "/node-1/disks", null, HttpStatusCode.NotFound, "notFound")]
    [InlineData("GET", "?filter=name+about+x", null, HttpStatusCode.BadRequest, "invalid")]
    [InlineData("GET", "?maxResults=501", null, HttpStatusCode.BadRequest, "invalidParameter")]
    public async Task Bad_requests_have_google_errors(string method, string path, string? body, HttpStatusCode status, string reason)
    {
        await using var host = await GceHost.StartAsync();
        host.Test.Launch();
        var reply = await host.CallAsync(method, GceHost.Instances + path, body);
        Assert.Equal((status, reason), (reply.Status, reply.Reason));
        Assert.Equal((int)status, (int)reply.Body["error"]!["code"]!);
    }

    [Fact]
    public async Task Requests_need_a_token_of_the_lab()
    {
        await using var host = await GceHost.StartAsync();
        var instance = host.Test.Launch();
        foreach (var token in (string?[])[null, "ya29.other"])
        {
            var reply = await host.CallAsync("GET", $"{GceHost.Instances}/node-1", token: token);
            Assert.Equal((HttpStatusCode.Unauthorized, "authError"), (reply.Status, reply.Reason));
            Assert.Equal("UNAUTHENTICATED", (string?)reply.Body["error"]!["status"]);
        }

        Assert.Equal(
            HttpStatusCode.OK,
            (await host.CallAsync("GET", $"{GceHost.Instances}/node-1", token: host.Tokens.Of($"{instance.Id}").Value)).Status
        );
    }

    [Fact]
    public async Task Lists_are_filtered_and_paged()
    {
        await using var host = await GceHost.StartAsync();
        foreach (var name in (string[])["node-1", "node-2", "web-1"])
            host.Test.Launch(name);
        async Task<string> NamesAsync(string query)
        {
            var reply = await host.CallAsync("GET", GceHost.Instances + query);
            var names = (reply.Body["items"] as JsonArray ?? []).Select(item => (string?)item!["name"]);
            return string.Join(' ', names.Append(reply.Text("nextPageToken")).OfType<string>());
        }

        Assert.Equal("node-1 node-2 web-1", await NamesAsync("?alt=json"));
        Assert.Equal("node-1 node-2 2", await NamesAsync("?maxResults=2"));
        Assert.Equal("web-1", await NamesAsync("?maxResults=2&pageToken=2"));
        Assert.Equal("node-1 node-2", await NamesAsync("?filter=name+eq+node-.*"));
        Assert.Equal("web-1", await NamesAsync("?filter=name%20%3D%20%22web-1%22"));
        Assert.Equal("node-2", await NamesAsync("?filter=(name+ne+web-.*)+(name+!%3D+node-1)"));
        Assert.Equal("", await NamesAsync("?filter=name%3Dnothing"));
    }

    [Fact]
    public async Task Routes_are_inserted_listed_and_deleted()
    {
        await using var host = await GceHost.StartAsync();
        host.Test.Launch(canIpForward: true);
        var body = """
            {
              "name": "kubernetes-node-1", "network": "https://www.googleapis.com/compute/v1/projects/vpc-lab/global/networks/net",
              "destRange": "172.20.1.0/24", "priority": 1000, "description": "k8s-node-route",
              "nextHopInstance": "https://compute.googleapis.com/compute/v1/projects/vpc-lab/zones/us-central1-a/instances/node-1"
            }
            """;
        var inserted = await host.CallAsync("POST", GceHost.Routes, body);
        Assert.Equal(("insert", "DONE"), (inserted.Text("operationType"), inserted.Text("status")));
        Assert.Null(inserted.Text("zone"));
        var operation = $"/compute/v1/projects/vpc-lab/global/operations/{inserted.Text("name")}";
        Assert.Equal("DONE", (await host.CallAsync("GET", operation)).Text("status"));

        var again = await host.CallAsync("POST", GceHost.Routes, body);
        Assert.Equal((HttpStatusCode.Conflict, "alreadyExists"), (again.Status, again.Reason));
        var listed = await host.CallAsync("GET", GceHost.Routes + "?filter=description+eq+k8s-node-route");
        var route = Assert.Single(listed.Body["items"]!.AsArray())!;
        Assert.Equal(("172.20.1.0/24", 1000), ((string?)route["destRange"], (int)route["priority"]!));
        Assert.EndsWith("/zones/us-central1-a/instances/node-1", (string?)route["nextHopInstance"], StringComparison.Ordinal);
        Assert.Null(route["warnings"]);
        Assert.Equal(5, (await host.CallAsync("GET", GceHost.Routes)).Body["items"]!.AsArray().Count);

        host.Test.World.SetCanIpForward(DateTimeOffset.UtcNow, GceTestWorld.Zone, "node-1", canIpForward: false);
        var read = await host.CallAsync("GET", $"{GceHost.Routes}/kubernetes-node-1");
        Assert.Equal("NEXT_HOP_CANNOT_IP_FORWARD", (string?)read.Body["warnings"]![0]!["code"]);
        Assert.Equal("delete", (await host.CallAsync("DELETE", $"{GceHost.Routes}/kubernetes-node-1")).Text("operationType"));
        Assert.Equal("notFound", (await host.CallAsync("DELETE", $"{GceHost.Routes}/kubernetes-node-1")).Reason);
    }

    [Theory]
    [InlineData("""{ "network": "global/networks/net", "destRange": "172.20.1.0/24" }""", "required")]
    [InlineData("""{ "name": "r", "network": "net", "destRange": "172.20.1.0/24" }""", "invalid")]
    [InlineData("""{ "name": "r", "network": "global/networks/net", "destRange": "172.20.1.7/24" }""", "invalid")]
    [InlineData("""{ "name": "r", "network": "global/networks/net", "destRange": "172.20.1.0/24" }""", "invalid")]
    [InlineData("""{ "name": "r", "network": "global/networks/net", "destRange": "172.20.1.0/24", "priority": "9" }""", "badRequest")]
    [InlineData("""{ "name": "r", "network": "projects/other/global/networks/net", "destRange": "172.20.1.0/24" }""", "invalid")]
    [InlineData("""{ "name": "r", "network": "global/networks/net", "destRange": "172.20.1.0/24", "nextHopVpnTunnel": "x" }""", "invalid")]
    public async Task Bad_routes_are_rejected(string body, string reason)
    {
        await using var host = await GceHost.StartAsync();
        Assert.Equal(reason, (await host.CallAsync("POST", GceHost.Routes, body)).Reason);
    }

    [Fact]
    public async Task Subnetworks_and_networks_are_read()
    {
        await using var host = await GceHost.StartAsync();
        const string Path = "/compute/v1/projects/vpc-lab/regions/us-central1/subnetworks";
        var subnetwork = await host.CallAsync("GET", Path + "/nodes");
        Assert.Equal(("10.0.0.0/24", "10.0.0.1"), (subnetwork.Text("ipCidrRange"), subnetwork.Text("gatewayAddress")));
        Assert.Equal(
            """[{"rangeName":"pods","ipCidrRange":"10.4.0.0/20"},{"rangeName":"few","ipCidrRange":"10.5.0.0/27"}]""",
            subnetwork.Body["secondaryIpRanges"]!.ToJsonString()
        );
        Assert.Single((await host.CallAsync("GET", Path)).Body["items"]!.AsArray());
        var network = await host.CallAsync("GET", "/compute/v1/projects/vpc-lab/global/networks/net");
        Assert.Equal(subnetwork.Text("selfLink"), (string?)network.Body["subnetworks"]![0]);
        Assert.Single((await host.CallAsync("GET", "/compute/v1/projects/vpc-lab/global/networks")).Body["items"]!.AsArray());
    }

    [Fact]
    public async Task Injected_errors_have_their_status_and_details()
    {
        await using var host = await GceHost.StartAsync();
        host.Test.Launch();
        host.Test.World.Faults.Add(
            new MethodFault
            {
                Method = "instances.get",
                Code = "rateLimitExceeded",
                Message = "Rate Limit Exceeded",
            }
        );
        var limited = await host.CallAsync("GET", $"{GceHost.Instances}/node-1");
        Assert.Equal((HttpStatusCode.Forbidden, "rateLimitExceeded"), (limited.Status, limited.Reason));
        Assert.Equal("usageLimits", (string?)limited.Body["error"]!["errors"]![0]!["domain"]);
        Assert.Equal("RATE_LIMIT_EXCEEDED", (string?)limited.Body["error"]!["details"]![0]!["reason"]);
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("GET", $"{GceHost.Instances}/node-1")).Status);
    }

    private static async Task<GceReply> PatchAsync(GceHost host, string aliases, string query = "")
    {
        var fingerprint = host.Test.Current().Interface.Fingerprint;
        return await host.CallAsync(
            "PATCH",
            $"{GceHost.Instances}/node-1/{Update}{query}",
            $$"""{ "fingerprint": "{{fingerprint}}", "aliasIpRanges": {{aliases}} }"""
        );
    }
}
