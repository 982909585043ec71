// SPDX-License-Identifier: Apache-2.0
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary>Implements <c>ipamd explain</c>: prints a pod's timeline.</summary>
internal static class ExplainReport
{
    /// <summary>Exit code: the pod is unknown or ambiguous.</summary>
    internal const int Unknown = 3;

    private const int Column = 32;

    /// <summary>Parses NAMESPACE/POD, or a name, which may also be the beginning of a sandbox id.</summary>
    public static ExplainRequest Parse(string subject)
    {
        var slash = subject.IndexOf('/', StringComparison.Ordinal);
        return slash < 0
            ? new ExplainRequest { PodName = subject }
            : new ExplainRequest { PodNamespace = subject[..slash], PodName = subject[(slash + 1)..] };
    }

    public static async Task<int> WriteAsync(
        DaemonClient client,
        string subject,
        bool json,
        TextWriter output,
        CancellationToken cancellationToken
    )
    {
        var reply = await client.Node.ExplainAsync(Parse(subject), deadline: client.Deadline, cancellationToken: cancellationToken);
        await output.WriteAsync(json ? StatusReport.Json.Format(reply) + "\n" : Text(reply));
        return reply.State switch
        {
            "holding" or "gone" => ExitCodes.Done,
            "unknown" => Unknown,
            _ => ExitCodes.Failed,
        };
    }

    internal static string Text(ExplainReply reply)
    {
        var table = new TableWriter();
        table.WriteText(reply.Summary);
        if (reply.Steps.Count > 0)
            table.WriteText();
        DateTimeOffset? before = null,
            asked = null;
        for (var index = 0; index < reply.Steps.Count; index++)
        {
            var step = reply.Steps[index];
            var at = step.At.ToDateTimeOffset();
            if (before?.Date != at.Date)
                table.WriteText($"{at:yyyy-MM-dd} (UTC)");
            if (index == 1 && reply.StepsLeftOut > 0)
                table.WriteText($"... {reply.StepsLeftOut} steps are omitted ...");
            // Times are relative to the request, until its answer.
            if (step.Kind is "asked" or "waits")
                asked = at;
            var since = asked is { } start && at > start ? $"+{(at - start).TotalSeconds:0.000}" : "";
            table.WriteLabeled($"{at:HH:mm:ss.fff} {since, 9} {step.Kind}", Column, step.What);
            if (step.Kind is "answered" or "failed")
                asked = null;
            before = at;
        }

        if (reply.Hints.Count > 0)
            table.WriteText();
        foreach (var hint in reply.Hints)
            table.WriteLabeled("next", 6, hint);
        return table.ToString();
    }
}
