// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Amazon.Runtime;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Hosting;
using VpcCni.Ipamd.Ledger;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;
using Xunit;
using CreateInterfaceRequest = VpcCni.Ipamd.Clouds.Aws.CreateInterfaceRequest;

namespace VpcCni.Interop.Tests.Lab;

/// <summary>
/// Tests the daemon's cloud port (AWS SDK, metadata client, error classification) on the lab, with which it shares no code.
/// </summary>
public sealed class IpamdCloudTests
{
    private static readonly CancellationToken Deadline = new CancellationTokenSource(TimeSpan.FromSeconds(120)).Token;

    [Fact]
    public async Task Cloud_port_describes_the_node_and_its_limits()
    {
        await using var lab = await LabOnLoopback.StartAsync();
        using var cloud = Connect(lab);
        var identity = await cloud.IdentifyNodeAsync(Deadline);
        var primary = lab.World.FindInterface(lab.Instance.PrimaryInterface)!;
        Assert.Equal(
            (lab.Instance.Id.Value, "m5.large", "us-west-2", "us-west-2a"),
            (identity.NodeId, identity.NodeType, identity.Region, identity.Zone)
        );
        Assert.Equal(
            (primary.Id.Value, primary.Mac, primary.PrimaryAddress),
            (identity.PrimaryInterface.Value, identity.PrimaryMac, identity.PrimaryAddress)
        );
        Assert.Equal(Ec2Limits.Of(3, 10, 10, hasPrefixes: true), await cloud.DescribeLimitsAsync("m5.large", Deadline));
        lab.World.AddRange(lab.Subnet.Vpc, IPNetwork.Parse("100.64.0.0/16"));
        Assert.Contains(IPNetwork.Parse("100.64.0.0/16"), await cloud.DescribeNetworkRangesAsync(Deadline));
    }

    [Fact]
    public async Task Cloud_port_adds_fills_and_removes_an_interface()
    {
        await using var lab = await LabOnLoopback.StartAsync();
        using var cloud = Connect(lab);
        var request = new CreateInterfaceRequest(
            "token-1",
            TimeProvider.System.GetUtcNow(),
            lab.Subnet.Id.Value,
            [lab.Group.Id.Value],
            [new BlockRequest(Ec2Limits.Ipv4Prefix, 2)]
        );
        var created = await cloud.CreateInterfaceAsync(request, Deadline);
        Assert.Equal(created.Id, (await cloud.CreateInterfaceAsync(request, Deadline)).Id);
        Assert.Equal([created.Id], (await cloud.DescribeUnattachedInterfacesAsync(Deadline)).Select(eni => eni.Id));

        var attachment = await cloud.AttachInterfaceAsync(created.Id, new Slot(0, 1), Deadline);
        await cloud.SetDeleteOnTerminationAsync(created.Id, attachment, Deadline);
        await cloud.TagInterfaceAsync(created.Id, createdAt: null, Deadline);
        var singles = await cloud.AssignBlocksAsync(created.Id, new BlockRequest(BlockShape.Single(IpFamily.V4), 3), Deadline);
        var ipv6 = await cloud.AssignBlocksAsync(created.Id, new BlockRequest(Ec2Limits.Ipv6Prefix, 1), Deadline);
        await cloud.UnassignBlocksAsync(created.Id, [created.Blocks[0], singles[0], IPNetwork.Parse("10.0.1.250/32")], Deadline);

        var described = (await cloud.DescribeAttachedInterfacesAsync(Deadline)).Single(eni => eni.Id == created.Id);
        var truth = lab.World.FindInterface(new EniId(created.Id.Value))!;
        Assert.Equal(
            (truth.Mac, 1, attachment, true, Ec2InterfaceState.InUse),
            (described.Mac, described.Slot?.DeviceIndex, described.AttachmentId, described.DeleteOnTermination, described.State)
        );
        Assert.Equal(truth.AllRanges.Skip(1).Order(Ranges), described.Blocks.Order(Ranges));
        Assert.Equal(new[] { created.Blocks[1], singles[1], singles[2], ipv6[0] }.Order(Ranges), described.Blocks.Order(Ranges));

        await cloud.DetachInterfaceAsync(created.Id, attachment, Deadline);
        await cloud.DeleteInterfaceAsync(created.Id, Deadline);
        await cloud.DeleteInterfaceAsync(created.Id, Deadline);
        Assert.Null(lab.World.FindInterface(truth.Id));
        Assert.Empty(WorldInvariants.Check(lab.World));
    }

