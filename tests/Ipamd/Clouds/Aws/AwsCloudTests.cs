// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Ledger;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds.Aws;

/// <summary>The port with scripted EC2 answers: its requests, results and retries.</summary>
public sealed class AwsCloudTests
{
    private const string Primary = """
        <item><networkInterfaceId>eni-1</networkInterfaceId><subnetId>subnet-1</subnetId><status>in-use</status><macAddress>02:00:00:00:00:01</macAddress><privateIpAddress>10.0.0.10</privateIpAddress>
        <interfaceType>interface</interfaceType><groupSet><item><groupId>sg-1</groupId></item></groupSet><connectionTrackingConfiguration><tcpEstablishedTimeout>60</tcpEstablishedTimeout></connectionTrackingConfiguration>
        <attachment><attachmentId>attach-1</attachmentId><deviceIndex>0</deviceIndex><status>attached</status><deleteOnTermination>true</deleteOnTermination></attachment>
        <privateIpAddressesSet><item><privateIpAddress>10.0.0.10</privateIpAddress><primary>true</primary></item></privateIpAddressesSet></item>
        """;

    private const string Secondary = """
        <item><networkInterfaceId>eni-2</networkInterfaceId><subnetId>subnet-1</subnetId><status>in-use</status><macAddress>02:00:00:00:00:0A</macAddress><privateIpAddress>10.0.0.20</privateIpAddress>
        <interfaceType>interface</interfaceType><description>aws-K8S-i-0123456789abcdef0</description><tagSet><item><key>k</key><value>v</value></item></tagSet>
        <attachment><attachmentId>attach-2</attachmentId><deviceIndex>1</deviceIndex><networkCardIndex>0</networkCardIndex><status>attaching</status><deleteOnTermination>false</deleteOnTermination></attachment>
        <privateIpAddressesSet><item><privateIpAddress>10.0.0.21</privateIpAddress><primary>false</primary></item><item><privateIpAddress>10.0.0.20</privateIpAddress><primary>true</primary></item></privateIpAddressesSet>
        <ipv4PrefixSet><item><ipv4Prefix>10.0.0.32/28</ipv4Prefix></item></ipv4PrefixSet><ipv6AddressesSet><item><ipv6Address>2600::5</ipv6Address></item></ipv6AddressesSet><ipv6PrefixSet><item><ipv6Prefix>2600:1f13:a:b:1::/80</ipv6Prefix></item></ipv6PrefixSet></item>
        """;

    private static readonly NetworkInterfaceId Eni = new("eni-2");
    private static readonly CreateInterfaceRequest Create = new(
        "token-1",
        new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
        "subnet-1",
        ["sg-1", "sg-2"],
        [new BlockRequest(Shapes.Ipv4Address, 3)]
    );

    [Fact]
    public async Task Attached_interfaces_cost_one_description_and_one_subnet_lookup()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On("DescribeNetworkInterfaces", Page(Secondary + Primary));

        var interfaces = await test.Cloud.DescribeAttachedInterfacesAsync(default);
        await test.Cloud.DescribeAttachedInterfacesAsync(default);

