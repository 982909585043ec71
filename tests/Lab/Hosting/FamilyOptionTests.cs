// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Hosting;
using Xunit;

namespace VpcCni.Lab.Tests.Hosting;

/// <summary>Tests what the address family of a lab decides before the lab is built.</summary>
public sealed class FamilyOptionTests
{
    [Theory]
    [InlineData("Ipv4", "true", "false", null)]
    [InlineData("Ipv6", "false", "true", "true")]
    [InlineData("Dual", "true", "true", null)]
    public void Family_sets_the_daemons_environment(string family, string ipv4, string ipv6, string? prefixes)
    {
        var environment = Of(family, new LabOptions());
        Assert.Equal(
            (ipv4, ipv6, prefixes),
            (environment["ENABLE_IPv4"], environment["ENABLE_IPv6"], environment.GetValueOrDefault("ENABLE_PREFIX_DELEGATION"))
        );
    }

    [Fact]
    public void Users_variables_override_those_of_the_family() =>
        Assert.Equal(
            "false",
            Of("Ipv6", new LabOptions { Environment = new Dictionary<string, string> { ["ENABLE_PREFIX_DELEGATION"] = "false" } })[
                "ENABLE_PREFIX_DELEGATION"
            ]
        );

    [Fact]
    public void Subnets_get_consecutive_ranges_only_with_ipv6()
    {
        var options = new LabOptions
        {
            Subnets = [IPNetwork.Parse("10.0.0.0/20"), IPNetwork.Parse("10.0.16.0/20")],
            PodSubnets = [IPNetwork.Parse("100.64.0.0/20")],
        };
        Assert.Empty(options.Ipv6Subnets);
        Assert.Null(options.EffectiveIpv6Range);
        Assert.Equal(
            [IPNetwork.Parse("2001:db8:0:101::/64"), IPNetwork.Parse("2001:db8:0:102::/64"), IPNetwork.Parse("2001:db8:0:103::/64")],
            (options with { Family = LabFamily.Dual }).Ipv6Subnets
        );
        Assert.Equal(
            IPNetwork.Parse("2600:1f14:0:ff01::/64"),
            (options with { Family = LabFamily.Ipv6, VpcIpv6Range = IPNetwork.Parse("2600:1f14:0:ff00::/56") }).Ipv6Subnets[0]
        );
    }

    [Theory]
    [InlineData("Ipv4", "2001:db8:0:100::/56", "m5.large", "only with --family ipv6 or dual")]
    [InlineData("Ipv6", "10.1.0.0/16", "m5.large", "expected an IPv6 range")]
    [InlineData("Ipv6", "2001:db8:0:100::/57", "m5.large", "a VPC is a /44 to a /60")]
    [InlineData("Ipv6", "2001:db8::/40", "m5.large", "a VPC is a /44 to a /60")]
    [InlineData("Dual", "2001:db8:ffff::/56", "m5.large", "overlaps 2001:db8:ffff::/64")]
    [InlineData("Ipv6", null, "m4.large", "which only Nitro has")]
    [InlineData("Dual", null, "m3.medium", "which only Nitro has")]
    public void Option_that_does_not_fit_the_family_is_rejected(string family, string? range, string type, string problem)
    {
        var options = new LabOptions
        {
            Family = Enum.Parse<LabFamily>(family),
            VpcIpv6Range = range is null ? null : IPNetwork.Parse(range),
            InstanceType = type,
        };
        Assert.Contains(problem, Assert.Single(options.Validate()), StringComparison.Ordinal);
    }

    [Fact]
    public void Range_without_a_subnet_for_each_is_rejected()
    {
        var options = new LabOptions
        {
            Family = LabFamily.Ipv6,
            VpcIpv6Range = IPNetwork.Parse("2001:db8:0:100::/60"),
            Subnets = [.. Enumerable.Range(0, 16).Select(index => IPNetwork.Parse($"10.0.{index}.0/24"))],
        };
        Assert.Contains("too small for 16 subnets", Assert.Single(options.Validate()), StringComparison.Ordinal);
        Assert.Empty((options with { Subnets = options.Subnets.Take(15).ToArray() }).Validate());
    }

    [Fact]
    public void Ipv6_range_in_place_of_the_ipv4_one_is_rejected() =>
        Assert.Contains(
            new LabOptions { VpcRange = IPNetwork.Parse("2001:db8:0:100::/56") }.Validate(),
            problem => problem.Contains("--vpc-ipv6-cidr sets the IPv6 range", StringComparison.Ordinal)
        );

    [Theory]
    [InlineData(null, null, true, "InterNetwork")]
    [InlineData("", "", true, "InterNetwork")]
    [InlineData("false", "true", true, "InterNetworkV6")]
    [InlineData("T", "1", true, "InterNetwork,InterNetworkV6")]
    [InlineData("0", "false", true, "")]
    [InlineData("true", "true", false, "")]
    public void Plugin_makes_node_local_addresses_as_the_daemons_variables_say(string? v4, string? v6, bool hasDaemon, string families)
    {
        var environment = new Dictionary<string, string>();
        if (v4 is not null)
            environment["ENABLE_V4_EGRESS"] = v4;
        if (v6 is not null)
            environment["ENABLE_V6_EGRESS"] = v6;
        var options = new LabOptions { Environment = environment, IpamdPath = hasDaemon ? "/bin/ipamd" : null };
        Assert.Equal(families, string.Join(',', options.NodeLocalFamilies));
    }

    private static IReadOnlyDictionary<string, string> Of(string family, LabOptions options) =>
        NodeEnvironment.For(
            "node-1",
            new LabPaths("/run/none", "lab").Node("node-1"),
            options with
            {
                Family = Enum.Parse<LabFamily>(family),
            }
        );
}
