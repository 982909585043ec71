// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using VpcCni.Lab.VpcModel;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Interop.Tests.Lab;

/// <summary>Tests the lab with the AWS command line.</summary>
public sealed class AwsCliTests
{
    [Fact]
    public async Task Aws_describes_the_labs_resources()
    {
        var aws = Requirement.NeedProgram("aws");
        await using var lab = await LabOnLoopback.StartAsync();
        lab.World.CreateTags(
            [lab.Instance.PrimaryInterface.Value],
            new Dictionary<string, string> { ["Name"] = "a \"quoted\" <name> & more" }
        );
        using var interfaces = await JsonAsync(
            lab,
            aws,
            "describe-network-interfaces",
            "--filters",
            $"Name=attachment.instance-id,Values={lab.Instance.Id}"
        );
        var eni = Assert.Single(interfaces.RootElement.GetProperty("NetworkInterfaces").EnumerateArray());
        var expected = lab.World.FindInterface(lab.Instance.PrimaryInterface)!;
        Assert.Equal(expected.Id.Value, eni.GetProperty("NetworkInterfaceId").GetString());
        Assert.Equal(expected.Mac, eni.GetProperty("MacAddress").GetString());
        Assert.Equal("attached", eni.GetProperty("Attachment").GetProperty("Status").GetString());
        Assert.Equal("a \"quoted\" <name> & more", eni.GetProperty("TagSet")[0].GetProperty("Value").GetString());

        using var instances = await JsonAsync(lab, aws, "describe-instances", "--instance-ids", lab.Instance.Id.Value);
        Assert.Equal(
            "m5.large",
            instances.RootElement.GetProperty("Reservations")[0].GetProperty("Instances")[0].GetProperty("InstanceType").GetString()
        );
        using var subnets = await JsonAsync(lab, aws, "describe-subnets");
        Assert.Equal(250, subnets.RootElement.GetProperty("Subnets")[0].GetProperty("AvailableIpAddressCount").GetInt32());
        using var types = await JsonAsync(lab, aws, "describe-instance-types", "--instance-types", "m5.large");
        Assert.Equal(
            3,
            types.RootElement.GetProperty("InstanceTypes")[0].GetProperty("NetworkInfo").GetProperty("MaximumNetworkInterfaces").GetInt32()
        );
    }

    [Fact]
    public async Task Aws_creates_and_deletes_with_instance_credentials()
    {
        var aws = Requirement.NeedProgram("aws");
        await using var lab = await LabOnLoopback.StartAsync();
        using var created = await JsonAsync(
            lab,
            aws,
            fromMetadata: true,
            "create-network-interface",
            "--subnet-id",
            lab.Subnet.Id.Value,
            "--groups",
            lab.Group.Id.Value,
            "--ipv4-prefix-count",
            "1",
            "--description",
            "from the command line"
        );
        var id = created.RootElement.GetProperty("NetworkInterface").GetProperty("NetworkInterfaceId").GetString()!;
        Assert.Single(lab.World.FindInterface(new EniId(id))!.Ipv4Prefixes);
        var (exitCode, _, error) = await lab.RunAsync(
            aws,
            ["ec2", "delete-network-interface", "--network-interface-id", id],
            fromMetadata: true
        );
        Assert.True(exitCode == 0, error);
        Assert.Null(lab.World.FindInterface(new EniId(id)));
    }

    [Fact]
    public async Task Aws_shows_the_labs_error_code_and_message()
    {
        var aws = Requirement.NeedProgram("aws");
        await using var lab = await LabOnLoopback.StartAsync();
        var (exitCode, _, error) = await lab.RunAsync(
            aws,
            [
                "ec2",
                "assign-private-ip-addresses",
                "--network-interface-id",
                lab.Instance.PrimaryInterface.Value,
                "--secondary-private-ip-address-count",
                "10",
            ]
        );
        Assert.NotEqual(0, exitCode);
        Assert.Contains(
            "An error occurred (PrivateIpAddressLimitExceeded) when calling the AssignPrivateIpAddresses operation: Number of "
                + "private addresses will exceed limit.",
            error,
            StringComparison.Ordinal
        );
    }

    /// <summary>Authorizes in the short form, with the parameters of a single permission, as AWS's test suites do.</summary>
    [Fact]
    public async Task Aws_authorizes_describes_and_revokes_security_group_rules()
    {
        var aws = Requirement.NeedProgram("aws");
        await using var lab = await LabOnLoopback.StartAsync();
        string[] rule = ["--group-id", lab.Group.Id.Value, "--protocol", "tcp", "--port", "8080", "--cidr", "10.0.0.0/16"];
        Assert.Equal(0, (await lab.RunAsync(aws, ["ec2", "authorize-security-group-ingress", .. rule])).ExitCode);
        using var groups = await JsonAsync(lab, aws, "describe-security-groups", "--group-ids", lab.Group.Id.Value);
        var permission = Assert.Single(groups.RootElement.GetProperty("SecurityGroups")[0].GetProperty("IpPermissions").EnumerateArray());
        Assert.Equal(
            (8080, "10.0.0.0/16"),
            (permission.GetProperty("ToPort").GetInt32(), permission.GetProperty("IpRanges")[0].GetProperty("CidrIp").GetString())
        );
        var (exitCode, _, error) = await lab.RunAsync(aws, ["ec2", "authorize-security-group-ingress", .. rule]);
        Assert.NotEqual(0, exitCode);
        Assert.Contains("(InvalidPermission.Duplicate)", error, StringComparison.Ordinal);
        Assert.Equal(0, (await lab.RunAsync(aws, ["ec2", "revoke-security-group-ingress", .. rule])).ExitCode);
        Assert.Contains(
            "(InvalidPermission.NotFound)",
            (await lab.RunAsync(aws, ["ec2", "revoke-security-group-ingress", .. rule])).Error,
            StringComparison.Ordinal
        );
    }

    private static Task<JsonDocument> JsonAsync(LabOnLoopback lab, string aws, params string[] arguments) =>
        JsonAsync(lab, aws, fromMetadata: false, arguments);

    private static async Task<JsonDocument> JsonAsync(LabOnLoopback lab, string aws, bool fromMetadata, params string[] arguments)
    {
        var (exitCode, output, error) = await lab.RunAsync(aws, ["ec2", .. arguments, "--output", "json"], fromMetadata);
        Assert.True(exitCode == 0, error);
        return JsonDocument.Parse(output);
    }
}
