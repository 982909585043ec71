// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.Ec2Api;

/// <summary>
/// The requests of aws-node v1.23.1 in IPv6 mode, in its order and in the form in which the AWS SDK for Go v2 sends them: what a start
/// reads of the metadata and calls of EC2, an interface on another network card, and what is released again.
/// </summary>
public sealed class AwsNodeIpv6Tests
{
    private const string Macs = "network/interfaces/macs";

    [Fact]
    public async Task Start_finds_its_identity_ranges_and_addresses_in_the_metadata()
    {
        await using var host = await LabHost.StartAsync();
        var (instance, eni) = Launch(host);
        var token = await TokenAsync(host);
        async Task<string?> ReadAsync(string path) => await GetAsync(host, $"/latest/meta-data/{path}", token);

        Assert.Contains("us-west-2", await GetAsync(host, "/latest/dynamic/instance-identity/document", token), StringComparison.Ordinal);
        Assert.Equal("us-west-2a", await ReadAsync("placement/availability-zone"));
        Assert.Equal(eni.PrimaryAddress.ToString(), await ReadAsync("local-ipv4"));
        Assert.Equal(eni.Ipv6Addresses[0].ToString(), await ReadAsync("ipv6"));
        Assert.Equal(instance.Id.Value, await ReadAsync("instance-id"));
        Assert.Equal("m5.large", await ReadAsync("instance-type"));
        Assert.Equal(eni.Mac, await ReadAsync("mac"));

        Assert.Equal($"{eni.Mac}/", await ReadAsync(Macs));
        Assert.Equal(
            [
                "device-number",
                "interface-id",
                "ipv6s",
                "local-ipv4s",
                "network-card",
                "security-group-ids",
                "subnet-id",
                "subnet-ipv4-cidr-block",
                "subnet-ipv6-cidr-blocks",
                "vpc-id",
                "vpc-ipv4-cidr-blocks",
                "vpc-ipv6-cidr-blocks",
            ],
            (await ReadAsync($"{Macs}/{eni.Mac}"))!
                .Split('\n')
                .Where(field => field is not ("local-hostname" or "mac" or "owner-id" or "security-groups" or "vpc-ipv4-cidr-block"))
        );
        foreach (
            var (key, value) in new[]
            {
                ("interface-id", eni.Id.Value),
                ("device-number", "0"),
                ("network-card", "0"),
                ("subnet-id", host.Test.SubnetA.Id.Value),
                ("vpc-id", host.Test.Vpc.Id.Value),
                ("security-group-ids", host.Test.Group.Id.Value),
                ("local-ipv4s", eni.PrimaryAddress.ToString()),
                ("ipv6s", eni.Ipv6Addresses[0].ToString()),
                ("subnet-ipv4-cidr-block", "10.0.1.0/24"),
                ("subnet-ipv6-cidr-blocks", "2600:1f14:0:101::/64"),
                ("vpc-ipv4-cidr-blocks", "10.0.0.0/16"),
                ("vpc-ipv6-cidr-blocks", "2600:1f14:0:100::/56"),
            }
        )
            Assert.Equal((key, value), (key, await ReadAsync($"{Macs}/{eni.Mac}/{key}")));

        // Without a prefix the key is missing; with one it has it.
        Assert.Null(await ReadAsync($"{Macs}/{eni.Mac}/ipv6-prefix"));
        var prefix = host.Test.World.AssignIpv6Addresses(eni.Id, AddressRequest.AnyPrefixes(1)).Prefixes[0];
        Assert.Equal(prefix.ToString(), await ReadAsync($"{Macs}/{eni.Mac}/ipv6-prefix"));
    }

