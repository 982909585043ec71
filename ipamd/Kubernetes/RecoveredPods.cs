// SPDX-License-Identifier: Apache-2.0
using VpcCni.Datapath;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>Which pods the cluster has scheduled to a node.</summary>
internal interface IPodSource
{
    /// <exception cref="ClusterException">The API server did not answer, or refused.</exception>
    Task<IReadOnlyList<PodReference>> ListAsync(string nodeName, CancellationToken cancellationToken);
}

/// <summary>
/// After a lost checkpoint an address that the kernel routes to a pod is known by its link alone. The link's name is made from the pod's,
/// so the pods that the API server has on this node say whose it is. Asked only while such an attachment is without a name, and a bounded
/// number of times for each set of them: a pod that the cluster has forgotten is not found.
/// </summary>
/// <param name="pods">The cluster.</param>
/// <param name="nodeName">This node.</param>
/// <param name="ledger">Given the names.</param>
/// <param name="identified">Called with each attachment that got its name.</param>
/// <param name="failed">Called with each failure, and with null after one when all is well again.</param>
/// <param name="time">For pauses.</param>
/// <param name="random">For jitter.</param>
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
    /// <summary>Answers that lack a name before it is not asked for any more.</summary>
    public const int MaxAttempts = 3;

    /// <summary>Between two answers: a pod may be on its way into the API server's cache.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    private readonly PoolSignal _signal = new();
    private readonly ClusterBackoff _backoff = new(random);
    private readonly Dictionary<AttachmentKey, int> _attempts = [];

    /// <summary>Returns at once: called on the thread that it happened on.</summary>
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
