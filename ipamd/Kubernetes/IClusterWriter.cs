// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>A pod, as far as it is written about.</summary>
/// <param name="Uid">Tells it from others that had or will have its name.</param>
/// <param name="NodeName">Where it runs; empty before it is scheduled.</param>
/// <param name="CreatedAt">When the object was created, to the second, by the API server's clock; null when it does not say.</param>
internal sealed record PodFacts(string Uid, string NodeName, DateTimeOffset? CreatedAt = null);

/// <summary>What an event is about: a pod, or the node when <paramref name="Namespace"/> is empty.</summary>
internal readonly record struct EventSubject(string Namespace, string Name)
{
    public bool IsNode => Namespace.Length == 0;

    public override string ToString() => IsNode ? $"node {Name}" : $"pod {Namespace}/{Name}";
}

/// <summary>An event as it is to stand in the cluster.</summary>
/// <param name="Name">Of the event object.</param>
/// <param name="Subject">What it is about.</param>
/// <param name="Uid">Of that.</param>
/// <param name="Reason">For machines.</param>
/// <param name="Message">For people.</param>
/// <param name="Count">How often it happened.</param>
/// <param name="First">When it happened first.</param>
/// <param name="Last">When it happened last.</param>
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

/// <summary>What the daemon writes into the cluster. All of it throws <see cref="ClusterException"/>.</summary>
internal interface IClusterWriter
{
    /// <summary>Null when there is no such pod.</summary>
    Task<PodFacts?> FindPodAsync(PodReference pod, CancellationToken cancellationToken);

    Task CreateEventAsync(EventRecord item, CancellationToken cancellationToken);

    /// <summary>
    /// Message, count and last time of an event; <see cref="ClusterErrorKind.NotFound"/> when the cluster has dropped it, as it does after
    /// an hour.
    /// </summary>
    Task UpdateEventAsync(EventRecord item, CancellationToken cancellationToken);

    /// <param name="pod">The pod.</param>
    /// <param name="uid">Refused when the pod has another one; null: whichever has the name.</param>
    /// <param name="annotation">Its name.</param>
    /// <param name="value">Its value.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The UID of the pod that has it now; empty when the server does not say.</returns>
    Task<string> AnnotatePodAsync(PodReference pod, string? uid, string annotation, string value, CancellationToken cancellationToken);
}
