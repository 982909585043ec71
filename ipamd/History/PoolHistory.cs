// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.History;

/// <summary>
/// Keeps the latest events of each pod, deleted pods included, and the latest failures. Bounded: it drops deleted pods first, then those
/// with the oldest last event. It stores events as they are, so an ADD costs a few references; texts are built on request. Thread-safe.
/// </summary>
internal sealed class PoolHistory
{
    /// <summary>
    /// Maximum number of pods: more than any instance type runs, so that a full node also keeps some hundreds of deleted pods.
    /// </summary>
    public const int MaxPods = 1024;

    /// <summary>Maximum number of distinct failures.</summary>
    public const int MaxFailures = 8;

    private readonly Lock _lock = new();
    private readonly Dictionary<PodReference, PodRecord> _pods = [];
    private readonly Dictionary<AttachmentKey, PodRecord> _owners = [];
    private readonly LinkedList<PodRecord> _present = new();
    private readonly LinkedList<PodRecord> _gone = new();
    private readonly Dictionary<AttachmentKey, PodRecord> _waiting = [];

    /// <summary>Changes in flight that add addresses, by number; their count is bounded by the planner.</summary>
    private readonly Dictionary<long, PoolEvent> _growing = [];
    private readonly List<(string Kind, RecentFailure Failure)> _failures = [];

    /// <summary>Records an event; subscribes to the pool's events.</summary>
    public void Observe(PoolEvent poolEvent)
    {
        lock (_lock)
        {
            switch (poolEvent)
            {
                case PoolEvent.AddQueued waits:
                    var waiter = Record_NeedsLock(waits.Pod, waits.Key, poolEvent, isGone: false);
                    foreach (var change in _growing.Values)
                        waiter.Add(change);
                    _waiting[waits.Key] = waiter;
                    break;
                case PoolEvent.AddServed { Attachment: var served }:
                    _waiting.Remove(served.Key);
                    Record_NeedsLock(served.Pod, served.Key, poolEvent, isGone: false);
                    break;
                case PoolEvent.AddFailed failed:
                    _waiting.Remove(failed.Key);
                    Record_NeedsLock(failed.Pod, failed.Key, poolEvent, isGone: true);
                    RecordFailure_NeedsLock(
                        $"add {failed.Kind} {failed.Obstacle}",
                        failed.At,
                        $"ADD of {Name(failed.Pod, failed.Key)}: {failed.Reason}"
                    );
                    break;
                case PoolEvent.Deleted { Released: { } released }:
                    Record_NeedsLock(released.Pod, released.Key, poolEvent, isGone: true);
                    break;
                case PoolEvent.Deleted { Key: var key }:
                    if (_owners.TryGetValue(key, out var owner))
                        owner.Add(poolEvent);
                    break;
                case PoolEvent.Checked { Key: var key }:
                    if (_owners.TryGetValue(key, out var asked))
                        asked.Add(poolEvent);
                    break;
                case PoolEvent.LostDelete { Released: var lost }:
                    Record_NeedsLock(lost.Pod, lost.Key, poolEvent, isGone: true);
                    break;
                case PoolEvent.MissedDelete { Released: { } missed }:
                    Record_NeedsLock(missed.Pod, missed.Key, poolEvent, isGone: true);
                    break;
                case PoolEvent.Recovered { Attachment: var recovered }:
                    Record_NeedsLock(recovered.Pod, recovered.Key, poolEvent, isGone: false);
                    break;
                case PoolEvent.Identified { Attachment: var named }:
                    Record_NeedsLock(named.Pod, named.Key, poolEvent, isGone: false);
                    break;
                case PoolEvent.Planned { Plan.Obstacle: not null }:
                    foreach (var waiting in _waiting.Values)
                        waiting.Add(poolEvent);
                    break;
                case PoolEvent.ChangeBegan { Intent: var intent } when intent.IsGrowth:
                    _growing[intent.Number] = poolEvent;
                    foreach (var waiting in _waiting.Values)
                        waiting.Add(poolEvent);
                    break;
                case PoolEvent.ChangeAdvanced { Intent: var intent } when intent.IsGrowth:
                    foreach (var waiting in _waiting.Values)
                        waiting.Add(poolEvent);
                    break;
                case PoolEvent.ChangeEnded ended:
                    if (_growing.Remove(ended.Intent.Number))
                    {
                        foreach (var waiting in _waiting.Values)
                            waiting.Add(poolEvent);
                    }

                    if (ended.Failure is { } failure)
                        RecordFailure_NeedsLock(
                            $"change {ended.Intent.Change.GetType().Name} {failure.CloudKind?.ToString() ?? failure.GetType().Name}",
                            ended.At,
                            $"{ended.Intent.Description}: {failure.Reason}"
                        );
                    break;
                case PoolEvent.AddressesLost { Loss: var loss }:
                    foreach (var orphan in loss.Orphans)
                        Record_NeedsLock(orphan.Attachment.Pod, orphan.Attachment.Key, poolEvent, isGone: false);
                    RecordFailure_NeedsLock($"lost {loss.Interface}", poolEvent.At, loss.Description);
                    break;
                case PoolEvent.ObserveFailed observe:
                    RecordFailure_NeedsLock($"observe {observe.Failure}", observe.At, $"describe what is attached: {observe.Reason}");
                    break;
                case PoolEvent.GroupsChanged { Failure: not null } groups:
                    RecordFailure_NeedsLock(
                        $"groups {groups.Failure}",
                        groups.At,
                        $"set the security groups of {groups.Interface}: {groups.Reason}"
                    );
                    break;
                case PoolEvent.CheckpointWritten { Failure: { } reason }:
                    RecordFailure_NeedsLock("checkpoint", poolEvent.At, $"write the checkpoint: {reason}");
                    break;
                default:
                    // Neither about a pod nor a failure.
                    break;
            }
        }
    }

