// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.History;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Cli;

/// <summary><c>ipamd status --offline</c>: what a dead daemon left, marked as such.</summary>
internal static class OfflineReport
{
    private const int Column = 11;

    /// <summary>Pods that the screen shows; JSON has all.</summary>
    private const int MostPods = 256;

    public static async Task<int> WriteAsync(OfflineStatus status, bool json, TextWriter output)
    {
        await output.WriteAsync(json ? Json(status) : Text(status));
        return status.Record is null ? ExitCodes.Failed : ExitCodes.Done;
    }

    internal static string Text(OfflineStatus status)
    {
        var screen = new TableWriter();
        screen.Beside("OFFLINE", Column, "read from files; the daemon was not asked, and nothing here need be true any more");
        screen.Beside(
            "daemon",
            Column,
            status.IsServed
                ? $"somebody listens on {status.SocketPath}: `ipamd status` asks the daemon itself"
                : $"not running: nobody listens on {status.SocketPath}"
        );
        screen.Beside(
            "checkpoint",
            Column,
            status.CheckpointPath
                + (
                    status.CheckpointProblem is { } problem ? $": {problem}"
                    : status.Record?.WrittenAt is { } written
                        ? $", written {written.Now:yyyy-MM-dd HH:mm:ss}Z ({DurationText.Ago(status.Now - written.Now)})"
                    : ", of another daemon"
                )
        );
        if (status.Record is { } record)
            Describe(screen, record, status.Now);
        screen.Beside(
            "log",
            Column,
            status.LogPath
                + (
                    status.LogProblem is { } unread ? $": {unread}"
                    : status.Log.Count == 0 ? ": empty"
                    : $", its last {status.Log.Count} lines:"
                )
        );
        foreach (var line in status.Log)
            screen.Row(line);
        return screen.ToString();
    }

    internal static string Json(OfflineStatus status) =>
        JsonText.Object(writer =>
        {
            writer.WriteBoolean("offline", value: true);
            writer.WriteString("now", status.Now.UtcDateTime);
            writer.WriteString("socket", status.SocketPath);
            writer.WriteBoolean("isServed", status.IsServed);
            writer.WriteStartObject("checkpoint");
            writer.WriteString("path", status.CheckpointPath);
            writer.WriteString("problem", status.CheckpointProblem ?? "");
            if (status.Record is { } record)
            {
                if (record.WrittenAt is { } written)
                    writer.WriteString("writtenAt", written.Now.UtcDateTime);
                writer.WriteObjects(
                    "attachments",
                    record.Attachments,
                    item =>
                    {
                        writer.WriteString("podNamespace", item.Pod.Namespace);
                        writer.WriteString("podName", item.Pod.Name);
                        writer.WriteString("networkName", item.Key.NetworkName);
                        writer.WriteString("containerId", item.Key.ContainerId);
                        writer.WriteString("interfaceName", item.Key.InterfaceName);
                        writer.WriteStrings("addresses", item.Addresses.Select(held => held.Address.ToString()));
                        writer.WriteString("interfaceId", item.Addresses[0].Slot?.Id.Value ?? "");
                        writer.WriteString("assignedAt", item.AssignedAt.UtcDateTime);
                    }
                );
                writer.WriteObjects(
                    "cooling",
                    record.Cooling,
                    item =>
                    {
                        writer.WriteString("address", item.Address.ToString());
                        writer.WriteString("releasedAt", item.ReleasedAt.UtcDateTime);
                    }
                );
                writer.WriteObjects(
                    "interfaces",
                    record.Interfaces,
                    item =>
                    {
                        writer.WriteString("id", item.Id.Value);
                        writer.WriteNumber("deviceIndex", item.DeviceIndex);
                        writer.WriteNumber("total", item.Blocks.Sum(block => (long)AddressBlocks.Count(block)));
                        writer.WriteStrings("blocks", item.Blocks.Select(block => block.ToString()));
                    }
                );
                writer.WriteStrings("openChanges", record.Intents.Select(intent => intent.Description));
            }

            writer.WriteEndObject();
            writer.WriteStartObject("log");
            writer.WriteString("path", status.LogPath);
            writer.WriteString("problem", status.LogProblem ?? "");
            writer.WriteStrings("lines", status.Log);
            writer.WriteEndObject();
        });

    private static void Describe(TableWriter screen, LedgerRecord record, DateTimeOffset now)
    {
        var total = record.Interfaces.Sum(item => item.Blocks.Sum(block => (long)AddressBlocks.Count(block)));
        screen.Beside(
            "addresses",
            Column,
            $"{total} on {record.Interfaces.Count} interfaces, as last seen: "
                + $"{record.Attachments.Count} assigned, {record.Cooling.Count} cooling"
        );
        foreach (var intent in record.Intents)
            screen.Beside("under way", Column, $"{intent.Description}, begun {DurationText.Ago(now - intent.Since)}");
        foreach (var attachment in record.Attachments.Take(MostPods))
        {
            var address = string.Join(",", attachment.Addresses.Select(held => held.Address));
            var name = attachment.Pod.Name is { Length: > 0 } ? attachment.Pod.ToString() : $"sandbox {attachment.Key.ContainerId}";
            var where = attachment.Addresses[0].Slot is { } place ? $", on {place.Id.Value}" : "";
            screen.Beside("pod", Column, $"{address} {name}, for {DurationText.Of(now - attachment.AssignedAt)}{where}");
        }

        if (record.Attachments.Count > MostPods)
            screen.Beside("", Column, $"and {record.Attachments.Count - MostPods} more (--json has all)");
    }
}
