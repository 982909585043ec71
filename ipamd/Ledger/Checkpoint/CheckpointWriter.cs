// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>
/// Group commit: many ADDs, one write. Whoever needs a version durable either writes it together with everything that changed meanwhile, or
/// waits for the write that is under way and looks again. At most one write runs at a time and the newest state is what gets written.
/// </summary>
/// <param name="ledger">What is written.</param>
/// <param name="file">Where to.</param>
/// <param name="time">For when it was written.</param>
/// <param name="targets">The pool's targets, to be written with it.</param>
/// <param name="bootId">/proc/sys/kernel/random/boot_id; null when unknown.</param>
internal sealed class CheckpointWriter(
    IpLedger ledger,
    ICheckpointFile file,
    TimeProvider time,
    Func<RecordedTargets?> targets,
    string? bootId
)
{
    private readonly Lock _lock = new();
    private TaskCompletionSource? _writing;
    private long _durable = -1;

    /// <summary>The file does not have everything that the ledger holds.</summary>
    public bool IsBehind
    {
        get
        {
            var version = ledger.Version;
            lock (_lock)
                return _durable < version;
        }
    }

    /// <summary>Number of writes so far, for the record of how well commits are grouped.</summary>
    public long Writes { get; private set; }

    /// <summary>Told of every write: how long it took, and why it failed; null for success. Before those who wait for it go on.</summary>
    public Action<TimeSpan, Exception?>? Written { get; init; }

    /// <summary>Returns when everything that the ledger held on the call is durable.</summary>
    /// <exception cref="IOException">It is not; the caller undoes what it was about to promise.</exception>
    public async Task PersistAsync(CancellationToken cancellationToken)
    {
        var needed = ledger.Version;
        while (true)
        {
            Task? underWay = null;
            TaskCompletionSource? mine = null;
            lock (_lock)
            {
                if (_durable >= needed)
                    return;
                if (_writing is null)
                    _writing = mine = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                else
                    underWay = _writing.Task;
            }

            if (underWay is not null)
            {
                // Never fails: a writer reports its failure to its own caller, and the next in line tries for itself. As long as one write
                // of one small file, whoever asked for it.
                await underWay;
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
                mine!.SetResult();
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
            Written?.Invoke(time.GetElapsedTime(started), null);
            return version;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Written?.Invoke(time.GetElapsedTime(started), exception);
            throw;
        }
    }
}
