// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.Tests.VpcModel;
using VpcCni.Lab.VpcModel;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Lab.Tests.Ec2Api;

public sealed class Ec2ApiTests
{
    [Fact]
    public async Task Interface_created_attached_detached_and_deleted_over_http()
    {
        await using var host = await LabHost.StartAsync();
        var instance = host.Test.Launch();
        var created = await host.CallAsync(
            "CreateNetworkInterface",
            $"SubnetId={host.Test.SubnetA.Id}&Description=aws-K8S-{instance.Id}&SecurityGroupId.1="
                + $"{host.Test.Group.Id}&Ipv4PrefixCount=2&ClientToken=t-1"
                + "&TagSpecification.1.ResourceType=network-interface&"
                + "TagSpecification.1.Tag.1.Key=node.k8s.amazonaws.com%2Finstance_id&TagSpecification.1.Tag.1.Value=a%20b%2Bc"
        );
        Assert.Equal(HttpStatusCode.OK, created.Status);
        var id = created.Text("networkInterfaceId")!;
        var eni = host.Test.Current(new EniId(id));
        Assert.Equal("a b+c", eni.Tags["node.k8s.amazonaws.com/instance_id"]);
        Assert.Equal(eni.Ipv4Prefixes.Select(prefix => prefix.ToString()), created.Texts("ipv4Prefix"));
        Assert.Equal(("available", eni.Mac, "t-1"), (created.Text("status"), created.Text("macAddress"), created.Text("clientToken")));

        var attached = await host.CallAsync("AttachNetworkInterface", $"NetworkInterfaceId={id}&InstanceId={instance.Id}&DeviceIndex=1");
        var attachment = attached.Text("attachmentId")!;
        await host.CallAsync(
            "ModifyNetworkInterfaceAttribute",
            $"NetworkInterfaceId={id}&Attachment.AttachmentId={attachment}&Attachment.DeleteOnTermination=true"
        );
        var assigned = await host.CallAsync("AssignPrivateIpAddresses", $"NetworkInterfaceId={id}&SecondaryPrivateIpAddressCount=2");
        Assert.Equal(2, assigned.Texts("privateIpAddress").Count);
        await host.CallAsync(
            "UnassignPrivateIpAddresses",
            $"NetworkInterfaceId={id}&PrivateIpAddress.1={assigned.Texts("privateIpAddress")[0]}"
        );
        await host.CallAsync(
            "UnassignPrivateIpAddresses",
            $"NetworkInterfaceId={id}&Ipv4Prefix.1={Uri.EscapeDataString(created.Texts("ipv4Prefix")[0])}"
        );
        var six = await host.CallAsync("AssignIpv6Addresses", $"NetworkInterfaceId={id}&Ipv6PrefixCount=1");
        Assert.Equal(
            host.Test.Current(eni.Id).Ipv6Prefixes[0].ToString(),
            six.Document.Descendants().Last(element => element.Name.LocalName == "item").Value
        );

        var described = await host.CallAsync(
            "DescribeNetworkInterfaces",
            $"Filter.1.Name=attachment.instance-id&Filter.1.Value.1={instance.Id}&Filter.2.Name=attachment.device-index&Filter.2.Value.1=1"
        );
        Assert.Equal([id], described.Texts("networkInterfaceId"));
        Assert.Equal(
            ("in-use", attachment, "true"),
            (described.Text("status"), described.Text("attachmentId"), described.Text("deleteOnTermination"))
        );
        Assert.Equal(2, host.Test.Current(eni.Id).Ipv4Slots - 1);

        Assert.Equal("InvalidParameterValue", (await host.CallAsync("DeleteNetworkInterface", $"NetworkInterfaceId={id}")).Code);
        await host.CallAsync("DetachNetworkInterface", $"AttachmentId={attachment}");
        Assert.Equal("true", (await host.CallAsync("DeleteNetworkInterface", $"NetworkInterfaceId={id}")).Text("return"));
        Assert.Equal(
            "InvalidNetworkInterfaceID.NotFound",
            (await host.CallAsync("DescribeNetworkInterfaces", $"NetworkInterfaceId.1={id}")).Code
        );
        host.Test.Check();
    }

