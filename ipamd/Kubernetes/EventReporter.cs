// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Writes what the pool tells as events on the pod or the node that it concerns, in its own time. While the API server is away it goes on
/// counting.
/// </summary>
/// <param name="writer">The cluster.</param>
/// <param name="nodeName">This node.</param>
/// <param name="nodeUid">Its uid as last seen; empty when it has not been seen.</param>
/// <param name="failed">Called with each failure, and with null after one when all is well again.</param>
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

    private readonly EventAggregator _book = new();
    private readonly PoolSignal _signal = new();
    private readonly ClusterBackoff _backoff = new(random);
    private readonly WriterHealth _health = new(failed);

    /// <summary>Takes note and returns at once: called on the thread that it happened on.</summary>
    public void Record(PoolEvent happened)
    {
        var occurrences = EventReasons.Of(happened, nodeName);
        if (occurrences.Count == 0)
            return;
        foreach (var occurrence in occurrences)
            _book.Record(occurrence, happened.At);
        _signal.Raise();
    }

    /// <summary>As <see cref="Record(PoolEvent)"/>, for what the daemon says of the node as a whole.</summary>
    public void Record(string reason, string message, DateTimeOffset at)
    {
        _book.Record(new Occurrence(new EventSubject("", nodeName), reason, message), at);
        _signal.Raise();
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (_book.Next(time.GetUtcNow(), out var wait) is not { } item)
            {
                await _signal.WaitAsync(wait ?? LongestWait, time, cancellationToken);
                continue;
            }

            try
            {
                var wrote = await WriteAsync(item, cancellationToken);
                _backoff.Succeeded();
                // What the server takes says nothing of what it still owes.
                if (_book.IsFailing)
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
                    _book.Failed(item, time.GetUtcNow());
                    await Task.Delay(_backoff.Failed(failure.RetryAfter), time, cancellationToken);
                    continue;
                }

                // Not permitted, a namespace that is being deleted, a rule that we do not know: the same again would be refused again.
                _book.Forget(item);
            }
        }
    }

    /// <summary>False when there was nobody to write about.</summary>
    private async Task<bool> WriteAsync(PendingEvent item, CancellationToken cancellationToken)
    {
        // kubectl looks for events by uid: a pod of the same name may be another one by now.
        if (await UidAsync(item.Subject, cancellationToken) is not { } uid)
        {
            _book.Forget(item);
            return false;
        }

        EventRecord Record(string name) => new(name, item.Subject, uid, item.Reason, item.Message, item.Count, item.First, item.Last);
        if (item.WrittenAs is { } known && item.WrittenUid == uid)
        {
            try
            {
                await writer.UpdateEventAsync(Record(known), cancellationToken);
                _book.Written(item, known, uid, time.GetUtcNow());
                return true;
            }
            catch (ClusterException failure) when (failure.Kind == ClusterErrorKind.NotFound)
            {
                // Expired in the cluster: written anew.
            }
        }

        var name = NewName(item.Subject.Name);
        await writer.CreateEventAsync(Record(name), cancellationToken);
        _book.Written(item, name, uid, time.GetUtcNow());
        return true;
    }

    private async Task<string?> UidAsync(EventSubject subject, CancellationToken cancellationToken)
    {
        if (subject.IsNode)
            return nodeUid() is { Length: > 0 } uid ? uid : subject.Name;
        return (await writer.FindPodAsync(new PodReference(subject.Namespace, subject.Name), cancellationToken))?.Uid;
    }

    /// <summary>As client-go names them: the subject, and something unique.</summary>
    private string NewName(string subject)
    {
        const int longestSubject = 200;
        return $"{(subject.Length <= longestSubject ? subject : subject[..longestSubject].TrimEnd('.', '-'))}.{random.NextInt64():x16}";
    }
}
