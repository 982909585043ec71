// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds.Aws.Imds;

public sealed class InstanceMetadataTests : IAsyncLifetime
{
    private FakeImds _imds = null!;
    private ImdsClient _client = null!;
    private InstanceMetadata _metadata = null!;

    public async ValueTask InitializeAsync()
    {
        _imds = await FakeImds.StartAsync();
        _client = new ImdsClient(new ImdsOptions { Endpoint = _imds.Url }, new ManualTimeProvider(), new Random(1), onAttempt: _ => { });
        _metadata = new InstanceMetadata(_client);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _imds.DisposeAsync();
    }

    [Fact]
    public async Task Identity_is_read_completely()
    {
        var expected = new NodeIdentity
        {
            NodeId = "i-0123456789abcdef0",
            NodeType = "m5.large",
            Region = "eu-west-1",
            Zone = "eu-west-1a",
            NetworkId = "vpc-1",
            PrimaryAddress = IPAddress.Parse("10.0.0.10"),
            PrimaryMac = FakeImds.Mac,
            PrimaryInterface = new NetworkInterfaceId("eni-00000000000000001"),
            PrimarySubnetId = "subnet-1",
        };

        Assert.Equal(expected, await _metadata.ReadIdentityAsync(default));
    }

    [Fact]
    public async Task Node_for_ipv6_pods_without_an_address_of_its_own_is_not_identified_until_it_has_one()
    {
        var metadata = new InstanceMetadata(_client, requiresIpv6: true);

        var error = await Assert.ThrowsAsync<CloudException>(() => metadata.ReadIdentityAsync(default));

        Assert.Equal(CloudErrorKind.Invalid, error.Kind);
        Assert.Contains("eni-00000000000000001, the primary interface, has no IPv6 address", error.Message, StringComparison.Ordinal);
        Assert.Contains("subnet-1", error.Message, StringComparison.Ordinal);
        _imds.Values["meta-data/ipv6"] = "2001:db8::5";
        Assert.Equal(IPAddress.Parse("2001:db8::5"), (await metadata.ReadIdentityAsync(default)).Ipv6Address);
    }

    [Fact]
    public async Task Region_falls_back_to_the_identity_document()
    {
        _imds.Values.TryRemove("meta-data/placement/region", out _);
        _imds.Values["dynamic/instance-identity/document"] = """{"accountId":"123","region":"cn-north-1","pendingTime":null}""";

        Assert.Equal("cn-north-1", (await _metadata.ReadIdentityAsync(default)).Region);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"region":7}""")]
    [InlineData("""{"region":"a b"}""")]
    [InlineData("""{"region":"\ud800"}""")]
    public async Task Identity_document_without_region_is_malformed(string document)
    {
        _imds.Values.TryRemove("meta-data/placement/region", out _);
        _imds.Values["dynamic/instance-identity/document"] = document;

        Assert.Equal("MetadataMalformed", (await Assert.ThrowsAsync<CloudException>(() => _metadata.ReadIdentityAsync(default))).Code);
    }

    [Theory]
    [InlineData("instance-id", "<html>login</html>")]
    [InlineData("instance-id", "eni-1")]
    [InlineData("instance-type", "")]
    [InlineData("local-ipv4", "ten")]
    [InlineData("mac", "02:00:00:00:00")]
    [InlineData("mac", "../../user-data/x")]
    [InlineData("placement/region", "eu west")]
    [InlineData("network/interfaces/macs/02:00:00:00:00:01/vpc-id", "subnet-1")]
    public async Task Malformed_value_is_reported_with_key_and_expectation(string key, string value)
    {
        _imds.Set(key, value);

        var error = await Assert.ThrowsAsync<CloudException>(() => _metadata.ReadIdentityAsync(default));

        Assert.Equal("MetadataMalformed", error.Code);
        Assert.Contains(key, error.Message, StringComparison.Ordinal);
        Assert.Contains("expected", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Missing_identity_value_is_not_found()
    {
        _imds.Values.TryRemove("meta-data/instance-type", out _);

        Assert.Equal(CloudErrorKind.NotFound, (await Assert.ThrowsAsync<CloudException>(() => _metadata.ReadIdentityAsync(default))).Kind);
    }

    [Fact]
    public async Task Ranges_are_those_of_both_families()
    {
        _imds.SetPrimary("vpc-ipv6-cidr-blocks", "2600:1f13::/56\n");

        Assert.Equal(
            [IPNetwork.Parse("10.0.0.0/16"), IPNetwork.Parse("100.64.0.0/16"), IPNetwork.Parse("2600:1f13::/56")],
            await _metadata.ReadNetworkRangesAsync(FakeImds.Mac, default)
        );
    }

    [Fact]
    public async Task Missing_or_invalid_range_is_malformed()
    {
        _imds.SetPrimary("vpc-ipv4-cidr-blocks", "10.0.0.0/16\n10.1.0.0");
        await Assert.ThrowsAsync<CloudException>(() => _metadata.ReadNetworkRangesAsync(FakeImds.Mac, default));

        _imds.SetPrimary("vpc-ipv4-cidr-blocks", "");
        await Assert.ThrowsAsync<CloudException>(() => _metadata.ReadNetworkRangesAsync(FakeImds.Mac, default));
    }
}
