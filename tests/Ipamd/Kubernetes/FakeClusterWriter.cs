// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Tests.Kubernetes;

/// <summary>An in-memory cluster with pods and events that succeeds at once, or fails on request.</summary>
internal sealed class FakeClusterWriter : IClusterWriter
{
    private readonly Queue<ClusterException> _failures = new();

    public Dictionary<PodReference, PodFacts> Pods { get; } = [];

    /// <summary>Events by name.</summary>
    public Dictionary<string, EventRecord> Events { get; } = [];

    /// <summary>Requested UID for each of <see cref="Annotated"/>.</summary>
    public List<string?> Uids { get; } = [];

    /// <summary>Written annotations, e.g. <c>default/web pod-ips=10.0.0.1 (uid)</c>.</summary>
    public List<string> Annotated { get; } = [];

    public int Calls { get; private set; }

    /// <summary>Namespaces whose events fail, as with a broken admission webhook.</summary>
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
                throw Failure(ClusterErrorKind.Unreachable);
            }

            return Events.TryAdd(item.Name, item) ? item : throw Failure(ClusterErrorKind.Refused);
        });

    public Task UpdateEventAsync(EventRecord item, CancellationToken cancellationToken) =>
        CallAsync(() => Events.ContainsKey(item.Name) ? Events[item.Name] = item : throw Failure(ClusterErrorKind.NotFound));

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
                throw Failure(ClusterErrorKind.NotFound);
            if (uid is not null && uid != facts.Uid)
                throw Failure(ClusterErrorKind.Refused);
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
        catch (ClusterException failure)
        {
            return Task.FromException<TResult>(failure);
        }
    }

    private static ClusterException Failure(ClusterErrorKind kind) => new(kind, "call", kind.ToString());
}
