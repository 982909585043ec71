// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Placement;

/// <summary>The effect of an ENIConfig on existing and new interfaces.</summary>
public sealed class CustomNetworkingTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    private readonly FakeCloud _cloud = new FakeCloud()
        .WithPrimary()
        .WithSubnet("subnet-pods", "10.1.0.0/24")
        .WithSubnet("subnet-other", "10.2.0.0/24")
        .WithSubnet("subnet-far", "10.3.0.0/24", zone: "fake-1b")
        .WithSubnet("subnet-foreign", "10.4.0.0/24", network: "vpc-2");

    private readonly EniConfigSource _source;
    private int _changes;

    public CustomNetworkingTests() => _source = new EniConfigSource(() => _changes++);

    [Fact]
    public void Unknown_ENIConfig_excludes_all_interfaces_and_creates_none()
    {
        var custom = Custom();
        Assert.Equal(
            ("the ENIConfig of this node is not known: the Kubernetes API has not answered yet", true),
            (custom.Obstacle!.Detail, custom.Obstacle.MayEndAnyMoment)
        );
        Assert.Empty(custom.Candidates(["sg-1"]));
        Assert.All(["subnet-1", "subnet-pods"], subnet => Assert.True(custom.IsExcluded(Interface(subnet))));
    }

    [Fact]
    public void ENIConfig_applies_to_existing_interfaces_before_the_lookup()
    {
        var custom = Custom();
        Set("subnet-pods");
        Assert.Equal((false, true), (custom.IsExcluded(Interface("subnet-pods")), custom.IsExcluded(Interface("subnet-1"))));
        Assert.Equal((true, false), (custom.Obstacle!.MayEndAnyMoment, custom.IsDescribed));
        Assert.Empty(custom.Candidates(["sg-1"]));
    }

    [Fact]
    public async Task Interfaces_are_created_in_the_ENIConfigs_subnet_with_its_groups()
    {
        var custom = Custom();
        Set("subnet-pods", "sg-pods");
        await custom.DescribeAsync(_cloud.Ports, None);
        Assert.Null(custom.Obstacle);
        var candidate = Assert.Single(custom.Candidates(["sg-1"]));
        Assert.Equal(("subnet-pods", 200), (candidate.Id, candidate.FreeAddresses));
        Assert.Equal(["sg-pods"], candidate.SecurityGroupIds);
        Assert.True(custom.IsExcluded(Interface("subnet-pods") with { Slot = Slot.Primary }));
    }

    [Fact]
    public async Task ENIConfig_without_groups_uses_those_of_the_primary_interface()
    {
        var custom = Custom();
        Set("subnet-pods");
        await custom.DescribeAsync(_cloud.Ports, None);
        Assert.Equal(["sg-1"], Assert.Single(custom.Candidates(["sg-1"])).SecurityGroupIds);
        Assert.Equal(["sg-1"], custom.GroupsFor(Interface("subnet-pods"), Primary)!);
        Assert.Null(custom.GroupsFor(Interface("subnet-other"), Primary));
    }

    [Theory]
    [InlineData("subnet-far", "subnet subnet-far of ENIConfig 'pods' is in zone fake-1b, and this node is in fake-1a")]
    [InlineData("subnet-foreign", "subnet subnet-foreign of ENIConfig 'pods' is in vpc-2, and this node is in vpc-1")]
    [InlineData("subnet-none", "subnet subnet-none of ENIConfig 'pods' does not exist")]
    public async Task Unusable_subnet_is_reported_and_the_last_valid_ENIConfig_applies(string subnet, string sentence)
    {
        var custom = Custom();
        Set("subnet-pods", "sg-pods");
        await custom.DescribeAsync(_cloud.Ports, None);
        Set(subnet, "sg-wrong");
        await custom.DescribeAsync(_cloud.Ports, None);
        Assert.Equal(
            (sentence, false, GrowthObstacleKind.EniConfig),
            (custom.Obstacle!.Detail, custom.Obstacle.MayEndAnyMoment, custom.Obstacle.Kind)
        );
        Assert.Equal((false, true), (custom.IsExcluded(Interface("subnet-pods")), custom.IsExcluded(Interface(subnet))));
        Assert.Equal(["sg-pods"], custom.GroupsFor(Interface("subnet-pods"), Primary)!);
        Assert.Empty(custom.Candidates(["sg-1"]));
    }

    [Fact]
    public async Task Unusable_subnet_without_earlier_ENIConfig_excludes_everything()
    {
        var custom = Custom();
        Set("subnet-far");
        Assert.False(custom.IsExcluded(Interface("subnet-far")));
        await custom.DescribeAsync(_cloud.Ports, None);
        Assert.True(custom.IsExcluded(Interface("subnet-far")));
        Assert.Null(custom.InForce);
    }

    [Fact]
    public async Task Deleted_ENIConfig_is_reported_and_the_last_valid_one_applies()
    {
        var custom = Custom();
        Set("subnet-pods");
        await custom.DescribeAsync(_cloud.Ports, None);
        _source.Set(new EniConfigState.Missing("pods", "it does not exist"));
        Assert.Equal(("ENIConfig 'pods': it does not exist", false), (custom.Obstacle!.Detail, custom.Obstacle.MayEndAnyMoment));
        Assert.False(custom.IsExcluded(Interface("subnet-pods")));
        Assert.Empty(custom.Candidates(["sg-1"]));
    }

    [Fact]
    public async Task Failed_lookup_is_an_obstacle_until_one_succeeds()
    {
        var custom = Custom();
        Set("subnet-pods");
        _cloud.FailNext("FindSubnet", CloudErrorKind.NotPermitted);
        await Assert.ThrowsAsync<CloudException>(() => custom.DescribeAsync(_cloud.Ports, None));
        Assert.StartsWith(
            "subnet subnet-pods of ENIConfig 'pods' could not be looked up: FindSubnet",
            custom.Obstacle!.Detail,
            StringComparison.Ordinal
        );
        Assert.False(custom.IsDescribed);
        await custom.DescribeAsync(_cloud.Ports, None);
        Assert.Equal((null, true), (custom.Obstacle, custom.IsDescribed));
    }

    [Fact]
    public async Task Later_failed_lookup_does_not_stop_growth()
    {
        var custom = Custom();
        Set("subnet-pods");
        await custom.DescribeAsync(_cloud.Ports, None);
        _cloud.FailNext("FindSubnet", CloudErrorKind.Transient);
        await Assert.ThrowsAsync<CloudException>(() => custom.DescribeAsync(_cloud.Ports, None));
        Assert.Null(custom.Obstacle);
    }

    [Fact]
    public async Task Changed_groups_with_the_same_subnet_need_no_lookup()
    {
        var custom = Custom();
        Set("subnet-pods", "sg-a");
        await custom.DescribeAsync(_cloud.Ports, None);
        Set("subnet-pods", "sg-b");
        Assert.Equal((null, true), (custom.Obstacle, custom.IsDescribed));
        Assert.Equal(["sg-b"], Assert.Single(custom.Candidates(["sg-1"])).SecurityGroupIds);
    }

    [Fact]
    public async Task Late_lookup_of_a_replaced_ENIConfig_is_ignored()
    {
        var custom = Custom();
        Set("subnet-pods");
        _cloud.Gate = new TaskCompletionSource();
        var looking = custom.DescribeAsync(_cloud.Ports, None);
        Set("subnet-other");
        _cloud.Gate.SetResult();
        await looking;
        Assert.Equal((false, true), (custom.IsDescribed, custom.IsExcluded(Interface("subnet-pods"))));
        Assert.Empty(custom.Candidates(["sg-1"]));
    }

    [Fact]
    public async Task ENIConfig_deleted_before_its_lookup_is_no_fallback()
    {
        var custom = Custom();
        Set("subnet-pods");
        _cloud.Gate = new TaskCompletionSource();
        var looking = custom.DescribeAsync(_cloud.Ports, None);
        _source.Set(new EniConfigState.Missing("pods", "it was deleted"));
        _cloud.Gate.SetResult();
        await looking;
        Assert.Null(custom.InForce);
        Assert.True(custom.IsExcluded(Interface("subnet-pods")));
    }

    [Fact]
    public void Node_with_disabled_provisioning_needs_no_lookup()
    {
        var custom = new CustomNetworking(_source, _cloud.Identity, mayChange: false);
        Set("subnet-pods");
        Assert.Equal((false, true, false), (custom.Describes, custom.IsDescribed, custom.IsExcluded(Interface("subnet-pods"))));
    }

    [Fact]
    public void Equal_state_causes_no_change()
    {
        Set("subnet-pods", "sg-a", "sg-b");
        Set("subnet-pods", "sg-a", "sg-b");
        Assert.Equal(1, _changes);
    }

    private CustomNetworking Custom() => new(_source, _cloud.Identity, mayChange: true);

    private void Set(string subnet, params string[] groups) => _source.Set(new EniConfigState.Present("pods", subnet, groups));

    private CloudInterface Primary => FakeCloud.ToPort(_cloud.Interfaces[0]);

    private CloudInterface Interface(string subnet) =>
        Primary with
        {
            SubnetId = subnet,
            Slot = new Slot(0, 1),
            SecurityGroupIds = ["sg-x"],
        };
}
