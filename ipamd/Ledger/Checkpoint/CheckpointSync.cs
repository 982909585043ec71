// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>
/// Writes changes that no ADD or DEL waits for, and retries failed writes: the file lags by seconds at most, and a recovered disk is
/// noticed without a pod.
/// </summary>
internal sealed class CheckpointSync(CheckpointWriter writer, TimeProvider time)
{
    /// <summary>Pauses between writes: the first after a success, doubled by each failure that follows.</summary>
    public static readonly Backoff Pauses = new(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(30));

    /// <summary>Runs until cancelled. The writer reports each failure.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var failures = 0;
        while (true)
        {
            await Task.Delay(Pauses.Ceiling(failures + 1), time, cancellationToken);
            if (!writer.IsBehind)
                continue;
            try
            {
                await writer.PersistAsync(cancellationToken);
                failures = 0;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                failures++;
            }
        }
    }
}
