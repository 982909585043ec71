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

    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    private readonly Lock _lock = new();
    private readonly LinkedList<PodReference> _queue = [];
    private readonly HashSet<PodReference> _queued = [];
    private readonly PoolSignal _signal = new();
    private readonly ClusterBackoff _backoff = new(random);

    /// <summary>Pods whose annotation was not written because more than <see cref="MaxQueued"/> waited.</summary>
    public long Dropped { get; private set; }

    /// <summary>Takes note and returns at once: called on the thread that it happened on, an ADD's among them.</summary>
    public void Note(PoolEvent happened)
    {
        switch (happened)
        {
            case PoolEvent.AddServed served:
                Enqueue(served.Attachment.Pod);
                break;
            case PoolEvent.Deleted { Released: { } released }:
                Enqueue(released.Pod);
                break;
            case PoolEvent.LostDelete lost:
                Enqueue(lost.Released.Pod);
                break;
        }
    }

    /// <summary>What the daemon before may have left undone.</summary>
    public void Resume(IEnumerable<Attachment> attachments)
    {
        foreach (var attachment in attachments.Where(item => item.AssignedAt > time.GetUtcNow() - CatchUp)) Enqueue(attachment.Pod);
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (First() is not { } pod)
            {
                await _signal.WaitAsync(LongestWait, time, cancellationToken);
                continue;
            }

            try
            {
                await WriteAsync(pod, cancellationToken);
                _backoff.Succeeded();
                failed(null);
            }
            catch (ClusterException failure) when (failure.Kind is ClusterErrorKind.Unreachable or ClusterErrorKind.Unreadable or ClusterErrorKind.Throttled)
            {
                failed(failure);
                Enqueue(pod);
                await Task.Delay(_backoff.Failed(failure.RetryAfter), time, cancellationToken);
            }
            catch (ClusterException failure) when (failure.Kind == ClusterErrorKind.NotPermitted)
            {
                failed(failure);
            }
            catch (ClusterException)
            {
                // The pod is gone, or another one has its name: nothing to annotate.
            }
        }
    }

    private async Task WriteAsync(PodReference pod, CancellationToken cancellationToken)
    {
        if (addressOf(pod) is { } address)
        {
            await writer.AnnotatePodAsync(pod, uid: null, Annotation, address, cancellationToken);
            return;
        }

        // A pod of a StatefulSet may run elsewhere by now, under the same name and with an annotation of that node.
        if (await writer.FindPodAsync(pod, cancellationToken) is not { } found || found.NodeName != nodeName) return;
        await writer.AnnotatePodAsync(pod, found.Uid, Annotation, "", cancellationToken);
    }

    private void Enqueue(PodReference pod)
    {
        if (pod.Namespace.Length == 0 || pod.Name.Length == 0) return;
        lock (_lock)
        {
            if (!_queued.Add(pod)) return;
            if (_queue.Count >= MaxQueued)
            {
                _queued.Remove(_queue.First!.Value);
                _queue.RemoveFirst();
                Dropped++;
            }

            _queue.AddLast(pod);
        }

        _signal.Raise();
    }

    /// <summary>Taken out before it is written: what happens to the pod meanwhile queues it again.</summary>
    private PodReference? First()
    {
        lock (_lock)
        {
            if (_queue.First is not { Value: var pod }) return null;
            _queue.RemoveFirst();
            _queued.Remove(pod);
            return pod;
        }
    }
}
