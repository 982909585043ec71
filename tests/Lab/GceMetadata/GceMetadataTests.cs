// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json.Nodes;
using VpcCni.Lab.Tests.GceApi;
using Xunit;

namespace VpcCni.Lab.Tests.GceMetadata;

public sealed class GceMetadataTests
{
    private const string Root = "/computeMetadata/v1/";

    [Theory]
    [InlineData("instance/name", "node-1")]
    [InlineData("instance/hostname", "node-1.us-central1-a.c.vpc-lab.internal")]
    [InlineData("instance/zone", "projects/123456789012/zones/us-central1-a")]
    [InlineData("instance/machine-type", "projects/123456789012/machineTypes/e2-standard-4")]
    [InlineData("project/project-id", "vpc-lab")]
    [InlineData("project/numeric-project-id", "123456789012")]
    [InlineData("instance/network-interfaces/0/ip", "10.0.0.2")]
    [InlineData("instance/network-interfaces/0/mac", "42:01:0a:00:00:02")]
    [InlineData("instance/network-interfaces/0/gateway", "10.0.0.1")]
    [InlineData("instance/network-interfaces/0/subnetmask", "255.255.255.0")]
    [InlineData("instance/network-interfaces/0/mtu", "1460")]
    [InlineData("instance/network-interfaces/0/network", "projects/123456789012/networks/net")]
    [InlineData("instance/network-interfaces/0/dns-servers", "169.254.169.254\n")]
    [InlineData("instance/network-interfaces/0/ip-aliases/", "0\n1\n")]
    [InlineData("instance/network-interfaces/0/ip-aliases/0", "10.4.0.0/28")]
    [InlineData("instance/network-interfaces/0/ip-aliases/1", "10.4.0.16/32")]
    [InlineData("instance/network-interfaces/0/forwarded-ips/", "")]
    [InlineData("instance/network-interfaces/", "0/\n")]
    [InlineData("instance/network-interfaces/0/access-configs/0/type", "ONE_TO_ONE_NAT")]
    [InlineData("instance/service-accounts/default/scopes", "https://www.googleapis.com/auth/cloud-platform\n")]
    [InlineData("instance/service-accounts/", "123456789012-compute@developer.gserviceaccount.com/\ndefault/\n")]
    [InlineData("project/", "attributes/\nnumeric-project-id\nproject-id\n")]
    [InlineData("instance/network-interfaces/0/ip?alt=json", "\"10.0.0.2\"")]
    [InlineData("instance/network-interfaces/0/ip-aliases/?recursive=true", "[\"10.4.0.0/28\",\"10.4.0.16/32\"]")]
    [InlineData("instance/network-interfaces/0/ip-aliases/?recursive=true&alt=text", "0 10.4.0.0/28\n1 10.4.0.16/32\n")]
    public async Task Value_is_served(string path, string expected)
    {
        await using var host = await StartAsync();
        using var response = await host.MetadataAsync(Root + path);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(expected, await response.Content.ReadAsStringAsync());
        Assert.Equal(["Google"], response.Headers.GetValues("Metadata-Flavor"));
        Assert.NotEmpty(response.Headers.GetValues("ETag"));
    }

    [Fact]
    public async Task Recursive_json_has_camel_case_names()
    {
        await using var host = await StartAsync();
        using var response = await host.MetadataAsync(Root + "instance/?recursive=true&alt=json");
        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
        var instance = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
        Assert.Equal(host.Test.Current().Id, (ulong)instance["id"]!);
        var nic = instance["networkInterfaces"]![0]!;
        Assert.Equal(("10.0.0.2", "10.4.0.0/28"), ((string?)nic["ip"], (string?)nic["ipAliases"]![0]));
    }

