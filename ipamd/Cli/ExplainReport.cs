// SPDX-License-Identifier: Apache-2.0
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary><c>ipamd explain</c>: one pod's story.</summary>
internal static class ExplainReport
{
    /// <summary>Exit code: nothing is known of it, or it is not clear which pod is meant.</summary>
    internal const int Unknown = 3;

    private const int Column = 32;

    /// <summary>
    /// A question from what a person wrote: NAMESPACE/POD, or a name alone, which may be the beginning of a sandbox's id.
    /// </summary>
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
        var screen = new TableWriter();
        screen.Line(reply.Summary);
        if (reply.Steps.Count > 0)
            screen.Line();
        DateTimeOffset? before = null,
            asked = null;
        for (var index = 0; index < reply.Steps.Count; index++)
        {
            var step = reply.Steps[index];
            var at = step.At.ToDateTimeOffset();
            if (before?.Date != at.Date)
                screen.Line($"{at:yyyy-MM-dd} (UTC)");
            if (index == 1 && reply.StepsLeftOut > 0)
                screen.Line($"... {reply.StepsLeftOut} steps are forgotten ...");
            // A request and its answer belong together; anything later is told by the clock.
            if (step.Kind is "asked" or "waits")
                asked = at;
            var since = asked is { } start && at > start ? $"+{(at - start).TotalSeconds:0.000}" : "";
            screen.Beside($"{at:HH:mm:ss.fff} {since, 9} {step.Kind}", Column, step.What);
            if (step.Kind is "answered" or "failed")
                asked = null;
            before = at;
        }

        if (reply.Hints.Count > 0)
            screen.Line();
        foreach (var hint in reply.Hints)
            screen.Beside("next", 6, hint);
        return screen.ToString();
    }
}
