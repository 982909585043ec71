// SPDX-License-Identifier: Apache-2.0
using System.Text;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds.Aws.InstanceTypes;

public sealed class InstanceTypeTableTests
{
    /// <summary>Max pods by the AWS CNI's formula, for types of four sizes, as in its documentation.</summary>
    [Theory]
    [InlineData("t3.small", 11)]
    [InlineData("m5.large", 29)]
    [InlineData("m4.4xlarge", 234)]
    [InlineData("p3dn.24xlarge", 737)]
    public void Max_pods_of_a_type_are_those_of_the_reference(string name, int pods)
    {
        var limits = InstanceTypeTable.Find(name)!.Limits;

        Assert.Equal(pods, PoolCapacity.Of(limits, new PoolTargets(), PodFamilies.Ipv4, usesPrimary: true).MaxPods);
    }

    [Theory]
    [InlineData("m5.large", 3, 10, 10, true)]
    [InlineData("m5.metal", 15, 50, 50, true)]
    [InlineData("m4.4xlarge", 8, 30, 30, false)]
    [InlineData("t1.micro", 2, 2, 0, false)]
    [InlineData("p4d.24xlarge", 15, 50, 50, true)]
    [InlineData("c9g.medium", 2, 20, 20, true)]
    [InlineData("m8idn.metal-96xl", 12, 64, 64, true)]
    [InlineData("p3.2xlarge", 4, 15, 15, false)]
    [InlineData("cr1.8xlarge", 8, 30, 0, false)]
    public void Limits_are_those_of_network_card_0(string name, int interfaces, int ipv4, int ipv6, bool prefixes) =>
        Assert.Equal(Ec2Limits.Of(interfaces, ipv4, ipv6, prefixes), InstanceTypeTable.Find(name)!.Limits);

    [Theory]
    [InlineData("")]
    [InlineData("m5")]
    [InlineData("5.large")]
    [InlineData("m5.larg")]
    [InlineData("m5.large ")]
    [InlineData("m99.large")]
    [InlineData("#")]
    [InlineData("# Source:")]
    public void Partial_name_is_not_found(string name) => Assert.Null(InstanceTypeTable.Find(name));

    [Fact]
    public void Every_row_is_found_by_its_name_and_is_plausible()
    {
        var lines = Encoding.UTF8.GetString(InstanceTypeTable.Read()).Split('\n');
        Assert.Equal("", lines[^1]);
        Assert.All(lines[..3], line => Assert.StartsWith("# ", line, StringComparison.Ordinal));
        Assert.StartsWith("# Source: ", lines[1], StringComparison.Ordinal);
        var rows = lines[3..^1].Select(line => InstanceTypeTable.Parse(Encoding.UTF8.GetBytes(line))).ToList();

        // As many as amazon-vpc-cni-k8s v1.23.1 has: a node that switches over needs no ec2:DescribeInstanceTypes, which its role may lack.
        Assert.True(rows.Count >= 1_391, $"{rows.Count} types");
        var names = rows.Select(row => row.Name).ToList();
        Assert.Equal(names.Distinct().Order(StringComparer.Ordinal), names);
        Assert.All(
            rows,
            row =>
            {
                Assert.InRange(row.CardInterfaces, 1, row.Interfaces);
                Assert.InRange(row.Ipv4PerInterface, 2, 100);
                Assert.True(row.Ipv6PerInterface == 0 || row.Ipv6PerInterface == row.Ipv4PerInterface, row.Name);
                Assert.True(row.NetworkCards > 1 || row.CardInterfaces == row.Interfaces, row.Name);
                Assert.Equal(row.Name.Contains("metal", StringComparison.Ordinal), row.Hypervisor == "none");
                Assert.Equal(row, InstanceTypeTable.Find(row.Name));
            }
        );
    }

    [Theory]
    [InlineData("m5.large 3 3 10 10 nitro")]
    [InlineData("m5.large 3 3 10 10 nitro 1 1")]
    [InlineData("m5.large 3 3 10 ten nitro 1")]
    [InlineData("m5.large 3 3 10 10 hyperv 1")]
    [InlineData("m5.large 3 3 10 -1 nitro 1")]
    [InlineData("")]
    public void Row_of_another_form_is_rejected(string row) =>
        Assert.Throws<InvalidDataException>(() => InstanceTypeTable.Parse(Encoding.UTF8.GetBytes(row)));
}