    /// <summary>Returns the events of a pod, or null if there are none.</summary>
    public PodHistory? Find(PodReference pod)
    {
        lock (_lock)
            return _pods.TryGetValue(pod, out var record) ? HistoryOf(record) : null;
    }

    /// <summary>Returns the pods with a sandbox whose id begins with the prefix.</summary>
    public IReadOnlyList<PodHistory> FindByContainer(string idPrefix)
    {
        lock (_lock)
        {
            return
            [
                .. _owners
                    .Where(pair => pair.Key.ContainerId.StartsWith(idPrefix, StringComparison.Ordinal))
                    .Select(pair => pair.Value)
                    .Distinct()
                    .Select(HistoryOf),
            ];
        }
    }

    /// <summary>Returns all recorded pods, unordered.</summary>
    public IReadOnlyList<PodReference> Pods()
    {
        lock (_lock)
            return [.. _pods.Keys];
    }

    /// <summary>Returns the latest failures, newest first.</summary>
    public IReadOnlyList<RecentFailure> Failures()
    {
        lock (_lock)
            return [.. _failures.Select(item => item.Failure).OrderByDescending(failure => failure.At)];
    }

    /// <summary>Returns the pod's name, or its sandbox if the runtime gave no name.</summary>
    public static string Name(PodReference pod, AttachmentKey key) =>
        pod.Name is { Length: > 0 } ? pod.ToString() : $"sandbox {key.ContainerId}";

    private static PodHistory HistoryOf(PodRecord record) => new(record.Pod, record.Events, record.Dropped);

    private PodRecord Record_NeedsLock(PodReference pod, AttachmentKey key, PoolEvent poolEvent, bool isGone)
    {
        var name = pod.Name is { Length: > 0 } ? pod : new PodReference("", key.ContainerId);
        if (!_pods.TryGetValue(name, out var record))
        {
            if (_pods.Count == MaxPods)
                Evict_NeedsLock((_gone.First ?? _present.First)!.Value);
            _pods.Add(name, record = new PodRecord(name));
        }

        if (record.AddKey(key) is { } dropped)
            _owners.Remove(dropped);
        _owners[key] = record;
        record.Add(poolEvent);
        if (record.ListNode is { } node)
            node.List!.Remove(node);
        record.ListNode = (isGone ? _gone : _present).AddLast(record);
        return record;
    }

    private void Evict_NeedsLock(PodRecord record)
    {
        record.ListNode!.List!.Remove(record.ListNode);
        _pods.Remove(record.Pod);
        foreach (var key in record.Keys)
            _owners.Remove(key);
    }

    private void RecordFailure_NeedsLock(string kind, DateTimeOffset at, string what)
    {
        var index = _failures.FindIndex(item => item.Kind == kind);
        var count = index < 0 ? 1 : _failures[index].Failure.Count + 1;
        if (index >= 0)
            _failures.RemoveAt(index);
        else if (_failures.Count == MaxFailures)
            _failures.RemoveAt(0);
        _failures.Add((kind, new RecentFailure(at, count, what)));
    }
}
