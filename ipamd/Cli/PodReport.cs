// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Observability.History;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary><c>ipamd pods</c>: who holds what.</summary>
internal static class PodReport
{
    /// <summary>The same as container runtimes show.</summary>
    private const int ShortId = 12;

    public static async Task<int> WriteAsync(DaemonClient client, bool json, TextWriter output, TimeProvider time, CancellationToken cancellationToken)
    {
        var reply = await client.Node.ListAttachmentsAsync(new ListAttachmentsRequest(), deadline: client.Deadline, cancellationToken: cancellationToken);
        await output.WriteAsync(json ? StatusReport.Json.Format(reply) + "\n" : Text(reply, time.GetUtcNow()));
        return 0;
    }

    /// <summary>One line a pod, so that it can be searched; a pod's name comes last and may be as long as it is.</summary>
    internal static string Text(ListAttachmentsReply reply, DateTimeOffset now)
    {
        var screen = new Screen();
        screen.Row($"{"ADDRESS",-15} {"DEV",3} {"FOR",-7} {"SANDBOX",-12} POD");
        foreach (var item in reply.Attachments)
        {
            var container = item.Key.ContainerId.Length > ShortId ? item.Key.ContainerId[..ShortId] : item.Key.ContainerId;
            screen.Row($"{string.Join(",", item.Addresses),-15} {item.DeviceIndex,3} {Span.Of(now - item.AssignedAt.ToDateTimeOffset()),-7} {container,-12} {NameOf(item)}");
        }

        return screen.ToString();
    }

    private static string NameOf(Attachment item)
        => item.PodName.Length > 0 ? $"{item.PodNamespace}/{item.PodName}" : item.Key.NetworkName switch
        {
            Ledger.Attachment.RecoveredNetwork => $"(recovered from the kernel: link {item.Key.ContainerId})",
            Ledger.Attachment.HostNetwork => $"(configured on {item.Key.ContainerId} of the host)",
            _ => "(the runtime named no pod)",
        };
}
