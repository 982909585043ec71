// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Keeps the annotation vpc.amazonaws.com/pod-ips of this node's pods as the ledger has it: the pod's address, and empty when it holds
/// none. Written after the ADD is answered: an API server that is slow or away delays the annotation, never the pod. What is queued are
/// pods and not values, so that the last state wins, whatever was missed in between.
/// </summary>
/// <param name="writer">The cluster.</param>
/// <param name="newestOf">The newest attachment of a pod in the ledger; null when it holds none.</param>
/// <param name="nodeName">This node.</param>
/// <param name="failed">Called with each failure, and with null after one when all is well again.</param>
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

    /// <summary>More than any node runs.</summary>
    public const int MaxQueued = 1024;

    /// <summary>Attachments that a daemon made this shortly before it ended may have no annotation yet.</summary>
    public static readonly TimeSpan CatchUp = TimeSpan.FromMinutes(5);

    /// <summary>
    /// A pod that was served this lately runs here. Later its name may be that of another one elsewhere: a StatefulSet's, while this node
    /// could not reach the API server.
    /// </summary>
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    private readonly Lock _lock = new();
    private readonly LinkedList<QueuedPod> _queue = [];
    private readonly Dictionary<PodReference, LinkedListNode<QueuedPod>> _queued = [];

    /// <summary>The objects that were annotated, by the sandbox that they were annotated for.</summary>
    private readonly Dictionary<PodReference, (AttachmentKey Sandbox, string Uid)> _annotated = [];
    private readonly PoolSignal _signal = new();
    private readonly ClusterBackoff _backoff = new(random);
    private readonly WriterHealth _health = new(failed);

    /// <param name="Pod">Whose annotation is to be written.</param>
    /// <param name="Sandbox">Of the attachment that was served or released.</param>
    /// <param name="ServedAt">When that was served.</param>
    /// <param name="HappenedAt">When the daemon had to do with it; null when that was an attempt or a daemon ago.</param>
    private readonly record struct QueuedPod(PodReference Pod, AttachmentKey Sandbox, DateTimeOffset ServedAt, DateTimeOffset? HappenedAt);

    /// <summary>Pods whose annotation was not written because more than <see cref="MaxQueued"/> waited.</summary>
    public long Dropped { get; private set; }

    /// <summary>Takes note and returns at once: called on the thread that it happened on, an ADD's among them.</summary>
    public void Record(PoolEvent happened)
    {
        switch (happened)
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

    /// <summary>What the daemon before may have left undone.</summary>
    public void Resume(IEnumerable<Attachment> attachments)
    {
        foreach (var attachment in attachments.Where(item => !item.IsRecovered && item.AssignedAt > time.GetUtcNow() - CatchUp))
            Enqueue(attachment, happenedAt: null);
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (First() is not { } queued)
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
                // A server that has just started forbids everything until it has read its roles.
                _health.Failed(failure);
                Enqueue(queued with { HappenedAt = null });
                await Task.Delay(_backoff.Failed(failure.RetryAfter), time, cancellationToken);
            }
            catch (ClusterException)
            {
                // The pod is gone, or another one has its name: nothing to annotate.
            }
        }
    }

    /// <summary>False when there was nothing to annotate.</summary>
    private async Task<bool> WriteAsync(QueuedPod queued, CancellationToken cancellationToken)
    {
        var pod = queued.Pod;
        var held = newestOf(pod);
        var (sandbox, servedAt) = held is null ? (queued.Sandbox, queued.ServedAt) : (held.Key, held.AssignedAt);
        string? uid = null;
        if (held is null || queued.HappenedAt is not { } at || time.GetUtcNow() - at > Fresh)
        {
            if (
                await writer.FindPodAsync(pod, cancellationToken) is not { } found
                || found.NodeName != nodeName
                || !IsOf(found, pod, sandbox, servedAt)
            )
                return false;
            uid = found.Uid;
        }

        var annotated = await writer.AnnotatePodAsync(pod, uid, Annotation, held?.Addresses[0].Address.ToString() ?? "", cancellationToken);
        Remember(pod, sandbox, held is null ? "" : annotated);
        return true;
    }

    /// <summary>
    /// Whether the object is the one for which the sandbox was served: a pod that was deleted and created again under its name (a
    /// StatefulSet's) is another. By its UID where that is known, else by its age: no sandbox is served before its pod exists.
    /// </summary>
    private bool IsOf(PodFacts found, PodReference pod, AttachmentKey sandbox, DateTimeOffset servedAt) =>
        _annotated.TryGetValue(pod, out var known) && known.Sandbox == sandbox ? known.Uid == found.Uid : !(found.CreatedAt > servedAt);

    private void Remember(PodReference pod, AttachmentKey sandbox, string uid)
    {
        _annotated.Remove(pod);
        if (uid.Length == 0)
            return;
        // What is forgotten is judged by its age.
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
                // Of two sandboxes the later served one.
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

    /// <summary>Taken out before it is written: what happens to the pod meanwhile queues it again.</summary>
    private QueuedPod? First()
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
