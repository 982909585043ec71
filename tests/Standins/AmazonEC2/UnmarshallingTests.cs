// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Amazon.EC2;
using Amazon.EC2.Model;
using Amazon.Runtime;
using VpcCni.Tests.Http;
using Xunit;

namespace VpcCni.Standins.Tests.AmazonEC2;

/// <summary>Answers and errors, read through the public client.</summary>
public sealed class UnmarshallingTests
{
    private const string Interface = """
        <item>
          <networkInterfaceId>eni-0a1b2c3d4e5f60718</networkInterfaceId><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId><availabilityZone>eu-west-1a</availabilityZone>
          <description>aws-K8S-i-1 &lt;&amp;&gt; é</description><ownerId>123</ownerId><requesterManaged>false</requesterManaged><status>in-use</status><macAddress>02:aa:bb:cc:dd:ee</macAddress>
          <privateIpAddress>10.0.0.10</privateIpAddress><sourceDestCheck>true</sourceDestCheck><interfaceType>interface</interfaceType><futureElement><nested a="b">1</nested></futureElement>
          <groupSet><item><groupId>sg-1</groupId><groupName>nodes</groupName></item><item><groupId>sg-2</groupId></item></groupSet>
          <attachment>
            <attachmentId>eni-attach-1</attachmentId><instanceId>i-1</instanceId><deviceIndex>1</deviceIndex><networkCardIndex>0</networkCardIndex><status>attached</status>
            <attachTime>2026-01-02T03:04:05.000Z</attachTime><deleteOnTermination>true</deleteOnTermination>
          </attachment>
          <tagSet><item><key>a</key><value/></item><item><key>b</key><value>c d</value></item></tagSet>
          <privateIpAddressesSet>
            <item><privateIpAddress>10.0.0.10</privateIpAddress><primary>true</primary></item><item><privateIpAddress>10.0.0.11</privateIpAddress><primary>false</primary></item>
          </privateIpAddressesSet>
          <ipv4PrefixSet><item><ipv4Prefix>10.0.0.16/28</ipv4Prefix></item></ipv4PrefixSet>
          <ipv6AddressesSet><item><ipv6Address>2600::1</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item></ipv6AddressesSet>
          <ipv6PrefixSet><item><ipv6Prefix>2600:0:0:0:1::/80</ipv6Prefix></item></ipv6PrefixSet>
          <connectionTrackingConfiguration><tcpEstablishedTimeout>60</tcpEstablishedTimeout></connectionTrackingConfiguration>
        </item>
        """;

