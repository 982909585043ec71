// SPDX-License-Identifier: Apache-2.0
using k8s;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>Lists the pods of a node.</summary>
internal sealed class KubernetesPods(KubernetesConnection connection) : IPodSource
{
    private const int PageSize = 250;

    /// <summary>Page limit: more pods than any node runs; further ones are not read.</summary>
    private const int MaxPages = 8;

    public async Task<IReadOnlyList<PodReference>> ListAsync(string nodeName, CancellationToken cancellationToken)
    {
        List<PodReference> pods = [];
        string? next = null;
        for (var page = 0; page < MaxPages; page++)
        {
            var after = next;
            var list = await connection.CallAsync(
                $"list pods of node {nodeName}",
                client =>
                    client.CoreV1.ListPodForAllNamespacesAsync(
                        fieldSelector: $"spec.nodeName={nodeName}",
                        limit: PageSize,
                        continueParameter: after,
                        cancellationToken: cancellationToken
                    ),
                cancellationToken
            );
            foreach (var pod in list?.Items ?? [])
            {
                if (pod.Metadata is { Name: { Length: > 0 } name, NamespaceProperty: { Length: > 0 } ns } && pod.Spec?.NodeName == nodeName)
                    pods.Add(new PodReference(ns, name));
            }

            next = list?.Metadata?.ContinueProperty;
            if (string.IsNullOrEmpty(next))
                break;
        }

        return pods;
    }
}
