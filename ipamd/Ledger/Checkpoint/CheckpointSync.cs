// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>
/// Writes changes that no ADD or DEL waits for, and retries failed writes: the file lags by seconds at most, and a recovered disk is
/// noticed without a pod.
/// </summary>
internal sealed class CheckpointSync(CheckpointWriter writer, TimeProvider time)
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>Longest pause between two failing writes.</summary>
    public static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <summary>Runs until cancelled. <see cref="CheckpointWriter.Written"/> reports failures.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var pause = Interval;
        while (true)
        {
            await Task.Delay(pause, time, cancellationToken);
            if (!writer.IsBehind)
                continue;
            try
            {
                await writer.PersistAsync(cancellationToken);
                pause = Interval;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
    }
}