    [Fact]
    public async Task Tags_are_created_described_and_deleted()
    {
        await using var host = await LabHost.StartAsync();
        var eni = host.Test.Create();
        await host.CallAsync(
            "CreateTags",
            $"ResourceId.1={eni.Id}&ResourceId.2={host.Test.SubnetA.Id}&Tag.1.Key=a&Tag.1.Value=1&Tag.2.Key=b&Tag.2.Value="
        );
        Assert.Equal(["1", "1"], (await host.CallAsync("DescribeTags", "Filter.1.Name=key&Filter.1.Value.1=a")).Texts("value"));
        await host.CallAsync("DeleteTags", $"ResourceId.1={eni.Id}&Tag.1.Key=a&Tag.1.Value=other&Tag.2.Key=b");
        Assert.Equal(["a"], host.Test.Current(eni.Id).Tags.Keys);
        Assert.Equal(
            "InvalidParameterValue",
            (await host.CallAsync("CreateTags", $"ResourceId.1={eni.Id}&Tag.1.Key=aws%3Ax&Tag.1.Value=1")).Code
        );
        Assert.Equal("InvalidID", (await host.CallAsync("CreateTags", "ResourceId.1=thing&Tag.1.Key=a&Tag.1.Value=1")).Code);
    }

    [Fact]
    public async Task Describe_returns_instances_types_subnets_vpcs_and_groups()
    {
        await using var host = await LabHost.StartAsync();
        var instance = host.Test.Launch();
        var instances = await host.CallAsync("DescribeInstances", $"InstanceId.1={instance.Id}");
        Assert.Equal(
            ("m5.large", "running", "us-west-2a"),
            (instances.Text("instanceType"), instances.Texts("name")[0], instances.Text("availabilityZone"))
        );
        Assert.Equal("0", instances.Text("deviceIndex"));
        var type = await host.CallAsync("DescribeInstanceTypes", "InstanceType.1=p4d.24xlarge");
        Assert.Equal(
            ("60", "50", "nitro"),
            (type.Text("maximumNetworkInterfaces"), type.Text("ipv4AddressesPerInterface"), type.Text("hypervisor"))
        );
        Assert.Equal(4, type.Texts("networkCardIndex").Count);
        var subnets = await host.CallAsync("DescribeSubnets", "Filter.1.Name=availability-zone&Filter.1.Value.1=us-west-2a");
        Assert.Equal(("250", "usw2-az1"), (subnets.Text("availableIpAddressCount"), subnets.Text("availabilityZoneId")));
        Assert.Equal(["10.0.0.0/16", "10.0.0.0/16"], (await host.CallAsync("DescribeVpcs")).Texts("cidrBlock"));
        Assert.Equal(["nodes"], (await host.CallAsync("DescribeSecurityGroups", $"GroupId.1={host.Test.Group.Id}")).Texts("groupName"));
    }

