// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.History;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Cli;

/// <summary>Implements <c>ipamd status --offline</c>: prints the files of a daemon that does not run.</summary>
internal static class OfflineReport
{
    private const int Column = 11;

    /// <summary>Maximum number of pods in the text; JSON has all.</summary>
    private const int MaxPods = 256;

    public static async Task<int> WriteAsync(OfflineStatus status, bool json, TextWriter output)
    {
        await output.WriteAsync(json ? Json(status) : Text(status));
        return status.Record is null ? ExitCodes.Failed : ExitCodes.Done;
    }

    internal static string Text(OfflineStatus status)
    {
        var table = new TableWriter();
        table.WriteLabeled("OFFLINE", Column, "read from files without calling the daemon; may be outdated");
        table.WriteLabeled(
            "daemon",
            Column,
            status.IsServed
                ? $"a process listens on {status.SocketPath}: `ipamd status` calls the daemon itself"
                : $"not running: no process listens on {status.SocketPath}"
        );
        table.WriteLabeled(
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
            Describe(table, record, status.Now);
        table.WriteLabeled(
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
            table.WriteRow(line);
        return table.ToString();
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
                        writer.WriteNumber("deviceIndex", item.Slot.DeviceIndex);
                        writer.WriteNumber("total", item.Blocks.Sum(block => (long)BlockShape.SizeOf(block)));
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

    private static void Describe(TableWriter table, LedgerRecord record, DateTimeOffset now)
    {
        var total = record.Interfaces.Sum(item => item.Blocks.Sum(block => (long)BlockShape.SizeOf(block)));
        table.WriteLabeled(
            "addresses",
            Column,
            $"{total} on {record.Interfaces.Count} interfaces, as last seen: "
                + $"{record.Attachments.Count} assigned, {record.Cooling.Count} cooling"
        );
        foreach (var intent in record.Intents)
            table.WriteLabeled("under way", Column, $"{intent.Description}, started {DurationText.Ago(now - intent.Since)}");
        foreach (var attachment in record.Attachments.Take(MaxPods))
        {
            var address = string.Join(",", attachment.Addresses.Select(held => held.Address));
            var name = attachment.Pod.Name is { Length: > 0 } ? attachment.Pod.ToString() : $"sandbox {attachment.Key.ContainerId}";
            var where = attachment.Addresses[0].Slot is { } place ? $", on {place.Id.Value}" : "";
            table.WriteLabeled("pod", Column, $"{address} {name}, for {DurationText.Of(now - attachment.AssignedAt)}{where}");
        }

        if (record.Attachments.Count > MaxPods)
            table.WriteLabeled("", Column, $"and {record.Attachments.Count - MaxPods} more (--json has all)");
    }
}
