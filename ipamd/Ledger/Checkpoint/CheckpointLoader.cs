// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>Result of loading the checkpoint.</summary>
/// <param name="SetAside">Where an unusable file was kept; null when the file was usable or absent.</param>
/// <param name="Targets">The pool's targets in the checkpoint; null when unknown.</param>
/// <param name="RebootedAt">
/// When the kernel started, if that was after the checkpoint was written, so that none of its attachments is in use; otherwise, or when
/// unknown, null.
/// </param>
internal sealed record LoadedCheckpoint(string? SetAside, RecordedTargets? Targets, DateTimeOffset? RebootedAt)
{
    public static readonly LoadedCheckpoint None = new(null, null, null);
}

/// <summary>
/// Loads the checkpoint into the ledger at start. Sets an unusable file aside and reports it; the state is then rebuilt from the kernel.
/// </summary>
internal static partial class CheckpointLoader
{
    /// <exception cref="IOException">The file cannot be read or set aside. Starting without it could assign one address to two
    /// pods.</exception>
    public static LoadedCheckpoint Load(IpLedger ledger, ICheckpointFile file, TimeProvider time, string? bootId, ILogger logger)
    {
        LedgerRecord record;
        try
        {
            if (file.Read() is not { } content)
            {
                Log.None(logger, file.Name);
                return LoadedCheckpoint.None;
            }

            record = CheckpointFormat.Read(content);
        }
        catch (CheckpointFormatException exception)
        {
            var aside = file.SetAside(time.GetUtcNow());
            Log.Corrupt(logger, file.Name, aside, exception.Message);
            return new LoadedCheckpoint(aside, null, null);
        }

        var clock = ClockReading.Of(time, bootId);
        foreach (var rejected in ledger.Restore(record, clock))
            Log.Rejected(logger, rejected.Key, rejected.Addresses[0].Address);
        foreach (var unreadable in record.UnreadableIntents)
            Log.Unreadable(logger, unreadable);
        Log.Restored(logger, record.Attachments.Count, record.Cooling.Count, file.Name);
        return new LoadedCheckpoint(
            null,
            record.Targets,
            record.WrittenAt is { } written && clock.IsAfterRebootSince(written) ? clock.BootedAt : null
        );
    }

    private static partial class Log
    {
        [LoggerMessage(10, LogLevel.Information, "no checkpoint: first start, or the node was rebooted")]
        public static partial void None(ILogger logger, string file);

        [LoggerMessage(11, LogLevel.Information, "checkpoint restored")]
        public static partial void Restored(ILogger logger, int attachments, int cooling, string file);

        [LoggerMessage(
            14,
            LogLevel.Warning,
            "an unfinished change of the cloud by an earlier daemon cannot be parsed: the next observation shows its outcome"
        )]
        public static partial void Unreadable(ILogger logger, string reason);

        [LoggerMessage(
            12,
            LogLevel.Error,
            "the checkpoint cannot be used: it is set aside, and the addresses in use are read from the kernel"
        )]
        public static partial void Corrupt(ILogger logger, string file, string aside, string reason);

        [LoggerMessage(13, LogLevel.Error, "the checkpoint has one address for two attachments: the later attachment is dropped")]
        public static partial void Rejected(ILogger logger, AttachmentKey attachment, System.Net.IPAddress ip);
    }
}
