// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Ledger;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds.Aws;

/// <summary>The port without EC2: the metadata's answers, and the rejected calls.</summary>
public sealed class MetadataOnlyEc2Tests : IAsyncLifetime
{
    private static readonly NetworkInterfaceId Eni = new("eni-00000000000000001");
    private static readonly CreateInterfaceRequest Create = new(
        "token-1",
        DateTimeOffset.UnixEpoch,
        "subnet-1",
        ["sg-1"],
        [new BlockRequest(Shapes.Ipv4Address, 1)]
    );

    private FakeImds _imds = null!;
    private MetadataOnlyEc2 _cloud = null!;

    public async ValueTask InitializeAsync()
    {
        _imds = await FakeImds.StartAsync();
        _imds.SetPrimary("device-number", "0");
        _imds.SetPrimary("local-ipv4s", "10.0.0.10\n10.0.0.11");
        _imds.SetPrimary("subnet-ipv4-cidr-block", "10.0.0.0/24");
        _cloud = new MetadataOnlyEc2(new ImdsOptions { Endpoint = _imds.Url }, TimeProvider.System, new Random(1), onAttempt: _ => { });
    }

    public async ValueTask DisposeAsync()
    {
        _cloud.Dispose();
        await _imds.DisposeAsync();
    }

    [Fact]
    public async Task Identity_ranges_interfaces_and_hints_come_from_the_metadata()
    {
        Assert.Equal("i-0123456789abcdef0", (await _cloud.IdentifyNodeAsync(default)).NodeId);
        Assert.Equal([IPNetwork.Parse("10.0.0.0/16"), IPNetwork.Parse("100.64.0.0/16")], await _cloud.DescribeNetworkRangesAsync(default));
        var primary = Assert.Single(await _cloud.DescribeAttachedInterfacesAsync(default));
        Assert.Equal((Eni, (Slot?)Slot.Primary, IPAddress.Parse("10.0.0.10")), (primary.Id, primary.Slot, primary.PrimaryAddress));
        Assert.Equal([IPNetwork.Parse("10.0.0.11/32")], primary.Blocks);
        Assert.Equal(primary.Blocks, Assert.Single(await _cloud.HintAttachedInterfacesAsync(default)).Blocks);
        Assert.Equal(1, _imds.Count("meta-data/instance-id"));
    }

    [Fact]
    public async Task Limits_come_from_the_table_and_an_unknown_type_has_a_hint()
    {
        Assert.Equal(Ec2Limits.Of(3, 10, 10, hasPrefixes: true), await _cloud.DescribeLimitsAsync("m5.large", default));

        var failure = await Assert.ThrowsAsync<CloudException>(() => _cloud.DescribeLimitsAsync("m99.large", default));
        Assert.Equal((CloudErrorKind.Disabled, "MetadataOnly"), (failure.Kind, failure.Code));
        Assert.Contains("m99.large", failure.Message, StringComparison.Ordinal);
        Assert.EndsWith("or set ENABLE_IMDS_ONLY_MODE=false", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Descriptions_that_need_EC2_are_empty()
    {
        Assert.Empty(await _cloud.DescribeUnattachedInterfacesAsync(default));
        Assert.Empty(await _cloud.DescribeLeakCandidatesAsync(default));
        Assert.Empty(await _cloud.DescribeSubnetsAsync(default));
        Assert.Empty(_imds.Requests);
    }

    [Fact]
    public async Task Every_change_is_rejected_with_the_option_that_forbids_it()
    {
        (string Operation, Func<Task> Call)[] changes =
        [
            ("CreateInterface", () => _cloud.CreateInterfaceAsync(Create, default)),
            ("AttachInterface", () => _cloud.AttachInterfaceAsync(Eni, new Slot(0, 1), default)),
            ("SetDeleteOnTermination", () => _cloud.SetDeleteOnTerminationAsync(Eni, "a", default)),
            ("DetachInterface", () => _cloud.DetachInterfaceAsync(Eni, "a", default)),
            ("DeleteInterface", () => _cloud.DeleteInterfaceAsync(Eni, default)),
            ("AssignBlocks", () => _cloud.AssignBlocksAsync(Eni, new BlockRequest(Shapes.Ipv4Address, 1), default)),
            ("UnassignBlocks", () => _cloud.UnassignBlocksAsync(Eni, [], default)),
            ("TagInterface", () => _cloud.TagInterfaceAsync(Eni, null, default)),
        ];
        foreach (var (operation, call) in changes)
        {
            var refused = await Assert.ThrowsAsync<CloudException>(call);
            Assert.Equal((CloudErrorKind.Disabled, "MetadataOnly", operation), (refused.Kind, refused.Code, refused.Operation));
            Assert.Contains("ENABLE_IMDS_ONLY_MODE=true", refused.Message, StringComparison.Ordinal);
        }

        Assert.Empty(_imds.Requests);
    }
}
