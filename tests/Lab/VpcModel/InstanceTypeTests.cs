// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.VpcModel;

public sealed class InstanceTypeTests
{
    /// <summary>Published max-pods values (aws-node's eni-max-pods.txt), which check both limits independently.</summary>
    [Theory]
    [InlineData("t3.micro", 4)]
    [InlineData("t3.small", 11)]
    [InlineData("t3.medium", 17)]
    [InlineData("t3.large", 35)]
    [InlineData("m5.large", 29)]
    [InlineData("m5.xlarge", 58)]
    [InlineData("m5.2xlarge", 58)]
    [InlineData("m5.4xlarge", 234)]
    [InlineData("m5.24xlarge", 737)]
    [InlineData("c5.large", 29)]
    [InlineData("c5.xlarge", 58)]
    [InlineData("m6i.large", 29)]
    [InlineData("m6i.xlarge", 58)]
    [InlineData("p3dn.24xlarge", 737)]
    [InlineData("m4.4xlarge", 234)]
    public void Type_limits_give_the_published_max_pods(string name, int pods) =>
        Assert.Equal(pods, InstanceTypeCatalog.Common[name].MaxPodsWithSecondaryAddresses);

    [Fact]
    public void Type_card_limits_add_up_to_the_interface_limit()
    {
        foreach (var type in InstanceTypeCatalog.Common.Values)
            Assert.Equal(type.MaxInterfaces, type.NetworkCards.Sum(card => card.MaxInterfaces));
    }

    [Theory]
    [InlineData("m5.large", true)]
    [InlineData("m5.metal", true)]
    [InlineData("m4.4xlarge", false)]
    [InlineData("t2.micro", false)]
    public void Type_supports_prefixes_unless_it_is_xen(string name, bool prefixes) =>
        Assert.Equal(prefixes, InstanceTypeCatalog.Common[name].SupportsPrefixes);

    [Fact]
    public void Launch_of_an_unknown_type_is_rejected_with_the_known_types()
    {
        var test = new TestWorld();
        Assert.Contains(
            "m5.large",
            test.AssertRejected("InvalidParameterValue", () => test.Launch("m99.huge")).Message,
            StringComparison.Ordinal
        );
    }
}
