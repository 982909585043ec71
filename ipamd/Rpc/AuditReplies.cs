// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf.WellKnownTypes;
using VpcCni.Ipamd.Audit;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Rpc;

/// <summary>Converts the result of an audit to the reply of <c>Audit</c>.</summary>
internal static class AuditReplies
{
    public static AuditReply Of(AuditResult result, DateTimeOffset at, TimeSpan took)
    {
        var reply = new AuditReply
        {
            Complete = result.IsComplete,
            Looks = (uint)result.Passes,
            At = Timestamp.FromDateTimeOffset(at),
            Took = Duration.FromTimeSpan(took),
        };
        reply.Compared.AddRange(result.Compared);
        reply.NotCompared.AddRange(result.NotCompared);
        reply.Findings.AddRange(
            result.Findings.Select(finding => new AuditFinding
            {
                Severity = finding.Severity.ToString().ToLowerInvariant(),
                Kind = finding.Kind,
                Subject = finding.Subject,
                Detail = finding.Detail,
                Advice = finding.Advice,
            })
        );
        return reply;
    }
}