    [Fact]
    public async Task New_interface_has_the_connection_tracking_of_the_primary_one()
    {
        await using var lab = await LabOnLoopback.StartAsync();
        var tracking = new ConnectionTracking(TcpEstablished: 600, UdpStream: null, Udp: 45);
        lab.World.ModifyNetworkInterfaceAttribute(
            new ModifyInterfaceRequest { Interface = lab.Instance.PrimaryInterface, ConnectionTracking = tracking }
        );
        using var cloud = Connect(lab);
        await cloud.DescribeAttachedInterfacesAsync(Deadline);

        var created = await cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest(
                "token-1",
                TimeProvider.System.GetUtcNow(),
                lab.Subnet.Id.Value,
                [lab.Group.Id.Value],
                [new BlockRequest(BlockShape.Single(IpFamily.V4), 2), new BlockRequest(BlockShape.Single(IpFamily.V6), 2)]
            ),
            Deadline
        );

        var truth = lab.World.FindInterface(new EniId(created.Id.Value))!;
        Assert.Equal(tracking, truth.ConnectionTracking);
        Assert.Equal((2, 2), (truth.SecondaryAddresses.Length, truth.Ipv6Addresses.Length));
    }

    [Fact]
    public async Task Cloud_port_maps_errors_to_kinds()
    {
        await using var lab = await LabOnLoopback.StartAsync();
        using var cloud = Connect(lab);
        var primary = new NetworkInterfaceId(lab.Instance.PrimaryInterface.Value);
        Assert.Equal(
            CloudErrorKind.AddressLimit,
            await KindAsync(() => cloud.AssignBlocksAsync(primary, new BlockRequest(BlockShape.Single(IpFamily.V4), 10), Deadline))
        );
        Assert.Equal(
            CloudErrorKind.NotFound,
            await KindAsync(() => cloud.AttachInterfaceAsync(new NetworkInterfaceId("eni-0"), new Slot(0, 1), Deadline))
        );
        Assert.Equal(CloudErrorKind.Conflict, await KindAsync(() => cloud.AttachInterfaceAsync(primary, new Slot(0, 1), Deadline)));

        var wide = await cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest(
                "token-1",
                DateTimeOffset.UnixEpoch,
                lab.Subnet.Id.Value,
                [lab.Group.Id.Value],
                [new BlockRequest(BlockShape.Single(IpFamily.V4), 10)]
            ),
            Deadline
        );
        Assert.Equal(CloudErrorKind.AddressLimit, await KindAsync(() => cloud.AttachInterfaceAsync(wide.Id, new Slot(0, 1), Deadline)));
        await cloud.DeleteInterfaceAsync(wide.Id, Deadline);

        lab.World.Faults.Add(FaultRule.Unauthorized("CreateTags"));
        Assert.Equal(CloudErrorKind.NotPermitted, await KindAsync(() => cloud.TagInterfaceAsync(primary, createdAt: null, Deadline)));
        lab.World.Faults.Add(FaultRule.Throttle("AssignPrivateIpAddresses", times: null));
        Assert.Equal(
            CloudErrorKind.Throttled,
            await KindAsync(() => cloud.AssignBlocksAsync(primary, new BlockRequest(BlockShape.Single(IpFamily.V4), 1), Deadline))
        );
        lab.World.Faults.Clear();

        // Fill the subnet: first it has only fragments, then no free address.
        for (var block = 1; block <= 14; block++)
        {
            var address = IPAddress.Parse($"10.0.1.{block * 16 + 9}");
            if (lab.World.FindOwner(address) is null)
                lab.World.CreateNetworkInterface(
                    new VpcCni.Lab.VpcModel.CreateInterfaceRequest { Subnet = lab.Subnet.Id, PrimaryAddress = address }
                );
        }

        Assert.Equal(
            CloudErrorKind.SubnetExhausted,
            await KindAsync(() => cloud.AssignBlocksAsync(primary, new BlockRequest(Ec2Limits.Ipv4Prefix, 1), Deadline))
        );
        while (lab.World.FreeAddresses(lab.Subnet.Id) >= 10)
            lab.World.CreateNetworkInterface(
                new VpcCni.Lab.VpcModel.CreateInterfaceRequest { Subnet = lab.Subnet.Id, Ipv4 = AddressRequest.Any(9) }
            );
        Assert.Equal(
            CloudErrorKind.SubnetExhausted,
            await KindAsync(() => cloud.AssignBlocksAsync(primary, new BlockRequest(Ec2Limits.Ipv4Prefix, 1), Deadline))
        );
        while (lab.World.FreeAddresses(lab.Subnet.Id) > 0)
            lab.World.CreateNetworkInterface(new VpcCni.Lab.VpcModel.CreateInterfaceRequest { Subnet = lab.Subnet.Id });
        Assert.Equal(
            CloudErrorKind.SubnetExhausted,
            await KindAsync(() => cloud.AssignBlocksAsync(primary, new BlockRequest(BlockShape.Single(IpFamily.V4), 1), Deadline))
        );
    }

    [Fact]
    public async Task Leaked_interfaces_of_the_cluster_are_found_with_one_call()
    {
        await using var lab = await LabOnLoopback.StartAsync();
        using var cloud = Connect(lab, "prod");
        var elsewhere = lab.World.CreateVpc(IPNetwork.Parse("10.9.0.0/16"));
        var far = lab.World.CreateSubnet(elsewhere.Id, "us-west-2a", IPNetwork.Parse("10.9.1.0/24"));
        var next = lab.World.CreateSubnet(lab.Subnet.Vpc, "us-west-2b", IPNetwork.Parse("10.0.2.0/24"));
        var mine = await cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest(
                "token-1",
                DateTimeOffset.UnixEpoch,
                lab.Subnet.Id.Value,
                [lab.Group.Id.Value],
                [new BlockRequest(BlockShape.Single(IpFamily.V4), 1)]
            ),
            Deadline
        );
        var others = Left(
            next.Id,
            "aws-K8S-i-9",
            ("node.k8s.amazonaws.com/instance_id", "i-9"),
            ("cluster.k8s.amazonaws.com/name", "prod")
        );
        Left(next.Id, "aws-K8S-i-9", ("node.k8s.amazonaws.com/instance_id", "i-9"), ("cluster.k8s.amazonaws.com/name", "test"));
        Left(next.Id, "aws-K8S-i-9", ("node.k8s.amazonaws.com/instance_id", "i-9"));
        Left(next.Id, "aws-K8S-i-9", ("cluster.k8s.amazonaws.com/name", "prod"));
        Left(next.Id, "copied tags", ("node.k8s.amazonaws.com/instance_id", "i-9"), ("cluster.k8s.amazonaws.com/name", "prod"));
        Left(far.Id, "aws-K8S-i-9", ("node.k8s.amazonaws.com/instance_id", "i-9"), ("cluster.k8s.amazonaws.com/name", "prod"));
        var attached = Left(
            lab.Subnet.Id,
            "aws-K8S-i-9",
            ("node.k8s.amazonaws.com/instance_id", "i-9"),
            ("cluster.k8s.amazonaws.com/name", "prod")
        );
        await cloud.AttachInterfaceAsync(new NetworkInterfaceId(attached), new Slot(0, 1), Deadline);
        var calls = lab.World.Calls.Total;

        var found = (await cloud.DescribeLeakCandidatesAsync(Deadline)).OrderBy(eni => eni.Id.Value == others).ToList();

        Assert.Equal(calls + 1, lab.World.Calls.Total);
        Assert.Equal([mine.Id.Value, others], found.Select(eni => eni.Id.Value));
        Assert.Equal(
            ("1970-01-01T00:00:00Z", lab.Instance.Id.Value),
            (found[0].Tags[EniTags.CreatedAt], found[0].Tags[EniTags.InstanceId])
        );
        Assert.False(found[1].Tags.ContainsKey(EniTags.CreatedAt));

        // The tag sets the time from which its age counts; the interface stays the other node's.
        await cloud.TagInterfaceAsync(found[1].Id, DateTimeOffset.UnixEpoch.AddHours(1), Deadline);
        var tagged = (await cloud.DescribeLeakCandidatesAsync(Deadline)).Single(eni => eni.Id == found[1].Id);
        Assert.Equal(
            ("1970-01-01T01:00:00Z", "i-9", 3),
            (tagged.Tags[EniTags.CreatedAt], tagged.Tags[EniTags.InstanceId], tagged.Tags.Count)
        );

        string Left(SubnetId subnet, string description, params (string Key, string Value)[] tags) =>
            lab
                .World.CreateNetworkInterface(
                    new VpcCni.Lab.VpcModel.CreateInterfaceRequest
                    {
                        Subnet = subnet,
                        Description = description,
                        Tags = tags.ToDictionary(tag => tag.Key, tag => tag.Value),
                    }
                )
                .Id.Value;
    }

    [Fact]
    public async Task Security_groups_are_replaced_and_read_from_the_metadata()
    {
        await using var lab = await LabOnLoopback.StartAsync();
        using var cloud = Connect(lab);
        var more = lab.World.CreateSecurityGroup(lab.Subnet.Vpc, "more");
        var primary = new NetworkInterfaceId(lab.Instance.PrimaryInterface.Value);
        Assert.Equal([lab.Group.Id.Value], await cloud.HintSecurityGroupsAsync(Deadline));

        await cloud.SetSecurityGroupsAsync(primary, [more.Id.Value, lab.Group.Id.Value], Deadline);

        Assert.Equal([more.Id.Value, lab.Group.Id.Value], await cloud.HintSecurityGroupsAsync(Deadline));
        Assert.Equal(
            [more.Id.Value, lab.Group.Id.Value],
            Assert.Single(await cloud.DescribeAttachedInterfacesAsync(Deadline)).SecurityGroupIds
        );
        Assert.Equal(CloudErrorKind.NotFound, await KindAsync(() => cloud.SetSecurityGroupsAsync(primary, ["sg-0"], Deadline)));
    }

    [Fact]
    public async Task Subnet_is_found_in_any_zone_and_vpc()
    {
        await using var lab = await LabOnLoopback.StartAsync();
        using var cloud = Connect(lab);
        var elsewhere = lab.World.CreateVpc(IPNetwork.Parse("10.9.0.0/16"));
        var far = lab.World.CreateSubnet(elsewhere.Id, "us-west-2c", IPNetwork.Parse("10.9.1.0/24"));

        Assert.Equal(
            (elsewhere.Id.Value, "us-west-2c", 251),
            await cloud.FindSubnetAsync(far.Id.Value, Deadline) is { } found ? (found.NetworkId, found.Zone, found.FreeAddresses) : default
        );
        Assert.Null(await cloud.FindSubnetAsync("subnet-0", Deadline));
        Assert.Null(await cloud.FindSubnetAsync("not a subnet", Deadline));
    }

    [Fact]
    public async Task Subnets_of_the_zone_are_described_with_tags_and_free_addresses()
    {
        await using var lab = await LabOnLoopback.StartAsync();
        using var cloud = Connect(lab);
        var pods = lab.World.CreateSubnet(lab.Subnet.Vpc, "us-west-2a", IPNetwork.Parse("10.0.2.0/24"));
        lab.World.CreateSubnet(lab.Subnet.Vpc, "us-west-2b", IPNetwork.Parse("10.0.3.0/24"));
        lab.World.CreateTags([pods.Id.Value], new Dictionary<string, string> { ["kubernetes.io/role/cni"] = "1", ["empty"] = "" });
        var calls = lab.World.Calls.Total;

        var subnets = (await cloud.DescribeSubnetsAsync(Deadline)).ToDictionary(subnet => subnet.Id);

        Assert.Equal(calls + 1, lab.World.Calls.Total);
        Assert.Equal(2, subnets.Count);
        Assert.Equal(
            (lab.Subnet.Ipv4Range, 250, 0),
            (subnets[lab.Subnet.Id.Value].Range, subnets[lab.Subnet.Id.Value].FreeAddresses, subnets[lab.Subnet.Id.Value].Tags.Count)
        );
        Assert.Equal(
            (pods.Ipv4Range, 251, "1", ""),
            (
                subnets[pods.Id.Value].Range,
                subnets[pods.Id.Value].FreeAddresses,
                subnets[pods.Id.Value].Tags["kubernetes.io/role/cni"],
                subnets[pods.Id.Value].Tags["empty"]
            )
        );
    }

    [Fact]
    public async Task Metadata_hints_equal_describe_and_need_no_api_call()
    {
        await using var lab = await LabOnLoopback.StartAsync();
        using var cloud = Connect(lab);
        var primary = new NetworkInterfaceId(lab.Instance.PrimaryInterface.Value);
        await GrowAsync(cloud, lab, primary);
        var described = await cloud.DescribeAttachedInterfacesAsync(Deadline);
        var calls = lab.World.Calls.Total;

        var hints = await cloud.HintAttachedInterfacesAsync(Deadline);

        Assert.Equal(described.Select(eni => eni.Id).Order(Ids), hints.Select(hint => hint.Id).Order(Ids));
        Assert.All(hints, hint => Assert.Equal(described.Single(eni => eni.Id == hint.Id).Blocks.Order(Ranges), hint.Blocks.Order(Ranges)));
        lab.World.Faults.HideFromMetadata(new EniId(described[1].Id.Value));
        Assert.Equal([primary], (await cloud.HintAttachedInterfacesAsync(Deadline)).Select(hint => hint.Id));
        Assert.Equal(calls, lab.World.Calls.Total);
    }

    [Fact]
    public async Task Metadata_equals_describe_except_for_tags_and_attachments()
    {
        await using var lab = await LabOnLoopback.StartAsync();
        using var cloud = Connect(lab);
        await GrowAsync(cloud, lab, new NetworkInterfaceId(lab.Instance.PrimaryInterface.Value));
        var described = await cloud.DescribeAttachedInterfacesAsync(Deadline);
        var calls = lab.World.Calls.Total;
        using var metadata = new MetadataOnlyEc2(
            new ImdsOptions { Endpoint = new Uri(lab.Url + "/") },
            TimeProvider.System,
            new Random(1),
            onAttempt: _ => { }
        );

        var seen = await metadata.DescribeAttachedInterfacesAsync(Deadline);

        Assert.Equal(described.Select(Facts), seen.Select(Facts));
        Assert.Equal(await cloud.IdentifyNodeAsync(Deadline), await metadata.IdentifyNodeAsync(Deadline));
        Assert.Equal(await cloud.DescribeNetworkRangesAsync(Deadline), await metadata.DescribeNetworkRangesAsync(Deadline));
        Assert.Equal(await cloud.DescribeLimitsAsync("m5.large", Deadline), await metadata.DescribeLimitsAsync("m5.large", Deadline));
        Assert.Equal(calls, lab.World.Calls.Total);

        static object Facts(Ec2Interface eni) =>
            (
                eni.Id,
                eni.Mac,
                eni.SubnetId,
                eni.SubnetRange,
                eni.PrimaryAddress,
                eni.Slot,
                eni.State,
                eni.InterfaceType,
                string.Join(' ', eni.Blocks.Order(Ranges)),
                string.Join(' ', eni.SecurityGroupIds)
            );
    }

    private static async Task GrowAsync(Ec2 cloud, LabOnLoopback lab, NetworkInterfaceId primary)
    {
        var created = await cloud.CreateInterfaceAsync(
            new CreateInterfaceRequest(
                "token-1",
                TimeProvider.System.GetUtcNow(),
                lab.Subnet.Id.Value,
                [lab.Group.Id.Value],
                [new BlockRequest(Ec2Limits.Ipv4Prefix, 2)]
            ),
            Deadline
        );
        await cloud.AttachInterfaceAsync(created.Id, new Slot(0, 1), Deadline);
        foreach (
            var (id, kind) in new[]
            {
                (primary, BlockShape.Single(IpFamily.V4)),
                (created.Id, BlockShape.Single(IpFamily.V4)),
                (created.Id, BlockShape.Single(IpFamily.V6)),
                (primary, Ec2Limits.Ipv6Prefix),
            }
        )
            await cloud.AssignBlocksAsync(id, new BlockRequest(kind, 2), Deadline);
    }

    private static IComparer<NetworkInterfaceId> Ids { get; } =
        Comparer<NetworkInterfaceId>.Create((a, b) => string.CompareOrdinal(a.Value, b.Value));

    private static IComparer<IPNetwork> Ranges { get; } =
        Comparer<IPNetwork>.Create((a, b) => string.CompareOrdinal(a.ToString(), b.ToString()));

    private static async Task<CloudErrorKind> KindAsync(Func<Task> call) => (await Assert.ThrowsAsync<CloudException>(call)).Kind;

    private static Ec2 Connect(LabOnLoopback lab, string? cluster = null) =>
        new(
            new AwsCloudOptions
            {
                Endpoint = new Uri(lab.Url),
                Metadata = new ImdsOptions { Endpoint = new Uri(lab.Url + "/") },
                Credentials = new BasicAWSCredentials(CredentialStore.LongLived.AccessKeyId, CredentialStore.LongLived.SecretAccessKey),
                ClusterName = cluster,
                MaxAttempts = 2,
                Backoff = new(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(2), randomShare: 1),
            },
            TimeProvider.System,
            new LockedRandom(new Random(1)),
            onAttempt: _ => { }
        );
}
