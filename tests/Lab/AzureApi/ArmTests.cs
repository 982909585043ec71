// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json.Nodes;
using VpcCni.Lab.ModelParts;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Lab.Tests.AzureApi;

public sealed class ArmTests
{
    [Fact]
    public async Task Interface_is_read_replaced_under_its_etag_and_polled()
    {
        await using var host = await AzureHost.StartAsync();
        host.Test.Launch();
        host.Test.World.Timing.Operation = TimeSpan.FromMilliseconds(200);
        var read = await host.CallAsync("GET", AzureHost.Nic);
        Assert.Equal((HttpStatusCode.OK, "Succeeded"), (read.Status, (string?)read.Properties["provisioningState"]));
        Assert.Equal((string?)read.Body["etag"], read.Headers["ETag"]);
        Assert.Equal(["10.0.0.4"], read.Addresses);
        Assert.Equal(("Microsoft.Network/networkInterfaces", "westeurope"), ((string?)read.Body["type"], (string?)read.Body["location"]));

        // As clients do, the body is the document that was read, with more configurations.
        var body = read.Body.DeepClone().AsObject();
        var configurations = body["properties"]!["ipConfigurations"]!.AsArray();
        configurations.Add(Configuration(host, "pod-1"));
        configurations.Add(Configuration(host, "block-1", length: 28));
        body["properties"]!["enableIPForwarding"] = true;
        var started = await host.CallAsync("PUT", AzureHost.Nic, body.ToJsonString(), ifMatch: read.Headers["ETag"]);
        Assert.Equal((HttpStatusCode.OK, "Updating"), (started.Status, (string?)started.Properties["provisioningState"]));
        Assert.Equal("1", started.Headers["Retry-After"]);
        Assert.Equal("1199", started.Headers["x-ms-ratelimit-remaining-subscription-writes"]);
        var polled = new Uri(started.Headers["Azure-AsyncOperation"]);
        Assert.Equal(host.Client.BaseAddress!.Authority, polled.Authority);

        var busy = await host.CallAsync("PUT", AzureHost.Nic, body.ToJsonString());
        Assert.Equal((HttpStatusCode.Conflict, "AnotherOperationInProgress"), (busy.Status, busy.Code));
        var first = await host.CallAsync("GET", polled.PathAndQuery);
        Assert.Equal(("InProgress", true), ((string?)first.Body["status"], first.Headers.ContainsKey("Retry-After")));
        await Eventually.TrueAsync(async () => (string?)(await host.CallAsync("GET", polled.PathAndQuery)).Body["status"] == "Succeeded");

        var after = await host.CallAsync("GET", AzureHost.Nic);
        Assert.Equal(["10.0.0.4", "10.0.0.5", "10.0.0.16/28"], after.Addresses);
        Assert.True((bool)after.Properties["enableIPForwarding"]!);
        Assert.Equal(28, (int)after.Properties["ipConfigurations"]![2]!["properties"]!["privateIPAddressPrefixLength"]!);
        var stale = await host.CallAsync("PUT", AzureHost.Nic, body.ToJsonString(), ifMatch: read.Headers["ETag"]);
        Assert.Equal((HttpStatusCode.PreconditionFailed, "PreconditionFailed"), (stale.Status, stale.Code));
        Assert.Equal(
            2,
            (await host.CallAsync("GET", AzureHost.Group + "Microsoft.Network/virtualNetworks/net")).Properties["subnets"]!.AsArray().Count
        );
    }

    [Fact]
    public async Task Failed_operation_reports_its_error()
    {
        await using var host = await AzureHost.StartAsync();
        host.Test.Launch();
        host.Test.World.Faults.Add(
            new MethodFault
            {
                Method = "networkInterfaces.createOrUpdate",
                Code = "NetworkingInternalOperationError",
                Message = "no",
                FailsOperation = true,
            }
        );
        var started = await host.CallAsync("PUT", AzureHost.Nic, (await host.CallAsync("GET", AzureHost.Nic)).Body.ToJsonString());
        var polled = await host.CallAsync("GET", new Uri(started.Headers["Azure-AsyncOperation"]).PathAndQuery);
        Assert.Equal(("Failed", "NetworkingInternalOperationError"), ((string?)polled.Body["status"], polled.Code));
    }

