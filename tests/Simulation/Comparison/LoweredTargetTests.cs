// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>A surplus from changed settings is released at once; one from changing load is kept for a while.</summary>
public sealed class LoweredTargetTests
{
    private readonly ComparedNode _node = new("m5.large");

    private int Interfaces => _node.World.InterfacesOf(_node.Instance.Id).Count;

    private int Addresses => _node.World.InterfacesOf(_node.Instance.Id).Sum(eni => eni.SecondaryAddresses.Length);

    [Theory]
    [InlineData("WARM_ENI_TARGET=2", "WARM_ENI_TARGET=1", 2, 18)]
    [InlineData("WARM_ENI_TARGET=2", "WARM_ENI_TARGET=0", 1, 9)]
    [InlineData("WARM_ENI_TARGET=2", "WARM_IP_TARGET=2", 1, 3)]
    [InlineData("WARM_IP_TARGET=20", "WARM_IP_TARGET=5", 1, 6)]
    [InlineData("MINIMUM_IP_TARGET=20 WARM_IP_TARGET=2", "MINIMUM_IP_TARGET=5 WARM_IP_TARGET=2", 1, 5)]
    public void Lowered_target_takes_effect_within_minutes(string before, string after, int interfaces, int addresses)
    {
        var ours = new OurPolicy(_node, Environment(before));
        _node.Time.Outside.Post(() => ours.StartPod(1));
        _node.Time.Advance(TimeSpan.FromMinutes(1));
        ours.Restart(Environment(after));
        _node.Time.Advance(TimeSpan.FromMinutes(3));
        Assert.Equal((interfaces, addresses), (Interfaces, Addresses));
        Assert.Null(ours.Engine.State.Pool!.LastPlan!.SurplusReport);
    }

    [Fact]
    public void Lowered_target_takes_effect_despite_another_restart()
    {
        var ours = new OurPolicy(_node, Environment("WARM_ENI_TARGET=2"));
        _node.Time.Outside.Post(() => ours.StartPod(1));
        _node.Time.Advance(TimeSpan.FromMinutes(1));
        ours.Restart(Environment("WARM_IP_TARGET=2"));
        _node.Time.Advance(TimeSpan.FromSeconds(75));
        ours.Restart(Environment("WARM_IP_TARGET=2"));
        Assert.True(Interfaces > 1, "the surplus was released before the second restart");
        _node.Time.Advance(TimeSpan.FromMinutes(3));
        Assert.Equal((1, 3), (Interfaces, Addresses));
    }

    /// <summary>Up and down again: the last daemon run finds its own targets in the checkpoint, or those of the run in between.</summary>
    [Theory]
    [InlineData(20)]
    [InlineData(3600)]
    public void Restored_target_takes_effect(int secondsBetween)
    {
        var ours = new OurPolicy(_node, Environment("WARM_IP_TARGET=2"));
        _node.Time.Advance(TimeSpan.FromMinutes(1));
        ours.Restart(Environment("WARM_IP_TARGET=20"));
        _node.Time.Advance(TimeSpan.FromSeconds(secondsBetween));
        Assert.Equal(20, Addresses);
        ours.Restart(Environment("WARM_IP_TARGET=2"));
        _node.Time.Advance(TimeSpan.FromMinutes(4));
        Assert.Equal((1, 2), (Interfaces, Addresses));
    }

    [Fact]
    public void Surplus_of_changing_load_is_kept_across_a_restart()
    {
        var ours = new OurPolicy(_node, Environment("WARM_IP_TARGET=2"));
        for (var pod = 0; pod < 12; pod++)
        {
            var one = pod;
            _node.Time.Outside.Post(() => ours.StartPod(one));
        }

        _node.Time.Advance(TimeSpan.FromMinutes(1));
        for (var pod = 0; pod < 12; pod++)
        {
            var one = pod;
            _node.Time.Outside.Post(() => ours.StopPod(one));
        }

        _node.Time.Advance(TimeSpan.FromMinutes(1));
        ours.Restart(Environment("WARM_IP_TARGET=2"));
        _node.Time.Advance(TimeSpan.FromMinutes(3));
        Assert.True(Addresses >= 12, $"{Addresses} addresses");
        Assert.Equal("kept in case the load comes back", ours.Engine.State.Pool!.LastPlan!.SurplusReport!.Why);
        _node.Time.Advance(TimeSpan.FromMinutes(20));
        Assert.Equal((1, 2), (Interfaces, Addresses));
    }

    /// <summary>Pods that end one after the other leave blocks that become idle at different times.</summary>
    [Fact]
    public void Addresses_freed_one_after_another_are_released_in_few_calls()
    {
        var ours = new OurPolicy(_node, Environment("WARM_IP_TARGET=1"));
        for (var pod = 0; pod < 8; pod++)
        {
            var one = pod;
            _node.Time.Outside.Post(() => ours.StartPod(one));
        }

        _node.Time.Advance(TimeSpan.FromMinutes(1));
        var before = _node.Calls();
        for (var pod = 0; pod < 8; pod++)
        {
            var one = pod;
            _node.Time.After(TimeSpan.FromSeconds(15 * pod), () => ours.StopPod(one));
        }

        _node.Time.Advance(TimeSpan.FromMinutes(20));
        Assert.Equal((1, 1), (Interfaces, Addresses));
        Assert.Equal(
            1,
            _node.Calls().GetValueOrDefault("UnassignPrivateIpAddresses") - before.GetValueOrDefault("UnassignPrivateIpAddresses")
        );
    }

    private static Dictionary<string, string> Environment(string settings) => new ReferenceRow("", settings, []).Environment;
}
