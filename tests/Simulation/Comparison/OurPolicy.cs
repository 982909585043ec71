// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Datapath;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Hosting;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Startup;

namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>Runs the real pool engine on a trace of pods.</summary>
internal sealed class OurPolicy
{
    private readonly ComparedNode _node;
    private readonly ModelKernel _kernel;
    private readonly ModelPlugin _plugin;
    private readonly ModelDisk _disk = new();
    private readonly List<TimeSpan> _waits = [];
    private readonly Dictionary<int, Task> _starting = [];
    private DaemonRun _daemon = null!;
    private PoolEngine _engine = null!;
    private int _starts;
    private int _refused;

    public OurPolicy(ComparedNode node, IReadOnlyDictionary<string, string> environment)
    {
        _node = node;
        _kernel = new ModelKernel(node.World, node.Instance.Id);
        _plugin = new ModelPlugin(_kernel);
        Start(environment);
        node.Time.Advance(TimeSpan.FromMinutes(2));
    }

    public PoolEngine Engine => _engine;

    /// <summary>Times from the first ADD of a pod to its address, in the order in which they were served.</summary>
    public IReadOnlyList<TimeSpan> Waits => _waits;

    /// <summary>Number of ADDs that failed and were retried.</summary>
    public int Refused => _refused;

    /// <summary>Pause before a pod is retried after a failure.</summary>
    public TimeSpan Retry { get; init; } = Kubelet.Retry;

    /// <summary>Kills the daemon, and starts the next run on the same disk and kernel.</summary>
    public void Restart(IReadOnlyDictionary<string, string> environment)
    {
        _daemon.Kill();
        Start(environment);
    }

    private void Start(IReadOnlyDictionary<string, string> environment)
    {
        _daemon = new DaemonRun(_node.Time, $"ours {++_starts}");
        _daemon.Post(() =>
        {
            var time = new MonotonicTime(_daemon);
            var cloud = new ModelCloud(_node.World, _node.Instance.Id, _daemon, new Random(2), new AwsCloudOptions())
            {
                Latency = CallLatency.Constant(_node.Latency),
            };
            _engine = new PoolEngine(
                new PoolPorts(
                    new AwsFactory(cloud, ManageUntagged: true),
                    ModelHost.Open(_kernel, _daemon, time, NullLoggerFactory.Instance),
                    new ModelCheckpointFile(_disk, _daemon),
                    new ModelMissedDels(new ModelNotes(), _daemon),
                    time,
                    new Random(3),
                    NullLoggerFactory.Instance
                ),
                OptionBinder.Bind(environment).Options,
                new DaemonState("compared", time)
            );
            // The cluster's value, which VPCCNI_MAX_PODS overrides.
            _engine.Conditions.MaxPods = _node.Instance.Type.MaxPodsWithSecondaryAddresses;
            _ = _engine.RunAsync(_ => { }, CancellationToken.None);
        });
    }

    public static ComparedResult Run(string type, IReadOnlyList<PodEvent> trace, Dictionary<string, string>? environment = null)
    {
        var node = new ComparedNode(type);
        var ours = new OurPolicy(node, environment ?? new Dictionary<string, string>());
        var before = node.Calls();
        foreach (var item in trace)
            node.Time.After(
                item.At,
                () =>
                    ours._starting[item.Pod] = item.Starts ? ours.StartAsync(item.Pod) : ours.StopAsync(item.Pod, ours._starting[item.Pod])
            );
        node.Time.Advance(trace[^1].At + TimeSpan.FromMinutes(10));
        return ComparedNode.Result(before, node.Calls(), ours._refused, ours._waits);
    }

    /// <summary>Runs the steps of a row as they were measured.</summary>
    public static RowResult Run(ReferenceRow row, TimeSpan callTime, TimeSpan quiet)
    {
        var node = new ComparedNode(row.InstanceType, callTime);
        var ours = new OurPolicy(node, row.Environment);
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

    /// <summary>Starts a pod; the task ends when it has an address.</summary>
    public void StartPod(int pod) => _starting[pod] = StartAsync(pod);

    public void StopPod(int pod) => _starting[pod] = StopAsync(pod, _starting[pod]);

    private async Task StartAsync(int pod)
    {
        var began = _node.Time.GetUtcNow();
        while (true)
        {
            var outcome = await _daemon.Start(() =>
                _engine.Addresses.AddAsync(Key(pod), new PodReference("default", $"p{pod}"), "", CancellationToken.None)
            );
            if (outcome is AddOutcome.Assigned assigned)
            {
                _waits.Add(_node.Time.GetUtcNow() - began);
                _plugin.Add("default", $"p{pod}", [.. assigned.Attachment.Addresses.Select(item => item.Address)], Egress.Main);
                return;
            }

            _refused++;
            await Task.Delay(Retry, _node.Time);
        }
    }

    private async Task StopAsync(int pod, Task started)
    {
        await started;
        _plugin.Remove("default", $"p{pod}");
        await _daemon.Start(() => _engine.Addresses.DeleteAsync(Key(pod), new PodReference("default", $"p{pod}"), CancellationToken.None));
    }

    private static AttachmentKey Key(int pod) => new("aws-cni", $"c{pod}", "eth0");
}

/// <summary>kubelet's behaviour after a failed ADD.</summary>
internal static class Kubelet
{
    /// <summary>
    /// Pause before a new sandbox: about a second at first. Later, longer pauses are left out, in favour of the policy that fails ADDs.
    /// </summary>
    public static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);
}
