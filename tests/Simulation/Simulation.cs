// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;
using VpcCni.Simulation.Tests.Checker;

namespace VpcCni.Simulation.Tests;

/// <summary>Result of one seed's run.</summary>
internal sealed record SimulationResult(
    int Seed,
    long Steps,
    TimeSpan VirtualTime,
    ulong Hash,
    int Pods,
    int Adds,
    int Crashes,
    long CloudCalls,
    string? Violation,
    string Trace
);

/// <summary>
/// One run: the whole daemon on one thread in virtual time. During a phase of faults nothing may ever be unsafe; after it, everything must
/// reach its desired state within a bounded time.
/// </summary>
internal sealed class Simulation
{
    private static readonly DateTimeOffset Start = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    /// <summary>
    /// Longest time from the end of the faults until pods are served, the targets are met and no change is open. The longest legitimate
    /// wait is for the detection of a lost DEL: three minutes and two observations.
    /// </summary>
    private static readonly TimeSpan Recovery = TimeSpan.FromMinutes(25);

    /// <summary>Longest time until the surplus is released: interfaces are kept for a while, and removed one at a time.</summary>
    private static readonly TimeSpan SurplusRecovery = TimeSpan.FromMinutes(40);

    /// <summary>
    /// Longest time until interfaces detached by others are deleted: the hourly cleanup finds them, or the next one when their age is
    /// unknown.
    /// </summary>
    private static readonly TimeSpan LongRecovery = TimeSpan.FromMinutes(150);

    /// <summary>Longer than two intervals of the reconciler.</summary>
    private static readonly TimeSpan TwoSyncs = TimeSpan.FromSeconds(150);

    private readonly Scenario _scenario;
    private readonly VirtualTime _time = new(Start);
    private readonly VpcWorld _world;
    private readonly Trace _trace;
    private readonly SafetyChecker _checker;
    private readonly SimulatedNode _node;
    private readonly SimulatedPods _pods;
    private readonly SimulatedCluster _cluster;
    private readonly FaultInjector _faults;
    private readonly HostFaults? _hostFaults;

    private Simulation(Scenario scenario, Mutation mutation, TextWriter? echo)
    {
        _scenario = scenario;
        _trace = new Trace(_time) { Echo = echo };
        _world = ModelWorld.Create(_time, Scenario.Stream(scenario.Seed, "world"));
        _world.Timing.AttachLatency = scenario.AttachLatency;
        _world.Timing.DetachLatency = scenario.DetachLatency;
        var vpc = _world.CreateVpc(
            IPNetwork.Parse("10.0.0.0/16"),
            scenario.Families is null ? null : IPNetwork.Parse("2600:1f14:0:ff00::/56")
        );
        var subnets = scenario.Subnets.Select((plan, index) => CreateSubnet(vpc.Id, plan, index)).ToArray();
        var group = _world.CreateSecurityGroup(vpc.Id, "nodes");
        var instance = _world.LaunchInstance(
            new LaunchRequest
            {
                InstanceType = scenario.Type.Name,
                Subnet = subnets[0],
                Groups = [group.Id],
                Ipv6 = HasIpv6(0) ? AddressRequest.Any(1) : AddressRequest.None,
                EnablePrimaryIpv6 = HasIpv6(0),
            }
        );
        _checker = new SafetyChecker(scenario, _world, instance.Id, _time, _trace);
        _node = new SimulatedNode(scenario, mutation, _time, _world, instance.Id, _checker, _trace);
        _pods = new SimulatedPods(scenario, _node);
        SecurityGroupId[] groups = [.. Enumerable.Range(1, 3).Select(number => _world.CreateSecurityGroup(vpc.Id, $"group-{number}").Id)];
        _cluster = new SimulatedCluster(scenario, _node, _checker, subnets, groups);
        _node.DaemonStarted = () =>
        {
            _cluster.DaemonStarted();
            _hostFaults?.DaemonStarted();
        };
        _node.SubnetFound = _cluster.SubnetFound;
        _faults = new FaultInjector(scenario, _node, _cluster, subnets, [group.Id, .. groups]);
        if (scenario.Host is not { } host)
            return;
        _hostFaults = new HostFaults(host, scenario, _node, _node.Network);
        _node.ReconcilerOperation = _hostFaults.ReconcilerOperation;
    }

    /// <param name="seed">The seed.</param>
    /// <param name="echo">Gets the trace.</param>
    /// <param name="mode">Overrides the seed's families.</param>
    public static SimulationResult Run(int seed, TextWriter? echo = null, PodMode? mode = null) =>
        new Simulation(Scenario.From(seed, mode), Mutation.None, echo).Run();

    public static SimulationResult Run(Scenario scenario, Mutation mutation) => new Simulation(scenario, mutation, echo: null).Run();