    [Fact]
    public async Task Subnets_have_tags_and_free_addresses_and_match_zone_and_tag_filters()
    {
        await using var host = await LabHost.StartAsync();
        var (a, b) = (host.Test.SubnetA, host.Test.SubnetB);
        await host.CallAsync(
            "CreateTags",
            $"ResourceId.1={b.Id}&Tag.1.Key=kubernetes.io/role/cni&Tag.1.Value=1&Tag.2.Key=cni.networking.k8s.aws/cluster/prod&Tag.2.Value="
        );
        var eni = host.Test.Create(subnet: b.Id);
        host.Test.World.AssignPrivateIpAddresses(eni.Id, AddressRequest.AnyPrefixes(1));

        var zone = await host.CallAsync(
            "DescribeSubnets",
            $"Filter.1.Name=vpc-id&Filter.1.Value.1={host.Test.Vpc.Id}&Filter.2.Name=availability-zone&Filter.2.Value.1=us-west-2b"
        );
        Assert.Equal([b.Id.Value], zone.Texts("subnetId"));
        Assert.Equal((b.Ipv4Range.ToString(), (251 - 17).ToString()), (zone.Text("cidrBlock"), zone.Text("availableIpAddressCount")));
        Assert.Equal(
            [("cni.networking.k8s.aws/cluster/prod", ""), ("kubernetes.io/role/cni", "1")],
            zone.Texts("key").Zip(zone.Texts("value")).Order()
        );
        Assert.Equal(
            [b.Id.Value],
            (await host.CallAsync("DescribeSubnets", "Filter.1.Name=tag-key&Filter.1.Value.1=kubernetes.io/role/cni")).Texts("subnetId")
        );
        Assert.Equal(
            [b.Id.Value],
            (
                await host.CallAsync("DescribeSubnets", "Filter.1.Name=tag:kubernetes.io/role/cni&Filter.1.Value.1=1&Filter.1.Value.2=yes")
            ).Texts("subnetId")
        );
        Assert.Equal(
            [a.Id.Value, b.Id.Value],
            (await host.CallAsync("DescribeSubnets", $"Filter.1.Name=vpc-id&Filter.1.Value.1={host.Test.Vpc.Id}"))
                .Texts("subnetId")
                .OrderBy(id => id == b.Id.Value)
        );
    }

    [Fact]
    public async Task Interfaces_match_a_tag_key_filter()
    {
        await using var host = await LabHost.StartAsync();
        var tagged = host.Test.Create();
        host.Test.Create();
        await host.CallAsync("CreateTags", $"ResourceId.1={tagged.Id}&Tag.1.Key=node.k8s.amazonaws.com/instance_id&Tag.1.Value=i-9");

        var found = await host.CallAsync(
            "DescribeNetworkInterfaces",
            "Filter.1.Name=tag-key&Filter.1.Value.1=node.k8s.amazonaws.com/instance_id&Filter.2.Name=status&Filter.2.Value.1=available"
                + $"&Filter.3.Name=vpc-id&Filter.3.Value.1={host.Test.Vpc.Id}&MaxResults=1000"
        );

        Assert.Equal([tagged.Id.Value], found.Texts("networkInterfaceId"));
    }

    [Fact]
    public async Task Subnet_exhausted_or_fragmented_returns_distinct_error_codes()
    {
        await using var host = await LabHost.StartAsync();
        var eni = host.Test.Create();
        for (var block = 1; block <= 14; block++)
        {
            var address = System.Net.IPAddress.Parse($"10.0.1.{block * 16 + 9}");
            if (host.Test.World.FindOwner(address) is null)
                host.Test.World.CreateNetworkInterface(
                    new CreateInterfaceRequest { Subnet = host.Test.SubnetA.Id, PrimaryAddress = address }
                );
        }

        Assert.True(host.Test.World.FreeAddresses(host.Test.SubnetA.Id) > 200);
        Assert.Equal("InsufficientCidrBlocks", await CodeAsync("Ipv4PrefixCount"));
        while (host.Test.World.FreeAddresses(host.Test.SubnetA.Id) >= 16)
            host.Test.Create();
        Assert.Equal("InvalidParameterValue", await CodeAsync("Ipv4PrefixCount"));
        while (host.Test.World.FreeAddresses(host.Test.SubnetA.Id) > 0)
            host.Test.Create();
        Assert.Equal("InsufficientFreeAddressesInSubnet", await CodeAsync("SecondaryPrivateIpAddressCount"));

        async Task<string?> CodeAsync(string parameter) =>
            (await host.CallAsync("AssignPrivateIpAddresses", $"NetworkInterfaceId={eni.Id}&{parameter}=1")).Code;
    }

