// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2;
using Amazon.EC2.Model;
using Amazon.Runtime;
using VpcCni.Tests.Http;
using Xunit;

namespace VpcCni.Standins.Tests.AmazonEC2;

/// <summary>Requests on the wire, through the public client only, so that the official package can be put to the same test.</summary>
public sealed class MarshallingTests
{
    private const string Version = "Version=2016-11-15";

    public static TheoryData<Case> Cases =>
    [
        Sample("DescribeNetworkInterfaces with nothing", ec2 => ec2.DescribeNetworkInterfacesAsync(new DescribeNetworkInterfacesRequest()), "Action=DescribeNetworkInterfaces&" + Version),
        Sample("DescribeNetworkInterfaces with filters and paging",
            ec2 => ec2.DescribeNetworkInterfacesAsync(new DescribeNetworkInterfacesRequest
            {
                Filters = [new Filter("attachment.instance-id", ["i-1"]), new Filter("tag:a/b", ["x y", "z&="])], MaxResults = 1000, NextToken = "t+/=",
            }),
            "Action=DescribeNetworkInterfaces&Filter.1.Name=attachment.instance-id&Filter.1.Value.1=i-1&Filter.2.Name=tag:a/b&Filter.2.Value.1=x y&Filter.2.Value.2=z&=&MaxResults=1000&NextToken=t+/=&" + Version),
        Sample("DescribeNetworkInterfaces by id",
            ec2 => ec2.DescribeNetworkInterfacesAsync(new DescribeNetworkInterfacesRequest { NetworkInterfaceIds = ["eni-1", "eni-2"], DryRun = false }),
            "Action=DescribeNetworkInterfaces&DryRun=false&NetworkInterfaceId.1=eni-1&NetworkInterfaceId.2=eni-2&" + Version),
        Sample("CreateNetworkInterface with addresses",
            ec2 => ec2.CreateNetworkInterfaceAsync(new CreateNetworkInterfaceRequest
            {
                ClientToken = "token-1", SubnetId = "subnet-1", Groups = ["sg-1", "sg-2"], Description = "aws-K8S-i-1", SecondaryPrivateIpAddressCount = 3,
                TagSpecifications = [new TagSpecification { ResourceType = ResourceType.NetworkInterface, Tags = [new Tag("k", "v"), new Tag("empty", "")] }],
            }),
            "Action=CreateNetworkInterface&ClientToken=token-1&Description=aws-K8S-i-1&SecondaryPrivateIpAddressCount=3&SecurityGroupId.1=sg-1&SecurityGroupId.2=sg-2&SubnetId=subnet-1&TagSpecification.1.ResourceType=network-interface&TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=v&TagSpecification.1.Tag.2.Key=empty&TagSpecification.1.Tag.2.Value=&" + Version),
        Sample("CreateNetworkInterface with everything else",
            ec2 => ec2.CreateNetworkInterfaceAsync(new CreateNetworkInterfaceRequest
            {
                ClientToken = "t", DryRun = true, EnablePrimaryIpv6 = true, InterfaceType = NetworkInterfaceCreationType.Trunk, Ipv4PrefixCount = 1, Ipv6AddressCount = 2, Ipv6PrefixCount = 3,
                Ipv4Prefixes = [new Ipv4PrefixSpecificationRequest { Ipv4Prefix = "10.0.0.16/28" }], Ipv6Prefixes = [new Ipv6PrefixSpecificationRequest { Ipv6Prefix = "fd00::/80" }],
                Ipv6Addresses = [new InstanceIpv6Address { Ipv6Address = "fd00::5", IsPrimaryIpv6 = true }], PrivateIpAddress = "10.0.0.4",
                PrivateIpAddresses = [new PrivateIpAddressSpecification { PrivateIpAddress = "10.0.0.5", Primary = false }],
                ConnectionTrackingSpecification = new ConnectionTrackingSpecificationRequest { TcpEstablishedTimeout = 60, UdpStreamTimeout = 61, UdpTimeout = 30 },
            }),
            "Action=CreateNetworkInterface&ClientToken=t&ConnectionTrackingSpecification.TcpEstablishedTimeout=60&ConnectionTrackingSpecification.UdpStreamTimeout=61&ConnectionTrackingSpecification.UdpTimeout=30&DryRun=true&EnablePrimaryIpv6=true&InterfaceType=trunk&Ipv4Prefix.1.Ipv4Prefix=10.0.0.16/28&Ipv4PrefixCount=1&Ipv6AddressCount=2&Ipv6Addresses.1.Ipv6Address=fd00::5&Ipv6Addresses.1.IsPrimaryIpv6=true&Ipv6Prefix.1.Ipv6Prefix=fd00::/80&Ipv6PrefixCount=3&PrivateIpAddress=10.0.0.4&PrivateIpAddresses.1.Primary=false&PrivateIpAddresses.1.PrivateIpAddress=10.0.0.5&" + Version),
        Sample("AttachNetworkInterface",
            ec2 => ec2.AttachNetworkInterfaceAsync(new AttachNetworkInterfaceRequest { NetworkInterfaceId = "eni-1", InstanceId = "i-1", DeviceIndex = 2, NetworkCardIndex = 1 }),
            "Action=AttachNetworkInterface&DeviceIndex=2&InstanceId=i-1&NetworkCardIndex=1&NetworkInterfaceId=eni-1&" + Version),
        Sample("DetachNetworkInterface",
            ec2 => ec2.DetachNetworkInterfaceAsync(new DetachNetworkInterfaceRequest { AttachmentId = "eni-attach-1", Force = true }),
            "Action=DetachNetworkInterface&AttachmentId=eni-attach-1&Force=true&" + Version),
        Sample("DeleteNetworkInterface", ec2 => ec2.DeleteNetworkInterfaceAsync(new DeleteNetworkInterfaceRequest { NetworkInterfaceId = "eni-1" }), "Action=DeleteNetworkInterface&NetworkInterfaceId=eni-1&" + Version),
        Sample("ModifyNetworkInterfaceAttribute attachment",
            ec2 => ec2.ModifyNetworkInterfaceAttributeAsync(new ModifyNetworkInterfaceAttributeRequest
            {
                NetworkInterfaceId = "eni-1", Attachment = new NetworkInterfaceAttachmentChanges { AttachmentId = "a-1", DeleteOnTermination = true },
            }),
            "Action=ModifyNetworkInterfaceAttribute&Attachment.AttachmentId=a-1&Attachment.DeleteOnTermination=true&NetworkInterfaceId=eni-1&" + Version),
        Sample("ModifyNetworkInterfaceAttribute groups", ec2 => ec2.ModifyNetworkInterfaceAttributeAsync(new ModifyNetworkInterfaceAttributeRequest { NetworkInterfaceId = "eni-1", Groups = ["sg-1"] }),
            "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId=eni-1&SecurityGroupId.1=sg-1&" + Version),
        Sample("ModifyNetworkInterfaceAttribute scalars are wrapped",
            ec2 => ec2.ModifyNetworkInterfaceAttributeAsync(new ModifyNetworkInterfaceAttributeRequest { NetworkInterfaceId = "eni-1", SourceDestCheck = false, Description = "d" }),
            "Action=ModifyNetworkInterfaceAttribute&Description.Value=d&NetworkInterfaceId=eni-1&SourceDestCheck.Value=false&" + Version),
        Sample("AssignPrivateIpAddresses by count", ec2 => ec2.AssignPrivateIpAddressesAsync(new AssignPrivateIpAddressesRequest { NetworkInterfaceId = "eni-1", SecondaryPrivateIpAddressCount = 10 }),
            "Action=AssignPrivateIpAddresses&NetworkInterfaceId=eni-1&SecondaryPrivateIpAddressCount=10&" + Version),
        Sample("AssignPrivateIpAddresses prefixes", ec2 => ec2.AssignPrivateIpAddressesAsync(new AssignPrivateIpAddressesRequest { NetworkInterfaceId = "eni-1", Ipv4PrefixCount = 2, Ipv4Prefixes = ["10.0.0.16/28"] }),
            "Action=AssignPrivateIpAddresses&Ipv4Prefix.1=10.0.0.16/28&Ipv4PrefixCount=2&NetworkInterfaceId=eni-1&" + Version),
        Sample("AssignPrivateIpAddresses by name",
            ec2 => ec2.AssignPrivateIpAddressesAsync(new AssignPrivateIpAddressesRequest { NetworkInterfaceId = "eni-1", PrivateIpAddresses = ["10.0.0.5", "10.0.0.6"], AllowReassignment = true }),
            "Action=AssignPrivateIpAddresses&AllowReassignment=true&NetworkInterfaceId=eni-1&PrivateIpAddress.1=10.0.0.5&PrivateIpAddress.2=10.0.0.6&" + Version),
        Sample("UnassignPrivateIpAddresses",
            ec2 => ec2.UnassignPrivateIpAddressesAsync(new UnassignPrivateIpAddressesRequest { NetworkInterfaceId = "eni-1", PrivateIpAddresses = ["10.0.0.5"], Ipv4Prefixes = ["10.0.0.16/28"] }),
            "Action=UnassignPrivateIpAddresses&Ipv4Prefix.1=10.0.0.16/28&NetworkInterfaceId=eni-1&PrivateIpAddress.1=10.0.0.5&" + Version),
        Sample("AssignIpv6Addresses",
            ec2 => ec2.AssignIpv6AddressesAsync(new AssignIpv6AddressesRequest { NetworkInterfaceId = "eni-1", Ipv6AddressCount = 1, Ipv6Addresses = ["fd00::1"], Ipv6PrefixCount = 2, Ipv6Prefixes = ["fd00::/80"] }),
            "Action=AssignIpv6Addresses&Ipv6AddressCount=1&Ipv6Addresses.1=fd00::1&Ipv6Prefix.1=fd00::/80&Ipv6PrefixCount=2&NetworkInterfaceId=eni-1&" + Version),
        Sample("UnassignIpv6Addresses", ec2 => ec2.UnassignIpv6AddressesAsync(new UnassignIpv6AddressesRequest { NetworkInterfaceId = "eni-1", Ipv6Addresses = ["fd00::1"], Ipv6Prefixes = ["fd00::/80"] }),
            "Action=UnassignIpv6Addresses&Ipv6Addresses.1=fd00::1&Ipv6Prefix.1=fd00::/80&NetworkInterfaceId=eni-1&" + Version),
        Sample("DescribeInstances", ec2 => ec2.DescribeInstancesAsync(new DescribeInstancesRequest { InstanceIds = ["i-1"], Filters = [new Filter("vpc-id", ["vpc-1"])], MaxResults = 5, NextToken = "n" }),
            "Action=DescribeInstances&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&InstanceId.1=i-1&MaxResults=5&NextToken=n&" + Version),
        Sample("DescribeInstanceTypes", ec2 => ec2.DescribeInstanceTypesAsync(new DescribeInstanceTypesRequest { InstanceTypes = ["m5.large", "c5.metal"], MaxResults = 100 }),
            "Action=DescribeInstanceTypes&InstanceType.1=m5.large&InstanceType.2=c5.metal&MaxResults=100&" + Version),
        Sample("DescribeSubnets", ec2 => ec2.DescribeSubnetsAsync(new DescribeSubnetsRequest { SubnetIds = ["subnet-1"], Filters = [new Filter("availability-zone", ["eu-west-1a"])] }),
            "Action=DescribeSubnets&Filter.1.Name=availability-zone&Filter.1.Value.1=eu-west-1a&SubnetId.1=subnet-1&" + Version),
        Sample("CreateTags", ec2 => ec2.CreateTagsAsync(new CreateTagsRequest { Resources = ["eni-1", "eni-2"], Tags = [new Tag("a", "b")] }),
            "Action=CreateTags&ResourceId.1=eni-1&ResourceId.2=eni-2&Tag.1.Key=a&Tag.1.Value=b&" + Version),
    ];

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Request_is_written_as_ec2_query(Case sample)
    {
        await using var server = await ScriptedHttpServer.StartAsync(_ => Reply.Ok("<Response><requestId>r-1</requestId></Response>"));
        using var ec2 = Ec2TestClient.For(server);

        var response = await sample.Call(ec2);

        var request = Assert.Single(server.Requests);
        Assert.Equal("POST", request.Method);
        Assert.Equal("/", request.Path);
        Assert.StartsWith("application/x-www-form-urlencoded", request.Headers["Content-Type"], StringComparison.Ordinal);
        Assert.Equal(sample.Expected, string.Join('&', request.Form.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}")));
        Assert.Equal("r-1", response.ResponseMetadata.RequestId);
    }

    [Fact]
    public async Task Create_without_token_makes_one_up_for_each_call()
    {
        await using var server = await ScriptedHttpServer.StartAsync(_ => Reply.Ok("<CreateNetworkInterfaceResponse/>"));
        using var ec2 = Ec2TestClient.For(server);

        await ec2.CreateNetworkInterfaceAsync(new CreateNetworkInterfaceRequest { SubnetId = "subnet-1" });
        await ec2.CreateNetworkInterfaceAsync(new CreateNetworkInterfaceRequest { SubnetId = "subnet-1" });

        var tokens = server.Requests.Select(request => request.Form["ClientToken"]).ToList();
        Assert.All(tokens, token => Assert.True(Guid.TryParse(token, out _), token));
        Assert.NotEqual(tokens[0], tokens[1]);
    }

    [Fact]
    public async Task Request_is_signed_for_ec2_in_the_given_region_with_the_session_token()
    {
        await using var server = await ScriptedHttpServer.StartAsync(_ => Reply.Ok("<Response/>"));
        using var ec2 = Ec2TestClient.For(server, new SessionAWSCredentials("AKIDEXAMPLE", "secret", "session"));

        await ec2.DescribeSubnetsAsync(new DescribeSubnetsRequest());

        var request = Assert.Single(server.Requests);
        Assert.Matches("^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/[0-9]{8}/eu-west-1/ec2/aws4_request, SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}$", request.Headers["Authorization"]);
        Assert.Equal("session", request.Headers["X-Amz-Security-Token"]);
        Assert.Contains("ec2", request.Headers["User-Agent"], StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Cancelled_call_ends_at_once()
    {
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = await ScriptedHttpServer.StartAsync(async request =>
        {
            arrived.SetResult();
            await Task.Delay(Timeout.Infinite, request.Aborted).ContinueWith(_ => { }, TaskScheduler.Default);
            return Reply.Lost;
        });
        using var ec2 = Ec2TestClient.For(server);
        using var cancellation = new CancellationTokenSource();

        var call = ec2.DescribeSubnetsAsync(new DescribeSubnetsRequest(), cancellation.Token);
        await arrived.Task.WaitAsync(TimeSpan.FromSeconds(20));
        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    private static Case Sample<TResponse>(string name, Func<IAmazonEC2, Task<TResponse>> call, string expected)
        where TResponse : AmazonWebServiceResponse => new(name, async ec2 => await call(ec2), expected);

    /// <summary>A call and the form that it must send, decoded and sorted by name.</summary>
    public sealed record Case(string Name, Func<IAmazonEC2, Task<AmazonWebServiceResponse>> Call, string Expected)
    {
        public override string ToString() => Name;
    }
}
