// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Tests.Kubernetes;

/// <summary>A cluster with pods and events that does what it is asked at once, or fails.</summary>
internal sealed class FakeClusterWriter : IClusterWriter
{
    private readonly Queue<ClusterException> _failures = new();

    public Dictionary<PodReference, PodFacts> Pods { get; } = [];

    /// <summary>By name, as they stand in the cluster.</summary>
    public Dictionary<string, EventRecord> Events { get; } = [];

    /// <summary>Of each of <see cref="Annotated"/>, as asked for.</summary>
    public List<string?> Uids { get; } = [];

    /// <summary>What was written, e.g. <c>default/web pod-ips=10.0.0.1 (uid)</c>.</summary>
    public List<string> Annotated { get; } = [];

    public int Calls { get; private set; }

    /// <summary>Events of these namespaces are answered with an error, as by an admission webhook that is broken.</summary>
    public HashSet<string> Broken { get; } = [];

    /// <summary>Attempts at <see cref="Broken"/> namespaces.</summary>
    public int Rejected { get; private set; }

    public void Fail(ClusterErrorKind kind, TimeSpan? retryAfter = null) =>
        _failures.Enqueue(new ClusterException(kind, "call", kind.ToString(), retryAfter));

    public Task<PodFacts?> FindPodAsync(PodReference pod, CancellationToken cancellationToken) =>
        CallAsync(() => Pods.GetValueOrDefault(pod));

    public Task CreateEventAsync(EventRecord item, CancellationToken cancellationToken) =>
        CallAsync(() =>
        {
            if (Broken.Contains(item.Subject.Namespace))
            {
                Rejected++;
                throw Refusal(ClusterErrorKind.Unreachable);
            }

            return Events.TryAdd(item.Name, item) ? item : throw Refusal(ClusterErrorKind.Refused);
        });

    public Task UpdateEventAsync(EventRecord item, CancellationToken cancellationToken) =>
        CallAsync(() => Events.ContainsKey(item.Name) ? Events[item.Name] = item : throw Refusal(ClusterErrorKind.NotFound));

    public Task<string> AnnotatePodAsync(
        PodReference pod,
        string? uid,
        string annotation,
        string value,
        CancellationToken cancellationToken
    ) =>
        CallAsync(() =>
        {
            if (Pods.GetValueOrDefault(pod) is not { } facts)
                throw Refusal(ClusterErrorKind.NotFound);
            if (uid is not null && uid != facts.Uid)
                throw Refusal(ClusterErrorKind.Refused);
            Annotated.Add($"{pod} {annotation}={value}");
            Uids.Add(uid);
            return facts.Uid;
        });

    private Task<TResult> CallAsync<TResult>(Func<TResult> answer)
    {
        Calls++;
        try
        {
            return _failures.TryDequeue(out var failure) ? Task.FromException<TResult>(failure) : Task.FromResult(answer());
        }
        catch (ClusterException refusal)
        {
            return Task.FromException<TResult>(refusal);
        }
    }

    private static ClusterException Refusal(ClusterErrorKind kind) => new(kind, "call", kind.ToString());
}