    [Theory]
    [InlineData("RunInstances", "", "InvalidAction")]
    [InlineData("CreateNetworkInterface", "", "MissingParameter")]
    [InlineData("DescribeVpcs", "Colour=red", "UnknownParameter")]
    [InlineData("DescribeVpcs", "VpcId.1=vpc-0", "InvalidVpcID.NotFound")]
    [InlineData("DescribeVpcs", "Filter.1.Name=colour&Filter.1.Value.1=red", "InvalidParameterValue")]
    [InlineData("DescribeNetworkInterfaces", "MaxResults=4", "InvalidParameterValue")]
    [InlineData("DescribeNetworkInterfaces", "MaxResults=many", "InvalidParameterValue")]
    [InlineData("DescribeNetworkInterfaces", "NextToken=abc", "InvalidParameterValue")]
    [InlineData("AttachNetworkInterface", "NetworkInterfaceId=eni-0&InstanceId=i-0&DeviceIndex=1", "InvalidNetworkInterfaceID.NotFound")]
    [InlineData("DetachNetworkInterface", "AttachmentId=eni-attach-0", "InvalidAttachmentID.NotFound")]
    [InlineData("DescribeVpcs", "DryRun=true", "DryRunOperation")]
    public async Task Error_is_returned_as_ec2s_error_document(string action, string parameters, string code)
    {
        await using var host = await LabHost.StartAsync();
        var response = await host.CallAsync(action, parameters);
        Assert.Equal(code, response.Code);
        Assert.Equal("Response", response.Document.Root!.Name.LocalName);
        Assert.NotEmpty(response.Message);
        Assert.NotEmpty(response.Text("RequestID")!);
    }

    [Fact]
    public async Task Request_with_an_unknown_parameter_has_no_effect()
    {
        await using var host = await LabHost.StartAsync();
        Assert.Equal(
            "UnknownParameter",
            (await host.CallAsync("CreateNetworkInterface", $"SubnetId={host.Test.SubnetA.Id}&Colour=red")).Code
        );
        Assert.Equal(
            "DryRunOperation",
            (await host.CallAsync("CreateNetworkInterface", $"SubnetId={host.Test.SubnetA.Id}&DryRun=true")).Code
        );
        Assert.Empty(host.Test.World.Interfaces);
    }

