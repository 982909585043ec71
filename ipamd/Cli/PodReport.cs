// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary><c>ipamd pods</c>: who holds what.</summary>
internal static class PodReport
{
    public static async Task<int> WriteAsync(DaemonClient client, bool json, TextWriter output, CancellationToken cancellationToken)
    {
        var reply = await client.Node.ListAttachmentsAsync(new ListAttachmentsRequest(), deadline: client.Deadline, cancellationToken: cancellationToken);
        if (json)
        {
            await output.WriteAsync(JsonFormatter.Default.Format(reply) + "\n");
            return 0;
        }

        var text = new StringWriter { NewLine = "\n" };
        text.WriteLine($"{"ADDRESS",-15} {"DEV",3} {"SINCE",-20} {"CONTAINER",-12} POD");
        foreach (var item in reply.Attachments)
        {
            var pod = item.PodName.Length > 0 ? $"{item.PodNamespace}/{item.PodName}" : "(unknown: recovered from the kernel)";
            var container = item.Key.ContainerId.Length > 12 ? item.Key.ContainerId[..12] : item.Key.ContainerId;
            text.WriteLine($"{string.Join(",", item.Addresses),-15} {item.DeviceIndex,3} {item.AssignedAt.ToDateTime():yyyy-MM-ddTHH:mm:ssZ} {container,-12} {pod}");
        }

        await output.WriteAsync(text.ToString());
        return 0;
    }
}
