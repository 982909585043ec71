// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.WarmPool;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Keeps the annotation vpc.amazonaws.com/pod-ips of this node's pods as the ledger has it: the pod's address, and empty when it holds none. Written after the ADD is answered: an API server that is slow or away
/// delays the annotation, never the pod. What is queued are pods and not values, so that the last state wins, whatever was missed in between.
/// </summary>
/// <param name="writer">The cluster.</param>
/// <param name="addressOf">A pod's address in the ledger; null when it holds none.</param>
/// <param name="nodeName">This node.</param>
/// <param name="failed">Called with each failure, and with null after one when all is well again.</param>
internal sealed class PodAnnotator(IClusterWriter writer, Func<PodReference, string?> addressOf, string nodeName, Action<ClusterException?> failed, TimeProvider time, Random random)
{
    public const string Annotation = "vpc.amazonaws.com/pod-ips";

    /// <summary>More than any node runs.</summary>
    public const int MaxQueued = 1024;

    /// <summary>Attachments that a daemon made this shortly before it ended may have no annotation yet.</summary>
    public static readonly TimeSpan CatchUp = TimeSpan.FromMinutes(5);

    /// <summary>A pod that was served this lately runs here. Later its name may be that of another one elsewhere: a StatefulSet's, while this node could not reach the API server.</summary>
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    private readonly Lock _lock = new();
    private readonly LinkedList<QueuedPod> _queue = [];
    private readonly HashSet<PodReference> _queued = [];
    private readonly PoolSignal _signal = new();
    private readonly ClusterBackoff _backoff = new(random);
    private readonly WriterHealth _health = new(failed);

    /// <param name="Pod">Whose annotation is to be written.</param>
    /// <param name="HappenedAt">When the daemon had to do with it; null when that was an attempt or a daemon ago.</param>
    private readonly record struct QueuedPod(PodReference Pod, DateTimeOffset? HappenedAt);

    /// <summary>Pods whose annotation was not written because more than <see cref="MaxQueued"/> waited.</summary>
    public long Dropped { get; private set; }

    /// <summary>Takes note and returns at once: called on the thread that it happened on, an ADD's among them.</summary>
    public void Note(PoolEvent happened)
    {
        switch (happened)
        {
            case PoolEvent.AddServed served:
                Enqueue(served.Attachment.Pod, time.GetUtcNow());
                break;
            case PoolEvent.Deleted { Released: { } released }:
                Enqueue(released.Pod, time.GetUtcNow());
                break;
            case PoolEvent.LostDelete lost:
                Enqueue(lost.Released.Pod, time.GetUtcNow());
                break;
        }
    }

    /// <summary>What the daemon before may have left undone.</summary>
    public void Resume(IEnumerable<Attachment> attachments)
    {
        foreach (var attachment in attachments.Where(item => item.AssignedAt > time.GetUtcNow() - CatchUp)) Enqueue(attachment.Pod, happenedAt: null);
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
                if (wrote) _health.Written();
                else _health.Answered();
            }
            catch (ClusterException failure) when (failure.Kind is ClusterErrorKind.Unreachable or ClusterErrorKind.Unreadable or ClusterErrorKind.Throttled or ClusterErrorKind.NotPermitted)
            {
                // A server that has just started forbids everything until it has read its roles.
                _health.Failed(failure);
                Enqueue(queued.Pod, happenedAt: null);
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
        var (pod, happenedAt) = queued;
        var address = addressOf(pod);
        string? uid = null;
        if (address is null || happenedAt is not { } at || time.GetUtcNow() - at > Fresh)
        {
            if (await writer.FindPodAsync(pod, cancellationToken) is not { } found || found.NodeName != nodeName) return false;
            uid = found.Uid;
        }

        await writer.AnnotatePodAsync(pod, uid, Annotation, address ?? "", cancellationToken);
        return true;
    }

    private void Enqueue(PodReference pod, DateTimeOffset? happenedAt)
    {
        if (!ObjectName.IsValid(pod.Namespace) || !ObjectName.IsValid(pod.Name)) return;
        lock (_lock)
        {
            if (!_queued.Add(pod)) return;
            if (_queue.Count >= MaxQueued)
            {
                _queued.Remove(_queue.First!.Value.Pod);
                _queue.RemoveFirst();
                Dropped++;
            }

            _queue.AddLast(new QueuedPod(pod, happenedAt));
        }

        _signal.Raise();
    }

    /// <summary>Taken out before it is written: what happens to the pod meanwhile queues it again.</summary>
    private QueuedPod? First()
    {
        lock (_lock)
        {
            if (_queue.First is not { Value: var queued }) return null;
            _queue.RemoveFirst();
            _queued.Remove(queued.Pod);
            return queued;
        }
    }
}
