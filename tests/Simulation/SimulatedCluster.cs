// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Placement;
using VpcCni.Lab.VpcModel;
using VpcCni.Simulation.Tests.Checker;

namespace VpcCni.Simulation.Tests;

/// <summary>
/// The cluster's word on the network of the node's pods: tells every life of the daemon, a moment late or, while the API server is out of
/// reach, not at all. Keeps for the checker in which subnet new pods may be at each moment, as the documentation has it (docs/adr/0013).
/// </summary>
internal sealed class SimulatedCluster(
    Scenario scenario,
    SimulatedNode node,
    SafetyChecker checker,
    IReadOnlyList<SubnetId> subnets,
    IReadOnlyList<SecurityGroupId> groups
)
{
    private const string Name = "pods";

    private readonly Random _random = Scenario.Stream(scenario.Seed, "cluster");
    private EniConfigState _current = new EniConfigState.Missing(Name, "it has not been made yet");

    /// <summary>What this life of the daemon was told last; null: nothing yet.</summary>
    private EniConfigState? _told;

    /// <summary>
    /// The last that it was told and could look up: what it falls back on. One that it could not, counts only while nothing else is told.
    /// </summary>
    private EniConfigState.Present? _lastGood;
    private bool _isReachable = true;

    /// <summary>What counts once everything is calm.</summary>
    public (SubnetId Subnet, IReadOnlyList<SecurityGroupId> Groups)? Wanted =>
        scenario.CustomNetwork is not null && _current is EniConfigState.Present config
            ? (new SubnetId(config.SubnetId), [.. config.SecurityGroupIds.Select(id => new SecurityGroupId(id))])
            : null;

    private SubnetId Far => subnets[^1];

    /// <summary>A life of the daemon can be told.</summary>
    public void DaemonStarted()
    {
        if (scenario.CustomNetwork is null)
            return;
        (_told, _lastGood) = (null, null);
        checker.Configured(null);
        Tell();
    }

    /// <summary>The daemon was told what a subnet is.</summary>
    public void SubnetFound(string subnetId)
    {
        if (_told is EniConfigState.Present present && present.SubnetId == subnetId && IsGood(present))
            _lastGood = present;
    }

    /// <summary>Somebody makes, changes, breaks or deletes the ENIConfig, or the API server goes away for a while.</summary>
    public void Change()
    {
        if (_random.NextDouble() < scenario.CustomNetwork!.ApiFails)
        {
            node.Trace.Add("trouble: the API server cannot be reached");
            _isReachable = false;
            node.Time.After(TimeSpan.FromSeconds(_random.Next(1, 120)), Reach);
        }

        Set(
            _random.Next(6) switch
            {
                0 => new EniConfigState.Missing(Name, "it was deleted"),
                1 => Config(Far),
                2 when _current is EniConfigState.Present present => present with { SecurityGroupIds = Groups() },
                _ => Config(subnets[1 + _random.Next(subnets.Count - 2)]),
            }
        );
    }

    /// <summary>From now on nothing changes, and the ENIConfig is a good one.</summary>
    public void Calm()
    {
        if (scenario.CustomNetwork is null)
            return;
        if (_current is not EniConfigState.Present present || present.SubnetId == Far.Value)
            Set(Config(subnets[1]));
        Reach();
    }

    private bool IsGood(EniConfigState.Present config) => config.SubnetId != Far.Value;

    private EniConfigState.Present Config(SubnetId subnet) => new(Name, subnet.Value, Groups());

    private string[] Groups() => [.. groups.Where(_ => _random.Next(2) == 0).Select(group => group.Value)];

    private void Set(EniConfigState state)
    {
        node.Trace.Add($"the ENIConfig is {state}");
        _current = state;
        Tell();
    }

    private void Reach()
    {
        _isReachable = true;
        Tell();
    }

    private void Tell() =>
        node.Time.After(
            scenario.CustomNetwork!.Delay * _random.NextDouble(),
            () =>
            {
                if (!_isReachable)
                    return;
                var state = _current;
                node.WithEngine(engine =>
                {
                    _told = state;
                    var counts = state is EniConfigState.Present present && IsGood(present) ? present : _lastGood;
                    // Of one that is known, with other groups, there is nothing to look up.
                    if (counts?.SubnetId == _lastGood?.SubnetId)
                        _lastGood = counts;
                    // Before the daemon hears of it: what it does from then on is judged by it.
                    checker.Configured(counts is null ? null : new SubnetId(counts.SubnetId));
                    engine.EniConfig.Set(state);
                });
            }
        );
}