    [Fact]
    public async Task Network_interface_is_read_whole()
    {
        var response = await DescribeAsync(Envelope($"<networkInterfaceSet>{Interface}</networkInterfaceSet><nextToken>more</nextToken>"));

        var eni = Assert.Single(response.NetworkInterfaces!);
        Assert.Equal("eni-0a1b2c3d4e5f60718", eni.NetworkInterfaceId);
        Assert.Equal("aws-K8S-i-1 <&> é", eni.Description);
        Assert.Equal(NetworkInterfaceStatus.InUse, eni.Status);
        Assert.Equal(NetworkInterfaceType.Interface, eni.InterfaceType);
        Assert.Equal(("02:aa:bb:cc:dd:ee", "10.0.0.10", "subnet-1", "vpc-1"), (eni.MacAddress, eni.PrivateIpAddress, eni.SubnetId, eni.VpcId));
        Assert.Equal((true, false), (eni.SourceDestCheck, eni.RequesterManaged));
        Assert.Equal([("sg-1", "nodes"), ("sg-2", null)], eni.Groups!.Select(group => (group.GroupId, group.GroupName)));
        Assert.Equal([("a", ""), ("b", "c d")], eni.TagSet!.Select(tag => (tag.Key, tag.Value)));
        Assert.Equal([("10.0.0.10", true), ("10.0.0.11", false)], eni.PrivateIpAddresses!.Select(address => (address.PrivateIpAddress, address.Primary)));
        Assert.Equal("10.0.0.16/28", Assert.Single(eni.Ipv4Prefixes!).Ipv4Prefix);
        Assert.Equal(("2600::1", true), eni.Ipv6Addresses!.Select(address => (address.Ipv6Address, address.IsPrimaryIpv6)).Single());
        Assert.Equal("2600:0:0:0:1::/80", Assert.Single(eni.Ipv6Prefixes!).Ipv6Prefix);
        Assert.Equal((60, null), (eni.ConnectionTrackingConfiguration!.TcpEstablishedTimeout, eni.ConnectionTrackingConfiguration.UdpTimeout));
        var attachment = eni.Attachment!;
        Assert.Equal(("eni-attach-1", "i-1", 1, 0, true), (attachment.AttachmentId, attachment.InstanceId, attachment.DeviceIndex, attachment.NetworkCardIndex, attachment.DeleteOnTermination));
        Assert.Equal(AttachmentStatus.Attached, attachment.Status);
        Assert.Equal(new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc), attachment.AttachTime);
        Assert.Equal(DateTimeKind.Utc, attachment.AttachTime!.Value.Kind);
        Assert.Equal("more", response.NextToken);
        Assert.Equal("req-1", response.ResponseMetadata.RequestId);
        Assert.Equal(HttpStatusCode.OK, response.HttpStatusCode);
    }

    [Fact]
    public async Task Absent_members_and_empty_lists_are_null()
    {
        var response = await DescribeAsync(Envelope("<networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId><groupSet/><tagSet></tagSet></item></networkInterfaceSet>"));

        var eni = Assert.Single(response.NetworkInterfaces!);
        Assert.Null(eni.Attachment);
        Assert.Null(eni.Groups);
        Assert.Null(eni.TagSet);
        Assert.Null(eni.PrivateIpAddresses);
        Assert.Null(eni.Status);
        Assert.Null(eni.SourceDestCheck);
        Assert.Null(response.NextToken);
        Assert.Null((await DescribeAsync(Envelope("<networkInterfaceSet/>"))).NetworkInterfaces);
        Assert.Null((await DescribeAsync(Envelope(""))).NetworkInterfaces);
    }

    [Fact]
    public async Task Unknown_enumeration_value_is_carried()
    {
        var response = await DescribeAsync(Envelope("<networkInterfaceSet><item><status>hibernating</status><interfaceType>quantum</interfaceType></item></networkInterfaceSet>"));

        Assert.Equal("hibernating", response.NetworkInterfaces![0].Status!.Value);
        Assert.Equal("quantum", response.NetworkInterfaces[0].InterfaceType!.Value);
        Assert.NotEqual(NetworkInterfaceStatus.Available, response.NetworkInterfaces[0].Status);
    }

    [Fact]
    public async Task Assigned_blocks_are_read()
    {
        var ipv4 = await CallAsync(
            "<AssignPrivateIpAddressesResponse><requestId>r</requestId><networkInterfaceId>eni-1</networkInterfaceId><assignedPrivateIpAddressesSet><item><privateIpAddress>10.0.0.5</privateIpAddress></item><item><privateIpAddress>10.0.0.6</privateIpAddress></item></assignedPrivateIpAddressesSet><assignedIpv4PrefixSet><item><ipv4Prefix>10.0.0.32/28</ipv4Prefix></item></assignedIpv4PrefixSet></AssignPrivateIpAddressesResponse>",
            ec2 => ec2.AssignPrivateIpAddressesAsync(new AssignPrivateIpAddressesRequest()));
        Assert.Equal(["10.0.0.5", "10.0.0.6"], ipv4.AssignedPrivateIpAddresses!.Select(address => address.PrivateIpAddress));
        Assert.Equal(["10.0.0.32/28"], ipv4.AssignedIpv4Prefixes!.Select(prefix => prefix.Ipv4Prefix));
        Assert.Equal("eni-1", ipv4.NetworkInterfaceId);

        var ipv6 = await CallAsync(
            "<R><assignedIpv6Addresses><item>2600::5</item></assignedIpv6Addresses><assignedIpv6PrefixSet><item>2600::/80</item></assignedIpv6PrefixSet></R>",
            ec2 => ec2.AssignIpv6AddressesAsync(new AssignIpv6AddressesRequest()));
        Assert.Equal(["2600::5"], ipv6.AssignedIpv6Addresses!);
        Assert.Equal(["2600::/80"], ipv6.AssignedIpv6Prefixes!);

        var taken = await CallAsync(
            "<R><unassignedIpv6Addresses><item>2600::5</item></unassignedIpv6Addresses><unassignedIpv6PrefixSet><item>2600::/80</item></unassignedIpv6PrefixSet></R>",
            ec2 => ec2.UnassignIpv6AddressesAsync(new UnassignIpv6AddressesRequest()));
        Assert.Equal(["2600::5"], taken.UnassignedIpv6Addresses!);
        Assert.Equal(["2600::/80"], taken.UnassignedIpv6Prefixes!);
    }

    [Fact]
    public async Task Attachment_created_interface_subnet_instance_and_type_are_read()
    {
        var attached = await CallAsync("<R><attachmentId>eni-attach-9</attachmentId><networkCardIndex>1</networkCardIndex></R>", ec2 => ec2.AttachNetworkInterfaceAsync(new AttachNetworkInterfaceRequest()));
        Assert.Equal(("eni-attach-9", 1), (attached.AttachmentId, attached.NetworkCardIndex));

        var created = await CallAsync($"<R><networkInterface>{Interface["<item>".Length..^"</item>".Length].Trim()}</networkInterface><clientToken>t</clientToken></R>", ec2 => ec2.CreateNetworkInterfaceAsync(new CreateNetworkInterfaceRequest()));
        Assert.Equal(("eni-0a1b2c3d4e5f60718", "t"), (created.NetworkInterface!.NetworkInterfaceId, created.ClientToken));

        var subnets = await CallAsync(
            "<R><subnetSet><item><subnetId>subnet-1</subnetId><cidrBlock>10.0.0.0/24</cidrBlock><availableIpAddressCount>250</availableIpAddressCount><state>available</state><ipv6CidrBlockAssociationSet><item><ipv6CidrBlock>2600::/64</ipv6CidrBlock><ipv6CidrBlockState><state>associated</state></ipv6CidrBlockState></item></ipv6CidrBlockAssociationSet></item></subnetSet></R>",
            ec2 => ec2.DescribeSubnetsAsync(new DescribeSubnetsRequest()));
        var subnet = Assert.Single(subnets.Subnets!);
        Assert.Equal(("subnet-1", "10.0.0.0/24", 250, SubnetState.Available), (subnet.SubnetId, subnet.CidrBlock, subnet.AvailableIpAddressCount, subnet.State));
        Assert.Equal(("2600::/64", SubnetCidrBlockStateCode.Associated), subnet.Ipv6CidrBlockAssociationSet!.Select(range => (range.Ipv6CidrBlock, range.Ipv6CidrBlockState!.State)).Single());

        var instances = await CallAsync(
            "<R><reservationSet><item><reservationId>r-1</reservationId><instancesSet><item><instanceId>i-1</instanceId><instanceType>m5.large</instanceType><instanceState><code>16</code><name>running</name></instanceState><placement><availabilityZone>eu-west-1a</availabilityZone></placement><networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId><attachment><deviceIndex>0</deviceIndex></attachment></item></networkInterfaceSet></item></instancesSet></item></reservationSet></R>",
            ec2 => ec2.DescribeInstancesAsync(new DescribeInstancesRequest()));
        var instance = Assert.Single(Assert.Single(instances.Reservations!).Instances!);
        Assert.Equal(("i-1", "m5.large", 16, InstanceStateName.Running, "eu-west-1a"), (instance.InstanceId, instance.InstanceType!.Value, instance.State!.Code, instance.State.Name, instance.Placement!.AvailabilityZone));
        Assert.Equal(("eni-1", 0), instance.NetworkInterfaces!.Select(eni => (eni.NetworkInterfaceId, eni.Attachment!.DeviceIndex)).Single());

        var types = await CallAsync(
            "<R><instanceTypeSet><item><instanceType>m5.large</instanceType><bareMetal>false</bareMetal><hypervisor>nitro</hypervisor><networkInfo><maximumNetworkInterfaces>3</maximumNetworkInterfaces><ipv4AddressesPerInterface>10</ipv4AddressesPerInterface><ipv6AddressesPerInterface>10</ipv6AddressesPerInterface><ipv6Supported>true</ipv6Supported><networkCards><item><networkCardIndex>0</networkCardIndex><maximumNetworkInterfaces>3</maximumNetworkInterfaces></item></networkCards></networkInfo></item></instanceTypeSet></R>",
            ec2 => ec2.DescribeInstanceTypesAsync(new DescribeInstanceTypesRequest()));
        var type = Assert.Single(types.InstanceTypes!);
        Assert.Equal(("m5.large", false, InstanceTypeHypervisor.Nitro), (type.InstanceType!.Value, type.BareMetal, type.Hypervisor));
        Assert.Equal((3, 10, 10, true, 3), (type.NetworkInfo!.MaximumNetworkInterfaces, type.NetworkInfo.Ipv4AddressesPerInterface, type.NetworkInfo.Ipv6AddressesPerInterface, type.NetworkInfo.Ipv6Supported, type.NetworkInfo.NetworkCards![0].MaximumNetworkInterfaces));
    }

    [Fact]
    public async Task Ec2_error_is_read_with_code_message_request_id_and_status()
    {
        var error = await ErrorAsync(new Reply(400, "<Response><Errors><Error><Code>InsufficientCidrBlocks</Code><Message>There are not enough</Message></Error></Errors><RequestID>req-9</RequestID></Response>"));

        Assert.Equal(("InsufficientCidrBlocks", "There are not enough", "req-9", HttpStatusCode.BadRequest, ErrorType.Sender), (error.ErrorCode, error.Message, error.RequestId, error.StatusCode, error.ErrorType));
    }

    [Theory]
    [InlineData(503, "<html><body>upstream connect error", "ServiceUnavailable")]
    [InlineData(500, "", "InternalServerError")]
    [InlineData(502, "<Response></Response>", "BadGateway")]
    [InlineData(403, "<Response><Errors></Errors></Response>", "Forbidden")]
    public async Task Error_without_ec2_body_is_named_for_its_status(int status, string body, string code)
    {
        var error = await ErrorAsync(new Reply(status, body));

        Assert.Equal(code, error.ErrorCode);
        Assert.Equal(status, (int)error.StatusCode);
        Assert.Contains($"HTTP {status}", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("truncated", "<R><networkInterfaceSet><item>")]
    [InlineData("empty", "")]
    [InlineData("not XML", "{\"a\":1}")]
    [InlineData("two roots", "<R/><R/>")]
    [InlineData("document type", "<!DOCTYPE r [<!ENTITY a \"aaaa\">]><R>&a;</R>")]
    [InlineData("not a number", "<R><networkInterfaceSet><item><attachment><deviceIndex>one</deviceIndex></attachment></item></networkInterfaceSet></R>")]
    [InlineData("not a boolean", "<R><networkInterfaceSet><item><sourceDestCheck>maybe</sourceDestCheck></item></networkInterfaceSet></R>")]
    [InlineData("not a time", "<R><networkInterfaceSet><item><attachment><attachTime>yesterday</attachTime></attachment></item></networkInterfaceSet></R>")]
    public async Task Answer_that_cannot_be_read_is_an_unmarshalling_error(string what, string body)
    {
        var error = await Assert.ThrowsAsync<AmazonUnmarshallingException>(() => DescribeAsync(body));
        Assert.True(error.InnerException is not null, what);
    }

    [Fact]
    public async Task Answer_nested_without_end_is_refused() =>
        await Assert.ThrowsAsync<AmazonUnmarshallingException>(() => DescribeAsync(string.Concat(Enumerable.Repeat("<a>", 10_000)) + string.Concat(Enumerable.Repeat("</a>", 10_000))));

    private static string Envelope(string members) =>
        $"""<?xml version="1.0" encoding="UTF-8"?><DescribeNetworkInterfacesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>req-1</requestId>{members}</DescribeNetworkInterfacesResponse>""";

    private static Task<DescribeNetworkInterfacesResponse> DescribeAsync(string body) => CallAsync(body, ec2 => ec2.DescribeNetworkInterfacesAsync(new DescribeNetworkInterfacesRequest()));

    private static async Task<T> CallAsync<T>(string body, Func<IAmazonEC2, Task<T>> call)
    {
        await using var server = await ScriptedHttpServer.StartAsync(_ => Reply.Ok(body));
        using var ec2 = Ec2TestClient.For(server);
        return await call(ec2);
    }

    private static async Task<AmazonEC2Exception> ErrorAsync(Reply reply)
    {
        await using var server = await ScriptedHttpServer.StartAsync(_ => reply);
        using var ec2 = Ec2TestClient.For(server);
        var error = await Assert.ThrowsAsync<AmazonEC2Exception>(() => ec2.DescribeSubnetsAsync(new DescribeSubnetsRequest()));
        Assert.Single(server.Requests);
        return error;
    }
}
