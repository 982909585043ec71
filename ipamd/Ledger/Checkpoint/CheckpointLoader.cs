// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>What came of reading the checkpoint.</summary>
/// <param name="SetAside">Where an unusable file was kept; null when it was usable, or there was none.</param>
/// <param name="Targets">The pool's targets that it was written with; null when unknown.</param>
/// <param name="RebootedAt">
/// When the kernel started, if that was after the checkpoint was written: nothing that it holds is in use any more. Null when it was not,
/// or that is unknown.
/// </param>
internal sealed record LoadedCheckpoint(string? SetAside, RecordedTargets? Targets, DateTimeOffset? RebootedAt)
{
    public static readonly LoadedCheckpoint None = new(null, null, null);
}

/// <summary>
/// Brings the checkpoint into the ledger at start. A file that cannot be used is kept aside and reported; what it held is then rebuilt from
/// the kernel.
/// </summary>
internal static partial class CheckpointLoader
{
    /// <exception cref="IOException">
    /// The file cannot be read or set aside: starting without it could give an address to two pods.
    /// </exception>
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
        foreach (var refused in ledger.Restore(record, clock))
            Log.Refused(logger, refused.Key, refused.Addresses[0].Address);
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
        [LoggerMessage(10, LogLevel.Information, "no checkpoint: a first start, or the node was rebooted")]
        public static partial void None(ILogger logger, string file);

        [LoggerMessage(11, LogLevel.Information, "checkpoint restored")]
        public static partial void Restored(ILogger logger, int attachments, int cooling, string file);

        [LoggerMessage(
            14,
            LogLevel.Warning,
            "a change of the cloud that an earlier daemon had begun cannot be read: what became of it shows when the cloud is observed"
        )]
        public static partial void Unreadable(ILogger logger, string reason);

        [LoggerMessage(
            12,
            LogLevel.Error,
            "the checkpoint cannot be used: it is kept aside, and the addresses in use are taken from the kernel"
        )]
        public static partial void Corrupt(ILogger logger, string file, string aside, string reason);

        [LoggerMessage(13, LogLevel.Error, "the checkpoint gives one address to two attachments: the later one is dropped")]
        public static partial void Refused(ILogger logger, AttachmentKey attachment, System.Net.IPAddress ip);
    }
}
