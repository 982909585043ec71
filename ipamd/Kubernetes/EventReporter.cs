// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Writes events of the pool to the cluster, on the pod or node concerned, asynchronously. It keeps counting while the API server is
/// unavailable.
/// </summary>
/// <param name="writer">Writes to the cluster.</param>
/// <param name="nodeName">Name of this node.</param>
/// <param name="nodeUid">Returns the node's last known UID; empty if unknown.</param>
/// <param name="failed">Called with each failure, and with null on recovery.</param>
internal sealed class EventReporter(
    IClusterWriter writer,
    string nodeName,
    Func<string> nodeUid,
    Action<ClusterException?> failed,
    TimeProvider time,
    Random random
)
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    private readonly EventAggregator _aggregator = new();
    private readonly PoolSignal _signal = new();
    private readonly ClusterBackoff _backoff = new(random);
    private readonly WriterHealth _health = new(failed);

    /// <summary>Records an event of the pool. Does not block, because the publisher's thread calls it.</summary>
    public void Record(PoolEvent poolEvent)
    {
        var occurrences = EventReasons.Of(poolEvent, nodeName);
        if (occurrences.Count == 0)
            return;
        foreach (var occurrence in occurrences)
            _aggregator.Record(occurrence, poolEvent.At);
        _signal.Raise();
    }

    /// <summary>Records an event on the node.</summary>
    public void Record(string reason, string message, DateTimeOffset at)
    {
        _aggregator.Record(new Occurrence(new EventSubject("", nodeName), reason, message), at);
        _signal.Raise();
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (_aggregator.Next(time.GetUtcNow(), out var wait) is not { } item)
            {
                await _signal.WaitAsync(wait ?? LongestWait, time, cancellationToken);
                continue;
            }

            try
            {
                var wrote = await WriteAsync(item, cancellationToken);
                _backoff.Succeeded();
                // A successful write does not mean recovery while another series still fails.
                if (_aggregator.IsFailing)
                    continue;
                if (wrote)
                    _health.Written();
                else
                    _health.Answered();
            }
            catch (ClusterException failure)
            {
                _health.Failed(failure);
                if (failure.Kind is ClusterErrorKind.Unreachable or ClusterErrorKind.Unreadable or ClusterErrorKind.Throttled)
                {
                    _aggregator.Failed(item, time.GetUtcNow());
                    await Task.Delay(_backoff.Failed(failure.RetryAfter), time, cancellationToken);
                    continue;
                }

                // Not permitted, a terminating namespace, or an admission rule: a retry would be rejected again.
                _aggregator.Forget(item);
            }
        }
    }

    /// <summary>Returns false if the subject no longer exists.</summary>
    private async Task<bool> WriteAsync(PendingEvent item, CancellationToken cancellationToken)
    {
        // kubectl finds events by UID, and the pod of that name may be a new one.
        if (await UidAsync(item.Subject, cancellationToken) is not { } uid)
        {
            _aggregator.Forget(item);
            return false;
        }

        EventRecord Record(string name) => new(name, item.Subject, uid, item.Reason, item.Message, item.Count, item.First, item.Last);
        if (item.WrittenAs is { } known && item.WrittenUid == uid)
        {
            try
            {
                await writer.UpdateEventAsync(Record(known), cancellationToken);
                _aggregator.Written(item, known, uid, time.GetUtcNow());
                return true;
            }
            catch (ClusterException failure) when (failure.Kind == ClusterErrorKind.NotFound)
            {
                // The cluster dropped it, so a new one is created.
            }
        }

        var name = NewName(item.Subject.Name);
        await writer.CreateEventAsync(Record(name), cancellationToken);
        _aggregator.Written(item, name, uid, time.GetUtcNow());
        return true;
    }

    private async Task<string?> UidAsync(EventSubject subject, CancellationToken cancellationToken)
    {
        if (subject.IsNode)
            return nodeUid() is { Length: > 0 } uid ? uid : subject.Name;
        return (await writer.FindPodAsync(new PodReference(subject.Namespace, subject.Name), cancellationToken))?.Uid;
    }

    /// <summary>Builds a name as client-go does: the subject and a unique suffix.</summary>
    private string NewName(string subject)
    {
        const int longestSubject = 200;
        return $"{(subject.Length <= longestSubject ? subject : subject[..longestSubject].TrimEnd('.', '-'))}.{random.NextInt64():x16}";
    }
}
