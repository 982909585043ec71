// SPDX-License-Identifier: Apache-2.0
using Amazon.Runtime;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.VpcModel;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Interop.Tests.Lab;

/// <summary>Compares the daemon's table of instance types with the lab's, which was written independently.</summary>
public sealed class InstanceTypeTests
{
    [Fact]
    public async Task Script_generates_the_rows_of_every_type_of_the_lab()
    {
        Requirement.NeedProgram("aws");
        await using var lab = await LabOnLoopback.StartAsync();

        var (exitCode, error, text) = await RunAsync(lab, "us-west-2");

        Assert.True(exitCode == 0, error);
        Assert.StartsWith(
            "# Limits of EC2 instance types (DescribeInstanceTypes). Made by scripts/update-instance-types, not by hand.\n# Source: "
                + "a test; regions: us-west-2.\n# type ",
            text,
            StringComparison.Ordinal
        );
        var rows = InstanceTypeScript.Rows(text);
        Assert.Equal(InstanceTypeCatalog.Common.Keys.Order(StringComparer.Ordinal), rows.Select(row => row.Name));
        Assert.All(rows, row => Assert.Equal(InstanceTypeTable.Find(row.Name), row));
        Assert.Equal(text, (await RunAsync(lab, "us-west-2")).Text);
    }

    [Fact]
    public async Task Script_with_keep_preserves_rows_of_types_not_described()
    {
        Requirement.NeedProgram("aws");
        await using var lab = await LabOnLoopback.StartAsync();
        var (key, secret) = (CredentialStore.LongLived.AccessKeyId, CredentialStore.LongLived.SecretAccessKey);

        var (exitCode, error, text) = await InstanceTypeScript.RunOverAsync(
            "# of before\nm5.large 1 1 2 0 xen 1\np3.2xlarge 4 4 15 15 xen 1\n",
            new Uri(lab.Url),
            key,
            secret,
            "--keep",
            "us-west-2"
        );

        Assert.True(exitCode == 0, error);
        Assert.Contains(
            "\n# Source: a test; regions: us-west-2. 1 types that those lack are kept from the table before.\n",
            text,
            StringComparison.Ordinal
        );
        var rows = InstanceTypeScript.Rows(text);
        Assert.Equal(InstanceTypeCatalog.Common.Keys.Append("p3.2xlarge").Order(StringComparer.Ordinal), rows.Select(row => row.Name));
        Assert.All(rows, row => Assert.Equal(InstanceTypeTable.Find(row.Name), row));
    }

    [Fact]
    public async Task Script_keeps_the_table_if_the_responses_are_not_usable()
    {
        Requirement.NeedProgram("aws");
        var odd = InstanceTypeCatalog.Common["m5.large"] with { Ipv4PerInterface = 0 };
        await using var lab = await LabOnLoopback.StartAsync(
            new WorldOptions
            {
                InstanceTypes = InstanceTypeCatalog.Common.Values.Append(odd with { Name = "odd.large" }).ToDictionary(type => type.Name),
            }
        );

        var (exitCode, error, text) = await RunAsync(lab, "us-west-2");

        Assert.NotEqual(0, exitCode);
        Assert.Contains("odd.large has a limit that makes no sense", error, StringComparison.Ordinal);
        Assert.Equal("", text);
    }

    [Fact]
    public async Task Type_is_described_only_if_the_table_lacks_it()
    {
        var own = InstanceTypeCatalog.Common["p4d.24xlarge"] with { Name = "own.24xlarge" };
        await using var lab = await LabOnLoopback.StartAsync(
            new WorldOptions { InstanceTypes = InstanceTypeCatalog.Common.Values.Append(own).ToDictionary(type => type.Name) }
        );
        using var cloud = new Ec2(
            new AwsCloudOptions
            {
                Endpoint = new Uri(lab.Url),
                Metadata = new ImdsOptions { Endpoint = new Uri(lab.Url + "/") },
                Credentials = new BasicAWSCredentials(CredentialStore.LongLived.AccessKeyId, CredentialStore.LongLived.SecretAccessKey),
            },
            TimeProvider.System,
            new Random(1),
            onAttempt: _ => { }
        );

        Assert.Equal(await cloud.DescribeLimitsAsync("p4d.24xlarge", default), await cloud.DescribeLimitsAsync("own.24xlarge", default));
        Assert.Equal(1, lab.World.Calls.Count("DescribeInstanceTypes"));
    }

    private static Task<(int ExitCode, string Error, string Text)> RunAsync(LabOnLoopback lab, params string[] regions) =>
        InstanceTypeScript.RunAsync(
            new Uri(lab.Url),
            CredentialStore.LongLived.AccessKeyId,
            CredentialStore.LongLived.SecretAccessKey,
            regions
        );
}
