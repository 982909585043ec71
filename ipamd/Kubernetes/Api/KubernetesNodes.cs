// SPDX-License-Identifier: Apache-2.0
using k8s;
using k8s.Models;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>
/// Lists and watches nodes by name with a field selector: the server then sends this one node only, and the permissions list and watch
/// suffice.
/// </summary>
internal sealed class KubernetesNodes(KubernetesConnection connection) : IObjectSource<NodeFacts>
{
    private static readonly WatchedResource Resource = new("node", "api/v1/nodes");

    public Task<ListedObject<NodeFacts>> ListAsync(string name, string version, CancellationToken cancellationToken) =>
        connection.CallAsync(
            $"list node {name}",
            async client =>
            {
                var list = await client.CoreV1.ListNodeAsync(
                    fieldSelector: KubernetesWatch.SelectorOf(name),
                    resourceVersion: version.Length > 0 ? version : null,
                    cancellationToken: cancellationToken
                );
                var node = list?.Items?.FirstOrDefault(node => node.Metadata?.Name == name);
                return new ListedObject<NodeFacts>(
                    node is null ? null : FactsOf(node),
                    KubernetesWatch.VersionOf(list?.Metadata?.ResourceVersion)
                );
            },
            cancellationToken
        );

    public Task WatchAsync(
        string name,
        string version,
        TimeSpan duration,
        Action<ObjectEvent<NodeFacts>> onEvent,
        CancellationToken cancellationToken
    ) =>
        KubernetesWatch.FollowAsync<V1Node, NodeFacts>(
            connection,
            Resource,
            name,
            version,
            node =>
                node.Metadata?.Name == name
                    ? new ObjectEvent<NodeFacts>(FactsOf(node), KubernetesWatch.VersionOf(node.Metadata.ResourceVersion), IsBookmark: false)
                    : new ObjectEvent<NodeFacts>(null, KubernetesWatch.VersionOf(node.Metadata?.ResourceVersion), IsBookmark: true),
            onEvent,
            duration,
            cancellationToken
        );

    internal static NodeFacts FactsOf(V1Node node) =>
        new(
            node.Metadata?.Uid ?? "",
            MaxPods(node),
            // A controller adds the taint after the field is set; either is enough.
            node.Spec?.Unschedulable == true
                || (node.Spec?.Taints?.Any(taint => taint is { Key: "node.kubernetes.io/unschedulable", Effect: "NoSchedule" }) ?? false),
            node.Metadata?.Labels?.AsReadOnly() ?? (IReadOnlyDictionary<string, string>)new Dictionary<string, string>(),
            node.Metadata?.Annotations?.AsReadOnly() ?? (IReadOnlyDictionary<string, string>)new Dictionary<string, string>()
        );

    /// <summary>Returns null if the capacity is absent or implausible.</summary>
    private static int? MaxPods(V1Node node) =>
        node.Status?.Capacity?.TryGetValue("pods", out var pods) == true && pods.ToDecimal() is > 0 and <= 100_000 ? pods.ToInt32() : null;
}
