// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>Metadata of a pod.</summary>
/// <param name="Uid">UID, which distinguishes it from other pods of that name.</param>
/// <param name="NodeName">Its node; empty before it is scheduled.</param>
/// <param name="CreatedAt">Creation time, to the second, by the API server's clock; null if absent.</param>
internal sealed record PodFacts(string Uid, string NodeName, DateTimeOffset? CreatedAt = null);

/// <summary>Subject of an event: a pod, or the node if <paramref name="Namespace"/> is empty.</summary>
internal readonly record struct EventSubject(string Namespace, string Name)
{
    public bool IsNode => Namespace.Length == 0;

    public override string ToString() => IsNode ? $"node {Name}" : $"pod {Namespace}/{Name}";
}

/// <summary>An event to write.</summary>
/// <param name="Name">Name of the event object.</param>
/// <param name="Subject">Subject of the event.</param>
/// <param name="Uid">UID of the subject.</param>
/// <param name="Reason">Reason, for programs.</param>
/// <param name="Message">Message, for people.</param>
/// <param name="Count">Number of occurrences.</param>
/// <param name="First">Time of the first occurrence.</param>
/// <param name="Last">Time of the last occurrence.</param>
internal sealed record EventRecord(
    string Name,
    EventSubject Subject,
    string Uid,
    string Reason,
    string Message,
    int Count,
    DateTimeOffset First,
    DateTimeOffset Last
);

/// <summary>Writes to the cluster. All methods throw <see cref="ClusterException"/>.</summary>
internal interface IClusterWriter
{
    /// <summary>Returns null if the pod does not exist.</summary>
    Task<PodFacts?> FindPodAsync(PodReference pod, CancellationToken cancellationToken);

    Task CreateEventAsync(EventRecord item, CancellationToken cancellationToken);

    /// <summary>
    /// Updates message, count and last time of an event. Fails with <see cref="ClusterErrorKind.NotFound"/> if the cluster has dropped it.
    /// </summary>
    Task UpdateEventAsync(EventRecord item, CancellationToken cancellationToken);

    /// <param name="pod">The pod.</param>
    /// <param name="uid">Required UID; fails if the pod has another one. Null: any pod of that name.</param>
    /// <param name="annotation">Name of the annotation.</param>
    /// <param name="value">Value of the annotation.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <returns>The UID of the annotated pod; empty if the server does not return it.</returns>
    Task<string> AnnotatePodAsync(PodReference pod, string? uid, string annotation, string value, CancellationToken cancellationToken);
}
