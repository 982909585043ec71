// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Model;
using Amazon.Runtime;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Tests.Clouds.Aws;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Interop.Tests.AmazonEC2;

/// <summary>The cloud port against moto, with a metadata service that describes one of moto's instances.</summary>
public sealed class AwsCloudOnMotoTests(MotoServer moto) : IClassFixture<MotoServer>
{
    [Fact]
    public async Task Interface_is_created_attached_grown_shrunk_and_deleted_through_the_port()
    {
        await moto.NeedAsync();
        using var ec2 = moto.Client();
        var subnet = (await ec2.DescribeSubnetsAsync(new DescribeSubnetsRequest())).Subnets![0];
        var instance = await moto.RunInstanceAsync(subnet.SubnetId!);
        var shown = (
            await ec2.DescribeNetworkInterfacesAsync(
                new DescribeNetworkInterfacesRequest { Filters = [new Filter("attachment.instance-id", [instance])] }
            )
        ).NetworkInterfaces!;
        await using var imds = await FakeImds.StartAsync();
        imds.Set("instance-id", instance);
        imds.SetPrimaryMac(Assert.Single(shown).MacAddress!);
        imds.Set("placement/region", "us-east-1");
        var options = new AwsCloudOptions
        {
            Endpoint = moto.Url,
            Metadata = new ImdsOptions { Endpoint = imds.Url },
            Credentials = new BasicAWSCredentials("AKIDEXAMPLE", "secret"),
            ClusterName = "prod",
        };
        using var cloud = new Ec2(options, TimeProvider.System, new Random(1), onAttempt: _ => { });

        Assert.Equal(instance, (await cloud.IdentifyNodeAsync(default)).NodeId);
        Assert.Equal((3, 10, true), await LimitsAsync(cloud));
        var primary = Assert.Single(await cloud.DescribeAttachedInterfacesAsync(default));
        Assert.Equal((0, subnet.CidrBlock), (primary.Slot!.Value.DeviceIndex, primary.SubnetRange.ToString()));

        var request = new CreateInterfaceRequest(
            "token-1",
            DateTimeOffset.UnixEpoch,
            subnet.SubnetId!,
            primary.SecurityGroupIds,
            [new BlockRequest(BlockShape.Single(IpFamily.V4), 2)]
        );
        var created = await cloud.CreateInterfaceAsync(request, default);
        Assert.Equal(2, created.Blocks.Count);
        Assert.Equal(created.Id, Assert.Single(await cloud.DescribeUnattachedInterfacesAsync(default)).Id);
        Assert.Equal("1970-01-01T00:00:00Z", created.Tags[EniTags.CreatedAt]);

        var attachment = await cloud.AttachInterfaceAsync(created.Id, new Slot(0, 1), default);
        await cloud.TagInterfaceAsync(created.Id, createdAt: null, default);

        // moto answers all addresses of the interface where EC2 answers the new ones. An answer that does not fit the question is not
        // believed, and the caller looks, as here.
        var refused = await Assert.ThrowsAsync<CloudException>(() =>
            cloud.AssignBlocksAsync(created.Id, new BlockRequest(BlockShape.Single(IpFamily.V4), 3), default)
        );
        Assert.Equal(Ec2ErrorCodes.UnreadableAnswer, refused.Code);
        var added = (await cloud.DescribeAttachedInterfacesAsync(default))[1].Blocks.Except(created.Blocks).ToList();
        Assert.Equal(3, added.Count);
        await cloud.UnassignBlocksAsync(created.Id, [added[0], created.Blocks[0]], default);

        var attached = (await cloud.DescribeAttachedInterfacesAsync(default))[1];
        Assert.Equal(
            (created.Id, 1, attachment, Ec2InterfaceState.InUse),
            (attached.Id, attached.Slot?.DeviceIndex, attached.AttachmentId, attached.State)
        );
        Assert.Equal(new[] { added[1], added[2], created.Blocks[1] }.ToHashSet(), attached.Blocks.ToHashSet());
        Assert.Equal("prod", attached.Tags[EniTags.ClusterName]);

        await cloud.DetachInterfaceAsync(created.Id, attachment, default);
        await cloud.DeleteInterfaceAsync(created.Id, default);
        await cloud.DeleteInterfaceAsync(created.Id, default);
        Assert.Single(await cloud.DescribeAttachedInterfacesAsync(default));
        Assert.Empty(await cloud.DescribeUnattachedInterfacesAsync(default));

        var failure = await Assert.ThrowsAsync<CloudException>(() => cloud.AttachInterfaceAsync(created.Id, new Slot(0, 1), default));
        Assert.Equal(CloudErrorKind.NotFound, failure.Kind);
    }

    private static async Task<(int, int, bool)> LimitsAsync(Ec2 cloud)
    {
        var limits = await cloud.DescribeLimitsAsync("m5.large", default);
        return (limits.MaxInterfaces, limits.Ipv4.AddressesPerInterface, limits.Ipv4.Prefix is not null);
    }
}
