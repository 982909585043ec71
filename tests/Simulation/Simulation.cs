// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;
using VpcCni.Simulation.Tests.Checker;

namespace VpcCni.Simulation.Tests;

/// <summary>What a run of one seed came to.</summary>
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
/// One run: the whole daemon on one thread in virtual time. First trouble, in which nothing may ever be unsafe; then the trouble ends, and
/// within a bounded time everything must be as it should be.
/// </summary>
internal sealed class Simulation
{
    private static readonly DateTimeOffset Start = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    /// <summary>
    /// From the end of the trouble until pods are served, the targets are met and nothing is left open. The longest honest wait is for the
    /// evidence of a lost DEL: three minutes and two observations.
    /// </summary>
    private static readonly TimeSpan Recovery = TimeSpan.FromMinutes(25);

    /// <summary>Until what is more than the targets ask for has gone back: interfaces are kept for a while, one goes at a time.</summary>
    private static readonly TimeSpan SurplusRecovery = TimeSpan.FromMinutes(40);

    /// <summary>
    /// Interfaces that others detached are found by the hourly look for leaked ones; one whose age cannot be known, by the next.
    /// </summary>
    private static readonly TimeSpan LongRecovery = TimeSpan.FromMinutes(150);

    private readonly Scenario _scenario;
    private readonly VirtualTime _time = new(Start);
    private readonly VpcWorld _world;
    private readonly Trace _trace;
    private readonly SafetyChecker _checker;
    private readonly SimulatedNode _node;
    private readonly SimulatedPods _pods;
    private readonly SimulatedCluster _cluster;
    private readonly FaultInjector _trouble;

    private Simulation(Scenario scenario, Mutation sabotage, TextWriter? echo)
    {
        _scenario = scenario;
        _trace = new Trace(_time) { Echo = echo };
        _world = ModelWorld.Create(_time, Scenario.Stream(scenario.Seed, "world"));
        _world.Timing.AttachLatency = scenario.AttachLatency;
        _world.Timing.DetachLatency = scenario.DetachLatency;
        var vpc = _world.CreateVpc(IPNetwork.Parse("10.0.0.0/16"));
        var subnets = scenario
            .Subnets.Select(
                (plan, index) =>
                    _world
                        .CreateSubnet(
                            vpc.Id,
                            plan.IsFar ? "us-west-2b" : "us-west-2a",
                            IPNetwork.Parse($"10.0.{(index + 1) * 16}.0/{plan.PrefixLength}"),
                            tags: Tags(plan)
                        )
                        .Id
            )
            .ToArray();
        var group = _world.CreateSecurityGroup(vpc.Id, "nodes");
        var instance = _world.LaunchInstance(
            new LaunchRequest
            {
                InstanceType = scenario.Type.Name,
                Subnet = subnets[0],
                Groups = [group.Id],
            }
        );
        _checker = new SafetyChecker(scenario, _world, instance.Id, _time, _trace);
        _node = new SimulatedNode(scenario, sabotage, _time, _world, instance.Id, _checker, _trace);
        _pods = new SimulatedPods(scenario, _node);
        SecurityGroupId[] groups = [.. Enumerable.Range(1, 3).Select(number => _world.CreateSecurityGroup(vpc.Id, $"group-{number}").Id)];
        _cluster = new SimulatedCluster(scenario, _node, _checker, subnets, groups);
        _node.DaemonStarted = _cluster.DaemonStarted;
        _node.SubnetFound = _cluster.SubnetFound;
        _trouble = new FaultInjector(scenario, _node, _cluster, subnets, [group.Id, .. groups]);
    }

    public static SimulationResult Run(int seed, Mutation? sabotage = null, TextWriter? echo = null) =>
        new Simulation(Scenario.From(seed), sabotage ?? Mutation.None, echo).Run();

    public static SimulationResult Run(Scenario scenario, Mutation sabotage) => new Simulation(scenario, sabotage, echo: null).Run();

