// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Xunit;

namespace VpcCni.Lab.Tests.Ec2Api;

public sealed class RouteApiTests
{
    [Fact]
    public async Task Route_created_replaced_described_and_deleted_over_http()
    {
        await using var host = await LabHost.StartAsync();
        var (one, two) = (host.Test.Launch(), host.Test.Launch());
        var described = await host.CallAsync("DescribeRouteTables", $"Filter.1.Name=vpc-id&Filter.1.Value.1={host.Test.Vpc.Id}");
        var table = described.Text("routeTableId");
        Assert.Equal(["10.0.0.0/16"], described.Texts("destinationCidrBlock"));
        Assert.Equal(("local", "true", "active"), (described.Text("gatewayId"), described.Text("main"), described.Texts("state")[0]));

        // EC2 clears host bits.
        var created = await host.CallAsync("CreateRoute", $"RouteTableId={table}&DestinationCidrBlock=172.20.1.5%2F24&InstanceId={one.Id}");
        Assert.Equal((HttpStatusCode.OK, "true"), (created.Status, created.Text("return")));
        described = await host.CallAsync("DescribeRouteTables", $"RouteTableId.1={table}");
        Assert.Equal(["10.0.0.0/16", "172.20.1.0/24"], described.Texts("destinationCidrBlock"));
        Assert.Equal((one.Id.Value, one.PrimaryInterface.Value), (described.Text("instanceId"), described.Text("networkInterfaceId")));
        Assert.Equal(["CreateRouteTable", "CreateRouteTable", "CreateRoute"], described.Texts("origin"));

        var again = await host.CallAsync(
            "CreateRoute",
            $"RouteTableId={table}&DestinationCidrBlock=172.20.1.0%2F24&NetworkInterfaceId={two.PrimaryInterface}"
        );
        Assert.Equal((HttpStatusCode.BadRequest, "RouteAlreadyExists"), (again.Status, again.Code));
        await host.CallAsync(
            "ReplaceRoute",
            $"RouteTableId={table}&DestinationCidrBlock=172.20.1.0%2F24&NetworkInterfaceId={two.PrimaryInterface}"
        );
        described = await host.CallAsync(
            "DescribeRouteTables",
            "Filter.1.Name=route.destination-cidr-block&Filter.1.Value.1=172.20.1.0%2F24"
        );
        Assert.Equal(two.Id.Value, described.Text("instanceId"));

        Assert.Equal(
            "true",
            (await host.CallAsync("DeleteRoute", $"RouteTableId={table}&DestinationCidrBlock=172.20.1.0%2F24")).Text("return")
        );
        Assert.Equal(
            "InvalidRoute.NotFound",
            (await host.CallAsync("DeleteRoute", $"RouteTableId={table}&DestinationCidrBlock=172.20.1.0%2F24")).Code
        );
    }

    [Theory]
    [InlineData("DestinationCidrBlock=172.20.1.0", "InvalidParameterValue")]
    [InlineData("DestinationCidrBlock=172.20.1.0%2F33", "InvalidParameterValue")]
    [InlineData("DestinationCidrBlock=fd00::%2F64", "InvalidParameterValue")]
    [InlineData("DestinationIpv6CidrBlock=172.20.1.0%2F24", "InvalidParameterValue")]
    [InlineData("DestinationCidrBlock=172.20.1.0%2F24&DestinationIpv6CidrBlock=fd00::%2F64", "InvalidParameterCombination")]
    [InlineData("", "InvalidParameterCombination")]
    [InlineData("DestinationCidrBlock=172.20.1.0%2F24&GatewayId=igw-1", "UnknownParameter")]
    public async Task Bad_destinations_and_unsupported_targets_are_rejected(string parameters, string code)
    {
        await using var host = await LabHost.StartAsync();
        var instance = host.Test.Launch();
        var table = host.Test.World.RouteTables.Single().Id;
        var suffix = parameters.Contains("GatewayId", StringComparison.Ordinal) ? "" : $"&InstanceId={instance.Id}";
        Assert.Equal(
            code,
            (
                await host.CallAsync(
                    "CreateRoute",
                    $"RouteTableId={table}&{parameters}{suffix}".Replace("&&", "&", StringComparison.Ordinal)
                )
            ).Code
        );
    }

    [Fact]
    public async Task Source_destination_check_is_disabled_over_http()
    {
        await using var host = await LabHost.StartAsync();
        var instance = host.Test.Launch();
        await host.CallAsync(
            "ModifyNetworkInterfaceAttribute",
            $"NetworkInterfaceId={instance.PrimaryInterface}&SourceDestCheck.Value=false"
        );
        Assert.False(host.Test.Current(instance.PrimaryInterface).SourceDestCheck);
    }
}