        Assert.Equal(
            Enumerable.Repeat("Filter.1.Name=attachment.instance-id&Filter.1.Value.1=i-0123456789abcdef0&MaxResults=1000", 2),
            test.Calls("DescribeNetworkInterfaces")
        );
        Assert.Equal(["SubnetId.1=subnet-1"], test.Calls("DescribeSubnets"));
        Assert.Equal([0, 1], interfaces.Select(eni => eni.Slot!.Value.DeviceIndex));
        var second = interfaces[1];
        Assert.Equal(
            ("eni-2", "02:00:00:00:00:0a", "subnet-1", "10.0.0.20"),
            (second.Id.Value, second.Mac, second.SubnetId, second.PrimaryAddress.ToString())
        );
        Assert.Equal(IPNetwork.Parse("10.0.0.0/24"), second.SubnetRange);
        Assert.Equal(
            ["10.0.0.21/32", "10.0.0.32/28", "2600::5/128", "2600:1f13:a:b:1::/80"],
            second.Blocks.Select(block => block.ToString())
        );
        Assert.Equal(
            (Ec2InterfaceState.Attaching, "attach-2", (Slot?)new Slot(0, 1), false),
            (second.State, second.AttachmentId, second.Slot, second.DeleteOnTermination)
        );
        Assert.Equal("v", second.Tags["k"]);
        Assert.Equal(
            (Ec2InterfaceState.InUse, true, "interface"),
            (interfaces[0].State, interfaces[0].DeleteOnTermination, interfaces[0].InterfaceType)
        );
        Assert.Empty(interfaces[0].Blocks);
        Assert.Equal(["sg-1"], interfaces[0].SecurityGroupIds);
    }

    [Fact]
    public async Task All_pages_are_read()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On("DescribeNetworkInterfaces", Page(Primary, next: "p2")).On("DescribeNetworkInterfaces", Page(Secondary));

        Assert.Equal(2, (await test.Cloud.DescribeAttachedInterfacesAsync(default)).Count);
        Assert.EndsWith("&NextToken=p2", test.Calls("DescribeNetworkInterfaces")[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Endless_pages_are_aborted()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On("DescribeNetworkInterfaces", Page(Primary, next: "again"));

        var failure = await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeAttachedInterfacesAsync(default));

        Assert.Contains("more than 20 pages", failure.Message, StringComparison.Ordinal);
        Assert.Equal(20, test.Calls("DescribeNetworkInterfaces").Count);
    }

    [Fact]
    public async Task Unattached_interfaces_are_found_by_tag_and_state()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(
            "DescribeNetworkInterfaces",
            Page(
                "<item><networkInterfaceId>eni-3</networkInterfaceId><subnetId>subnet-1</subnetId><status>available</status>"
                    + "<macAddress>02:00:00:00:00:03</macAddress><privateIpAddress>10.0.0.30</privateIpAddress></item>"
            )
        );

        var left = Assert.Single(await test.Cloud.DescribeUnattachedInterfacesAsync(default));

        Assert.Equal(
            [
                "Filter.1.Name=tag:node.k8s.amazonaws.com/instance_id&Filter.1.Value.1=i-0123456789abcdef0&Filter.2.Name=status&"
                    + "Filter.2.Value.1=available&MaxResults=1000",
            ],
            test.Calls("DescribeNetworkInterfaces")
        );
        Assert.Equal((Ec2InterfaceState.Available, null, null), (left.State, left.AttachmentId, left.Slot));
    }

    [Theory]
    [InlineData("pending", null, "Available")]
    [InlineData("available", null, "Available")]
    [InlineData("in-use", "attaching", "Attaching")]
    [InlineData("attaching", null, "Attaching")]
    [InlineData("in-use", "attached", "InUse")]
    [InlineData("associated", null, "InUse")]
    [InlineData("in-use", "detaching", "Detaching")]
    [InlineData("detaching", null, "Detaching")]
    public async Task States_are_mapped(string status, string? attachment, string expected)
    {
        await using var test = await CloudUnderTest.StartAsync();
        var attached = attachment is null ? "" : $"<attachment><status>{attachment}</status></attachment>";
        test.On(
            "DescribeNetworkInterfaces",
            Page(
                $"<item><networkInterfaceId>eni-3</networkInterfaceId><subnetId>subnet-1</subnetId><status>{status}</status>"
                    + $"{attached}<macAddress>02:00:00:00:00:03</macAddress><privateIpAddress>10.0.0.30</privateIpAddress></item>"
            )
        );

        Assert.Equal(
            Enum.Parse<Ec2InterfaceState>(expected),
            Assert.Single(await test.Cloud.DescribeUnattachedInterfacesAsync(default)).State
        );
    }

    [Theory]
    [InlineData("<item><subnetId>subnet-1</subnetId></item>", "networkInterfaceId")]
    [InlineData(
        "<item><networkInterfaceId>eni-3</networkInterfaceId><subnetId>subnet-1</subnetId><macAddress>02:00:00:00:00:03</macAddress>"
            + "<status>available</status></item>",
        "primary address"
    )]
    [InlineData(
        "<item><networkInterfaceId>eni-3</networkInterfaceId><subnetId>subnet-1</subnetId><privateIpAddress>10.0.0.3</"
            + "privateIpAddress><status>available</status></item>",
        "macAddress"
    )]
    [InlineData(
        "<item><networkInterfaceId>eni-3</networkInterfaceId><subnetId>subnet-9</subnetId><privateIpAddress>10.0.0.3</"
            + "privateIpAddress><macAddress>02:00:00:00:00:03</macAddress><status>available</status></item>",
        "subnet-9"
    )]
    [InlineData(
        "<item><networkInterfaceId>eni-3</networkInterfaceId><subnetId>subnet-1</subnetId><privateIpAddress>10.0.0.3</"
            + "privateIpAddress><macAddress>02:00:00:00:00:03</macAddress><status>melting</status></item>",
        "melting"
    )]
    [InlineData(
        "<item><networkInterfaceId>eni-3</networkInterfaceId><subnetId>subnet-1</subnetId><privateIpAddress>10.0.0.3</"
            + "privateIpAddress><macAddress>02:00:00:00:00:03</macAddress><status>available</status><ipv4PrefixSet><item><ipv4Prefix>"
            + "10.0.0.0/99</ipv4Prefix></item></ipv4PrefixSet></item>",
        "10.0.0.0/99"
    )]
    public async Task Invalid_description_is_rejected_with_the_reason(string item, string reason)
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On("DescribeNetworkInterfaces", Page(item));

        var failure = await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeUnattachedInterfacesAsync(default));

        Assert.Equal((CloudErrorKind.Transient, Ec2ErrorCodes.UnreadableAnswer), (failure.Kind, failure.Code));
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Interface_of_an_IPv6_only_subnet_has_an_IPv6_address_and_range()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(
            "DescribeNetworkInterfaces",
            Page(
                "<item><networkInterfaceId>eni-3</networkInterfaceId><subnetId>subnet-6</subnetId><status>available</status>"
                    + "<macAddress>02:00:00:00:00:03</macAddress><ipv6AddressesSet><item><ipv6Address>2600::7</ipv6Address></item><item>"
                    + "<ipv6Address>2600::5</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item></ipv6AddressesSet></item>"
            )
        );
        test.On(
            "DescribeSubnets",
            "<XResponse><subnetSet><item><subnetId>subnet-6</subnetId><ipv6CidrBlockAssociationSet><item><ipv6CidrBlock>2600:0:0:1::/"
                + "64</ipv6CidrBlock><ipv6CidrBlockState><state>disassociated</state></ipv6CidrBlockState></item><item><ipv6CidrBlock>"
                + "2600::/64</ipv6CidrBlock><ipv6CidrBlockState><state>associated</state></ipv6CidrBlockState></item></"
                + "ipv6CidrBlockAssociationSet></item></subnetSet></XResponse>"
        );
        await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeUnattachedInterfacesAsync(default));

        var eni = Assert.Single(await test.Cloud.DescribeUnattachedInterfacesAsync(default));

        Assert.Equal((IPAddress.Parse("2600::5"), IPNetwork.Parse("2600::/64")), (eni.PrimaryAddress, eni.SubnetRange));
        Assert.Equal([IPNetwork.Parse("2600::7/128")], eni.Blocks);
    }

    [Fact]
    public async Task Interface_without_address_is_described_and_its_subnet_read_once()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(
            "DescribeNetworkInterfaces",
            Page(
                Primary
                    + "<item><networkInterfaceId>eni-7</networkInterfaceId><subnetId>subnet-1</subnetId><status>in-use</status>"
                    + "<macAddress>02:00:00:00:00:07</macAddress><interfaceType>efa-only</interfaceType><attachment><attachmentId>"
                    + "attach-7</attachmentId><deviceIndex>1</deviceIndex><networkCardIndex>1</networkCardIndex><status>attached</"
                    + "status></attachment></item>"
            )
        );

        var efa = (await test.Cloud.DescribeAttachedInterfacesAsync(default))[1];
        await test.Cloud.DescribeAttachedInterfacesAsync(default);

        Assert.Equal(
            ("eni-7", "efa-only", IPAddress.Any, IPNetwork.Parse("10.0.0.0/24")),
            (efa.Id.Value, efa.InterfaceType, efa.PrimaryAddress, efa.SubnetRange)
        );
        Assert.Empty(efa.Blocks);
        Assert.Single(test.Calls("DescribeSubnets"));
    }

    [Fact]
    public async Task Create_sends_token_description_groups_tags_and_tracking()
    {
        await using var test = await CloudUnderTest.StartAsync(options =>
            options with
            {
                ClusterName = "prod",
                AdditionalTags = new Dictionary<string, string> { ["team"] = "net" },
            }
        );
        test.On("DescribeNetworkInterfaces", Page(Primary))
            .On("CreateNetworkInterface", $"<XResponse><networkInterface>{Members(Secondary)}</networkInterface></XResponse>");
        await test.Cloud.DescribeAttachedInterfacesAsync(default);

        var created = await test.Cloud.CreateInterfaceAsync(Create, default);

        Assert.Equal(
            [
                "ClientToken=token-1&ConnectionTrackingSpecification.TcpEstablishedTimeout=60&"
                    + "Description=aws-K8S-i-0123456789abcdef0&SecondaryPrivateIpAddressCount=3&SecurityGroupId.1=sg-1&"
                    + "SecurityGroupId.2=sg-2&SubnetId=subnet-1"
                    + "&TagSpecification.1.ResourceType=network-interface&TagSpecification.1.Tag.1.Key=node.k8s.amazonaws.com/"
                    + "instance_id&TagSpecification.1.Tag.1.Value=i-0123456789abcdef0"
                    + "&TagSpecification.1.Tag.2.Key=cluster.k8s.amazonaws.com/name&TagSpecification.1.Tag.2.Value=prod&"
                    + "TagSpecification.1.Tag.3.Key=eks:eni:owner&TagSpecification.1.Tag.3.Value=amazon-vpc-cni"
                    + "&TagSpecification.1.Tag.4.Key=team&TagSpecification.1.Tag.4.Value=net&"
                    + "TagSpecification.1.Tag.5.Key=node.k8s.amazonaws.com/createdAt&"
                    + "TagSpecification.1.Tag.5.Value=2026-01-02T03:04:05Z",
            ],
            test.Calls("CreateNetworkInterface")
        );
        Assert.Equal("eni-2", created.Id.Value);
        Assert.Equal(IPNetwork.Parse("10.0.0.0/24"), created.SubnetRange);
    }

    [Theory]
    [InlineData("Ipv4Address", "SecondaryPrivateIpAddressCount=3")]
    [InlineData("Ipv4Prefix", "Ipv4PrefixCount=3")]
    [InlineData("Ipv6Address", "Ipv6AddressCount=3")]
    [InlineData("Ipv6Prefix", "Ipv6PrefixCount=3")]
    public async Task Create_requests_the_kind_of_block(string kind, string expected)
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On("CreateNetworkInterface", $"<XResponse><networkInterface>{Members(Secondary)}</networkInterface></XResponse>");

        await test.Cloud.CreateInterfaceAsync(Create with { Blocks = [new BlockRequest(Shapes.Of(kind), 3)] }, default);

        Assert.Contains(expected, Assert.Single(test.Calls("CreateNetworkInterface")).Split('&'));
        Assert.Single(
            test.Calls("CreateNetworkInterface")[0].Split('&'),
            parameter => parameter.Contains("Count=", StringComparison.Ordinal)
        );
    }

    [Fact]
    public async Task Unanswered_create_is_repeated_identically()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On("CreateNetworkInterface", Reply.Lost)
            .On("CreateNetworkInterface", CloudUnderTest.Error("InternalError", "oops", 500))
            .On("CreateNetworkInterface", $"<XResponse><networkInterface>{Members(Secondary)}</networkInterface></XResponse>");

        Assert.Equal("eni-2", (await test.Cloud.CreateInterfaceAsync(Create, default)).Id.Value);

        var calls = test.Calls("CreateNetworkInterface");
        Assert.Equal(3, calls.Count);
        Assert.Single(calls.Distinct());
    }

    [Theory]
    [InlineData("lost")]
    [InlineData("InternalError")]
    [InlineData("unreadable")]
    public async Task Assign_with_unknown_outcome_is_never_repeated(string how)
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(
            "AssignPrivateIpAddresses",
            how switch
            {
                "lost" => Reply.Lost,
                "unreadable" => Reply.Ok("<XResponse><"),
                _ => CloudUnderTest.Error(how, "oops", 500),
            }
        );

        var failure = await Assert.ThrowsAsync<CloudException>(() =>
            test.Cloud.AssignBlocksAsync(Eni, new BlockRequest(Shapes.Ipv4Address, 2), default)
        );

        Assert.Equal(CloudErrorKind.Transient, failure.Kind);
        Assert.Single(test.Calls("AssignPrivateIpAddresses"));
    }

    [Fact]
    public async Task Assign_on_a_broken_pooled_connection_is_not_retried_by_the_SDK()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(
                "AssignPrivateIpAddresses",
                "<XResponse><assignedPrivateIpAddressesSet><item><privateIpAddress>10.0.0.5</privateIpAddress></item></"
                    + "assignedPrivateIpAddressesSet></XResponse>"
            )
            .On("AssignPrivateIpAddresses", Reply.Lost);
        await test.Cloud.AssignBlocksAsync(Eni, new BlockRequest(Shapes.Ipv4Address, 1), default);

        await Assert.ThrowsAsync<CloudException>(() => test.Cloud.AssignBlocksAsync(Eni, new BlockRequest(Shapes.Ipv4Address, 1), default));

        Assert.Equal(2, test.Calls("AssignPrivateIpAddresses").Count);
    }

    [Theory]
    [InlineData(
        "Ipv4Address",
        "AssignPrivateIpAddresses",
        "<assignedPrivateIpAddressesSet><item><privateIpAddress>10.0.0.5</privateIpAddress></item></assignedPrivateIpAddressesSet>",
        "NetworkInterfaceId=eni-2&SecondaryPrivateIpAddressCount=1",
        "10.0.0.5/32"
    )]
    [InlineData(
        "Ipv4Prefix",
        "AssignPrivateIpAddresses",
        "<assignedIpv4PrefixSet><item><ipv4Prefix>10.0.0.48/28</ipv4Prefix></item></assignedIpv4PrefixSet>",
        "Ipv4PrefixCount=1&NetworkInterfaceId=eni-2",
        "10.0.0.48/28"
    )]
    [InlineData(
        "Ipv6Address",
        "AssignIpv6Addresses",
        "<assignedIpv6Addresses><item>2600::9</item></assignedIpv6Addresses>",
        "Ipv6AddressCount=1&NetworkInterfaceId=eni-2",
        "2600::9/128"
    )]
    [InlineData(
        "Ipv6Prefix",
        "AssignIpv6Addresses",
        "<assignedIpv6PrefixSet><item>2600:1f13:a:b:2::/80</item></assignedIpv6PrefixSet>",
        "Ipv6PrefixCount=1&NetworkInterfaceId=eni-2",
        "2600:1f13:a:b:2::/80"
    )]
    public async Task Assign_returns_exactly_the_added_blocks(
        string kind,
        string action,
        string answer,
        string expectedCall,
        string expectedBlock
    )
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(action, $"<XResponse>{answer}</XResponse>");

        var blocks = await test.Cloud.AssignBlocksAsync(Eni, new BlockRequest(Shapes.Of(kind), 1), default);

        Assert.Equal([expectedBlock], blocks.Select(block => block.ToString()));
        Assert.Equal([expectedCall], test.Calls(action));
    }

    [Fact]
    public async Task Assign_answer_with_another_number_is_rejected()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(
            "AssignPrivateIpAddresses",
            "<XResponse><assignedPrivateIpAddressesSet><item><privateIpAddress>10.0.0.5</privateIpAddress></item></"
                + "assignedPrivateIpAddressesSet></XResponse>"
        );

        var failure = await Assert.ThrowsAsync<CloudException>(() =>
            test.Cloud.AssignBlocksAsync(Eni, new BlockRequest(Shapes.Ipv4Address, 2), default)
        );

        Assert.Equal(Ec2ErrorCodes.UnreadableAnswer, failure.Code);
    }

    [Fact]
    public async Task Unassign_makes_one_call_per_kind()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On("UnassignPrivateIpAddresses", "<XResponse/>").On("UnassignIpv6Addresses", "<XResponse/>");

        await test.Cloud.UnassignBlocksAsync(
            Eni,
            Networks("10.0.0.21/32", "2600::5/128", "10.0.0.32/28", "10.0.0.22/32", "2600:1f13:a:b:1::/80"),
            default
        );
        await test.Cloud.UnassignBlocksAsync(Eni, [], default);

        Assert.Equal(
            [
                "NetworkInterfaceId=eni-2&PrivateIpAddress.1=10.0.0.21&PrivateIpAddress.2=10.0.0.22",
                "Ipv4Prefix.1=10.0.0.32/28&NetworkInterfaceId=eni-2",
            ],
            test.Calls("UnassignPrivateIpAddresses")
        );
        Assert.Equal(
            ["Ipv6Addresses.1=2600::5&NetworkInterfaceId=eni-2", "Ipv6Prefix.1=2600:1f13:a:b:1::/80&NetworkInterfaceId=eni-2"],
            test.Calls("UnassignIpv6Addresses")
        );
    }

    [Fact]
    public async Task Unassign_of_partly_missing_blocks_unassigns_the_rest()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(
                "UnassignPrivateIpAddresses",
                CloudUnderTest.Error("InvalidParameterValue", "Some of the specified addresses are not assigned to interface eni-2")
            )
            .On("UnassignPrivateIpAddresses", "<XResponse/>");
        test.On("DescribeNetworkInterfaces", Page(Secondary));

        await test.Cloud.UnassignBlocksAsync(Eni, Networks("10.0.0.21/32", "10.0.0.99/32"), default);

        Assert.Equal(["NetworkInterfaceId.1=eni-2"], test.Calls("DescribeNetworkInterfaces"));
        Assert.Equal("NetworkInterfaceId=eni-2&PrivateIpAddress.1=10.0.0.21", test.Calls("UnassignPrivateIpAddresses")[1]);
    }

    [Fact]
    public async Task Unassign_of_missing_blocks_depends_on_their_description()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(
            "UnassignPrivateIpAddresses",
            CloudUnderTest.Error("InvalidParameterValue", "Some of the specified addresses are not assigned to interface eni-2")
        );
        test.On("DescribeNetworkInterfaces", Page(Secondary));

        await test.Cloud.UnassignBlocksAsync(Eni, Networks("10.0.0.99/32"), default);
        Assert.Single(test.Calls("UnassignPrivateIpAddresses"));

        var contradiction = await Assert.ThrowsAsync<CloudException>(() =>
            test.Cloud.UnassignBlocksAsync(Eni, Networks("10.0.0.21/32"), default)
        );
        Assert.Equal(CloudErrorKind.Transient, contradiction.Kind);
    }

    [Fact]
    public async Task Attach_returns_the_attachment_and_is_not_repeated()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On("AttachNetworkInterface", "<XResponse><attachmentId>attach-9</attachmentId></XResponse>")
            .On("AttachNetworkInterface", Reply.Lost);

        Assert.Equal("attach-9", await test.Cloud.AttachInterfaceAsync(Eni, new Slot(0, 2), default));
        Assert.Equal(
            ["DeviceIndex=2&InstanceId=i-0123456789abcdef0&NetworkCardIndex=0&NetworkInterfaceId=eni-2"],
            test.Calls("AttachNetworkInterface")
        );

        await Assert.ThrowsAsync<CloudException>(() => test.Cloud.AttachInterfaceAsync(Eni, new Slot(0, 2), default));
        Assert.Equal(2, test.Calls("AttachNetworkInterface").Count);
    }

    [Fact]
    public async Task Termination_flag_detach_delete_and_tags_are_sent()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On("ModifyNetworkInterfaceAttribute", "<XResponse/>")
            .On("DetachNetworkInterface", "<XResponse/>")
            .On("DeleteNetworkInterface", "<XResponse/>")
            .On("CreateTags", "<XResponse/>");

        await test.Cloud.SetDeleteOnTerminationAsync(Eni, "attach-2", default);
        await test.Cloud.DetachInterfaceAsync(Eni, "attach-2", default);
        await test.Cloud.DeleteInterfaceAsync(Eni, default);
        await test.Cloud.TagInterfaceAsync(Eni, createdAt: null, default);

        Assert.Equal(
            ["Attachment.AttachmentId=attach-2&Attachment.DeleteOnTermination=true&NetworkInterfaceId=eni-2"],
            test.Calls("ModifyNetworkInterfaceAttribute")
        );
        Assert.Equal(["AttachmentId=attach-2"], test.Calls("DetachNetworkInterface"));
        Assert.Equal(["NetworkInterfaceId=eni-2"], test.Calls("DeleteNetworkInterface"));
        Assert.Equal(
            ["ResourceId.1=eni-2&Tag.1.Key=node.k8s.amazonaws.com/instance_id&Tag.1.Value=i-0123456789abcdef0"],
            test.Calls("CreateTags")
        );
    }

    [Fact]
    public async Task Tagging_adds_owner_tags_or_the_creation_time_never_both()
    {
        await using var test = await CloudUnderTest.StartAsync(options => options with { ClusterName = "prod" });
        test.On("CreateTags", "<XResponse/>");

        await test.Cloud.TagInterfaceAsync(Eni, createdAt: null, default);
        await test.Cloud.TagInterfaceAsync(Eni, new DateTimeOffset(2026, 1, 2, 5, 4, 5, TimeSpan.FromHours(2)), default);

        Assert.Equal(
            [
                "ResourceId.1=eni-2&Tag.1.Key=node.k8s.amazonaws.com/instance_id&Tag.1.Value=i-0123456789abcdef0&"
                    + "Tag.2.Key=cluster.k8s.amazonaws.com/name&Tag.2.Value=prod&Tag.3.Key=eks:eni:owner&Tag.3.Value=amazon-vpc-cni",
                "ResourceId.1=eni-2&Tag.1.Key=node.k8s.amazonaws.com/createdAt&Tag.1.Value=2026-01-02T03:04:05Z",
            ],
            test.Calls("CreateTags")
        );
    }

    [Theory]
    [InlineData(null, "")]
    [InlineData("prod", "&Filter.4.Name=tag:cluster.k8s.amazonaws.com/name&Filter.4.Value.1=prod")]
    public async Task Leak_candidates_cost_one_description_with_all_filters(string? cluster, string more)
    {
        await using var test = await CloudUnderTest.StartAsync(options => options with { ClusterName = cluster });
        test.On(
            "DescribeNetworkInterfaces",
            Page(
                Leaked(
                    "eni-4",
                    "aws-K8S-i-9",
                    "<tagSet><item><key>node.k8s.amazonaws.com/instance_id</key><value>i-9</value></item></tagSet>"
                )
                    + Leaked("eni-5", "somebody else's", "")
                    + Leaked("eni-6", "not aws-K8S-i-9", "")
                    + Leaked("eni-7", null, "")
            )
        );

        var left = Assert.Single(await test.Cloud.DescribeLeakCandidatesAsync(default));

        Assert.Equal(
            [
                "Filter.1.Name=tag-key&Filter.1.Value.1=node.k8s.amazonaws.com/instance_id&Filter.2.Name=status&"
                    + "Filter.2.Value.1=available&Filter.3.Name=vpc-id&Filter.3.Value.1=vpc-1"
                    + more
                    + "&MaxResults=1000",
            ],
            test.Calls("DescribeNetworkInterfaces")
        );
        Assert.Equal(
            ("eni-4", "aws-K8S-i-9", "i-9", IPNetwork.Parse("10.0.0.30/32")),
            (left.Id.Value, left.Description, left.Tags[EniTags.InstanceId], left.SubnetRange)
        );
        Assert.Equal((Ec2InterfaceState.Available, null), (left.State, left.AttachmentId));
        Assert.Empty(test.Calls("DescribeSubnets"));

        static string Leaked(string id, string? description, string tags) =>
            $"<item><networkInterfaceId>{id}</networkInterfaceId><subnetId>subnet-9</subnetId><status>available</status>"
            + "<macAddress>02:00:00:00:00:03</macAddress><privateIpAddress>10.0.0.30</privateIpAddress>"
            + (description is null ? "" : $"<description>{description}</description>")
            + tags
            + "</item>";
    }

    [Fact]
    public async Task Subnets_of_the_zone_have_tags_and_free_addresses()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.Instead(
            "DescribeSubnets",
            """
            <XResponse><subnetSet><item><subnetId>subnet-2</subnetId><cidrBlock>10.0.2.0/24</cidrBlock><availableIpAddressCount>17</availableIpAddressCount><tagSet><item><key>kubernetes.io/role/cni</key><value>1</value></item></tagSet></item>
            <item><subnetId>subnet-6</subnetId><ipv6Native>true</ipv6Native></item><item><subnetId>subnet-3</subnetId><cidrBlock>10.0.3.0/24</cidrBlock></item></subnetSet></XResponse>
            """
        );

        var subnets = await test.Cloud.DescribeSubnetsAsync(default);

        Assert.Equal(
            ["Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&Filter.2.Name=availability-zone&Filter.2.Value.1=eu-west-1a"],
            test.Calls("DescribeSubnets")
        );
        Assert.Equal(
            [("subnet-2", "10.0.2.0/24", 17, "1"), ("subnet-3", "10.0.3.0/24", 0, null)],
            subnets.Select(subnet =>
                (subnet.Id, subnet.Range.ToString(), subnet.FreeAddresses, subnet.Tags.GetValueOrDefault("kubernetes.io/role/cni"))
            )
        );
    }

    [Fact]
    public async Task Subnet_is_found_anywhere_and_a_missing_one_is_null()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.Instead(
                "DescribeSubnets",
                "<XResponse><subnetSet><item><subnetId>subnet-9</subnetId><vpcId>vpc-9</vpcId><availabilityZone>eu-west-1c</"
                    + "availabilityZone><cidrBlock>10.9.0.0/24</cidrBlock><availableIpAddressCount>7</availableIpAddressCount></item></"
                    + "subnetSet></XResponse>"
            )
            .On("DescribeSubnets", "<XResponse><subnetSet/></XResponse>")
            .On(
                "DescribeSubnets",
                "<XResponse><subnetSet><item><subnetId>subnet-6</subnetId><ipv6Native>true</ipv6Native></item></subnetSet></XResponse>"
            );

        var found = (await test.Cloud.FindSubnetAsync("subnet-9", default))!;

        Assert.Equal(
            ("subnet-9", "vpc-9", "eu-west-1c", "10.9.0.0/24", 7),
            (found.Id, found.NetworkId, found.Zone, found.Range.ToString(), found.FreeAddresses)
        );
        Assert.Null(await test.Cloud.FindSubnetAsync("subnet-0", default));
        var refused = await Assert.ThrowsAsync<CloudException>(() => test.Cloud.FindSubnetAsync("subnet-6", default));
        Assert.Equal((CloudErrorKind.Invalid, "DescribeSubnets: NoIpv4Range: subnet-6 has no IPv4 range"), (refused.Kind, refused.Message));
        Assert.Equal(
            [
                "Filter.1.Name=subnet-id&Filter.1.Value.1=subnet-9",
                "Filter.1.Name=subnet-id&Filter.1.Value.1=subnet-0",
                "Filter.1.Name=subnet-id&Filter.1.Value.1=subnet-6",
            ],
            test.Calls("DescribeSubnets")
        );
    }

    [Fact]
    public async Task Security_groups_are_hinted_by_metadata_and_set_by_a_safe_call()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.Imds.SetPrimary("security-group-ids", "sg-1\nsg-2");
        test.On("ModifyNetworkInterfaceAttribute", CloudUnderTest.Error("Unavailable", "lost", 503))
            .On("ModifyNetworkInterfaceAttribute", "<XResponse/>");

        Assert.Equal(["sg-1", "sg-2"], await test.Cloud.HintSecurityGroupsAsync(default));
        await test.Cloud.SetSecurityGroupsAsync(Eni, ["sg-2", "sg-3"], default);

        Assert.Equal(
            Enumerable.Repeat("NetworkInterfaceId=eni-2&SecurityGroupId.1=sg-2&SecurityGroupId.2=sg-3", 2),
            test.Calls("ModifyNetworkInterfaceAttribute")
        );
    }

    [Theory]
    [InlineData("")]
    [InlineData("default")]
    public async Task Metadata_without_security_groups_is_an_error(string text)
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.Imds.SetPrimary("security-group-ids", text);

        Assert.Equal(
            "MetadataMalformed",
            (await Assert.ThrowsAsync<CloudException>(() => test.Cloud.HintSecurityGroupsAsync(default))).Code
        );
    }

    [Fact]
    public async Task Delete_of_a_missing_interface_succeeds_and_of_one_in_use_fails()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On("DeleteNetworkInterface", CloudUnderTest.Error("InvalidNetworkInterfaceID.NotFound", "gone"))
            .On("DeleteNetworkInterface", CloudUnderTest.Error("InvalidNetworkInterface.InUse", "in use"));

        await test.Cloud.DeleteInterfaceAsync(Eni, default);

        Assert.Equal(
            CloudErrorKind.Conflict,
            (await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DeleteInterfaceAsync(Eni, default))).Kind
        );
    }

    [Theory]
    [InlineData("<bareMetal>false</bareMetal><hypervisor>nitro</hypervisor>", "<ipv6Supported>true</ipv6Supported>", 10, true)]
    [InlineData("<bareMetal>false</bareMetal><hypervisor>xen</hypervisor>", "<ipv6Supported>false</ipv6Supported>", 0, false)]
    [InlineData("<bareMetal>true</bareMetal>", "<ipv6Supported>true</ipv6Supported>", 10, true)]
    public async Task Limits_of_a_type_outside_the_table_are_described(string platform, string ipv6, int ipv6Addresses, bool prefixes)
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(
            "DescribeInstanceTypes",
            "<XResponse><instanceTypeSet><item><instanceType>m99.large</instanceType>"
                + $"{platform}<networkInfo><maximumNetworkInterfaces>3</maximumNetworkInterfaces>"
                + "<ipv4AddressesPerInterface>10</ipv4AddressesPerInterface><ipv6AddressesPerInterface>10</ipv6AddressesPerInterface>"
                + $"{ipv6}</networkInfo></item></instanceTypeSet></XResponse>"
        );

        Assert.Equal(Ec2Limits.Of(3, 10, ipv6Addresses, prefixes), await test.Cloud.DescribeLimitsAsync("m99.large", default));
        Assert.Equal(["InstanceType.1=m99.large"], test.Calls("DescribeInstanceTypes"));
    }

    [Fact]
    public async Task Limits_exclude_interfaces_of_other_network_cards()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(
            "DescribeInstanceTypes",
            "<XResponse><instanceTypeSet><item><instanceType>p99.48xlarge</instanceType><hypervisor>nitro</hypervisor><networkInfo>"
                + "<maximumNetworkInterfaces>30</maximumNetworkInterfaces><networkCards><item><networkCardIndex>1</networkCardIndex>"
                + "<maximumNetworkInterfaces>28</maximumNetworkInterfaces></item><item><networkCardIndex>0</networkCardIndex>"
                + "<maximumNetworkInterfaces>2</maximumNetworkInterfaces></item></networkCards><ipv4AddressesPerInterface>50</"
                + "ipv4AddressesPerInterface></networkInfo></item></instanceTypeSet></XResponse>"
        );

        Assert.Equal(2, (await test.Cloud.DescribeLimitsAsync("p99.48xlarge", default)).MaxInterfaces);
        Assert.Equal(15, (await test.Cloud.DescribeLimitsAsync("p4d.24xlarge", default)).MaxInterfaces);
    }

    [Fact]
    public async Task Limits_of_a_type_in_the_table_cost_no_call()
    {
        await using var test = await CloudUnderTest.StartAsync();

        Assert.Equal(Ec2Limits.Of(3, 10, 10, hasPrefixes: true), await test.Cloud.DescribeLimitsAsync("m5.large", default));
        Assert.Equal(Ec2Limits.Of(3, 10, 10, hasPrefixes: true), test.Cloud.KnownLimits("m5.large"));
        Assert.Null(test.Cloud.KnownLimits("m99.large"));
        Assert.Empty(test.Ec2.Requests);
        Assert.Empty(test.Imds.Requests);
    }

    [Fact]
    public async Task Missing_limits_are_an_error()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(
                "DescribeInstanceTypes",
                "<XResponse><instanceTypeSet><item><instanceType>m99.large</instanceType></item></instanceTypeSet></XResponse>"
            )
            .On("DescribeInstanceTypes", "<XResponse/>");

        await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeLimitsAsync("m99.large", default));
        await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeLimitsAsync("m99.large", default));
    }

    [Fact]
    public async Task Identity_and_ranges_come_from_the_metadata()
    {
        await using var test = await CloudUnderTest.StartAsync();

        Assert.Equal("i-0123456789abcdef0", (await test.Cloud.IdentifyNodeAsync(default)).NodeId);
        await test.Cloud.IdentifyNodeAsync(default);
        Assert.Equal(Networks("10.0.0.0/16", "100.64.0.0/16"), await test.Cloud.DescribeNetworkRangesAsync(default));

        Assert.Equal(1, test.Imds.Count("meta-data/instance-id"));
        Assert.Empty(test.Ec2.Requests);
    }

    [Fact]
    public async Task Metadata_failure_at_start_is_reported_and_retried_by_the_next_call()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.Imds.Override = _ => Task.FromResult<Reply?>(new Reply(403, ""));
        Assert.Equal("MetadataForbidden", (await Assert.ThrowsAsync<CloudException>(() => test.Cloud.IdentifyNodeAsync(default))).Code);
        Assert.Equal(("Forbidden", 403), (test.MetadataAttempts.Last().Code, test.MetadataAttempts.Last().Status));

        test.Imds.Override = _ => Task.FromResult<Reply?>(null);
        Assert.Equal("m5.large", (await test.Cloud.IdentifyNodeAsync(default)).NodeType);
        Assert.Equal(("", 200), (test.MetadataAttempts.Last().Code, test.MetadataAttempts.Last().Status));
    }

    [Fact]
    public async Task Failure_has_operation_code_and_request_id_and_is_observed()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On("AssignPrivateIpAddresses", CloudUnderTest.Error("RequestLimitExceeded", "Request limit exceeded.", 503));

        var failure = await Assert.ThrowsAsync<CloudException>(() =>
            test.Cloud.AssignBlocksAsync(Eni, new BlockRequest(Shapes.Ipv4Address, 1), default)
        );

        Assert.Equal(
            (CloudErrorKind.Throttled, "AssignPrivateIpAddresses", "RequestLimitExceeded", "req-1"),
            (failure.Kind, failure.Operation, failure.Code, failure.RequestId)
        );
        var attempt = Assert.Single(test.Attempts);
        Assert.Equal(("AssignPrivateIpAddresses", "RequestLimitExceeded", 503), (attempt.Operation, attempt.Code, attempt.Status));
    }

    [Fact]
    public async Task Closed_port_is_no_connection_and_retried_even_for_assign()
    {
        var closed = await ScriptedHttpServer.StartAsync(_ => Reply.Lost);
        var url = closed.Url;
        await closed.DisposeAsync();
        await using var test = await CloudUnderTest.StartAsync(options => options with { Endpoint = url });

        var failure = await Assert.ThrowsAsync<CloudException>(() =>
            test.Cloud.AssignBlocksAsync(Eni, new BlockRequest(Shapes.Ipv4Address, 1), default)
        );

        Assert.Equal((CloudErrorKind.Transient, Ec2ErrorCodes.NoConnection), (failure.Kind, failure.Code));
        Assert.Equal(3, test.Attempts.Count);
    }

    private static List<IPNetwork> Networks(params string[] networks) => [.. networks.Select(network => IPNetwork.Parse(network))];

    private static string Page(string items, string? next = null) =>
        $"<XResponse><networkInterfaceSet>{items}</networkInterfaceSet>"
        + $"{(next is null ? "" : $"<nextToken>{next}</nextToken>")}</XResponse>";

    private static string Members(string item) => item.Trim()["<item>".Length..^"</item>".Length];
}