    [Fact]
    public async Task Start_describes_tags_and_gives_the_primary_interface_one_prefix()
    {
        await using var host = await LabHost.StartAsync();
        var (instance, eni) = Launch(host);
        var describe = $"NetworkInterfaceId.1={eni.Id}";

        var described = await CallAsync(host, "DescribeNetworkInterfaces", describe);
        Assert.Equal(
            (eni.Id.Value, "0", "0"),
            (described.Text("networkInterfaceId"), described.Text("deviceIndex"), described.Text("networkCardIndex"))
        );
        Assert.Equal(("interface", "true"), (described.Text("interfaceType"), described.Text("deleteOnTermination")));
        Assert.Empty(described.Texts("ipv6Prefix"));
        var subnets = await CallAsync(
            host,
            "DescribeSubnets",
            $"Filter.1.Name=vpc-id&Filter.1.Value.1={host.Test.Vpc.Id}&Filter.2.Name=availability-zone&Filter.2.Value.1=us-west-2a"
        );
        Assert.Equal(host.Test.SubnetA.Id.Value, subnets.Text("subnetId"));
        Assert.NotNull(subnets.Text("availableIpAddressCount"));

        await CallAsync(
            host,
            "CreateTags",
            $"ResourceId.1={eni.Id}&Tag.1.Key=cluster.k8s.amazonaws.com%2Fname&Tag.1.Value=lab&Tag.2.Key=eks%3Aeni%3Aowner"
                + "&Tag.2.Value=amazon-vpc-cni&Tag.3.Key=node.k8s.amazonaws.com%2Finstance_id&Tag.3.Value="
                + instance.Id
        );
        var assigned = await CallAsync(host, "AssignIpv6Addresses", $"Ipv6PrefixCount=1&NetworkInterfaceId={eni.Id}");
        var prefix = IPNetwork.Parse(Assert.Single(assigned.Texts("item")));
        Assert.Equal((80, true), (prefix.PrefixLength, IPNetwork.Parse("2600:1f14:0:101::/64").Contains(prefix.BaseAddress)));
        described = await CallAsync(host, "DescribeNetworkInterfaces", describe);
        Assert.Equal([prefix.ToString()], described.Texts("ipv6Prefix"));
        Assert.Contains("amazon-vpc-cni", described.Texts("value"));

        await CallAsync(host, "ModifyNetworkInterfaceAttribute", $"NetworkInterfaceId={eni.Id}&SecurityGroupId.1={host.Test.Group.Id}");
        var groups = await CallAsync(
            host,
            "DescribeSecurityGroups",
            $"Filter.1.Name=vpc-id&Filter.1.Value.1={host.Test.Vpc.Id}&Filter.2.Name=tag%3Akubernetes.io%2Frole%2Fcni&Filter.2.Value.1=1"
        );
        Assert.Empty(groups.Texts("groupId"));
        host.Test.Check();
    }

