// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Writes the annotation vpc.amazonaws.com/pod-ips of this node's pods: the pod's address, or empty without one. It writes after the ADD,
/// so a slow or unavailable API server delays the annotation, never the pod. The queue has pods, not values, so that the latest state is
/// written.
/// </summary>
/// <param name="writer">Writes to the cluster.</param>
/// <param name="newestOf">Returns a pod's newest attachment; null if it has none.</param>
/// <param name="nodeName">Name of this node.</param>
/// <param name="failed">Called with each failure, and with null on recovery.</param>
internal sealed class PodAnnotator(
    IClusterWriter writer,
    Func<PodReference, Attachment?> newestOf,
    string nodeName,
    Action<ClusterException?> failed,
    TimeProvider time,
    Random random
)
{
    public const string Annotation = "vpc.amazonaws.com/pod-ips";

    /// <summary>Maximum queue length: more than any node runs.</summary>
    public const int MaxQueued = 1024;

    /// <summary>How far back <see cref="Resume"/> goes: the previous daemon may have ended before it annotated these attachments.</summary>
    public static readonly TimeSpan ResumeWindow = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Age up to which an event is written without reading the pod first. Later, the name may belong to a pod on another node (a
    /// StatefulSet's, while the API server was unreachable).
    /// </summary>
    private static readonly TimeSpan MaxUnverifiedAge = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    private readonly Lock _lock = new();
    private readonly LinkedList<QueuedPod> _queue = [];
    private readonly Dictionary<PodReference, LinkedListNode<QueuedPod>> _queued = [];

    /// <summary>UIDs of annotated pods, with the sandbox that they were annotated for.</summary>
    private readonly Dictionary<PodReference, (AttachmentKey Sandbox, string Uid)> _annotated = [];
    private readonly PoolSignal _signal = new();
    private readonly ClusterBackoff _backoff = new(random);
    private readonly WriterHealth _health = new(failed);

    /// <param name="Pod">The pod to annotate.</param>
    /// <param name="Sandbox">Key of the attachment that was served or released.</param>
    /// <param name="ServedAt">When that attachment was served.</param>
    /// <param name="HappenedAt">When the ADD or DEL happened; null after a failed attempt or a restart.</param>
    private readonly record struct QueuedPod(PodReference Pod, AttachmentKey Sandbox, DateTimeOffset ServedAt, DateTimeOffset? HappenedAt);

    /// <summary>Number of pods that were dropped from a full queue.</summary>
    public long Dropped { get; private set; }

    /// <summary>Queues the pod of an event. Does not block, because the publisher's thread calls it, which may be serving an ADD.</summary>
    public void Record(PoolEvent poolEvent)
    {
        switch (poolEvent)
        {
            case PoolEvent.AddServed served:
                Enqueue(served.Attachment, time.GetUtcNow());
                break;
            case PoolEvent.Deleted { Released: { } released }:
                Enqueue(released, time.GetUtcNow());
                break;
            case PoolEvent.LostDelete lost:
                Enqueue(lost.Released, time.GetUtcNow());
                break;
            case PoolEvent.MissedDelete { Released: { } missed }:
                Enqueue(missed, time.GetUtcNow());
                break;
        }
    }

    /// <summary>Queues recent attachments that the previous daemon may not have annotated.</summary>
    public void Resume(IEnumerable<Attachment> attachments)
    {
        foreach (var attachment in attachments.Where(item => !item.IsRecovered && item.AssignedAt > time.GetUtcNow() - ResumeWindow))
            Enqueue(attachment, happenedAt: null);
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (Dequeue() is not { } queued)
            {
                await _signal.WaitAsync(LongestWait, time, cancellationToken);
                continue;
            }

            try
            {
                var wrote = await WriteAsync(queued, cancellationToken);
                _backoff.Succeeded();
                if (wrote)
                    _health.Written();
                else
                    _health.Answered();
            }
            catch (ClusterException failure)
                when (failure.Kind
                        is ClusterErrorKind.Unreachable
                            or ClusterErrorKind.Unreadable
                            or ClusterErrorKind.Throttled
                            or ClusterErrorKind.NotPermitted
                )
            {
                // NotPermitted is retried, too: a server that has just started forbids everything until it has loaded its roles.
                _health.Failed(failure);
                Enqueue(queued with { HappenedAt = null });
                await Task.Delay(_backoff.Failed(failure.RetryAfter), time, cancellationToken);
            }
            catch (ClusterException)
            {
                // The pod is gone, or another one has its name.
            }
        }
    }

    /// <summary>Returns false if there is no pod to annotate.</summary>
    private async Task<bool> WriteAsync(QueuedPod queued, CancellationToken cancellationToken)
    {
        var pod = queued.Pod;
        var held = newestOf(pod);
        var (sandbox, servedAt) = held is null ? (queued.Sandbox, queued.ServedAt) : (held.Key, held.AssignedAt);
        string? uid = null;
        if (held is null || queued.HappenedAt is not { } at || time.GetUtcNow() - at > MaxUnverifiedAge)
        {
            if (
                await writer.FindPodAsync(pod, cancellationToken) is not { } found
                || found.NodeName != nodeName
                || !IsPodOf(found, pod, sandbox, servedAt)
            )
                return false;
            uid = found.Uid;
        }

        var annotated = await writer.AnnotatePodAsync(pod, uid, Annotation, held?.Addresses[0].Address.ToString() ?? "", cancellationToken);
        Remember(pod, sandbox, held is null ? "" : annotated);
        return true;
    }

    /// <summary>
    /// Whether a pod object is the one that the sandbox was created for, and not a later pod of the same name (a StatefulSet's). Compares
    /// the UID if it is known, or else the creation time: a pod is created before its sandbox is served.
    /// </summary>
    private bool IsPodOf(PodFacts found, PodReference pod, AttachmentKey sandbox, DateTimeOffset servedAt) =>
        _annotated.TryGetValue(pod, out var known) && known.Sandbox == sandbox ? known.Uid == found.Uid : !(found.CreatedAt > servedAt);

    private void Remember(PodReference pod, AttachmentKey sandbox, string uid)
    {
        _annotated.Remove(pod);
        if (uid.Length == 0)
            return;
        // Entries that are cleared fall back to the comparison by creation time.
        if (_annotated.Count >= MaxQueued)
            _annotated.Clear();
        _annotated.Add(pod, (sandbox, uid));
    }

    private void Enqueue(Attachment attachment, DateTimeOffset? happenedAt) =>
        Enqueue(new QueuedPod(attachment.Pod, attachment.Key, attachment.AssignedAt, happenedAt));

    private void Enqueue(QueuedPod queued)
    {
        if (!ObjectName.IsValid(queued.Pod.Namespace) || !ObjectName.IsValid(queued.Pod.Name))
            return;
        lock (_lock)
        {
            if (_queued.TryGetValue(queued.Pod, out var entry))
            {
                // The sandbox that was served later wins.
                if (queued.ServedAt >= entry.Value.ServedAt)
                    entry.Value = queued;
                return;
            }

            if (_queue.Count >= MaxQueued)
            {
                _queued.Remove(_queue.First!.Value.Pod);
                _queue.RemoveFirst();
                Dropped++;
            }

            _queued.Add(queued.Pod, _queue.AddLast(queued));
        }

        _signal.Raise();
    }

    /// <summary>
    /// Removes and returns the first entry. It is removed before the write, so that an event during the write queues the pod again.
    /// </summary>
    private QueuedPod? Dequeue()
    {
        lock (_lock)
        {
            if (_queue.First is not { Value: var queued })
                return null;
            _queue.RemoveFirst();
            _queued.Remove(queued.Pod);
            return queued;
        }
    }
}
