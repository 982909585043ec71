// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Hosting;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.Hosting;

/// <summary>Tests the pod capacity of the lab's nodes against the numbers that EKS publishes for their types.</summary>
public sealed class MaxPodsTests
{
    [Theory]
    [InlineData("t3.micro", "false", 4)]
    [InlineData("t3.micro", "true", 34)]
    [InlineData("m5.large", "", 29)]
    [InlineData("m5.large", "true", 110)]
    [InlineData("m5.24xlarge", "true", 250)]
    public void Capacity_equals_eks_capacity_of_the_type(string type, string prefixes, int expected)
    {
        var options = new LabOptions { Environment = new Dictionary<string, string> { ["ENABLE_PREFIX_DELEGATION"] = prefixes } };
        var found = InstanceTypeCatalog.Common[type];
        Assert.Equal(expected, options.MaxPodsOf(found));
        Assert.Equal(7, (options with { MaxPods = 7 }).MaxPodsOf(found));
    }

    [Fact]
    public void Capacity_of_an_ipv6_node_is_that_with_prefixes() =>
        Assert.Equal(110, new LabOptions { Family = LabFamily.Ipv6 }.MaxPodsOf(InstanceTypeCatalog.Common["m5.large"]));
}
