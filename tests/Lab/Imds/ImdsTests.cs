// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.Imds;
using VpcCni.Lab.Tests.Ec2Api;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.Imds;

public sealed class ImdsTests
{
    private const string Macs = "/latest/meta-data/network/interfaces/macs/";

    [Fact]
    public async Task Metadata_has_every_key_that_the_daemon_and_the_sdks_read()
    {
        await using var host = await LabHost.StartAsync();
        var instance = host.Test.Launch();
        host.MetadataFor = instance;
        var eni = host.Test.CreateAttached(instance, device: 1, AddressRequest.Any(2));
        host.Test.World.AssignPrivateIpAddresses(eni.Id, AddressRequest.AnyPrefixes(2));
        host.Test.World.AssignIpv6Addresses(eni.Id, AddressRequest.Any(1));
        host.Test.World.AssignIpv6Addresses(eni.Id, AddressRequest.AnyPrefixes(1));
        eni = host.Test.Current(eni.Id);
        var primary = host.Test.Current(instance.PrimaryInterface);
        var token = await TokenAsync(host);

        var expected = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["/latest/meta-data/instance-id"] = instance.Id.Value,
            ["/latest/meta-data/instance-type"] = "m5.large",
            ["/latest/meta-data/placement/availability-zone"] = "us-west-2a",
            ["/latest/meta-data/placement/availability-zone/"] = "us-west-2a",
            ["/latest/meta-data/placement/region"] = "us-west-2",
            ["/latest/meta-data/local-ipv4"] = primary.PrimaryAddress.ToString(),
            ["/latest/meta-data/mac"] = primary.Mac,
            ["/latest/meta-data/services/domain"] = "amazonaws.com",
            ["/2021-07-15/meta-data/mac"] = primary.Mac,
            [Macs + eni.Mac + "/device-number"] = "1",
            [Macs + eni.Mac + "/network-card"] = "0",
            [Macs + eni.Mac + "/interface-id"] = eni.Id.Value,
            [Macs + eni.Mac + "/subnet-id"] = eni.Subnet.Value,
            [Macs + eni.Mac + "/vpc-id"] = eni.Vpc.Value,
            [Macs + eni.Mac + "/owner-id"] = "123456789012",
            [Macs + eni.Mac + "/security-group-ids"] = host.Test.Group.Id.Value,
            [Macs + eni.Mac + "/local-ipv4s"] = string.Join('\n', eni.SecondaryAddresses.Prepend(eni.PrimaryAddress)),
            [Macs + eni.Mac + "/ipv4-prefix"] = string.Join('\n', eni.Ipv4Prefixes),
            [Macs + eni.Mac + "/ipv6s"] = string.Join('\n', eni.Ipv6Addresses),
            [Macs + eni.Mac + "/ipv6-prefix"] = string.Join('\n', eni.Ipv6Prefixes),
            [Macs + eni.Mac + "/subnet-ipv4-cidr-block"] = "10.0.1.0/24",
            [Macs + eni.Mac + "/subnet-ipv6-cidr-blocks"] = "2600:1f14:0:101::/64",
            [Macs + eni.Mac + "/vpc-ipv4-cidr-block"] = "10.0.0.0/16",
            [Macs + eni.Mac + "/vpc-ipv4-cidr-blocks"] = "10.0.0.0/16",
            [Macs + eni.Mac + "/vpc-ipv6-cidr-blocks"] = "2600:1f14:0:100::/56",
            ["/latest/meta-data/iam/security-credentials/"] = InstanceTree.RoleName,
        };
        foreach (var (path, value) in expected)
            Assert.Equal(
                (path, HttpStatusCode.OK, value),
                (path, (await GetAsync(host, path, token)).Status, (await GetAsync(host, path, token)).Body)
            );
        Assert.Equal(
            [eni.Mac + "/", primary.Mac + "/"],
            (await GetAsync(host, Macs, token)).Body.Split('\n').OrderBy(mac => mac == primary.Mac + "/")
        );
        Assert.Contains("subnet-id", (await GetAsync(host, Macs + eni.Mac, token)).Body.Split('\n'));
        Assert.Contains("network/", (await GetAsync(host, "/latest/meta-data/", token)).Body.Split('\n'));
        Assert.Equal("dynamic/\nmeta-data/", (await GetAsync(host, "/latest/", token)).Body);
    }

    [Fact]
    public async Task Primary_interface_with_ipv6_lists_it_and_one_without_does_not()
    {
        await using var host = await LabHost.StartAsync();
        var with = host.Test.World.LaunchInstance(
            new LaunchRequest
            {
                InstanceType = "m5.large",
                Subnet = host.Test.SubnetA.Id,
                Ipv6 = AddressRequest.Any(1),
            }
        );
        var eni = host.Test.Current(with.PrimaryInterface);
        host.MetadataFor = with;
        var token = await TokenAsync(host);
        Assert.Equal(eni.Ipv6Addresses[0].ToString(), (await GetAsync(host, "/latest/meta-data/ipv6", token)).Body);
        var fields = (await GetAsync(host, $"{Macs}{eni.Mac}/", token)).Body.Split('\n');
        Assert.Equal(
            ["ipv6s", "subnet-ipv6-cidr-blocks", "vpc-ipv6-cidr-blocks"],
            fields.Where(field => field.Contains("ipv6", StringComparison.Ordinal))
        );

        host.MetadataFor = host.Test.Launch(subnet: host.Test.SubnetB.Id);
        token = await TokenAsync(host);
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(host, "/latest/meta-data/ipv6", token)).Status);
        Assert.DoesNotContain("ipv6", (await GetAsync(host, "/latest/meta-data/", token)).Body.Split('\n'));
        fields = (await GetAsync(host, $"{Macs}{host.Test.Current(host.MetadataFor.PrimaryInterface).Mac}/", token)).Body.Split('\n');
        Assert.Equal(["vpc-ipv6-cidr-blocks"], fields.Where(field => field.Contains("ipv6", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("ipv4-prefix")]
    [InlineData("ipv6s")]
    [InlineData("ipv6-prefix")]
    [InlineData("nonsense")]
    public async Task Key_without_a_value_is_404(string key)
    {
        await using var host = await LabHost.StartAsync();
        host.MetadataFor = host.Test.Launch();
        var mac = host.Test.Current(host.MetadataFor.PrimaryInterface).Mac;
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(host, $"{Macs}{mac}/{key}", await TokenAsync(host))).Status);
    }

    [Fact]
    public async Task Request_without_a_valid_token_is_401()
    {
        await using var host = await LabHost.StartAsync();
        host.MetadataFor = host.Test.Launch();
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(host, "/latest/meta-data/mac", token: null)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(host, "/latest/meta-data/mac", "made-up")).Status);
        var token = await TokenAsync(host, seconds: "60");
        host.Test.Time.Advance(TimeSpan.FromSeconds(59));
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(host, "/latest/meta-data/mac", token)).Status);
        host.Test.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(host, "/latest/meta-data/mac", token)).Status);
    }

    [Fact]
    public async Task Token_of_another_instance_is_401()
    {
        await using var host = await LabHost.StartAsync();
        host.MetadataFor = host.Test.Launch();
        var token = await TokenAsync(host);
        host.MetadataFor = host.Test.Launch();
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(host, "/latest/meta-data/mac", token)).Status);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("0")]
    [InlineData("21601")]
    [InlineData("soon")]
    public async Task Token_request_with_an_invalid_ttl_is_400(string? seconds)
    {
        await using var host = await LabHost.StartAsync();
        host.MetadataFor = host.Test.Launch();
        Assert.Equal(HttpStatusCode.BadRequest, (await PutTokenAsync(host, seconds)).StatusCode);
    }

    [Fact]
    public async Task Token_request_through_a_proxy_is_403()
    {
        await using var host = await LabHost.StartAsync();
        host.MetadataFor = host.Test.Launch();
        Assert.Equal(HttpStatusCode.Forbidden, (await PutTokenAsync(host, "60", forwarded: true)).StatusCode);
    }

    [Fact]
    public async Task Request_that_belongs_to_no_instance_is_404()
    {
        await using var host = await LabHost.StartAsync();
        Assert.Equal(HttpStatusCode.NotFound, (await PutTokenAsync(host, "60")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(host, "/latest/meta-data/mac", "x")).Status);
    }

    [Fact]
    public async Task Credentials_are_accepted_by_the_api()
    {
        await using var host = await LabHost.StartAsync();
        host.MetadataFor = host.Test.Launch();
        var token = await TokenAsync(host);
        using var json = JsonDocument.Parse(
            (await GetAsync(host, "/latest/meta-data/iam/security-credentials/" + InstanceTree.RoleName, token)).Body
        );
        string Text(string name) => json.RootElement.GetProperty(name).GetString()!;
        Assert.Equal(("Success", "AWS-HMAC"), (Text("Code"), Text("Type")));
        Assert.Equal(host.Test.World.Now + CredentialStore.Lifetime, DateTimeOffset.Parse(Text("Expiration")));
        var credentials = new LabCredentials(Text("AccessKeyId"), Text("SecretAccessKey"), Text("Token"), Expiration: null);
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("DescribeVpcs", credentials: credentials)).Status);

        using var document = JsonDocument.Parse((await GetAsync(host, "/latest/dynamic/instance-identity/document", token)).Body);
        Assert.Equal("us-west-2", document.RootElement.GetProperty("region").GetString());
        Assert.Equal("123456789012", document.RootElement.GetProperty("accountId").GetString());
    }

    [Fact]
    public async Task Interface_appears_when_attached_and_disappears_when_hidden_while_identity_stays()
    {
        await using var host = await LabHost.StartAsync();
        var instance = host.Test.Launch();
        host.MetadataFor = instance;
        var token = await TokenAsync(host);
        host.Test.World.Timing.AttachLatency = TimeSpan.FromSeconds(5);
        var eni = host.Test.CreateAttached(instance, device: 1);
        Assert.DoesNotContain(eni.Mac, (await GetAsync(host, Macs, token)).Body, StringComparison.Ordinal);
        host.Test.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.Contains(eni.Mac, (await GetAsync(host, Macs, token)).Body, StringComparison.Ordinal);

        var primary = host.Test.Current(instance.PrimaryInterface);
        host.Test.World.Faults.HideFromMetadata(primary.Id);
        Assert.Equal(eni.Mac + "/", (await GetAsync(host, Macs, token)).Body);
        Assert.Equal(primary.Mac, (await GetAsync(host, "/latest/meta-data/mac", token)).Body);
        host.Test.World.Faults.ShowInMetadata(primary.Id);
        Assert.Contains(primary.Mac, (await GetAsync(host, Macs, token)).Body, StringComparison.Ordinal);

        host.Test.World.TerminateInstance(instance.Id);
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(host, Macs, token)).Status);
    }

    private static async Task<string> TokenAsync(LabHost host, string seconds = "21600")
    {
        using var response = await PutTokenAsync(host, seconds);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal([seconds], response.Headers.GetValues("X-aws-ec2-metadata-token-ttl-seconds"));
        return await response.Content.ReadAsStringAsync();
    }

    private static async Task<HttpResponseMessage> PutTokenAsync(LabHost host, string? seconds, bool forwarded = false)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, "/latest/api/token");
        if (seconds is not null)
            request.Headers.TryAddWithoutValidation("X-aws-ec2-metadata-token-ttl-seconds", seconds);
        if (forwarded)
            request.Headers.TryAddWithoutValidation("X-Forwarded-For", "10.0.0.1");
        return await host.Client.SendAsync(request);
    }

    private static async Task<(HttpStatusCode Status, string Body)> GetAsync(LabHost host, string path, string? token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (token is not null)
            request.Headers.TryAddWithoutValidation("X-aws-ec2-metadata-token", token);
        using var response = await host.Client.SendAsync(request);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }
}
