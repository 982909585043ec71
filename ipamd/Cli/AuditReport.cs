// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.History;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary>Implements <c>ipamd audit</c>: prints findings, worst first.</summary>
internal static class AuditReport
{
    private const int Column = 10;

    public static async Task<int> WriteAsync(
        DaemonClient client,
        bool withoutCloud,
        bool json,
        TextWriter output,
        CancellationToken cancellationToken
    )
    {
        var reply = await client.Node.AuditAsync(
            new AuditRequest { WithoutCloud = withoutCloud },
            deadline: client.Deadline,
            cancellationToken: cancellationToken
        );
        await output.WriteAsync(json ? StatusReport.Json.Format(reply) + "\n" : Text(reply));
        return reply.Findings.Count > 0 ? ExitCodes.Failed
            : reply.Complete ? ExitCodes.Done
            : ExitCodes.NoAnswer;
    }

    internal static string Text(AuditReply reply)
    {
        var table = new TableWriter();
        foreach (var finding in reply.Findings)
        {
            table.WriteLabeled(finding.Severity, Column, $"{finding.Subject} [{finding.Kind}]");
            table.WriteLabeled("", Column, finding.Detail);
            table.WriteLabeled("  do", Column, finding.Advice);
        }

        if (reply.Findings.Count > 0)
            table.WriteText();
        foreach (var missing in reply.NotCompared)
            table.WriteLabeled("not seen", Column, missing);
        table.WriteLabeled("compared", Column, string.Join("; ", reply.Compared));
        var found =
            reply.Findings.Count == 0
                ? "no mismatch"
                : $"{reply.Findings.Count} {(reply.Findings.Count == 1 ? "mismatch" : "mismatches")}, seen in both passes";
        table.WriteLabeled(
            reply.Findings.Count > 0 ? "MISMATCH"
                : reply.Complete ? "CLEAN"
                : "UNKNOWN",
            Column,
            $"{found}; took {DurationText.Of(reply.Took.ToTimeSpan())}"
        );
        return table.ToString();
    }
}
