// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.History;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary><c>ipamd pods</c>: who holds what.</summary>
internal static class PodReport
{
    /// <summary>The same as container runtimes show.</summary>
    private const int ShortId = 12;

    /// <summary>A name that is shorter than this says nothing: a terminal that has not even room for it gets longer lines.</summary>
    private const int ShortestName = 16;

    private const string Omission = "...";

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
    /// One line a pod, so that it can be searched; a pod's name comes last. On a terminal that is too narrow the sandboxes are left out,
    /// then names are cut in their middle: their ends tell pods apart.
    /// </summary>
    /// <param name="reply">The attachments.</param>
    /// <param name="now">For ages.</param>
    /// <param name="columns">The terminal's; null for no limit.</param>
    internal static string Text(ListAttachmentsReply reply, DateTimeOffset now, int? columns)
    {
        Row[] pods =
        [
            new("ADDRESS", "DEV", "FOR", "SANDBOX", "POD"),
            .. reply.Attachments.Select(item => new Row(
                string.Join(",", item.Addresses),
                $"{item.DeviceIndex}",
                DurationText.Of(now - item.AssignedAt.ToDateTimeOffset()),
                item.Key.ContainerId.Length > ShortId ? item.Key.ContainerId[..ShortId] : item.Key.ContainerId,
                NameOf(item)
            )),
        ];
        var address = Math.Max(15, pods.Max(pod => pod.Address.Length));
        var before = address + " DEV FOR.... ".Length;
        var hasSandbox = columns is not { } width || before + ShortId + 1 + pods.Max(pod => pod.Name.Length) <= width;
        var room = columns is { } narrow && !hasSandbox ? Math.Max(ShortestName, narrow - before) : int.MaxValue;
        var screen = new TableWriter();
        foreach (var pod in pods)
        {
            var sandbox = hasSandbox ? pod.Sandbox.PadRight(ShortId) + " " : "";
            screen.Row($"{pod.Address.PadRight(address)} {pod.Device, 3} {pod.Age, -7} {sandbox}{Shorten(pod.Name, room)}");
        }

        return screen.ToString();
    }

    private static string Shorten(string name, int room) =>
        name.Length <= room
            ? name
            : $"{name[..((room - Omission.Length) / 2)]}{Omission}{name[^(room - Omission.Length - (room - Omission.Length) / 2)..]}";

    private static string NameOf(Attachment item) =>
        item.PodName.Length > 0
            ? $"{item.PodNamespace}/{item.PodName}"
            : item.Key.NetworkName switch
            {
                Ledger.Attachment.RecoveredNetwork => $"(recovered from the kernel: link {item.Key.ContainerId})",
                Ledger.Attachment.HostNetwork => $"(configured on {item.Key.ContainerId} of the host)",
                _ => "(the runtime named no pod)",
            };

    private sealed record Row(string Address, string Device, string Age, string Sandbox, string Name);
}
