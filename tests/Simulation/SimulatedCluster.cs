// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Placement;
using VpcCni.Lab.VpcModel;
using VpcCni.Simulation.Tests.Checker;

namespace VpcCni.Simulation.Tests;

/// <summary>
/// The cluster's ENIConfig for the node: passes it to every daemon run, a moment late or, while the API server is unreachable, not at all.
/// Records for the checker in which subnet new pods may be at each time, as documented (docs/adr/0013).
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
    private EniConfigState _current = new EniConfigState.Missing(Name, "it has not been created yet");

    /// <summary>The last state passed to this daemon run; null for none.</summary>
    private EniConfigState? _received;

    /// <summary>
    /// The last ENIConfig that this daemon run received and could look up: its fallback. One that it could not look up applies only until
    /// the next state.
    /// </summary>
    private EniConfigState.Present? _lastUsable;
    private bool _isReachable = true;

    /// <summary>The effective ENIConfig once everything is calm.</summary>
    public (SubnetId Subnet, IReadOnlyList<SecurityGroupId> Groups)? Wanted =>
        scenario.CustomNetwork is not null && _current is EniConfigState.Present config
            ? (new SubnetId(config.SubnetId), [.. config.SecurityGroupIds.Select(id => new SecurityGroupId(id))])
            : null;

    private SubnetId Far => subnets[^1];

    /// <summary>Called when a daemon run can receive the ENIConfig.</summary>
    public void DaemonStarted()
    {
        if (scenario.CustomNetwork is null)
            return;
        (_received, _lastUsable) = (null, null);
        checker.Configured(null);
        Send();
    }

    /// <summary>Called when the daemon has looked up a subnet.</summary>
    public void SubnetFound(string subnetId)
    {
        if (_received is EniConfigState.Present present && present.SubnetId == subnetId && IsUsable(present))
            _lastUsable = present;
    }

    /// <summary>Creates, changes, breaks or deletes the ENIConfig, or makes the API server unreachable for a while.</summary>
    public void Change()
    {
        if (_random.NextDouble() < scenario.CustomNetwork!.ApiFails)
        {
            node.Trace.Add("fault: the API server cannot be reached");
            _isReachable = false;
            node.Time.After(TimeSpan.FromSeconds(_random.Next(1, 120)), Reconnect);
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

    /// <summary>Ends all changes, with a valid ENIConfig.</summary>
    public void Calm()
    {
        if (scenario.CustomNetwork is null)
            return;
        if (_current is not EniConfigState.Present present || present.SubnetId == Far.Value)
            Set(Config(subnets[1]));
        Reconnect();
    }

    private bool IsUsable(EniConfigState.Present config) => config.SubnetId != Far.Value;

    private EniConfigState.Present Config(SubnetId subnet) => new(Name, subnet.Value, Groups());

    private string[] Groups() => [.. groups.Where(_ => _random.Next(2) == 0).Select(group => group.Value)];

    private void Set(EniConfigState state)
    {
        node.Trace.Add($"the ENIConfig is {state}");
        _current = state;
        Send();
    }

    private void Reconnect()
    {
        _isReachable = true;
        Send();
    }

    private void Send() =>
        node.Time.After(
            scenario.CustomNetwork!.Delay * _random.NextDouble(),
            () =>
            {
                if (!_isReachable)
                    return;
                var state = _current;
                node.WithEngine(engine =>
                {
                    _received = state;
                    var effective = state is EniConfigState.Present present && IsUsable(present) ? present : _lastUsable;
                    // A known subnet with other groups needs no lookup.
                    if (effective?.SubnetId == _lastUsable?.SubnetId)
                        _lastUsable = effective;
                    // Before the daemon gets it: the checker judges its actions from then on by it.
                    checker.Configured(effective is null ? null : new SubnetId(effective.SubnetId));
                    engine.EniConfig.Set(state);
                });
            }
        );
}