    private bool HasIpv6(int subnet) => _scenario.Families?.HasIpv6[subnet] ?? false;

    private SubnetId CreateSubnet(VpcId vpc, SubnetPlan plan, int index) =>
        _world
            .CreateSubnet(
                vpc,
                plan.IsFar ? "us-west-2b" : "us-west-2a",
                IPNetwork.Parse($"10.0.{(index + 1) * 16}.0/{plan.PrefixLength}"),
                HasIpv6(index) ? IPNetwork.Parse($"2600:1f14:0:ff{index + 1:x2}::/64") : null,
                Tags(plan),
                HasIpv6(index) && _scenario.Families!.AssignsOnCreation
            )
            .Id;

    private SimulationResult Run()
    {
        try
        {
            _trace.Add(_scenario.ToString());
            _time.Outside.Post(() =>
            {
                _faults.FillSubnets();
                // The world has a history when the daemon starts, so that lag shows something.
                _time.After(TimeSpan.FromMinutes(11), Begin);
                _time.After(TimeSpan.FromMinutes(11), WatchRequests);
            });
            var calmAt = Start + TimeSpan.FromMinutes(11) + _scenario.Trouble;
            if (!_time.RunUntil(Step, calmAt))
                Recover();
            if (_checker.Violation is null)
                _checker.CheckWorld();
        }
        catch (Exception exception)
        {
            _checker.Fail($"the simulation itself failed: {exception}");
        }

        return new SimulationResult(
            _scenario.Seed,
            _time.Steps,
            _time.GetUtcNow() - Start,
            _trace.Hash,
            _pods.Started,
            _checker.Reported,
            _node.Crashes,
            _world.Calls.Total,
            _checker.Violation,
            _trace.ToString()
        );
    }

    private void Begin()
    {
        _faults.Begin();
        _hostFaults?.Begin();
        _node.StartDaemon();
        _pods.Begin();
    }

    private void WatchRequests()
    {
        _checker.CheckRequests();
        _time.After(TimeSpan.FromSeconds(1), WatchRequests);
    }

    private bool Step()
    {
        _checker.AfterStep();
        return _checker.Violation is not null;
    }

    private void Recover()
    {
        _trace.Add("the faults end");
        _time.Outside.Post(() =>
        {
            _faults.End();
            _hostFaults?.End();
            _node.IsCalm = true;
            _pods.IsCalm = true;
        });
        var (calmAt, wrongSince) = (_time.GetUtcNow(), _time.GetUtcNow());
        DateTimeOffset? hostWrongSince = null;
        while (true)
        {
            if (_time.RunUntil(Step, _time.GetUtcNow().AddSeconds(5)))
                return;
            if ((_pods.Error ?? _faults.Error ?? _hostFaults?.Error) is { } error)
                throw new InvalidOperationException("the simulation itself failed", error);
            if (Remainder() is not var (remainder, limit))
            {
                if (HostProblem() is not var (problem, bound))
                    break;
                hostWrongSince ??= _time.GetUtcNow();
                if (_time.GetUtcNow() < hostWrongSince + bound)
                    continue;
                _checker.Fail($"{(_time.GetUtcNow() - calmAt).TotalMinutes:0} minutes after the faults ended: {problem}");
                return;
            }

            hostWrongSince = null;
            // Changes by others may take long to find; meanwhile the pool has to follow what it finds.
            if (limit > Recovery)
                wrongSince = _time.GetUtcNow();
            if (_time.GetUtcNow() < (limit > Recovery ? calmAt + limit : wrongSince + Recovery))
                continue;
            TraceBothViews();
            _checker.Fail($"{(_time.GetUtcNow() - calmAt).TotalMinutes:0} minutes after the faults ended: {remainder}");
            return;
        }

        _trace.Add("everything is in its desired state");
        RepeatAllAdds();
        CheckNothingIsRepaired();
    }

    /// <summary>What is right is not repaired: a repair that finds its own result wrong would go on for ever.</summary>
    private void CheckNothingIsRepaired()
    {
        // The reconciler may have missed reports about addresses that pods have lost, which are checked by nobody.
        _time.RunUntil(Step, _time.GetUtcNow() + TwoSyncs);
        var (repairs, others, pods) = (_node.Network.Repairs, _node.Network.OtherChanges, _checker.Reported);
        _time.RunUntil(Step, _time.GetUtcNow() + TwoSyncs);
        if (_node.Network.OtherChanges == others && _checker.Reported == pods && _node.Network.Repairs != repairs)
            _checker.Fail($"the reconciler made {_node.Network.Repairs - repairs} repairs although nothing was wrong");
    }

    private (string What, TimeSpan Bound)? HostProblem() => _node.Network.Problem(Truth().Managed, _node.Mode);