    [Fact]
    public async Task Interface_of_another_network_card_is_created_attached_filled_and_freed()
    {
        await using var host = await LabHost.StartAsync();
        var (instance, primary) = Launch(host, "p4d.24xlarge");
        await CallAsync(
            host,
            "ModifyNetworkInterfaceAttribute",
            "ConnectionTrackingSpecification.TcpEstablishedTimeout=600&ConnectionTrackingSpecification.UdpTimeout=45"
                + $"&NetworkInterfaceId={primary.Id}"
        );
        var described = await CallAsync(host, "DescribeNetworkInterfaces", $"NetworkInterfaceId.1={primary.Id}");
        Assert.Equal(
            ("600", null, "45"),
            (described.Text("tcpEstablishedTimeout"), described.Text("udpStreamTimeout"), described.Text("udpTimeout"))
        );

        // The timeouts of the primary interface are copied to the new one.
        var created = await CallAsync(
            host,
            "CreateNetworkInterface",
            "ClientToken=8c2b1f3e-0f5f-4a57-9d24-5a0f7f1c9a11&ConnectionTrackingSpecification.TcpEstablishedTimeout=600"
                + $"&ConnectionTrackingSpecification.UdpTimeout=45&Description=aws-K8S-{instance.Id}&Ipv6AddressCount=1"
                + $"&SecurityGroupId.1={host.Test.Group.Id}&SubnetId={host.Test.SubnetA.Id}"
                + "&TagSpecification.1.ResourceType=network-interface"
                + "&TagSpecification.1.Tag.1.Key=cluster.k8s.amazonaws.com%2Fname&TagSpecification.1.Tag.1.Value=lab"
                + "&TagSpecification.1.Tag.2.Key=node.k8s.amazonaws.com%2FcreatedAt&TagSpecification.1.Tag.2.Value=2026-01-01T00%3A00%3A00Z"
                + $"&TagSpecification.1.Tag.3.Key=node.k8s.amazonaws.com%2Finstance_id&TagSpecification.1.Tag.3.Value={instance.Id}"
        );
        var id = created.Text("networkInterfaceId")!;
        Assert.Equal(("600", "45"), (created.Text("tcpEstablishedTimeout"), created.Text("udpTimeout")));
        var devices = await CallAsync(host, "DescribeInstances", $"InstanceId.1={instance.Id}");
        Assert.Equal(["0"], devices.Texts("deviceIndex"));
        Assert.Equal(["0"], devices.Texts("networkCardIndex"));

        var attachment = (
            await CallAsync(
                host,
                "AttachNetworkInterface",
                $"DeviceIndex=1&InstanceId={instance.Id}&NetworkCardIndex=1&NetworkInterfaceId={id}"
            )
        ).Text("attachmentId");
        await CallAsync(
            host,
            "ModifyNetworkInterfaceAttribute",
            $"Attachment.AttachmentId={attachment}&Attachment.DeleteOnTermination=true&NetworkInterfaceId={id}"
        );
        var token = await TokenAsync(host);
        var mac = host.Test.Current(new EniId(id)).Mac;
        Assert.Equal("1", await GetAsync(host, $"/latest/meta-data/{Macs}/{mac}/network-card", token));
        Assert.Equal(
            host.Test.Current(new EniId(id)).Ipv6Addresses.Single().ToString(),
            await GetAsync(host, $"/latest/meta-data/{Macs}/{mac}/ipv6s", token)
        );
        var prefix = (await CallAsync(host, "AssignIpv6Addresses", $"Ipv6PrefixCount=1&NetworkInterfaceId={id}")).Texts("item")[0];

        await CallAsync(host, "UnassignIpv6Addresses", $"Ipv6Prefix.1={Uri.EscapeDataString(prefix)}&NetworkInterfaceId={id}");
        await CallAsync(host, "DetachNetworkInterface", $"AttachmentId={attachment}");
        await CallAsync(host, "DeleteNetworkInterface", $"NetworkInterfaceId={id}");
        var gone = await host.CallAsync("DescribeNetworkInterfaces", $"NetworkInterfaceId.1={primary.Id}&NetworkInterfaceId.2={id}");
        // The client reads the id between single quotes, drops it and asks again.
        Assert.Equal("InvalidNetworkInterfaceID.NotFound", gone.Code);
        Assert.Contains($"'{id}'", gone.Message, StringComparison.Ordinal);
        host.Test.Check();
    }

    [Fact]
    public async Task Search_for_leaked_interfaces_finds_an_unattached_one_with_its_addresses()
    {
        await using var host = await LabHost.StartAsync();
        var (instance, _) = Launch(host);
        var leaked = host.Test.Create(description: $"aws-K8S-{instance.Id}");
        host.Test.World.CreateTags(
            [leaked.Id.Value],
            new Dictionary<string, string>
            {
                ["node.k8s.amazonaws.com/instance_id"] = instance.Id.Value,
                ["cluster.k8s.amazonaws.com/name"] = "lab",
            }
        );
        var found = await CallAsync(
            host,
            "DescribeNetworkInterfaces",
            "Filter.1.Name=tag-key&Filter.1.Value.1=node.k8s.amazonaws.com%2Finstance_id&Filter.2.Name=status&Filter.2.Value.1=available"
                + $"&Filter.3.Name=vpc-id&Filter.3.Value.1={host.Test.Vpc.Id}&Filter.4.Name=tag%3Acluster.k8s.amazonaws.com%2Fname"
                + "&Filter.4.Value.1=lab&MaxResults=1000"
        );
        Assert.Equal([leaked.Id.Value], found.Texts("networkInterfaceId"));
    }