    [Theory]
    [InlineData("instance/nothing", HttpStatusCode.NotFound)]
    [InlineData("instance/network-interfaces/1/ip", HttpStatusCode.NotFound)]
    [InlineData("instance/name/", HttpStatusCode.NotFound)]
    [InlineData("instance/network-interfaces/0/ip-aliases/2", HttpStatusCode.NotFound)]
    [InlineData("instance/service-accounts/other/token", HttpStatusCode.NotFound)]
    [InlineData("instance/name?alt=xml", HttpStatusCode.BadRequest)]
    [InlineData("instance/name?wait_for_change=true&timeout_sec=soon", HttpStatusCode.BadRequest)]
    [InlineData("instance/network-interfaces", HttpStatusCode.MovedPermanently)]
    public async Task Other_paths_fail(string path, HttpStatusCode status)
    {
        await using var host = await StartAsync();
        using var response = await host.MetadataAsync(Root + path);
        Assert.Equal(status, response.StatusCode);
        Assert.Equal(["Google"], response.Headers.GetValues("Metadata-Flavor"));
    }

    [Fact]
    public async Task Directory_without_a_slash_redirects_to_it()
    {
        await using var host = await StartAsync();
        using var response = await host.MetadataAsync(Root + "instance/network-interfaces?alt=text");
        Assert.EndsWith(
            "/computeMetadata/v1/instance/network-interfaces/?alt=text",
            response.Headers.Location!.ToString(),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task Requests_without_the_flavor_or_through_a_proxy_are_forbidden()
    {
        await using var host = await StartAsync();
        using var without = await host.Client.GetAsync(Root + "instance/name");
        Assert.Equal(HttpStatusCode.Forbidden, without.StatusCode);
        using var request = new HttpRequestMessage(HttpMethod.Get, Root + "instance/name");
        request.Headers.Add("Metadata-Flavor", "Google");
        request.Headers.Add("X-Forwarded-For", "10.0.0.9");
        using var proxied = await host.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.Forbidden, proxied.StatusCode);

        // The root tells clients that this is GCE, without the header.
        using var root = await host.Client.GetAsync("/");
        Assert.Equal((HttpStatusCode.OK, "computeMetadata/\n"), (root.StatusCode, await root.Content.ReadAsStringAsync()));
        Assert.Equal(["Google"], root.Headers.GetValues("Metadata-Flavor"));
    }

    [Fact]
    public async Task Token_is_accepted_by_the_api()
    {
        await using var host = await StartAsync();
        using var response = await host.MetadataAsync(Root + "instance/service-accounts/default/token");
        var token = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
        Assert.Equal("Bearer", (string?)token["token_type"]);
        Assert.InRange((int)token["expires_in"]!, 300, 3600);
        var reply = await host.CallAsync("GET", $"{GceHost.Instances}/node-1", token: (string?)token["access_token"]);
        Assert.Equal(HttpStatusCode.OK, reply.Status);
    }

    [Fact]
    public async Task Waiting_request_returns_when_the_aliases_change_or_time_is_up()
    {
        await using var host = await StartAsync();
        const string Aliases = Root + "instance/network-interfaces/0/ip-aliases/?recursive=true";
        using var first = await host.MetadataAsync(Aliases);
        var tag = first.Headers.GetValues("ETag").Single();
        using var unchanged = await host.MetadataAsync($"{Aliases}&wait_for_change=true&last_etag={tag}&timeout_sec=0");
        Assert.Equal(tag, unchanged.Headers.GetValues("ETag").Single());

        var waiting = host.MetadataAsync($"{Aliases}&wait_for_change=true&last_etag={tag}&timeout_sec=20");
        host.Test.Now = DateTimeOffset.UtcNow;
        lock (host.Test.World.Gate)
            host.Test.Update("node-1", "10.4.0.0/28 pods");
        using var changed = await waiting;
        Assert.Equal("""["10.4.0.0/28"]""", await changed.Content.ReadAsStringAsync());

        // A client whose tag is old does not wait.
        using var old = await host.MetadataAsync($"{Aliases}&wait_for_change=true&last_etag={tag}&timeout_sec=20");
        Assert.Equal(changed.Headers.GetValues("ETag"), old.Headers.GetValues("ETag"));
    }

    [Fact]
    public async Task Unknown_sender_gets_nothing()
    {
        await using var host = await StartAsync();
        host.MetadataFor = null;
        using var response = await host.MetadataAsync(Root + "instance/name");
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    private static async Task<GceHost> StartAsync()
    {
        var host = await GceHost.StartAsync();
        host.Test.Launch();
        host.Test.Update("node-1", "/28 pods", "/32 pods");
        return host;
    }
}
