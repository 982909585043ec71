// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>
/// Makes intents durable: before the first call of a change, after each of its stages, and when its outcome is certain. Only the first must
/// succeed. A later entry that is lost is found out again by the next daemon, since every stage can be repeated or looked up.
/// </summary>
internal sealed partial class IntentJournal(IpLedger ledger, CheckpointWriter checkpoint, TimeProvider time, ILogger<IntentJournal> logger)
{
    /// <summary>Told of every stage that is certain.</summary>
    public PoolEvents Events { get; init; } = new();

    /// <exception cref="CloudException">The intent is not durable, so the change must not begin; it has been undone.</exception>
    public async Task RecordAsync(Intent intent, CancellationToken cancellationToken)
    {
        try
        {
            await checkpoint.PersistAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            ledger.Abort(intent, time.GetUtcNow());
            throw new CloudException(
                CloudErrorKind.Unknown,
                "RecordIntent",
                "CheckpointNotWritten",
                $"nothing is changed in the cloud that is not recorded first: {exception.Message}",
                innerException: exception
            );
        }
    }

    /// <summary>The next stage of a change is certain.</summary>
    public async Task<T> AdvanceAsync<T>(T progressed, CancellationToken cancellationToken)
        where T : Intent
    {
        ledger.Advance(progressed, time.GetUtcNow());
        await PersistAsync(cancellationToken);
        Events.Publish(new PoolEvent.ChangeAdvanced(time.GetUtcNow(), progressed));
        return progressed;
    }

    /// <summary>The change has had no effect, or has been taken back.</summary>
    public Task UndoneAsync(Intent intent, CancellationToken cancellationToken)
    {
        ledger.Abort(intent, time.GetUtcNow());
        return PersistAsync(cancellationToken);
    }

    /// <summary>What the ledger has just been told of a change's outcome.</summary>
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
            "the outcome of a change in the cloud could not be recorded; a restart before the next write would look it up again"
        )]
        public static partial void NotRecorded(ILogger logger, Exception exception);
    }
}