    [Fact]
    public async Task Requests_need_a_token_and_an_api_version()
    {
        await using var host = await AzureHost.StartAsync();
        var nic = host.Test.Launch();
        var missing = await host.CallAsync("GET", AzureHost.Nic, token: null);
        Assert.Equal((HttpStatusCode.Unauthorized, "AuthenticationFailed"), (missing.Status, missing.Code));
        var wrong = await host.CallAsync("GET", AzureHost.Nic, token: "other");
        Assert.Equal((HttpStatusCode.Unauthorized, "InvalidAuthenticationToken"), (wrong.Status, wrong.Code));
        Assert.StartsWith("Bearer ", wrong.Headers["WWW-Authenticate"], StringComparison.Ordinal);
        Assert.Equal("MissingApiVersionParameter", (await host.CallAsync("GET", AzureHost.Nic + "?x=1")).Code);
        Assert.Equal("InvalidApiVersionParameter", (await host.CallAsync("GET", AzureHost.Nic + "?api-version=latest")).Code);
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("GET", AzureHost.Nic, token: host.Tokens.Of(nic.Machine).Value)).Status);
    }

    [Theory]
    [InlineData("GET", "Microsoft.Network/networkInterfaces/none", "", HttpStatusCode.NotFound, "ResourceNotFound")]
    [InlineData("GET", "Microsoft.Network/loadBalancers/x", "", HttpStatusCode.NotFound, "InvalidResourceType")]
    [InlineData("PUT", "Microsoft.Network/networkInterfaces/node-1-nic", "{", HttpStatusCode.BadRequest, "InvalidRequestContent")]
    [InlineData(
        "PUT",
        "Microsoft.Network/networkInterfaces/node-1-nic",
        """{ "location": "westeurope" }""",
        HttpStatusCode.BadRequest,
        "InvalidRequestContent"
    )]
    [InlineData(
        "PUT",
        "Microsoft.Network/networkInterfaces/node-1-nic",
        """{ "properties": {} }""",
        HttpStatusCode.BadRequest,
        "LocationRequired"
    )]
    [InlineData(
        "PUT",
        "Microsoft.Network/networkInterfaces/node-1-nic",
        """{ "location": "eastus", "properties": {} }""",
        HttpStatusCode.Conflict,
        "InvalidResourceLocation"
    )]
    [InlineData(
        "PUT",
        "Microsoft.Network/networkInterfaces/node-1-nic",
        """{ "location": "West Europe", "properties": { "ipConfigs": [] } }""",
        HttpStatusCode.BadRequest,
        "InvalidRequestContent"
    )]
    [InlineData(
        "PUT",
        "Microsoft.Network/routeTables/routes/routes/r1",
        """{ "properties": { "addressPrefix": "172.20.1.7/24", "nextHopType": "None" } }""",
        HttpStatusCode.BadRequest,
        "InvalidRequestFormat"
    )]
    [InlineData(
        "PUT",
        "Microsoft.Network/routeTables/routes/routes/r1",
        """{ "properties": { "addressPrefix": "172.20.1.0/24", "nextHopType": "Wormhole" } }""",
        HttpStatusCode.BadRequest,
        "InvalidRequestFormat"
    )]
    public async Task Bad_requests_have_azures_errors(string method, string path, string body, HttpStatusCode status, string code)
    {
        await using var host = await AzureHost.StartAsync();
        host.Test.Launch();
        var reply = await host.CallAsync(method, AzureHost.Group + path, body.Length == 0 ? null : body);
        Assert.Equal((status, code), (reply.Status, reply.Code));
        Assert.NotNull(reply.Body["error"]!["message"]);
    }

    [Fact]
    public async Task Unknown_subscription_and_group_are_not_found_and_case_does_not_matter()
    {
        await using var host = await AzureHost.StartAsync();
        host.Test.Launch();
        Assert.Equal(
            "SubscriptionNotFound",
            (await host.CallAsync("GET", AzureHost.Nic.Replace("000000000001", "000000000009", StringComparison.Ordinal))).Code
        );
        Assert.Equal(
            "ResourceGroupNotFound",
            (await host.CallAsync("GET", AzureHost.Nic.Replace("vpc-lab", "other", StringComparison.Ordinal))).Code
        );
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("GET", AzureHost.Nic.ToUpperInvariant())).Status);
    }

    [Fact]
    public async Task Routes_are_created_listed_and_deleted()
    {
        await using var host = await AzureHost.StartAsync();
        host.Test.Launch();
        const string Route = AzureHost.Table + "/routes/node-1";
        const string Body =
            """{ "properties": { "addressPrefix": "172.20.1.0/24", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.0.4" } }""";
        var created = await host.CallAsync("PUT", Route, Body);
        Assert.Equal(HttpStatusCode.Created, created.Status);
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("PUT", Route, Body)).Status);
        var listed = Assert.Single((await host.CallAsync("GET", AzureHost.Table + "/routes")).Body["value"]!.AsArray())!;
        Assert.Equal(("node-1", "10.0.0.4"), ((string?)listed["name"], (string?)listed["properties"]!["nextHopIpAddress"]));
        var table = await host.CallAsync("GET", AzureHost.Table);
        Assert.Equal(host.Test.Subnet, (string?)table.Properties["subnets"]![0]!["id"]);

        var deleted = await host.CallAsync("DELETE", Route);
        Assert.Equal(HttpStatusCode.Accepted, deleted.Status);
        var result = await host.CallAsync("GET", new Uri(deleted.Headers["Location"]).PathAndQuery);
        Assert.Equal(HttpStatusCode.NoContent, result.Status);
        Assert.Equal(HttpStatusCode.NoContent, (await host.CallAsync("DELETE", Route)).Status);
        Assert.Equal("NotFound", (await host.CallAsync("GET", Route)).Code);
    }

    [Fact]
    public async Task Throttled_request_says_when_to_retry()
    {
        await using var host = await AzureHost.StartAsync();
        host.Test.Launch();
        host.Test.World.RateLimit.Set(0.1);
        await host.CallAsync("GET", AzureHost.Nic);
        var throttled = await host.CallAsync("GET", AzureHost.Nic);
        Assert.Equal((HttpStatusCode.TooManyRequests, "TooManyRequests"), (throttled.Status, throttled.Code));
        Assert.InRange(int.Parse(throttled.Headers["Retry-After"]), 9, 10);
        Assert.Equal("0", throttled.Headers["x-ms-ratelimit-remaining-subscription-reads"]);
    }

    [Fact]
    public async Task Scale_set_interface_is_read_on_its_path_and_changed_through_its_machine()
    {
        await using var host = await AzureHost.StartAsync();
        host.Test.Launch("node-1", scaleSet: "pool");
        const string Machine = AzureHost.Group + "microsoft.Compute/virtualMachineScaleSets/pool/virtualMachines/0";
        var nics = (await host.CallAsync("GET", Machine + "/networkInterfaces")).Body["value"]!.AsArray();
        Assert.Equal("pool-nic", (string?)Assert.Single(nics)!["name"]);
        var machine = await host.CallAsync("GET", Machine);
        var body = machine.Body.DeepClone().AsObject();
        var nic = body["properties"]!["networkProfileConfiguration"]!["networkInterfaceConfigurations"]![0]!;
        nic["properties"]!["ipConfigurations"]!.AsArray().Add(Configuration(host, "pod-1"));
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("PUT", Machine, body.ToJsonString())).Status);
        Assert.Equal(["10.0.0.4", "10.0.0.5"], (await host.CallAsync("GET", Machine + "/networkInterfaces/pool-nic")).Addresses);
        Assert.Single(
            (await host.CallAsync("GET", AzureHost.Group + "Microsoft.Compute/virtualMachineScaleSets/pool/networkInterfaces")).Body[
                "value"
            ]!.AsArray()
        );
    }

    [Fact]
    public async Task Subnet_gets_a_route_table_and_is_not_deleted_in_use()
    {
        await using var host = await AzureHost.StartAsync();
        host.Test.Launch();
        const string Subnet = AzureHost.Group + "Microsoft.Network/virtualNetworks/net/subnets/nodes";
        var body = (await host.CallAsync("GET", Subnet)).Body;
        body["properties"]!.AsObject().Remove("routeTable");
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("PUT", Subnet, body.ToJsonString())).Status);
        Assert.Null((await host.CallAsync("GET", Subnet)).Properties["routeTable"]);
        var inUse = await host.CallAsync("DELETE", Subnet);
        Assert.Equal((HttpStatusCode.BadRequest, "InUseSubnetCannotBeDeleted"), (inUse.Status, inUse.Code));
    }

    private static JsonObject Configuration(AzureHost host, string name, int? length = null)
    {
        var properties = new JsonObject
        {
            ["subnet"] = new JsonObject { ["id"] = host.Test.Subnet },
            ["primary"] = false,
        };
        if (length is not null)
            properties["privateIPAddressPrefixLength"] = length;
        return new JsonObject { ["name"] = name, ["properties"] = properties };
    }
}
