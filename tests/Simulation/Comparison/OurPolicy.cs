// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd;
using VpcCni.Ipamd.Aws;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observability;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.WarmPool;
using VpcCni.Ipamd.WhatIf;

namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>The real pool engine on a trace of pods.</summary>
internal sealed class OurPolicy
{
    private readonly ComparedNode _node;
    private readonly ModelKernel _kernel;
    private readonly Incarnation _daemon;
    private readonly PoolEngine _engine;
    private readonly List<TimeSpan> _waits = [];
    private readonly Dictionary<int, Task> _starting = [];
    private int _refused;

    private OurPolicy(ComparedNode node, Dictionary<string, string> environment)
    {
        _node = node;
        _kernel = new ModelKernel(node.World, node.Instance.Id);
        _daemon = new Incarnation(node.Time, "ours");
        PoolEngine? engine = null;
        _daemon.Post(() =>
        {
            var time = new MonotonicTime(_daemon);
            var cloud = new ModelCloud(node.World, node.Instance.Id, _daemon, new Random(2), new AwsCloudOptions()) { Latency = CallLatency.Constant(node.Latency) };
            engine = new PoolEngine(
                new PoolPorts(cloud, new ModelHost(_kernel, _daemon), new ModelCheckpointFile(new ModelDisk(), _daemon), time, new Random(3), NullLoggerFactory.Instance),
                OptionBinder.Bind(environment).Options,
                new DaemonState("compared", time));
            _ = engine.RunAsync(_ => { }, CancellationToken.None);
        });
        node.Time.Advance(TimeSpan.FromMinutes(2));
        _engine = engine!;
    }

    public static ComparedResult Run(string type, IReadOnlyList<PodEvent> trace, Dictionary<string, string>? environment = null)
    {
        var node = new ComparedNode(type);
        var ours = new OurPolicy(node, environment ?? []);
        var before = node.Calls();
        foreach (var item in trace) node.Time.After(item.At, () => ours._starting[item.Pod] = item.Starts ? ours.StartAsync(item.Pod) : ours.StopAsync(item.Pod, ours._starting[item.Pod]));
        node.Time.Advance(trace[^1].At + TimeSpan.FromMinutes(10));
        return ComparedNode.Result(before, node.Calls(), ours._refused, ours._waits);
    }

    /// <summary>The steps of a row, as they were measured.</summary>
    public static RowResult Run(ReferenceRow row, TimeSpan callTime, TimeSpan quiet)
    {
        var node = new ComparedNode(row.InstanceType, callTime);
        var ours = new OurPolicy(node, row.Environment);
        // As the cluster says it; VPCCNI_MAX_PODS overrules it.
        ours._engine.Conditions.MaxPods = node.Instance.Type.MaxPodsWithSecondaryAddresses;
        List<RowStep> steps = [];
        var pods = 0;
        IReadOnlyDictionary<string, long> before = new Dictionary<string, long>();
        foreach (var step in row.Steps)
        {
            var at = TimeSpan.Zero;
            for (; pods < step.Pods; pods++, at += RowResult.BetweenPods)
            {
                var pod = pods;
                node.Time.After(at, () => ours._starting[pod] = ours.StartAsync(pod));
            }

            node.Time.Advance(at + quiet);
            steps.Add(node.StepOf(step.Pods, before, ours._waits.Count == step.Pods));
            before = node.Calls();
        }

        return new RowResult(row, steps, [.. ours._waits.Order()]);
    }

    private async Task StartAsync(int pod)
    {
        var began = _node.Time.GetUtcNow();
        while (true)
        {
            var outcome = await _daemon.Start(() => _engine.Addresses.AddAsync(Key(pod), new PodReference("default", $"p{pod}"), "", CancellationToken.None));
            if (outcome is AddOutcome.Held held)
            {
                _waits.Add(_node.Time.GetUtcNow() - began);
                _kernel.Route($"p{pod}", held.Attachment.Addresses[0].Address);
                return;
            }

            _refused++;
            await Task.Delay(Kubelet.Retry, _node.Time);
        }
    }

    private async Task StopAsync(int pod, Task started)
    {
        await started;
        foreach (var route in _kernel.Routes.Values.Where(route => route.HostInterface == $"p{pod}").ToArray()) _kernel.Unroute(route.Address);
        await _daemon.Start(() => _engine.Addresses.DeleteAsync(Key(pod), new PodReference("default", $"p{pod}"), CancellationToken.None));
    }

    private static AttachmentKey Key(int pod) => new("aws-cni", $"c{pod}", "eth0");
}

/// <summary>What kubelet does when an ADD fails.</summary>
internal static class Kubelet
{
    /// <summary>A new sandbox about every second at first; the later, longer pauses are left out, in favour of whoever refuses.</summary>
    public static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);
}
