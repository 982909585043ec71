// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// Scheduler and kubelets of the lab in one loop. It makes <c>kubectl run</c>, <c>apply</c> and <c>delete</c> of a pod work as in a
/// cluster: assigns a new pod to a node, wires it through the plugin and sets its status; unwires a deleted pod and then removes its
/// object. Level-triggered: each sync compares all pods of the lab with all Pod objects.
/// </summary>
internal sealed partial class LabKubelet(VpcLab lab, LabCluster cluster, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    private const int MaxConcurrentPods = 16;

    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LastRetry = TimeSpan.FromSeconds(10);

    /// <summary>Time until a sync without a change of the store, for retries that are due.</summary>
    private static readonly TimeSpan ResyncInterval = TimeSpan.FromSeconds(1);

    /// <summary>Minimum time between two syncs. It coalesces bursts of changes, because a sync copies all pods.</summary>
    private static readonly TimeSpan SyncPause = TimeSpan.FromMilliseconds(100);

    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<PodName, Task> _working = [];
    private readonly Dictionary<PodName, (DateTimeOffset At, TimeSpan Pause)> _retries = [];
    private Task _loop = Task.CompletedTask;

    public void Start() => _loop = RunAsync(_stopping.Token);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _loop;
        Task[] working;
        lock (_lock)
            working = [.. _working.Values];
        await Task.WhenAll(working);
        _stopping.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        var store = cluster.Plane.Store;
        while (!cancellationToken.IsCancellationRequested)
        {
            var seen = store.LastVersion;
            try
            {
                Sync();
                await Task.Delay(SyncPause, time, cancellationToken);
                await store.WaitForChangeAsync(seen).WaitAsync(ResyncInterval, time, cancellationToken);
            }
            catch (TimeoutException)
            {
                // The resync interval has passed.
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                LogSyncFailed(logger, error); // the next sync retries; a bug here must not end the lab
            }
        }
    }

    private void Sync()
    {
        var pods = cluster.Plane.Store.List(BuiltInTypes.Pods, Selection.All).Items;
        foreach (var pod in pods)
        {
            var name = NameOf(pod);
            var node = pod.Text("spec", "nodeName");
            if (pod["metadata"]!["deletionTimestamp"] is not null)
                TryStart(name, pod, "FailedKillPod", () => TerminateAsync(pod, name));
            else if (node.Length == 0)
                Schedule(pod, pods);
            else if (NeedsNetwork(pod) && lab.Nodes.FirstOrDefault(one => one.Name == node) is { } found)
                TryStart(name, pod, "FailedCreatePodSandBox", () => WireAsync(found, pod, name));
        }

        // Pods whose objects were deleted without a grace period, which are still wired.
        var known = pods.Select(NameOf).ToHashSet();
        foreach (var (node, pod) in lab.Nodes.SelectMany(node => node.Pods.Select(pod => (node, pod))))
        {
            var name = new PodName(pod.Attachment.PodNamespace, pod.Attachment.PodName);
            if (known.Add(name))
                TryStart(name, pod: null, "", () => UnwireAsync(node, name));
        }

        lock (_lock)
        {
            foreach (var gone in _retries.Keys.Where(name => !known.Contains(name)).ToArray())
                _retries.Remove(gone);
        }
    }

    private static PodName NameOf(JsonObject pod) => new(pod.Text("metadata", "namespace"), pod.Text("metadata", "name"));

    /// <summary>Whether a pod waits for a network that this kubelet has to wire.</summary>
    private static bool NeedsNetwork(JsonObject pod) =>
        pod.Text("status", "phase") == "Pending"
        && !pod.Flag("spec", "hostNetwork")
        && pod["metadata"]!["annotations"].Text(ClusterObjects.AddedByLab).Length == 0;

    /// <summary>
    /// Starts work on a pod, unless work on it is in progress, its retry is not due, or too many pods are in progress. A later sync tries
    /// again.
    /// </summary>
    /// <param name="pod">The object that gets an event when the work fails; null for a pod without an object.</param>
    /// <param name="reason">The reason of that event.</param>
    private void TryStart(PodName name, JsonObject? pod, string reason, Func<Task> work)
    {
        lock (_lock)
        {
            if (_working.Count >= MaxConcurrentPods || _working.ContainsKey(name) || _stopping.IsCancellationRequested)
                return;
            if (_retries.TryGetValue(name, out var retry) && retry.At > time.GetUtcNow())
                return;
            _working[name] = DoAsync();
        }

        async Task DoAsync()
        {
            await Task.Yield(); // the caller holds the lock
            try
            {
                await work();
                lock (_lock)
                    _retries.Remove(name);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                // The lab is stopping.
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
                    cluster.RecordEvent(pod, "Warning", reason, error.Message, "kubelet");
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

    /// <summary>Assigns a pod to the schedulable node with the fewest pods, or marks it unschedulable.</summary>
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
                return; // already reported
            const string Why = "no node has capacity for another pod";
            cluster.SetUnschedulable(pod, Why);
            cluster.RecordEvent(pod, "Warning", "FailedScheduling", Why, "default-scheduler");
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
        cluster.RecordEvent(pod, "Normal", "Scheduled", $"Successfully assigned {name} to {best.Name}", "default-scheduler");
    }

    private async Task WireAsync(LabNode node, JsonObject pod, PodName name)
    {
        if (!pod.Objects("status", "containerStatuses").Any())
            cluster.SetWaiting(pod);
        var wired = node.FindPod(name.ToString()) ?? await node.AddPodAsync(name, _stopping.Token);
        cluster.SetRunning(pod, wired.Addresses, node.InternalAddresses);
    }

    private async Task TerminateAsync(JsonObject pod, PodName name)
    {
        if (lab.Nodes.FirstOrDefault(one => one.FindPod(name.ToString()) is not null) is { } node)
            await UnwireAsync(node, name);
        cluster.RemovePod(pod);
    }

    private async Task UnwireAsync(LabNode node, PodName name)
    {
        if (node.FindPod(name.ToString()) is not null)
            await node.DeletePodAsync(name, _stopping.Token);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The lab's kubelet failed to sync its pods")]
    private static partial void LogSyncFailed(ILogger logger, Exception error);

    [LoggerMessage(Level = LogLevel.Error, Message = "The lab's kubelet failed to sync pod {Pod}")]
    private static partial void LogPodFailed(ILogger logger, string pod, Exception error);
}
