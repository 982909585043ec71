// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json.Nodes;
using VpcCni.Lab.Tests.AzureApi;
using Xunit;

namespace VpcCni.Lab.Tests.AzureImds;

public sealed class AzureImdsTests
{
    private const string Version = "api-version=2021-02-01";

    [Fact]
    public async Task Instance_has_compute_and_network()
    {
        await using var host = await StartAsync();
        var (status, text) = await host.MetadataAsync($"/metadata/instance?{Version}");
        Assert.Equal(HttpStatusCode.OK, status);
        var instance = JsonNode.Parse(text)!;
        var compute = instance["compute"]!;
        Assert.Equal(
            ("node-1", "vpc-lab", "westeurope"),
            ((string?)compute["name"], (string?)compute["resourceGroupName"], (string?)compute["location"])
        );
        Assert.Equal(host.MetadataFor, (string?)compute["resourceId"]);
        var nic = instance["network"]!["interface"]![0]!;
        Assert.Equal(
            """[{"privateIpAddress":"10.0.0.4","publicIpAddress":""},{"privateIpAddress":"10.0.0.5","publicIpAddress":""}]""",
            nic["ipv4"]!["ipAddress"]!.ToJsonString()
        );
        Assert.Equal("""[{"address":"10.0.0.0","prefix":"26"}]""", nic["ipv4"]!["subnet"]!.ToJsonString());
        Assert.Matches("^000D3A[0-9A-F]{6}$", (string?)nic["macAddress"]);
    }

    [Theory]
    [InlineData($"/metadata/instance/compute/name?{Version}&format=text", HttpStatusCode.OK, "node-1")]
    [InlineData(
        $"/metadata/instance/network/interface/0/ipv4/ipAddress/1/privateIpAddress?{Version}&format=text",
        HttpStatusCode.OK,
        "10.0.0.5"
    )]
    [InlineData($"/metadata/instance/network/interface?{Version}&format=text", HttpStatusCode.OK, "0/")]
    [InlineData($"/metadata/instance/compute/name?{Version}", HttpStatusCode.BadRequest, "format=text")]
    [InlineData($"/metadata/instance/compute/colour?{Version}", HttpStatusCode.NotFound, "Not found")]
    [InlineData($"/metadata/attested/document?{Version}", HttpStatusCode.NotFound, "Not found")]
    [InlineData("/metadata/instance", HttpStatusCode.BadRequest, "newest-versions")]
    [InlineData("/metadata/instance?api-version=2020-02-30", HttpStatusCode.BadRequest, "newest-versions")]
    [InlineData("/metadata/versions", HttpStatusCode.OK, "2021-02-01")]
    [InlineData("/metadata/identity/oauth2/token?api-version=2018-02-01", HttpStatusCode.BadRequest, "'resource' is missing")]
    public async Task Paths_have_their_answers(string path, HttpStatusCode status, string part)
    {
        await using var host = await StartAsync();
        var (actual, text) = await host.MetadataAsync(path);
        Assert.Equal(status, actual);
        Assert.Contains(part, text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("false")]
    public async Task Requests_without_the_header_are_bad(string? flag)
    {
        await using var host = await StartAsync();
        Assert.Equal(HttpStatusCode.BadRequest, (await host.MetadataAsync($"/metadata/instance?{Version}", flag)).Status);
    }

    [Fact]
    public async Task Token_is_accepted_by_the_api()
    {
        await using var host = await StartAsync();
        var (_, text) = await host.MetadataAsync(
            "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F"
        );
        var token = JsonNode.Parse(text)!;
        Assert.Equal(("Bearer", "https://management.azure.com/"), ((string?)token["token_type"], (string?)token["resource"]));
        Assert.True(long.Parse((string)token["expires_on"]!) > DateTimeOffset.UtcNow.ToUnixTimeSeconds());
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("GET", AzureHost.Nic, token: (string?)token["access_token"])).Status);
    }

    private static async Task<AzureHost> StartAsync()
    {
        var host = await AzureHost.StartAsync();
        var nic = host.Test.Launch();
        host.Test.Put(nic, "pod-1");
        host.MetadataFor = nic.Machine;
        return host;
    }
}
