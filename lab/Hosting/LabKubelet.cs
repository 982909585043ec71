// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// Scheduler and kubelets of the lab in one loop, so that <c>kubectl run</c>, <c>kubectl apply</c> and <c>kubectl delete</c> of a pod do
/// what they do in a cluster: the pod gets a node, the plugin wires it, its object says so; a pod that is deleted is unwired, and then its
/// object goes. Level-triggered: each look compares all pods with the objects there are.
/// </summary>
internal sealed partial class LabKubelet(VpcLab lab, LabCluster cluster, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    private const int MaxAtOnce = 16;

    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LastRetry = TimeSpan.FromSeconds(10);

    /// <summary>Also without a change something may be due: a retry, or a pod whose object was removed by force.</summary>
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);

    /// <summary>Between two looks at least: a look copies all pods, and a burst of changes is one.</summary>
    private static readonly TimeSpan LookPause = TimeSpan.FromMilliseconds(100);

    private readonly CancellationTokenSource _ending = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<PodName, Task> _working = [];
    private readonly Dictionary<PodName, (DateTimeOffset At, TimeSpan Pause)> _retries = [];
    private Task _loop = Task.CompletedTask;

    public void Start() => _loop = RunAsync(_ending.Token);

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _loop;
        Task[] working;
        lock (_lock)
            working = [.. _working.Values];
        await Task.WhenAll(working);
        _ending.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        var store = cluster.Plane.Store;
        while (!cancellationToken.IsCancellationRequested)
        {
            var seen = store.LastVersion;
            try
            {
                Look();
                await Task.Delay(LookPause, time, cancellationToken);
                await store.ChangedAfterAsync(seen).WaitAsync(LookInterval, time, cancellationToken);
            }
            catch (TimeoutException)
            {
                // Time for a look without a change.
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                LogLookFailed(logger, error); // a mistake here must not end the lab; the next look may go better
            }
        }
    }

    private void Look()
    {
        var pods = cluster.Plane.Store.List(BuiltInTypes.Pods, Selection.All).Items;
        foreach (var pod in pods)
        {
            var name = NameOf(pod);
            var node = pod.Text("spec", "nodeName");
            if (pod["metadata"]!["deletionTimestamp"] is not null)
                Begin(name, pod, "FailedKillPod", () => EndAsync(pod, name));
            else if (node.Length == 0)
                Schedule(pod, pods);
            else if (IsMine(pod) && lab.Nodes.FirstOrDefault(one => one.Name == node) is { } found)
                Begin(name, pod, "FailedCreatePodSandBox", () => WireAsync(found, pod, name));
        }

        // Removed by force: the object went first.
        var known = pods.Select(NameOf).ToHashSet();
        foreach (var (node, pod) in lab.Nodes.SelectMany(node => node.Pods.Select(pod => (node, pod))))
        {
            var name = new PodName(pod.Attachment.PodNamespace, pod.Attachment.PodName);
            if (known.Add(name))
                Begin(name, pod: null, "", () => UnwireAsync(node, name));
        }

        lock (_lock)
        {
            foreach (var gone in _retries.Keys.Where(name => !known.Contains(name)).ToArray())
                _retries.Remove(gone);
        }
    }

    private static PodName NameOf(JsonObject pod) => new(pod.Text("metadata", "namespace"), pod.Text("metadata", "name"));

    /// <summary>A pod that waits for its network, and that nobody else is wiring.</summary>
    private static bool IsMine(JsonObject pod) =>
        pod.Text("status", "phase") == "Pending"
        && !pod.Flag("spec", "hostNetwork")
        && pod["metadata"]!["annotations"].Text(ClusterObjects.AddedByLab).Length == 0;

    /// <summary>
    /// One thing at a time for a pod, and a bounded number in all; what finds no place, or is not due again, is found by a later look.
    /// </summary>
    /// <param name="pod">Whose failures are told as events; null for a pod without an object.</param>
    /// <param name="reason">Of such an event.</param>
    private void Begin(PodName name, JsonObject? pod, string reason, Func<Task> work)
    {
        lock (_lock)
        {
            if (_working.Count >= MaxAtOnce || _working.ContainsKey(name) || _ending.IsCancellationRequested)
                return;
            if (_retries.TryGetValue(name, out var retry) && retry.At > time.GetUtcNow())
                return;
            _working[name] = DoAsync();
        }

        async Task DoAsync()
        {
            await Task.Yield(); // out of the lock
            try
            {
                await work();
                lock (_lock)
                    _retries.Remove(name);
            }
            catch (OperationCanceledException) when (_ending.IsCancellationRequested)
            {
                // The lab ends.
            }
            catch (Exception error)
            {
                lock (_lock)
                {
                    var pause = _retries.TryGetValue(name, out var last)
                        ? TimeSpan.FromTicks(Math.Min(last.Pause.Ticks * 2, LastRetry.Ticks))
                        : FirstRetry;
                    _retries[name] = (time.GetUtcNow() + pause, pause);
                }

                if (pod is not null && error is CniException or LabException or AggregateException)
                    cluster.Tell(pod, "Warning", reason, error.Message, "kubelet");
                else
                    LogPodFailed(logger, name.ToString(), error);
            }
            finally
            {
                lock (_lock)
                    _working.Remove(name);
            }
        }
    }

    /// <summary>The node with the fewest pods among those that take any.</summary>
    private void Schedule(JsonObject pod, IReadOnlyList<JsonObject> pods)
    {
        var store = cluster.Plane.Store;
        var best = store
            .List(BuiltInTypes.Nodes, Selection.All)
            .Items.Where(node =>
                !node.Flag("spec", "unschedulable")
                && !node.Objects("spec", "taints").Any(taint => taint.Text("effect") is "NoSchedule" or "NoExecute")
            )
            .Select(node =>
                (
                    Name: node.Text("metadata", "name"),
                    Capacity: int.Parse(node.Text("status", "allocatable", "pods") is { Length: > 0 } text ? text : "0")
                )
            )
            .Select(node => (node.Name, node.Capacity, Pods: pods.Count(other => other.Text("spec", "nodeName") == node.Name)))
            .Where(node => node.Pods < node.Capacity)
            .OrderBy(node => node.Pods)
            .ThenBy(node => node.Name, StringComparer.Ordinal)
            .FirstOrDefault();
        var name = NameOf(pod);
        if (best.Name is null)
        {
            if (pod.Objects("status", "conditions").Any())
                return; // said already
            const string Why = "no node takes a further pod";
            cluster.SetUnschedulable(pod, Why);
            cluster.Tell(pod, "Warning", "FailedScheduling", Why, "default-scheduler");
            return;
        }

        store.Patch(
            BuiltInTypes.Pods,
            name.Namespace,
            name.Name,
            current =>
            {
                current["spec"]!["nodeName"] = best.Name;
                return current;
            }
        );
        cluster.Tell(pod, "Normal", "Scheduled", $"Successfully assigned {name} to {best.Name}", "default-scheduler");
    }

    private async Task WireAsync(LabNode node, JsonObject pod, PodName name)
    {
        if (!pod.Objects("status", "containerStatuses").Any())
            cluster.SetWaiting(pod);
        var wired = node.FindPod(name.ToString()) ?? await node.AddPodAsync(name, _ending.Token);
        cluster.SetRunning(pod, wired.Address, node.Address);
    }

    private async Task EndAsync(JsonObject pod, PodName name)
    {
        if (lab.Nodes.FirstOrDefault(one => one.FindPod(name.ToString()) is not null) is { } node)
            await UnwireAsync(node, name);
        cluster.RemovePod(pod);
    }

    private async Task UnwireAsync(LabNode node, PodName name)
    {
        if (node.FindPod(name.ToString()) is not null)
            await node.DeletePodAsync(name, _ending.Token);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "the lab's kubelet failed to look at its pods")]
    private static partial void LogLookFailed(ILogger logger, Exception error);

    [LoggerMessage(Level = LogLevel.Error, Message = "pod {Pod}: the lab's kubelet failed")]
    private static partial void LogPodFailed(ILogger logger, string pod, Exception error);
}