    private PoolTruth Truth() => new(_scenario, _world, _node.Instance, (_node.UsesPrefixes, _node.Mode), _cluster.Wanted, _checker.Live);

    /// <summary>Traces the true state and the daemon's view of it.</summary>
    private void TraceBothViews()
    {
        foreach (var subnet in _world.Subnets)
            _trace.Add(
                $"world: {subnet.Id} {subnet.Ipv4Range} {subnet.Ipv6Range} has {_world.FreeAddresses(subnet.Id)} free addresses, "
                    + $"{_world.FreePrefixes(subnet.Id)} free prefixes, tags "
                    + $"{string.Join(' ', subnet.Tags.Select(tag => $"{tag.Key}={tag.Value}"))}"
            );
        foreach (var eni in _world.InterfacesOf(_node.Instance))
            _trace.Add(
                $"world: {eni.Id} {eni.Attachment!.Status} {eni.Attachment.DeviceIndex} in {eni.Subnet}: {string.Join(' ', eni.AllRanges)}"
            );
        if (_node.Engine is not { } engine)
            return;
        foreach (var item in engine.Ledger.View(_time.GetUtcNow()).Interfaces)
        {
            _trace.Add(
                $"daemon: {item.Id} {item.Slot} in {item.SubnetId}, carries pods {item.CarriesPods}, excluded "
                    + $"{item.IsExcluded}, draining {item.IsDraining}: "
                    + string.Join(
                        ' ',
                        item.Blocks.Select(block => $"{block.Range}({block.Assigned}/{block.Cooling}/{(block.IsReleasing ? "r" : "")})")
                    )
            );
        }

        foreach (var open in engine.Ledger.OpenIntents())
            _trace.Add($"daemon: open since {open.OutcomeUnknownSince}: {open.Intent}");
    }

    /// <summary>What is not in its desired state yet, and how long that may take.</summary>
    private (string What, TimeSpan Limit)? Remainder()
    {
        if (!_node.IsUp)
            return ("the daemon is down", Recovery);
        if (_node.Notes.Entries.Count > 0)
            return ($"{_node.Notes.Entries.Count} notes of DELs are not processed", Recovery);
        var truth = Truth();
        if (_pods.Waiting > 0 && truth.CanServeOneMore)
            return ($"{_pods.Waiting} pods are pending although addresses are free or the cloud would give some ({truth})", Recovery);
        if ((truth.Shortage() ?? truth.Unpaired() ?? truth.Unfinished() ?? truth.WrongGroups()) is { } problem)
            return (problem, Recovery);
        if (_checker.LedgerProblem(_node.Engine!) is { } wrong)
            return (wrong, Recovery);
        // A running change is fine: pods that cannot be served keep the pool trying.
        if (
            _node.Engine!.Ledger.OpenIntents().Any(open => !open.IsRunning)
            && CheckpointTruth.OpenIntents(_node.Disk.Content) is { } intents
        )
            return (intents, Recovery);
        if (truth.Leak(_checker.DetachedByOthers) is var (leak, isByOthers))
            return (leak, isByOthers ? LongRecovery : Recovery);
        return truth.Surplus() is { } surplus ? (surplus, SurplusRecovery) : null;
    }

    private static Dictionary<string, string> Tags(SubnetPlan plan)
    {
        var tags = new Dictionary<string, string>(StringComparer.Ordinal);
        if (plan.Role is { } role)
            tags["kubernetes.io/role/cni"] = role;
        if (plan.Cluster is { } cluster)
            tags["cni.networking.k8s.aws/cluster/" + cluster] = "shared";
        return tags;
    }

    /// <summary>Checks at the end that every pod still has its address.</summary>
    private void RepeatAllAdds()
    {
        List<Task<AddReply>> answers = [];
        var asked = false;
        _time.Outside.Post(() =>
        {
            foreach (var pod in _checker.Live.Where(pod => !pod.HasLostAddress && !_checker.IsDamaged(pod)).ToArray())
                answers.Add(_node.AddAsync(pod, TimeSpan.FromSeconds(60)));
            asked = true;
        });
        if (
            _time.RunUntil(() => Step() || (asked && answers.TrueForAll(answer => answer.IsCompleted)), _time.GetUtcNow().AddMinutes(2))
            && _checker.Violation is null
        )
        {
            foreach (var answer in answers)
            {
                if (answer.Status != TaskStatus.RanToCompletion || answer.GetAwaiter().GetResult() is not AddReply.Assigned)
                    _checker.Fail(
                        $"the repeated ADD of a live pod returned {answer.Status} "
                            + $"{(answer.IsCompletedSuccessfully ? answer.GetAwaiter().GetResult() : answer.Exception)}"
                    );
            }
        }
        else
        {
            _checker.Fail("repeated ADDs of live pods got no answer");
        }
    }
}
