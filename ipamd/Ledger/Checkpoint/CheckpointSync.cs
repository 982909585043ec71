// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>
/// Writes the changes that no ADD or DEL waits for, and those that an earlier write failed to write: so that the file is behind for
/// seconds, and a disk that works again is noticed without a pod.
/// </summary>
internal sealed class CheckpointSync(CheckpointWriter writer, TimeProvider time)
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>Between two writes that fail.</summary>
    public static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <summary>Runs until cancelled. A failure is reported by <see cref="CheckpointWriter.Written"/>.</summary>
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
