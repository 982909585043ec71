// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Datapath;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Hosting;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Startup;
using VpcCni.Lab.VpcModel;
using VpcCni.Simulation;

namespace VpcCni.KubectlPlugin.WhatIf;

/// <summary>The addresses of an interface in a stable pool.</summary>
/// <param name="DeviceIndex">Device index; 0 is the primary interface.</param>
/// <param name="Addresses">Number of addresses for pods; a prefix counts as 16.</param>
/// <param name="Prefixes">Number of prefixes.</param>
/// <param name="UsedAddresses">Number of addresses assigned to pods.</param>
internal sealed record WhatIfEni(int DeviceIndex, int Addresses, int Prefixes, int UsedAddresses);

/// <summary>A stable pool with a number of running pods.</summary>
/// <param name="Pods">Number of requested pods.</param>
/// <param name="Enis">Number of attached interfaces, including the primary one.</param>
/// <param name="Addresses">Number of addresses for pods on all interfaces; a prefix counts as 16.</param>
/// <param name="Prefixes">Number of prefixes on all interfaces.</param>
/// <param name="UnusedAddresses">Number of free addresses.</param>
/// <param name="UnusedPrefixes">Number of prefixes without an assigned address.</param>
/// <param name="PerEni">The interfaces by device index.</param>
/// <param name="Ec2Calls">
/// Number of EC2 calls from the change of the number of pods until the pool was stable, without periodic syncs after that.
/// </param>
internal sealed record WhatIfStep(
    int Pods,
    int Enis,
    int Addresses,
    int Prefixes,
    int UnusedAddresses,
    int UnusedPrefixes,
    IReadOnlyList<WhatIfEni> PerEni,
    long Ec2Calls
);

/// <summary>All steps, and the errors of pods that got no address.</summary>
internal sealed record WhatIfOutcome(IReadOnlyList<WhatIfStep> Steps, IReadOnlyList<string> Notes);

