// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Placement;

/// <summary>What an ENIConfig means for the interfaces that are there and for new ones.</summary>
public sealed class CustomNetworkingTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    private readonly FakeCloud _cloud = new FakeCloud()
        .WithPrimary()
        .WithSubnet("subnet-pods", "10.1.0.0/24")
        .WithSubnet("subnet-other", "10.2.0.0/24")
        .WithSubnet("subnet-far", "10.3.0.0/24", zone: "fake-1b")
        .WithSubnet("subnet-foreign", "10.4.0.0/24", network: "vpc-2");

    private readonly EniConfigSource _source = new();

    [Fact]
    public void Nothing_is_made_and_nobody_gets_an_address_as_long_as_the_ENIConfig_is_not_known()
    {
        var custom = Custom();
        Assert.Equal(
            ("the ENIConfig of this node is not known: the Kubernetes API has not been asked yet", true),
            (custom.Obstacle!.Detail, custom.Obstacle.MayEndAnyMoment)
        );
        Assert.Empty(custom.Candidates());
        Assert.All(["subnet-1", "subnet-pods"], subnet => Assert.True(custom.IsExcluded(Interface(subnet))));
    }

    [Fact]
    public void An_ENIConfig_counts_for_the_interfaces_that_are_there_before_its_subnet_has_been_looked_up()
    {
        var custom = Custom();
        Tell("subnet-pods");
        Assert.Equal((false, true), (custom.IsExcluded(Interface("subnet-pods")), custom.IsExcluded(Interface("subnet-1"))));
        Assert.Equal((true, false), (custom.Obstacle!.MayEndAnyMoment, custom.IsDescribed));
        Assert.Null(custom.GroupsForNew("subnet-pods", Primary));
    }

    [Fact]
    public async Task Interfaces_are_made_in_the_subnet_of_the_ENIConfig_with_its_groups_and_never_use_the_primary_one()
    {
        var custom = Custom();
        Tell("subnet-pods", "sg-pods");
        await custom.DescribeAsync(_cloud, None);
        Assert.Null(custom.Obstacle);
        Assert.Equal([new SubnetCandidate("subnet-pods", 200)], custom.Candidates());
        Assert.Equal(["sg-pods"], custom.GroupsForNew("subnet-pods", Primary)!);
        Assert.Null(custom.GroupsForNew("subnet-1", Primary));
        Assert.True(custom.IsExcluded(Interface("subnet-pods") with { DeviceIndex = 0 }));
    }

    [Fact]
    public async Task Without_groups_in_the_ENIConfig_those_of_the_primary_interface_are_used()
    {
        var custom = Custom();
        Tell("subnet-pods");
        await custom.DescribeAsync(_cloud, None);
        Assert.Equal(["sg-1"], custom.GroupsForNew("subnet-pods", Primary)!);
        Assert.Equal(["sg-1"], custom.GroupsFor(Interface("subnet-pods"), Primary)!);
        Assert.Null(custom.GroupsFor(Interface("subnet-other"), Primary));
    }

    [Theory]
    [InlineData("subnet-far", "subnet subnet-far of ENIConfig 'pods' is in zone fake-1b, and this node is in fake-1a")]
    [InlineData("subnet-foreign", "subnet subnet-foreign of ENIConfig 'pods' is in vpc-2, and this node is in vpc-1")]
    [InlineData("subnet-none", "subnet subnet-none of ENIConfig 'pods' does not exist")]
    public async Task A_subnet_that_is_of_no_use_to_the_node_is_named_and_the_last_good_ENIConfig_counts_on(string subnet, string sentence)
    {
        var custom = Custom();
        Tell("subnet-pods", "sg-pods");
        await custom.DescribeAsync(_cloud, None);
        Tell(subnet, "sg-wrong");
        await custom.DescribeAsync(_cloud, None);
        Assert.Equal(
            (sentence, false, GrowthObstacleKind.EniConfig),
            (custom.Obstacle!.Detail, custom.Obstacle.MayEndAnyMoment, custom.Obstacle.Kind)
        );
        Assert.Equal((false, true), (custom.IsExcluded(Interface("subnet-pods")), custom.IsExcluded(Interface(subnet))));
        Assert.Equal(["sg-pods"], custom.GroupsFor(Interface("subnet-pods"), Primary)!);
        Assert.Empty(custom.Candidates());
    }

    [Fact]
    public async Task A_subnet_of_no_use_before_any_good_one_leaves_nothing_to_use()
    {
        var custom = Custom();
        Tell("subnet-far");
        Assert.False(custom.IsExcluded(Interface("subnet-far")));
        await custom.DescribeAsync(_cloud, None);
        Assert.True(custom.IsExcluded(Interface("subnet-far")));
        Assert.Null(custom.InForce);
    }

    [Fact]
    public async Task An_ENIConfig_that_is_gone_is_named_and_the_last_good_one_counts_on()
    {
        var custom = Custom();
        Tell("subnet-pods");
        await custom.DescribeAsync(_cloud, None);
        _source.Tell(new EniConfigState.Missing("pods", "it does not exist"));
        Assert.Equal(("ENIConfig 'pods': it does not exist", false), (custom.Obstacle!.Detail, custom.Obstacle.MayEndAnyMoment));
        Assert.False(custom.IsExcluded(Interface("subnet-pods")));
        Assert.Null(custom.GroupsForNew("subnet-pods", Primary));
    }

    [Fact]
    public async Task A_lookup_that_fails_says_why_and_one_that_succeeds_later_ends_it()
    {
        var custom = Custom();
        Tell("subnet-pods");
        _cloud.FailNext("FindSubnet", CloudErrorKind.NotPermitted);
        await Assert.ThrowsAsync<CloudException>(() => custom.DescribeAsync(_cloud, None));
        Assert.StartsWith(
            "subnet subnet-pods of ENIConfig 'pods' could not be looked up: FindSubnet",
            custom.Obstacle!.Detail,
            StringComparison.Ordinal
        );
        Assert.False(custom.IsDescribed);
        await custom.DescribeAsync(_cloud, None);
        Assert.Equal((null, true), (custom.Obstacle, custom.IsDescribed));
    }

    [Fact]
    public async Task A_lookup_that_fails_later_does_not_stop_growth()
    {
        var custom = Custom();
        Tell("subnet-pods");
        await custom.DescribeAsync(_cloud, None);
        _cloud.FailNext("FindSubnet", CloudErrorKind.Transient);
        await Assert.ThrowsAsync<CloudException>(() => custom.DescribeAsync(_cloud, None));
        Assert.Null(custom.Obstacle);
    }

    [Fact]
    public async Task Other_groups_with_the_same_subnet_need_no_other_lookup()
    {
        var custom = Custom();
        Tell("subnet-pods", "sg-a");
        await custom.DescribeAsync(_cloud, None);
        Tell("subnet-pods", "sg-b");
        Assert.Equal((null, true), (custom.Obstacle, custom.IsDescribed));
        Assert.Equal(["sg-b"], custom.GroupsForNew("subnet-pods", Primary)!);
    }

    [Fact]
    public async Task An_answer_about_an_ENIConfig_that_has_been_replaced_meanwhile_is_not_taken_for_one_about_the_new_one()
    {
        var custom = Custom();
        Tell("subnet-pods");
        _cloud.Gate = new TaskCompletionSource();
        var looking = custom.DescribeAsync(_cloud, None);
        Tell("subnet-other");
        _cloud.Gate.SetResult();
        await looking;
        Assert.Equal((false, true), (custom.IsDescribed, custom.IsExcluded(Interface("subnet-pods"))));
        Assert.Empty(custom.Candidates());
    }

    [Fact]
    public async Task An_ENIConfig_that_is_gone_before_its_subnet_was_found_is_nothing_to_fall_back_on()
    {
        var custom = Custom();
        Tell("subnet-pods");
        _cloud.Gate = new TaskCompletionSource();
        var looking = custom.DescribeAsync(_cloud, None);
        _source.Tell(new EniConfigState.Missing("pods", "it was deleted"));
        _cloud.Gate.SetResult();
        await looking;
        Assert.Null(custom.InForce);
        Assert.True(custom.IsExcluded(Interface("subnet-pods")));
    }

    [Fact]
    public void A_node_on_which_nothing_is_changed_needs_no_lookup()
    {
        var custom = new CustomNetworking(_source, _cloud.Identity, mayChange: false);
        Tell("subnet-pods");
        Assert.Equal((false, true, false), (custom.Describes, custom.IsDescribed, custom.IsExcluded(Interface("subnet-pods"))));
    }

    [Fact]
    public void Telling_the_same_again_changes_nothing()
    {
        var changes = 0;
        _source.Changed = () => changes++;
        Tell("subnet-pods", "sg-a", "sg-b");
        Tell("subnet-pods", "sg-a", "sg-b");
        Assert.Equal(1, changes);
    }

    private CustomNetworking Custom() => new(_source, _cloud.Identity, mayChange: true);

    private void Tell(string subnet, params string[] groups) => _source.Tell(new EniConfigState.Present("pods", subnet, groups));

    private CloudInterface Primary => _cloud.Interfaces[0];

    private CloudInterface Interface(string subnet) => Primary with { SubnetId = subnet, DeviceIndex = 1, SecurityGroupIds = ["sg-x"] };
}
