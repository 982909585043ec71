// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds.Aws;

/// <summary>
/// The primary interface and its subnet's range come from the instance metadata, whatever index EC2 shows and whatever the role may
/// describe.
/// </summary>
public sealed class PrimaryInterfaceTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task MAC_of_the_metadata_identifies_the_primary_interface()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(
                "DescribeNetworkInterfaces",
                Page(Item(7, FakeImds.Mac, index: 1), Item(8, "02:00:00:00:00:08", index: 0), Item(9, "02:00:00:00:00:09", index: 2))
            )
            .On("AttachNetworkInterface", "<XResponse><attachmentId>eni-attach-1</attachmentId></XResponse>");
        var interfaces = await test.Cloud.DescribeAttachedInterfacesAsync(Token);
        Assert.Equal([("eni-7", 0), ("eni-8", 1), ("eni-9", 2)], interfaces.Select(item => (item.Id.Value, item.Slot!.Value.DeviceIndex)));

        // And in the other direction: the daemon's 1 is EC2's 0.
        await test.Cloud.AttachInterfaceAsync(new NetworkInterfaceId("eni-10"), new Slot(0, 1), Token);
        await test.Cloud.AttachInterfaceAsync(new NetworkInterfaceId("eni-11"), new Slot(0, 3), Token);
        Assert.Equal(
            ["0", "3"],
            test.Ec2.Requests.Where(request => request.Form["Action"] == "AttachNetworkInterface")
                .Select(request => request.Form["DeviceIndex"])
        );
    }

    [Fact]
    public async Task Missing_primary_interface_is_not_replaced_by_another()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On("DescribeNetworkInterfaces", Page(Item(8, "02:00:00:00:00:08", index: 0)));
        var failure = await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeAttachedInterfacesAsync(Token));
        Assert.Equal(("NoPrimaryInterface", CloudErrorKind.Transient), (failure.Code, failure.Kind));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Range_of_the_subnet_comes_from_the_metadata_without_EC2(bool isRefused)
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.Instead("DescribeSubnets", "<XResponse><subnetSet/></XResponse>");
        if (isRefused)
            test.On(
                "DescribeSubnets",
                CloudUnderTest.Error("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
            );
        test.On("DescribeNetworkInterfaces", Page(Item(7, FakeImds.Mac, index: 0)));
        test.Imds.SetPrimary("subnet-ipv4-cidr-block", "10.0.0.0/20");
        Assert.Equal("10.0.0.0/20", Assert.Single(await test.Cloud.DescribeAttachedInterfacesAsync(Token)).SubnetRange.ToString());
        Assert.Empty(test.Calls("DescribeSubnets"));
    }

    [Fact]
    public async Task Forbidden_call_names_the_missing_permission()
    {
        await using var test = await CloudUnderTest.StartAsync();
        test.On(
            "DescribeNetworkInterfaces",
            CloudUnderTest.Error("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
        );
        var failure = await Assert.ThrowsAsync<CloudException>(() => test.Cloud.DescribeAttachedInterfacesAsync(Token));
        Assert.EndsWith(
            "; allow ec2:DescribeNetworkInterfaces in the policy of the daemon's role",
            failure.Message,
            StringComparison.Ordinal
        );
    }

    private static string Page(params string[] items) =>
        $"<XResponse><networkInterfaceSet>{string.Concat(items)}</networkInterfaceSet></XResponse>";

    private static string Item(int number, string mac, int index) =>
        $"<item><networkInterfaceId>eni-{number}</networkInterfaceId><subnetId>subnet-1</subnetId><status>in-use</status><macAddress>"
        + $"{mac}</macAddress><privateIpAddress>10.0.0.{number}</privateIpAddress>"
        + $"<attachment><attachmentId>eni-attach-{number}</attachmentId><deviceIndex>"
        + $"{index}</deviceIndex><status>attached</status></attachment></item>";
}
