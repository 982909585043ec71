// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf.WellKnownTypes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observability.History;
using VpcCni.Protos.V1;
using Attachment = VpcCni.Ipamd.Ledger.Attachment;

namespace VpcCni.Ipamd.Rpc;

/// <summary>One pod's story, as <c>Explain</c> tells it.</summary>
internal static class ExplainReplies
{
    /// <summary>Shorter beginnings of a sandbox's id name several.</summary>
    private const int ShortestId = 6;

    /// <summary>What is wrong with a question; null for nothing.</summary>
    public static string? Problem(ExplainRequest request)
        => request.ContainerId.Length > 0
            ? (request.PodName.Length > 0 ? "either a pod or a sandbox" : request.ContainerId.Length < ShortestId ? $"at least {ShortestId} characters of a sandbox's id" : null)
            : request.PodName.Length == 0 ? "missing: pod_name" : null;

    public static ExplainReply Of(NodeIpamParts parts, ExplainRequest request)
    {
        var now = parts.Time.GetUtcNow();
        var (name, memory) = Find(parts.History, request);
        var attachments = parts.Ledger.Attachments().Where(attachment => Concerns(attachment, request, memory)).ToArray();
        var explanation = Explanation.Of(new ExplainedFacts
        {
            Now = now,
            Name = name,
            Memory = memory,
            Attachments = attachments,
            Line = parts.Waiting.Line(),
            Cooldown = parts.Ledger.Cooldown,
            Since = parts.State.StartedAt,
            IsObserved = parts.Ledger.View(now).IsObserved,
            Obstacle = parts.Waiting.Obstacle,
            StartObstacle = parts.State.StartObstacle,
            Namesakes = memory is null && request.PodName.Length > 0 ? [.. parts.History.WithName(request.PodName).Union(Namesakes(parts.Ledger, request))] : [],
        });
        var reply = new ExplainReply
        {
            State = explanation.State.ToString().ToLowerInvariant(),
            Summary = explanation.Summary,
            StepsLeftOut = (uint)(memory?.LeftOut ?? 0),
            Now = Timestamp.FromDateTimeOffset(now),
        };
        reply.Attachments.AddRange(attachments.Select(NodeIpamService.ToWire));
        reply.Steps.AddRange(explanation.Steps.Select(step => new ExplainReply.Types.Step { At = Timestamp.FromDateTimeOffset(step.At), Kind = step.Kind, What = step.What }));
        reply.Hints.AddRange(explanation.Hints);
        return reply;
    }

    private static (string Name, PodMemory? Memory) Find(PoolHistory history, ExplainRequest request)
    {
        if (request.ContainerId.Length == 0) return ($"{request.PodNamespace}/{request.PodName}", history.Find(new PodReference(request.PodNamespace, request.PodName)));
        // Of several the one that was heard of last.
        var memory = history.FindByContainer(request.ContainerId).OrderBy(item => item.Events[^1].At).LastOrDefault();
        return (memory is { Pod: { Namespace.Length: > 0 } pod } ? pod.ToString() : $"sandbox {request.ContainerId}", memory);
    }

    private static bool Concerns(Attachment attachment, ExplainRequest request, PodMemory? memory)
        => request.ContainerId.Length > 0
            ? attachment.Key.ContainerId.StartsWith(request.ContainerId, StringComparison.Ordinal) || (memory is { Pod: { Namespace.Length: > 0 } pod } && attachment.Pod == pod)
            : attachment.Pod == new PodReference(request.PodNamespace, request.PodName);

    /// <summary>Those that an earlier daemon served.</summary>
    private static IEnumerable<PodReference> Namesakes(IpLedger ledger, ExplainRequest request)
        => ledger.Attachments().Select(attachment => attachment.Pod).Where(pod => pod.Name == request.PodName && pod.Namespace != request.PodNamespace).Distinct();
}
