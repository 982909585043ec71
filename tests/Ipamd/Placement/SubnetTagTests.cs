// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Placement;

/// <summary>
/// The subnets that tags permit, as in the table of the AWS VPC CNI: 0 never; no tag: the node's own yes, others no; any other value yes,
/// unless reserved for other clusters.
/// </summary>
public sealed class SubnetTagTests
{
    [Theory]
    [InlineData(null, null, "own")]
    [InlineData(null, "1", "own other")]
    [InlineData("1", "1", "own other")]
    [InlineData("1", "0", "own")]
    [InlineData("0", "1", "other")]
    [InlineData("0", null, "")]
    [InlineData("0", "0", "")]
    public async Task Candidates_follow_the_role_tag_of_each_subnet(string? own, string? other, string candidates)
    {
        var subnets = await DescribedAsync(own, other);
        Assert.Equal(
            candidates.Split(' ', StringSplitOptions.RemoveEmptyEntries),
            subnets.Candidates([]).Select(candidate => candidate.Id == "subnet-1" ? "own" : candidate.Id)
        );
        Assert.Equal(own == "0", subnets.IsExcluded(FakeCloud.ToPort(new FakeCloud().WithPrimary(1).Interfaces[0])));
        Assert.Equal(candidates.Length == 0 ? GrowthObstacleKind.NoSubnet : null, subnets.Obstacle?.Kind);
    }

    [Fact]
    public void Subnet_of_the_node_is_used_until_subnets_have_been_described()
    {
        var subnets = new Subnets(discover: true, clusterName: null, "subnet-1");
        Assert.Equal(["subnet-1"], subnets.Candidates([]).Select(candidate => candidate.Id));
        Assert.False(subnets.IsExcluded(FakeCloud.ToPort(new FakeCloud().WithPrimary(1).Interfaces[0])));
        Assert.Null(subnets.Obstacle);
    }

    /// <summary>A policy or a filter may hide the subnet; then no tag excludes it.</summary>
    [Theory]
    [InlineData(null, "subnet-own")]
    [InlineData("1", "other")]
    public async Task Own_subnet_that_is_not_described_is_the_fallback(string? other, string candidate)
    {
        var cloud = new FakeCloud().WithSubnet("other", "10.9.0.0/24");
        if (other is not null)
            cloud.WithTag("other", Subnets.RoleTag, other);
        var subnets = new Subnets(discover: true, clusterName: "prod", "subnet-own");
        await subnets.DescribeAsync(cloud.Ports, CancellationToken.None);
        Assert.Equal([candidate], subnets.Candidates([]).Select(item => item.Id));
        Assert.Null(subnets.Obstacle);
    }

    private static async Task<Subnets> DescribedAsync(string? own, string? other)
    {
        // Four thousand free addresses in the first, two hundred in the second.
        var cloud = new FakeCloud().WithSubnet("other", "10.9.0.0/24");
        if (own is not null)
            cloud.WithTag("subnet-1", Subnets.RoleTag, own);
        if (other is not null)
            cloud.WithTag("other", Subnets.RoleTag, other);
        var subnets = new Subnets(discover: true, clusterName: "prod", "subnet-1");
        await subnets.DescribeAsync(cloud.Ports, CancellationToken.None);
        return subnets;
    }
}
