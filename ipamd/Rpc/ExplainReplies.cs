// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf.WellKnownTypes;
using VpcCni.Ipamd.History;
using VpcCni.Ipamd.Ledger;
using VpcCni.Protos.V1;
using Attachment = VpcCni.Ipamd.Ledger.Attachment;

namespace VpcCni.Ipamd.Rpc;

/// <summary>One pod's story, as <c>Explain</c> tells it.</summary>
internal static class ExplainReplies
{
    /// <summary>Shorter beginnings of a sandbox's id name several.</summary>
    private const int ShortestId = 6;

    /// <summary>What is wrong with a question; null for nothing.</summary>
    public static string? Problem(ExplainRequest request) =>
        request.ContainerId.Length > 0
            ? (
                request.PodName.Length > 0 ? "either a pod or a sandbox"
                : request.ContainerId.Length < ShortestId ? $"at least {ShortestId} characters of a sandbox's id"
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
        var (name, memory) = Find(parts.History, request);
        var attachments = parts.Ledger.Attachments().Where(attachment => Concerns(attachment, request, memory)).ToArray();
        var explanation = Explanation.Of(
            new ExplainedFacts
            {
                Now = now,
                Name = name,
                Memory = memory,
                Attachments = attachments,
                Line = parts.Waiting.Entries(),
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
            StepsLeftOut = (uint)(memory?.LeftOut ?? 0),
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

    private static (string Name, PodMemory? Memory) Find(PoolHistory history, ExplainRequest request)
    {
        if (request.ContainerId.Length == 0)
        {
            var pod = new PodReference(request.PodNamespace, request.PodName);
            return (pod.Namespace.Length == 0 ? pod.Name : pod.ToString(), history.Find(pod));
        }

        // Of several the one that was heard of last.
        var memory = history.FindByContainer(request.ContainerId).OrderBy(item => item.Events[^1].At).LastOrDefault();
        return (memory is { Pod: { Namespace.Length: > 0 } found } ? found.ToString() : $"sandbox {request.ContainerId}", memory);
    }

    private static bool Concerns(Attachment attachment, ExplainRequest request, PodMemory? memory) =>
        request.ContainerId.Length > 0
            ? attachment.Key.ContainerId.StartsWith(request.ContainerId, StringComparison.Ordinal)
                || (memory is { Pod: { Namespace.Length: > 0 } pod } && attachment.Pod == pod)
            : attachment.Pod == new PodReference(request.PodNamespace, request.PodName);

    /// <summary>
    /// A name without a namespace is that of the only pod that has it; where none has, it may be the beginning of a sandbox's id.
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
                || parts.Ledger.Attachments().Any(attachment => Concerns(attachment, sandbox, memory: null))
            );
        return isSandbox ? sandbox : request;
    }

    /// <summary>A workload's pods (<c>web</c>: <c>web-5968-x7k2p</c>): those of the namespace, or of all where it has none.</summary>
    private static PodReference[] Similar(PodReference[] pods, ExplainRequest request)
    {
        if (request.PodName.Length == 0)
            return [];
        var similar = pods.Where(pod => pod.Name.StartsWith(request.PodName, StringComparison.Ordinal)).ToArray();
        var near = similar.Where(pod => pod.Namespace == request.PodNamespace).ToArray();
        return near.Length > 0 ? near : similar;
    }
}
