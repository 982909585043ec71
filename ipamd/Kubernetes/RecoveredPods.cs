// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>Lists the pods of a node.</summary>
internal interface IPodSource
{
    /// <exception cref="ClusterException">The API server did not answer, or rejected the call.</exception>
    Task<IReadOnlyList<PodReference>> ListAsync(string nodeName, CancellationToken cancellationToken);
}

/// <summary>
/// Finds the pods of attachments that were recovered from the kernel. After the loss of the checkpoint, the daemon knows only the link of
/// such an attachment. The link's name is derived from the pod's, so the node's pods in the API server identify it. The task lists them
/// only while an attachment has no name, and at most <see cref="MaxAttempts"/> times for each: the cluster may no longer have the pod.
/// </summary>
/// <param name="pods">Lists the pods.</param>
/// <param name="nodeName">Name of this node.</param>
/// <param name="ledger">Receives the names.</param>
/// <param name="identified">Called with each attachment that was identified.</param>
/// <param name="failed">Called with each failure, and with null on recovery.</param>
/// <param name="time">Clock for pauses.</param>
/// <param name="random">Source of jitter.</param>
internal sealed class RecoveredPods(
    IPodSource pods,
    string nodeName,
    IpLedger ledger,
    Action<Attachment> identified,
    Action<ClusterException?> failed,
    TimeProvider time,
    Random random
)
{
    /// <summary>Lists without a match after which an attachment is given up.</summary>
    public const int MaxAttempts = 3;

    /// <summary>Pause between two lists: the API server's cache may not have a new pod yet.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    private readonly PoolSignal _signal = new();
    private readonly ClusterBackoff _backoff = new(random);
    private readonly Dictionary<AttachmentKey, int> _attempts = [];

    /// <summary>Wakes the task after a recovery. Does not block, because the publisher's thread calls it.</summary>
    public void Record(PoolEvent happened)
    {
        if (happened is PoolEvent.Recovered)
            _signal.Raise();
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Attachment[] nameless =
            [
                .. ledger
                    .Attachments()
                    .Where(item =>
                        item is { IsRecovered: true, IsHostOwned: false, Pod.Name: null or "" }
                        && _attempts.GetValueOrDefault(item.Key) < MaxAttempts
                    ),
            ];
            if (nameless.Length == 0)
            {
                await _signal.WaitAsync(LongestWait, time, cancellationToken);
                continue;
            }

            try
            {
                Identify(nameless, await pods.ListAsync(nodeName, cancellationToken));
                failed(null);
                _backoff.Succeeded();
                await _signal.WaitAsync(Pause, time, cancellationToken);
            }
            catch (ClusterException failure)
            {
                failed(failure);
                await Task.Delay(_backoff.Failed(failure.RetryAfter), time, cancellationToken);
            }
        }
    }

    private void Identify(IReadOnlyList<Attachment> nameless, IReadOnlyList<PodReference> known)
    {
        foreach (var gone in _attempts.Keys.Where(key => nameless.All(item => item.Key != key)).ToArray())
            _attempts.Remove(gone);
        var bySuffix = known.DistinctBy(KernelUsage.LinkSuffix).ToDictionary(KernelUsage.LinkSuffix, StringComparer.Ordinal);
        foreach (var attachment in nameless)
        {
            var link = attachment.Key.ContainerId;
            if (link.Length > PodLinkNames.HashLength && bySuffix.TryGetValue(link[^PodLinkNames.HashLength..], out var pod))
            {
                if (ledger.Identify(attachment.Key, pod) is { } named)
                    identified(named);
            }
            else
            {
                _attempts[attachment.Key] = _attempts.GetValueOrDefault(attachment.Key) + 1;
            }
        }
    }
}
