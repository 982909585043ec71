// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.History;

/// <summary>
/// The daemon's memory of what happened to each pod, those that are gone included, and of what failed last. Bounded: pods that are gone are
/// forgotten first, those of which nothing was heard for the longest time before others. It keeps the events as they come, so an ADD costs
/// it a few pointers; words are made when somebody asks.
/// </summary>
internal sealed class PoolHistory
{
    /// <summary>
    /// More pods than any instance type runs, so that those of a full node are remembered along with some hundreds that are gone.
    /// </summary>
    public const int MaxPods = 1024;

    /// <summary>Kinds of failure that are told apart.</summary>
    public const int MaxFailures = 8;

    private readonly Lock _lock = new();
    private readonly Dictionary<PodReference, PodRecord> _pods = [];
    private readonly Dictionary<AttachmentKey, PodRecord> _owners = [];
    private readonly LinkedList<PodRecord> _present = new();
    private readonly LinkedList<PodRecord> _gone = new();
    private readonly Dictionary<AttachmentKey, PodRecord> _waiting = [];

    /// <summary>Changes under way that bring addresses, by number: as many as the planner starts at the same time.</summary>
    private readonly Dictionary<long, PoolEvent> _growing = [];
    private readonly List<(string Kind, RecentFailure Failure)> _failures = [];

    /// <summary>To be subscribed to the pool's events.</summary>
    public void Observe(PoolEvent happened)
    {
        lock (_lock)
        {
            switch (happened)
            {
                case PoolEvent.AddQueued waits:
                    var waiter = Note_NeedsLock(waits.Pod, waits.Key, happened, isGone: false);
                    foreach (var change in _growing.Values)
                        waiter.Add(change);
                    _waiting[waits.Key] = waiter;
                    break;
                case PoolEvent.AddServed { Attachment: var served }:
                    _waiting.Remove(served.Key);
                    Note_NeedsLock(served.Pod, served.Key, happened, isGone: false);
                    break;
                case PoolEvent.AddFailed failed:
                    _waiting.Remove(failed.Key);
                    Note_NeedsLock(failed.Pod, failed.Key, happened, isGone: true);
                    Failed_NeedsLock(
                        $"add {failed.Kind} {failed.Obstacle}",
                        failed.At,
                        $"ADD of {Name(failed.Pod, failed.Key)}: {failed.Reason}"
                    );
                    break;
                case PoolEvent.Deleted { Released: { } released }:
                    Note_NeedsLock(released.Pod, released.Key, happened, isGone: true);
                    break;
                case PoolEvent.Deleted { Key: var key }:
                    if (_owners.TryGetValue(key, out var owner))
                        owner.Add(happened);
                    break;
                case PoolEvent.Checked { Key: var key }:
                    if (_owners.TryGetValue(key, out var asked))
                        asked.Add(happened);
                    break;
                case PoolEvent.LostDelete { Released: var lost }:
                    Note_NeedsLock(lost.Pod, lost.Key, happened, isGone: true);
                    break;
                case PoolEvent.MissedDelete { Released: { } missed }:
                    Note_NeedsLock(missed.Pod, missed.Key, happened, isGone: true);
                    break;
                case PoolEvent.Recovered { Attachment: var recovered }:
                    Note_NeedsLock(recovered.Pod, recovered.Key, happened, isGone: false);
                    break;
                case PoolEvent.Identified { Attachment: var named }:
                    Note_NeedsLock(named.Pod, named.Key, happened, isGone: false);
                    break;
                case PoolEvent.Planned { Plan.Obstacle: not null }:
                    foreach (var waiting in _waiting.Values)
                        waiting.Add(happened);
                    break;
                case PoolEvent.ChangeBegan { Intent: var intent } when intent.IsGrowth:
                    _growing[intent.Number] = happened;
                    foreach (var waiting in _waiting.Values)
                        waiting.Add(happened);
                    break;
                case PoolEvent.ChangeAdvanced { Intent: var intent } when intent.IsGrowth:
                    foreach (var waiting in _waiting.Values)
                        waiting.Add(happened);
                    break;
                case PoolEvent.ChangeEnded ended:
                    if (_growing.Remove(ended.Intent.Number))
                    {
                        foreach (var waiting in _waiting.Values)
                            waiting.Add(happened);
                    }

                    if (ended.Failure is { } failure)
                        Failed_NeedsLock(
                            $"change {ended.Intent.GetType().Name} {failure}",
                            ended.At,
                            $"{ended.Intent.Description}: {ended.Reason}"
                        );
                    break;
                case PoolEvent.AddressesLost { Loss: var loss }:
                    foreach (var orphan in loss.Orphans)
                        Note_NeedsLock(orphan.Attachment.Pod, orphan.Attachment.Key, happened, isGone: false);
                    Failed_NeedsLock($"lost {loss.Interface}", happened.At, loss.Description);
                    break;
                case PoolEvent.ObserveFailed observe:
                    Failed_NeedsLock($"observe {observe.Failure}", observe.At, $"describe what is attached: {observe.Reason}");
                    break;
                case PoolEvent.GroupsChanged { Failure: not null } groups:
                    Failed_NeedsLock(
                        $"groups {groups.Failure}",
                        groups.At,
                        $"set the security groups of {groups.Interface}: {groups.Reason}"
                    );
                    break;
                case PoolEvent.CheckpointWritten { Failure: { } reason }:
                    Failed_NeedsLock("checkpoint", happened.At, $"write the checkpoint: {reason}");
                    break;
                default:
                    // Of no pod in particular, and no failure.
                    break;
            }
        }
    }

