// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using VpcCni.Datapath;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Introspection;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Introspection;

public sealed class IntrospectionPagesTests
{
    private readonly ManualTimeProvider _time = new();
    private readonly IpLedger _ledger = new(TimeSpan.FromSeconds(30), PodFamilies.Ipv4, prefersPrefixes: false);
    private readonly EniConfigSource _eniConfig = new(() => { });
    private readonly IntrospectionPages _pages;

    public IntrospectionPagesTests()
    {
        var options = new IpamdOptions { HostNetwork = new HostNetworkOptions { ExcludedRanges = [IPNetwork.Parse("192.168.0.0/16")] } };
        _pages = new IntrospectionPages(
            new IntrospectionSources(_ledger, options, () => new PoolTargets { WarmIpTarget = 2 }, _eniConfig, _time)
        );
        var observed = new InterfaceObservation
        {
            Id = new NetworkInterfaceId("eni-1"),
            Slot = new Slot(0, 1),
            PrimaryAddress = IPAddress.Parse("10.0.0.4"),
            SubnetId = "subnet-1",
            Blocks = [IPNetwork.Parse("10.0.0.5/32"), IPNetwork.Parse("10.0.1.16/28")],
        };
        _ledger.Observe([observed], _time.GetUtcNow(), _time.GetUtcNow());
    }

    [Fact]
    public async Task Index_lists_pages_that_exist()
    {
        var paths = (await GetAsync("/"))
            .RootElement.GetProperty("AvailableCommands")
            .EnumerateArray()
            .Select(item => item.GetString()!)
            .ToArray();
        Assert.Equal(["/v1/enis", "/v1/eni-configs", "/v1/networkutils-env-settings", "/v1/ipamd-env-settings"], paths);
        foreach (var path in paths)
            Assert.NotEqual(JsonValueKind.Undefined, (await GetAsync(path)).RootElement.ValueKind);

        // As in the AWS VPC CNI.
        Assert.Equal((await AskAsync("/")).Body, (await AskAsync("/v1/pods")).Body);
    }

    [Fact]
    public async Task Interfaces_have_the_format_of_the_references_data_store()
    {
        Assign("a");
        Assign("b");
        _ledger.Release(Key("a"), _time.GetUtcNow() + TimeSpan.FromMilliseconds(1500));
        GeneratedFile.Check("tests/Ipamd/Introspection/enis.json", Indented(await GetAsync("/v1/enis")));
    }

    [Fact]
    public async Task Sandbox_ids_and_interface_names_are_blank()
    {
        Assign("secret-sandbox");
        var text = (await AskAsync("/v1/enis")).Body;
        Assert.DoesNotContain("secret-sandbox-id", text, StringComparison.Ordinal);
        Assert.DoesNotContain("eth0", text, StringComparison.Ordinal);
        Assert.DoesNotContain("/run/netns", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Settings_have_the_names_of_their_variables()
    {
        var host = (await GetAsync("/v1/networkutils-env-settings")).RootElement;
        Assert.Equal(
            (128, "192.168.0.0/16", 2),
            (
                host.GetProperty("AWS_VPC_K8S_CNI_CONNMARK").GetInt32(),
                host.GetProperty("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS")[0].GetString(),
                host.GetProperty("AWS_VPC_K8S_CNI_RANDOMIZESNAT").GetInt32()
            )
        );
        var pool = (await GetAsync("/v1/ipamd-env-settings")).RootElement;
        Assert.Equal(
            [
                "WARM_ENI_TARGET",
                "WARM_IP_TARGET",
                "MINIMUM_IP_TARGET",
                "WARM_PREFIX_TARGET",
                "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG",
                "ENABLE_SUBNET_DISCOVERY",
                "AWS_MANAGE_ENIS_NON_SCHEDULABLE",
            ],
            pool.EnumerateObject().Select(member => member.Name)
        );
        Assert.Equal(2, pool.GetProperty("WARM_IP_TARGET").GetInt32());
    }

    [Fact]
    public async Task Name_of_the_eniconfig_is_a_json_string()
    {
        Assert.Equal("\"\"", (await AskAsync("/v1/eni-configs")).Body);
        _eniConfig.Set(new EniConfigState.Present("us-east-1a", "subnet-2", []));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("\"us-east-1a\"", (await AskAsync("/v1/eni-configs")).Body);
    }

    [Theory]
    [InlineData("localhost:61679", 200)]
    [InlineData("127.0.0.1:61679", 200)]
    [InlineData("[::1]:61679", 200)]
    [InlineData("", 200)]
    [InlineData("attacker.example:61679", 403)]
    [InlineData("127.0.0.1.attacker.example", 403)]
    public async Task Request_with_a_foreign_host_name_is_rejected(string host, int status) =>
        Assert.Equal(status, (await AskAsync("/v1/enis", host)).Status);

    private void Assign(string name) =>
        Assert.IsType<AssignOutcome.Assigned>(
            _ledger.Assign(Key(name), new PodReference("default", name), $"/run/netns/{name}", _time.GetUtcNow())
        );

    private static AttachmentKey Key(string name) => new("aws-cni", $"{name}-id", "eth0");

    private async Task<JsonDocument> GetAsync(string path)
    {
        var (status, body) = await AskAsync(path);
        Assert.Equal(StatusCodes.Status200OK, status);
        return JsonDocument.Parse(body);
    }

    private async Task<(int Status, string Body)> AskAsync(string path, string host = "127.0.0.1:61679")
    {
        using var body = new MemoryStream();
        var context = new DefaultHttpContext
        {
            Request =
            {
                Method = "GET",
                Path = path,
                Host = new HostString(host),
            },
            Response = { Body = body },
        };
        await _pages.HandleAsync(context);
        await context.Response.BodyWriter.FlushAsync();
        return (context.Response.StatusCode, Encoding.UTF8.GetString(body.ToArray()));
    }

    private static string Indented(JsonDocument document) => JsonSerializer.Serialize(document.RootElement, IndentedOptions) + "\n";

    private static readonly JsonSerializerOptions IndentedOptions = new() { WriteIndented = true, NewLine = "\n" };
}