    private SimulationResult Run()
    {
        try
        {
            _trace.Add(_scenario.ToString());
            _time.Outside.Post(() =>
            {
                _trouble.FillSubnets();
                // The world has a past when the daemon starts, so that lag shows something.
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
            _checker.Told,
            _node.Crashes,
            _world.Calls.Total,
            _checker.Violation,
            _trace.ToString()
        );
    }

    private void Begin()
    {
        _trouble.Begin();
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
        _trace.Add("the trouble ends");
        _time.Outside.Post(() =>
        {
            _trouble.End();
            _node.IsCalm = true;
            _pods.IsCalm = true;
        });
        var (calmAt, wrongSince) = (_time.GetUtcNow(), _time.GetUtcNow());
        while (true)
        {
            if (_time.RunUntil(Step, _time.GetUtcNow().AddSeconds(5)))
                return;
            if ((_pods.Error ?? _trouble.Error) is { } error)
                throw new InvalidOperationException("the simulation itself failed", error);
            if (WhatRemains() is not var (remains, patience))
                break;
            // What others did may take long to find; meanwhile the pool has to follow what is found.
            if (patience > Recovery)
                wrongSince = _time.GetUtcNow();
            if (_time.GetUtcNow() < (patience > Recovery ? calmAt + patience : wrongSince + Recovery))
                continue;
            TellBothViews();
            _checker.Fail($"{(_time.GetUtcNow() - calmAt).TotalMinutes:0} minutes after the trouble ended: {remains}");
            return;
        }

        _trace.Add("everything is as it should be");
        AskAllAgain();
    }

    /// <summary>For the reader of the trace: what there is, and what the daemon believes.</summary>
    private void TellBothViews()
    {
        foreach (var subnet in _world.Subnets)
            _trace.Add(
                $"world: {subnet.Id} {subnet.Ipv4Range} has {_world.FreeAddresses(subnet.Id)} free addresses, "
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
                $"daemon: {item.Id} {item.DeviceIndex} in {item.SubnetId}, carries pods {item.CarriesPods}, excluded "
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

    /// <summary>What is not yet as it should be, and how long that may take.</summary>
    private (string What, TimeSpan Patience)? WhatRemains()
    {
        if (!_node.IsUp)
            return ("the daemon is down", Recovery);
        if (_node.Notes.Entries.Count > 0)
            return ($"{_node.Notes.Entries.Count} notes of DELs are not taken", Recovery);
        var truth = new PoolTruth(_scenario, _world, _node.Instance, _node.UsesPrefixes, _cluster.Wanted, _checker.Live);
        if (_pods.Waiting > 0 && truth.CanServeOneMore)
            return ($"{_pods.Waiting} pods wait although addresses are free or the cloud would give some ({truth})", Recovery);
        if ((truth.Shortage() ?? truth.Unsettled() ?? truth.WrongGroups()) is { } problem)
            return (problem, Recovery);
        // One that is being carried out is nothing to worry about: pods that nothing can serve keep the pool trying.
        if (
            _node.Engine!.Ledger.OpenIntents().Any(open => !open.IsRunning)
            && CheckpointTruth.OpenIntents(_node.Disk.Content) is { } intents
        )
            return (intents, Recovery);
        if (truth.Leak(_checker.DetachedByOthers) is var (leak, isOthersDoing))
            return (leak, isOthersDoing ? LongRecovery : Recovery);
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

    /// <summary>At the end, every pod still has the address that it was told.</summary>
    private void AskAllAgain()
    {
        List<Task<AddReply>> answers = [];
        var asked = false;
        _time.Outside.Post(() =>
        {
            foreach (var pod in _checker.Live.Where(pod => !pod.IsHurt && !_checker.IsDamaged(pod.Address!, pod.ToldAt)).ToArray())
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
                if (answer.Status != TaskStatus.RanToCompletion || answer.GetAwaiter().GetResult() is not AddReply.Address)
                    _checker.Fail(
                        $"a living pod asked for its address again and got {answer.Status} "
                            + $"{(answer.IsCompletedSuccessfully ? answer.GetAwaiter().GetResult() : answer.Exception)}"
                    );
            }
        }
        else
        {
            _checker.Fail("living pods asked for their addresses again and got no answer");
        }
    }
}
