// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.History;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary>Implements <c>ipamd pods</c>: lists attachments.</summary>
internal static class PodReport
{
    /// <summary>Length of a shortened sandbox id, as in container runtimes.</summary>
    private const int ShortIdLength = 12;

    /// <summary>Minimum length of a truncated name; a terminal without room for it gets longer lines.</summary>
    private const int MinNameLength = 16;

    private const string Ellipsis = "...";

    public static async Task<int> WriteAsync(
        DaemonClient client,
        bool json,
        CommandConsole console,
        TimeProvider time,
        CancellationToken cancellationToken
    )
    {
        var reply = await client.Node.ListAttachmentsAsync(
            new ListAttachmentsRequest(),
            deadline: client.Deadline,
            cancellationToken: cancellationToken
        );
        await console.Output.WriteAsync(json ? StatusReport.Json.Format(reply) + "\n" : Text(reply, time.GetUtcNow(), console.Columns()));
        return ExitCodes.Done;
    }

    /// <summary>
    /// Formats one line per pod, so that it can be searched, with the pod's name last. On a narrow terminal, the sandboxes are left out,
    /// and then names are truncated in the middle, because their ends distinguish pods.
    /// </summary>
    /// <param name="reply">The attachments.</param>
    /// <param name="now">Current time, for ages.</param>
    /// <param name="columns">Width of the terminal; null: unlimited.</param>
    internal static string Text(ListAttachmentsReply reply, DateTimeOffset now, int? columns)
    {
        Row[] pods =
        [
            new("ADDRESS", "DEV", "FOR", "SANDBOX", "POD"),
            .. reply.Attachments.Select(item => new Row(
                string.Join(",", item.Addresses),
                $"{item.DeviceIndex}",
                DurationText.Of(now - item.AssignedAt.ToDateTimeOffset()),
                item.Key.ContainerId.Length > ShortIdLength ? item.Key.ContainerId[..ShortIdLength] : item.Key.ContainerId,
                NameOf(item)
            )),
        ];
        var address = Math.Max(15, pods.Max(pod => pod.Address.Length));
        var before = address + " DEV FOR.... ".Length;
        var hasSandbox = columns is not { } width || before + ShortIdLength + 1 + pods.Max(pod => pod.Name.Length) <= width;
        var room = columns is { } narrow && !hasSandbox ? Math.Max(MinNameLength, narrow - before) : int.MaxValue;
        var table = new TableWriter();
        foreach (var pod in pods)
        {
            var sandbox = hasSandbox ? pod.Sandbox.PadRight(ShortIdLength) + " " : "";
            table.WriteRow($"{pod.Address.PadRight(address)} {pod.Device, 3} {pod.Age, -7} {sandbox}{Shorten(pod.Name, room)}");
        }

        return table.ToString();
    }

    private static string Shorten(string name, int room) =>
        name.Length <= room
            ? name
            : $"{name[..((room - Ellipsis.Length) / 2)]}{Ellipsis}{name[^(room - Ellipsis.Length - (room - Ellipsis.Length) / 2)..]}";

    private static string NameOf(Attachment item) =>
        item.PodName.Length > 0
            ? $"{item.PodNamespace}/{item.PodName}"
            : item.Key.NetworkName switch
            {
                Ledger.Attachment.RecoveredNetwork => $"(recovered from the kernel: link {item.Key.ContainerId})",
                Ledger.Attachment.HostNetwork => $"(configured on {item.Key.ContainerId} of the host)",
                _ => "(no pod name)",
            };

    private sealed record Row(string Address, string Device, string Age, string Sandbox, string Name);
}
