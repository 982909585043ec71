// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>
/// Group commit: many ADDs, one write. A caller that needs a version durable writes it together with all later changes, or waits for the
/// running write and checks again. At most one write runs at a time, always with the newest state. Thread-safe.
/// </summary>
/// <param name="ledger">The ledger to write.</param>
/// <param name="file">The destination.</param>
/// <param name="time">Clock for the time of writing.</param>
/// <param name="targets">Returns the pool's targets, written with the ledger.</param>
/// <param name="written">
/// Called after every write with its duration and its failure, null for success, before the waiting callers continue.
/// </param>
/// <param name="bootId">/proc/sys/kernel/random/boot_id; null when unknown.</param>
internal sealed class CheckpointWriter(
    IpLedger ledger,
    ICheckpointFile file,
    TimeProvider time,
    Func<RecordedTargets?> targets,
    Action<TimeSpan, Exception?> written,
    string? bootId
)
{
    private readonly Lock _lock = new();
    private TaskCompletionSource? _writing;
    private long _durable = -1;

    /// <summary>Whether the ledger has changes that are not durable yet.</summary>
    public bool IsBehind
    {
        get
        {
            var version = ledger.Version;
            lock (_lock)
                return _durable < version;
        }
    }

    /// <summary>Number of writes so far; shows how well commits are grouped.</summary>
    public long Writes { get; private set; }

    /// <summary>Returns when the ledger's state at the time of the call is durable.</summary>
    /// <exception cref="IOException">The write failed; the caller undoes what depends on it.</exception>
    public async Task PersistAsync(CancellationToken cancellationToken)
    {
        var needed = ledger.Version;
        while (true)
        {
            Task? running = null;
            TaskCompletionSource? own = null;
            lock (_lock)
            {
                if (_durable >= needed)
                    return;
                if (_writing is null)
                    _writing = own = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                else
                    running = _writing.Task;
            }

            if (running is not null)
            {
                // Never fails: a writer reports its failure to its own caller, and the next caller writes for itself. Takes one write of
                // one small file, so it ignores cancellation.
                await running;
                cancellationToken.ThrowIfCancellationRequested();
                continue;
            }

            try
            {
                var version = Write();
                lock (_lock)
                {
                    _durable = version;
                    Writes++;
                }

                return;
            }
            finally
            {
                lock (_lock)
                    _writing = null;
                own!.SetResult();
            }
        }
    }

    private long Write()
    {
        var started = time.GetTimestamp();
        try
        {
            var (record, version) = ledger.Record();
            file.Write(CheckpointFormat.Write(record with { WrittenAt = ClockReading.Of(time, bootId), Targets = targets() }));
            written(time.GetElapsedTime(started), null);
            return version;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            written(time.GetElapsedTime(started), exception);
            throw;
        }
    }
}
