// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf.WellKnownTypes;
using VpcCni.Ipamd.History;
using VpcCni.Ipamd.Ledger;
using VpcCni.Protos.V1;
using Attachment = VpcCni.Ipamd.Ledger.Attachment;

namespace VpcCni.Ipamd.Rpc;

/// <summary>Builds the reply of <c>Explain</c> for one pod.</summary>
internal static class ExplainReplies
{
    /// <summary>Minimum length of a sandbox id prefix, in characters; shorter ones match several sandboxes.</summary>
    private const int MinIdPrefixLength = 6;

    /// <summary>Returns why a request is invalid, or null if it is valid.</summary>
    public static string? Problem(ExplainRequest request) =>
        request.ContainerId.Length > 0
            ? (
                request.PodName.Length > 0 ? "pod_name and container_id exclude each other"
                : request.ContainerId.Length < MinIdPrefixLength ? $"container_id needs at least {MinIdPrefixLength} characters"
                : null
            )
        : request.PodName.Length == 0 ? "missing: pod_name"
        : null;

    public static ExplainReply Of(NodeIpamParts parts, ExplainRequest request)
    {
        var now = parts.Time.GetUtcNow();
        var pods = parts
            .History.Pods()
            .Concat(parts.Ledger.Attachments().Select(attachment => attachment.Pod))
            .Where(pod => pod.Namespace is { Length: > 0 })
            .Distinct()
            .OrderBy(pod => pod.Namespace, StringComparer.Ordinal)
            .ThenBy(pod => pod.Name, StringComparer.Ordinal)
            .ToArray();
        var namesakes = pods.Where(pod => request.PodName.Length > 0 && pod.Name == request.PodName).ToArray();
        request = Complete(parts, request, namesakes);
        var (name, history) = Find(parts.History, request);
        var attachments = parts.Ledger.Attachments().Where(attachment => Concerns(attachment, request, history)).ToArray();
        var explanation = Explanation.Of(
            new ExplainedFacts
            {
                Now = now,
                Name = name,
                History = history,
                Attachments = attachments,
                PendingAdds = parts.Waiting.Entries(),
                Cooldown = parts.Ledger.Cooldown,
                Since = parts.State.StartedAt,
                View = parts.Ledger.View(now),
                Obstacle = parts.WaitReason.Current(),
                StartObstacle = parts.State.StartObstacle,
                Namesakes = namesakes,
                Similar = namesakes.Length == 0 ? Similar(pods, request) : [],
                IsAmbiguous = request.PodNamespace.Length == 0 && namesakes.Length > 1,
            }
        );
        var reply = new ExplainReply
        {
            State = explanation.State.ToString().ToLowerInvariant(),
            Summary = explanation.Summary,
            StepsLeftOut = (uint)(history?.Dropped ?? 0),
            Now = Timestamp.FromDateTimeOffset(now),
        };
        reply.Attachments.AddRange(attachments.Select(NodeIpamService.ToWire));
        reply.Steps.AddRange(
            explanation.Steps.Select(step => new ExplainReply.Types.Step
            {
                At = Timestamp.FromDateTimeOffset(step.At),
                Kind = step.Kind,
                What = step.What,
            })
        );
        reply.Hints.AddRange(explanation.Hints);
        return reply;
    }

    private static (string Name, PodHistory? History) Find(PoolHistory events, ExplainRequest request)
    {
        if (request.ContainerId.Length == 0)
        {
            var pod = new PodReference(request.PodNamespace, request.PodName);
            return (pod.Namespace.Length == 0 ? pod.Name : pod.ToString(), events.Find(pod));
        }

        // Several sandboxes may match; the one with the latest event wins.
        var history = events.FindByContainer(request.ContainerId).OrderBy(item => item.Events[^1].At).LastOrDefault();
        return (history is { Pod: { Namespace.Length: > 0 } found } ? found.ToString() : $"sandbox {request.ContainerId}", history);
    }

    private static bool Concerns(Attachment attachment, ExplainRequest request, PodHistory? history) =>
        request.ContainerId.Length > 0
            ? attachment.Key.ContainerId.StartsWith(request.ContainerId, StringComparison.Ordinal)
                || (history is { Pod: { Namespace.Length: > 0 } pod } && attachment.Pod == pod)
            : attachment.Pod == new PodReference(request.PodNamespace, request.PodName);

    /// <summary>
    /// Completes a name without a namespace: with the namespace of the only pod of that name; if no pod has the name and it is a prefix of
    /// a sandbox id, as a request for that sandbox.
    /// </summary>
    private static ExplainRequest Complete(NodeIpamParts parts, ExplainRequest request, PodReference[] namesakes)
    {
        if (request.PodName.Length == 0 || request.PodNamespace.Length > 0)
            return request;
        if (namesakes is [var only])
            return new ExplainRequest { PodNamespace = only.Namespace, PodName = only.Name };
        var sandbox = new ExplainRequest { ContainerId = request.PodName };
        var isSandbox =
            namesakes.Length == 0
            && Problem(sandbox) is null
            && (
                parts.History.FindByContainer(request.PodName).Count > 0
                || parts.Ledger.Attachments().Any(attachment => Concerns(attachment, sandbox, history: null))
            );
        return isSandbox ? sandbox : request;
    }

    /// <summary>
    /// Finds pods whose name begins with the requested one, as the pods of a workload do (<c>web</c>: <c>web-5968-x7k2p</c>): those of the
    /// requested namespace, or of all namespaces if it has none.
    /// </summary>
    private static PodReference[] Similar(PodReference[] pods, ExplainRequest request)
    {
        if (request.PodName.Length == 0)
            return [];
        var similar = pods.Where(pod => pod.Name.StartsWith(request.PodName, StringComparison.Ordinal)).ToArray();
        var near = similar.Where(pod => pod.Namespace == request.PodNamespace).ToArray();
        return near.Length > 0 ? near : similar;
    }
}