    [Fact]
    public async Task Body_beyond_the_limit_is_rejected()
    {
        await using var host = await LabHost.StartAsync(new Ec2ApiOptions { MaxBodyBytes = 1_000 });
        var response = await host.CallAsync("CreateNetworkInterface", "Description=" + new string('x', 2_000));
        Assert.Equal(("RequestEntityTooLarge", HttpStatusCode.RequestEntityTooLarge), (response.Code, response.Status));
        using var chunked = new HttpRequestMessage(HttpMethod.Post, "/") { Content = new StreamContent(new MemoryStream(new byte[2_000])) };
        chunked.Headers.TransferEncodingChunked = true;
        using var chunkedResponse = await host.Client.SendAsync(chunked);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, chunkedResponse.StatusCode);
    }

    [Fact]
    public async Task Throttled_call_returns_503_until_the_bucket_refills()
    {
        await using var host = await LabHost.StartAsync();
        host.Test.World.Throttle.SetLimits(Throttle.Uniform(2));
        for (var i = 0; i < 2; i++)
            Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("DescribeVpcs")).Status);
        var response = await host.CallAsync("DescribeVpcs");
        Assert.Equal(("RequestLimitExceeded", HttpStatusCode.ServiceUnavailable), (response.Code, response.Status));
        host.Test.Time.Advance(TimeSpan.FromSeconds(0.5));
        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("DescribeVpcs")).Status);
        Assert.Equal(
            (3, 1),
            (
                host.Test.World.Calls.Count("DescribeVpcs", CallLog.Success),
                host.Test.World.Calls.Count("DescribeVpcs", "RequestLimitExceeded")
            )
        );
    }

    [Fact]
    public async Task Latency_elapses_half_before_and_half_after_the_effect()
    {
        var time = new CountedTime();
        await using var host = await LabHost.StartAsync(
            new Ec2ApiOptions { Latency = TimeSpan.FromSeconds(10) },
            new TestWorld(time: time)
        );
        var call = host.CallAsync("CreateNetworkInterface", $"SubnetId={host.Test.SubnetA.Id}");
        await Eventually.TrueAsync(() => time.Timers == 1);
        Assert.Empty(host.Test.World.Interfaces);
        host.Test.Time.Advance(TimeSpan.FromSeconds(5));
        await Eventually.TrueAsync(() => time.Timers == 2);
        Assert.Single(host.Test.World.Interfaces);
        Assert.False(call.IsCompleted);
        host.Test.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(HttpStatusCode.OK, (await call).Status);
    }

    [Fact]
    public async Task Presigned_get_is_accepted()
    {
        // botocore signed this request (SigV4QueryAuth) at the time to which the clock is set.
        await using var host = await LabHost.StartAsync();
        using var response = await host.Client.SendAsync(
            new HttpRequestMessage(HttpMethod.Get, PresignedDescribeVpcs) { Headers = { Host = "lab.example:8080" } }
        );
        Assert.Equal(
            (HttpStatusCode.OK, true),
            (response.StatusCode, (await response.Content.ReadAsStringAsync()).Contains(host.Test.Vpc.Id.Value, StringComparison.Ordinal))
        );
        using var changed = await host.Client.SendAsync(
            new HttpRequestMessage(HttpMethod.Get, PresignedDescribeVpcs.Replace("DescribeVpcs", "DescribeTags", StringComparison.Ordinal))
            {
                Headers = { Host = "lab.example:8080" },
            }
        );
        Assert.Equal(HttpStatusCode.Forbidden, changed.StatusCode);
    }

    private const string PresignedDescribeVpcs =
        "/?Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=cidr&Filter.1.Value.1=10.0.0.0%2F16&X-Amz-Algorithm=AWS4-HMAC-SHA"
        + "256&X-Amz-Credential=AKIAVPCLABVPCLAB0001%2F20260101%2Fus-west-2%2Fec2%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-"
        + "Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=ea84714c4c491653bf2063829b597d49b4540b881dad9de25be1ecff6086fb91";

    [Fact]
    public async Task Concurrent_requests_enter_the_model_one_at_a_time()
    {
        await using var host = await LabHost.StartAsync();
        var calls = Enumerable
            .Range(0, 40)
            .Select(_ => host.CallAsync("CreateNetworkInterface", $"SubnetId={host.Test.SubnetA.Id}&SecondaryPrivateIpAddressCount=2"));
        Assert.All(await Task.WhenAll(calls), response => Assert.Equal(HttpStatusCode.OK, response.Status));
        Assert.Equal(251 - 120, host.Test.World.FreeAddresses(host.Test.SubnetA.Id));
        host.Test.Check();
    }

    [Fact]
    public async Task Client_that_disconnects_does_not_affect_other_requests()
    {
        await using var host = await LabHost.StartAsync();
        using (var client = new System.Net.Sockets.TcpClient())
        {
            await client.ConnectAsync(host.Client.BaseAddress!.Host, host.Client.BaseAddress.Port);
            await client
                .GetStream()
                .WriteAsync(Encoding.ASCII.GetBytes("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nAction="));
        }

        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("DescribeVpcs")).Status);
    }

    /// <summary>Counts created timers, so that a test advances the clock only after a timer is waiting.</summary>
    private sealed class CountedTime() : FakeTimeProvider(TestWorld.Start)
    {
        private int _timers;

        public int Timers => Volatile.Read(ref _timers);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            Interlocked.Increment(ref _timers);
            return timer;
        }
    }
}
