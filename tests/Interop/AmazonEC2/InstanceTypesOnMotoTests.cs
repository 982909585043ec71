// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Interop.Tests.AmazonEC2;

/// <summary>The script that makes the table, against the recorded answers of EC2 that moto carries.</summary>
public sealed class InstanceTypesOnMotoTests(MotoServer moto) : IClassFixture<MotoServer>
{
    /// <summary>Types whose limits will not change any more, one of each sort.</summary>
    private static readonly string[] Settled =
    [
        "m4.4xlarge",
        "m5.large",
        "m5.metal",
        "p3dn.24xlarge",
        "p4d.24xlarge",
        "t1.micro",
        "t3.small",
    ];

    [Fact]
    public async Task The_script_makes_the_table_from_all_regions_that_it_is_given()
    {
        Requirement.NeedProgram("aws");
        await moto.NeedAsync();

        var (exitCode, error, text) = await InstanceTypeScript.RunAsync(moto.Url, "AKIDEXAMPLE", "secret", "us-east-1", "eu-west-1");

        Assert.True(exitCode == 0, error);
        var rows = InstanceTypeScript.Rows(text).ToDictionary(row => row.Name);
        Assert.True(rows.Count > 500, $"{rows.Count} types");
        Assert.All(Settled, name => Assert.Equal(InstanceTypeTable.Find(name), rows[name]));
    }
}