    /// <summary>The daemon pauses for two minutes after these two codes, and treats any other as a failure.</summary>
    [Fact]
    public async Task Exhausted_range_is_a_code_that_the_daemon_knows()
    {
        await using var host = await LabHost.StartAsync();
        var (_, eni) = Launch(host);
        host.Test.World.LimitIpv6Range(host.Test.SubnetA.Id, prefixes: 0);
        var refused = await host.CallAsync("AssignIpv6Addresses", $"Ipv6PrefixCount=1&NetworkInterfaceId={eni.Id}");
        Assert.Equal(HttpStatusCode.BadRequest, refused.Status);
        Assert.Contains(refused.Code, new[] { "InsufficientCidrBlocks", "InsufficientFreeAddressesInSubnet" });
    }

    [Theory]
    [InlineData("TcpEstablishedTimeout", 59)]
    [InlineData("TcpEstablishedTimeout", 432_001)]
    [InlineData("UdpStreamTimeout", 181)]
    [InlineData("UdpTimeout", 29)]
    public async Task Timeout_of_connection_tracking_beyond_its_bounds_is_rejected(string name, int seconds)
    {
        await using var host = await LabHost.StartAsync();
        var specification = $"ConnectionTrackingSpecification.{name}={seconds}";
        var refused = await host.CallAsync("CreateNetworkInterface", $"{specification}&SubnetId={host.Test.SubnetA.Id}");
        Assert.Equal("InvalidParameterValue", refused.Code);
        Assert.Contains(name, refused.Message, StringComparison.Ordinal);
        var eni = host.Test.Create();
        Assert.Equal(
            "InvalidParameterValue",
            (await host.CallAsync("ModifyNetworkInterfaceAttribute", $"{specification}&NetworkInterfaceId={eni.Id}")).Code
        );
        Assert.Null(host.Test.Current(eni.Id).ConnectionTracking);
    }

    private static (Instance Instance, NetworkInterface Primary) Launch(LabHost host, string type = "m5.large")
    {
        var instance = host.Test.World.LaunchInstance(
            new LaunchRequest
            {
                InstanceType = type,
                Subnet = host.Test.SubnetA.Id,
                Groups = [host.Test.Group.Id],
                Ipv6 = AddressRequest.Any(1),
            }
        );
        host.MetadataFor = instance;
        return (instance, host.Test.Current(instance.PrimaryInterface));
    }

    private static async Task<Response> CallAsync(LabHost host, string action, string parameters)
    {
        var response = await host.CallAsync(action, parameters);
        Assert.True(response.Status == HttpStatusCode.OK, $"{action}: {response.Code}: {response.Message}");
        return response;
    }

    private static async Task<string> TokenAsync(LabHost host)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, "/latest/api/token");
        request.Headers.TryAddWithoutValidation("X-aws-ec2-metadata-token-ttl-seconds", "300");
        using var response = await host.Client.SendAsync(request);
        return await response.Content.ReadAsStringAsync();
    }

    /// <summary>The value of a metadata path; null if it does not exist.</summary>
    private static async Task<string?> GetAsync(LabHost host, string path, string token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.TryAddWithoutValidation("X-aws-ec2-metadata-token", token);
        using var response = await host.Client.SendAsync(request);
        return response.StatusCode == HttpStatusCode.NotFound ? null : await response.Content.ReadAsStringAsync();
    }
}