/// <summary>
/// Runs the real pool on the model: one node in a large subnet, whose pods start and stop together. After each change virtual time advances
/// until the pool is stable.
/// </summary>
internal sealed class WhatIfRun
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Durations of a call, an attachment and a detachment in EC2, as observed on nodes.</summary>
    private static readonly TimeSpan CallTime = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan AttachTime = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan DetachTime = TimeSpan.FromSeconds(10);

    /// <summary>The pool is stable if nothing changed for this time plus the cooldown; longer than any delay of the pool.</summary>
    private static readonly TimeSpan Quiet = PoolLimits.IdleInterface + TimeSpan.FromMinutes(5);

    /// <summary>A pool that is not stable after this time oscillates.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromHours(12);

    /// <summary>Interval between the attempts of a pod, as of kubelet.</summary>
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(5);

    private readonly VirtualTime _time = new(Start);
    private readonly VpcWorld _world;
    private readonly Instance _instance;
    private readonly ModelKernel _kernel;
    private readonly ModelPlugin _plugin;
    private readonly DaemonRun _daemon;
    private readonly IpamdOptions _options;
    private readonly List<Pod> _pods = [];
    private PoolEngine? _engine;
    private Exception? _failure;
    private int _made;

    private WhatIfRun(InstanceType type, IpamdOptions options)
    {
        _options = options;
        var random = new Random(1);
        _world = ModelWorld.Create(
            _time,
            random,
            new WorldOptions
            {
                AddressOrder = AddressOrder.Sequential,
                InstanceTypes = new Dictionary<string, InstanceType>(StringComparer.Ordinal) { [type.Name] = type },
            }
        );
        (_world.Timing.AttachLatency, _world.Timing.DetachLatency) = (AttachTime, DetachTime);
        var vpc = _world.CreateVpc(IPNetwork.Parse("10.0.0.0/16"));
        var subnet = _world.CreateSubnet(vpc.Id, _world.Options.Region + "a", vpc.Ipv4Ranges[0]);
        var group = _world.CreateSecurityGroup(vpc.Id, "nodes");
        _instance = _world.LaunchInstance(
            new LaunchRequest
            {
                InstanceType = type.Name,
                Subnet = subnet.Id,
                Groups = [group.Id],
            }
        );
        _kernel = new ModelKernel(_world, _instance.Id);
        _plugin = new ModelPlugin(_kernel);
        _daemon = new DaemonRun(_time, "ipamd");
    }

    /// <param name="type">Instance type of the node.</param>
    /// <param name="options">Options, bound from the environment.</param>
    /// <param name="pods">Number of pods of each step.</param>
    public static WhatIfOutcome Run(InstanceType type, IpamdOptions options, IReadOnlyList<int> pods)
    {
        var run = new WhatIfRun(type, options);
        run._daemon.Post(() => run.Watch(run.StartAsync()));
        List<WhatIfStep> steps = [];
        List<string> notes = [];
        foreach (var count in pods)
            steps.Add(run.Step(count, notes));
        return new WhatIfOutcome(steps, notes);
    }

    private WhatIfStep Step(int pods, List<string> notes)
    {
        var before = _world.Calls.Total;
        _time.Outside.Post(() =>
        {
            while (_pods.Count > pods)
            {
                var last = _pods[^1];
                _pods.RemoveAt(_pods.Count - 1);
                Watch(StopAsync(last));
            }

            while (_pods.Count < pods)
            {
                var pod = new Pod($"p{++_made}");
                _pods.Add(pod);
                Watch(StartAsync(pod));
            }
        });
        var (stable, calls) = RunUntilStable();
        if (!stable)
            notes.Add($"with {pods} pods the pool was not stable within {Longest.TotalHours:0} h");
        if (_pods.Count(pod => pod.Address is null) is var unserved and > 0)
            notes.Add(
                $"{unserved} of {pods} pods got no address: {_pods.First(pod => pod.Address is null).Refusal ?? "no answer in time"}"
            );
        return Describe(pods, calls - before);
    }

    /// <summary>Advances the time until the pool is stable. Returns also the number of EC2 calls at its last change.</summary>
    private (bool IsStable, long Calls) RunUntilStable()
    {
        var quiet = Quiet + _options.Cooldown;
        var limit = _time.GetUtcNow() + Longest + (quiet * 2);
        var (last, calls, changedAt) = ((object)"", _world.Calls.Total, _time.GetUtcNow());
        var stable = _time.RunUntil(
            () =>
            {
                if (_failure is not null)
                    return true;
                var now = Signature();
                if (!now.Equals(last))
                    (last, calls, changedAt) = (now, _world.Calls.Total, _time.GetUtcNow());
                return _time.GetUtcNow() - changedAt >= quiet;
            },
            limit
        );
        if (_failure is not null)
            throw new InvalidOperationException("the pool failed on the model", _failure);
        return (stable, calls);
    }

    /// <summary>Returns everything that changes until the pool is stable: attached interfaces and requested changes.</summary>
    private (long Mutations, int Served, int Cooling) Signature()
    {
        var counts = _world.Calls.Counts.Where(pair =>
            !pair.Key.Operation.StartsWith("Describe", StringComparison.Ordinal) && pair.Key.Outcome == CallLog.Success
        );
        return (
            counts.Sum(pair => pair.Value),
            _pods.Count(pod => pod.Address is not null),
            _engine?.Ledger.View(_time.GetUtcNow()).CooldownEnds.Count ?? -1
        );
    }

    private WhatIfStep Describe(int pods, long calls)
    {
        var view = _engine!.Ledger.View(_time.GetUtcNow());
        var blocks = view.Interfaces.SelectMany(item => item.Blocks).ToArray();
        return new WhatIfStep(
            pods,
            _world.InterfacesOf(_instance.Id).Count,
            blocks.Sum(block => block.Capacity),
            blocks.Count(IsPrefix),
            view.Free,
            blocks.Count(block => IsPrefix(block) && block.IsUnused),
            [
                .. view.Interfaces.Select(item => new WhatIfEni(
                    item.Slot.DeviceIndex,
                    item.Total,
                    item.Blocks.Count(IsPrefix),
                    item.Assigned
                )),
            ],
            calls
        );
    }

    private static bool IsPrefix(BlockView block) => !block.IsSingle;

    private async Task StartAsync()
    {
        var time = new MonotonicTime(_daemon);
        var cloud = new ModelCloud(_world, _instance.Id, _daemon, new Random(2), new AwsCloudOptions())
        {
            Latency = CallLatency.Constant(CallTime),
        };
        var ports = new PoolPorts(
            new AwsFactory(cloud, ManageUntagged: true),
            ModelHost.Open(_kernel, _daemon, time, NullLoggerFactory.Instance),
            new ModelCheckpointFile(new ModelDisk(), _daemon),
            new ModelMissedDels(new ModelNotes(), _daemon),
            time,
            new Random(3),
            NullLoggerFactory.Instance
        );
        _engine = new PoolEngine(ports, _options, new DaemonState("whatif", time));
        // Custom networking uses an ENIConfig with the only subnet. The result depends only on the primary interface having no pods.
        _engine.EniConfig.Set(new EniConfigState.Present("whatif", _instance.Subnet.Value, []));
        await _engine.RunAsync(_ => { }, CancellationToken.None);
        throw new UnreachableException("the pool ended on its own");
    }

    /// <summary>Records a failure in virtual time for the caller, which runs outside of it.</summary>
    private void Watch(Task task)
    {
        _ = WatchAsync();

        async Task WatchAsync()
        {
            try
            {
                await task;
            }
            catch (Exception exception)
            {
                _failure ??= exception;
            }
        }
    }

    private async Task StartAsync(Pod pod)
    {
        while (!pod.IsStopped && pod.Address is null)
        {
            var outcome = await _daemon.Start(() =>
                _engine!.Addresses.AddAsync(pod.Key, new PodReference("default", pod.Name), "", CancellationToken.None)
            );
            switch (outcome)
            {
                case AddOutcome.Assigned held:
                    pod.Address = held.Attachment.Addresses[0].Address;
                    _plugin.Add("default", pod.Name, [.. held.Attachment.Addresses.Select(item => item.Address)], Egress.Main);
                    break;
                case AddOutcome.NoAddress none:
                    pod.Refusal = none.Reason;
                    await Task.Delay(Retry, _time);
                    break;
                default:
                    throw new UnreachableException($"{outcome} without a fault");
            }
        }
    }

    private async Task StopAsync(Pod pod)
    {
        pod.IsStopped = true;
        _plugin.Remove("default", pod.Name);
        await _daemon.Start(() => _engine!.Addresses.DeleteAsync(pod.Key, new PodReference("default", pod.Name), CancellationToken.None));
    }

    private sealed class Pod(string name)
    {
        public string Name { get; } = name;
        public AttachmentKey Key { get; } = new("aws-cni", name, "eth0");
        public IPAddress? Address { get; set; }
        public string? Refusal { get; set; }
        public bool IsStopped { get; set; }
    }
}
