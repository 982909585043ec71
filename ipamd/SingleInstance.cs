// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd;

/// <summary>
/// A lock file that one daemon holds for its life; the kernel lets go of it when the process ends, however it ends. A short wait covers a predecessor that is still stopping.
/// </summary>
internal static class SingleInstance
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <exception cref="IOException">Another daemon holds it.</exception>
    public static async Task<IDisposable> AcquireAsync(string path, TimeProvider time, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var started = time.GetTimestamp();
        while (true)
        {
            try
            {
                // FileShare.None is flock(2) with LOCK_EX | LOCK_NB.
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException exception)
            {
                if (time.GetElapsedTime(started) > Deadline) throw new IOException($"another daemon holds {path}: stop it first, or give this one a checkpoint and a socket of its own", exception);
            }

            await Task.Delay(Pause, time, cancellationToken);
        }
    }
}