    /// <summary>Null when nothing is remembered of it.</summary>
    public PodMemory? Find(PodReference pod)
    {
        lock (_lock)
            return _pods.TryGetValue(pod, out var record) ? MemoryOf(record) : null;
    }

    /// <summary>The pods of whose sandboxes' ids this is the beginning.</summary>
    public IReadOnlyList<PodMemory> FindByContainer(string beginning)
    {
        lock (_lock)
        {
            return
            [
                .. _owners
                    .Where(pair => pair.Key.ContainerId.StartsWith(beginning, StringComparison.Ordinal))
                    .Select(pair => pair.Value)
                    .Distinct()
                    .Select(MemoryOf),
            ];
        }
    }

    /// <summary>All that are remembered, in no order: what somebody may have meant.</summary>
    public IReadOnlyList<PodReference> Pods()
    {
        lock (_lock)
            return [.. _pods.Keys];
    }

    /// <summary>Newest first.</summary>
    public IReadOnlyList<RecentFailure> Failures()
    {
        lock (_lock)
            return [.. _failures.Select(item => item.Failure).OrderByDescending(failure => failure.At)];
    }

    /// <summary>How a pod is called: by its name, or by its sandbox where the runtime gave none.</summary>
    public static string Name(PodReference pod, AttachmentKey key) =>
        pod.Name is { Length: > 0 } ? pod.ToString() : $"sandbox {key.ContainerId}";

    private static PodMemory MemoryOf(PodRecord record) => new(record.Pod, record.Events, record.LeftOut);

    private PodRecord Note_NeedsLock(PodReference pod, AttachmentKey key, PoolEvent happened, bool isGone)
    {
        var name = pod.Name is { Length: > 0 } ? pod : new PodReference("", key.ContainerId);
        if (!_pods.TryGetValue(name, out var record))
        {
            if (_pods.Count == MaxPods)
                Forget_NeedsLock((_gone.First ?? _present.First)!.Value);
            _pods.Add(name, record = new PodRecord(name));
        }

        if (record.Know(key) is { } forgotten)
            _owners.Remove(forgotten);
        _owners[key] = record;
        record.Add(happened);
        if (record.Place is { } place)
            place.List!.Remove(place);
        record.Place = (isGone ? _gone : _present).AddLast(record);
        return record;
    }

    private void Forget_NeedsLock(PodRecord record)
    {
        record.Place!.List!.Remove(record.Place);
        _pods.Remove(record.Pod);
        foreach (var key in record.Keys)
            _owners.Remove(key);
    }

    private void Failed_NeedsLock(string kind, DateTimeOffset at, string what)
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
