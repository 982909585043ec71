// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// Makes intents durable: before the first call of a change, after each stage, and when its outcome is certain. Only the first write must
/// succeed. The next daemon run recovers from a lost later write, since every stage can be repeated or looked up.
/// Publishes every completed stage.
/// </summary>
internal sealed partial class IntentJournal(
    IpLedger ledger,
    CheckpointWriter checkpoint,
    PoolEvents events,
    TimeProvider time,
    ILogger<IntentJournal> logger
)
{
    /// <summary>Writes a new intent.</summary>
    /// <returns>Why it is not durable and was aborted, so that the change must not start; null when it is durable.</returns>
    public async Task<ChangeFailure.Disk?> RecordAsync(Intent intent, CancellationToken cancellationToken)
    {
        try
        {
            await checkpoint.PersistAsync(cancellationToken);
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            ledger.Abort(intent, time.GetUtcNow());
            return new ChangeFailure.Disk(exception);
        }
    }

    /// <summary>Records the next completed stage of a change.</summary>
    public async Task AdvanceAsync(Intent progressed, CancellationToken cancellationToken)
    {
        ledger.Advance(progressed, time.GetUtcNow());
        await PersistAsync(cancellationToken);
        events.Publish(new PoolEvent.ChangeAdvanced(time.GetUtcNow(), progressed));
    }

    /// <summary>Closes a change that had no effect or was undone.</summary>
    public Task AbortAsync(Intent intent, CancellationToken cancellationToken)
    {
        ledger.Abort(intent, time.GetUtcNow());
        return PersistAsync(cancellationToken);
    }

    /// <summary>Writes the ledger after a change's outcome; a failure is logged.</summary>
    public async Task PersistAsync(CancellationToken cancellationToken)
    {
        try
        {
            await checkpoint.PersistAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Log.NotRecorded(logger, exception);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(
            90,
            LogLevel.Error,
            "the outcome of a change in the cloud could not be recorded; after a restart it would be looked up again"
        )]
        public static partial void NotRecorded(ILogger logger, Exception exception);
    }
}
