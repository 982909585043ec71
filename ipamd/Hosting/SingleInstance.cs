// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using VpcCni.Ipamd.Files;

namespace VpcCni.Ipamd.Hosting;

/// <summary>
/// Ensures that one daemon runs per checkpoint, by a lock file. The kernel releases the lock when the process ends, however it ends.
/// Acquiring waits briefly for a predecessor that is still stopping. Only root can open the file, because any process that can open it can
/// lock it.
/// </summary>
internal static class SingleInstance
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <exception cref="IOException">
    /// Another process has the lock (its name is in the message if /proc shows it), or the path is not a regular file.
    /// </exception>
    public static async Task<IDisposable> AcquireAsync(string path, TimeProvider time, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var handle = Open(path);
        try
        {
            var started = time.GetTimestamp();
            while (!PosixFile.TryLock(handle))
            {
                if (time.GetElapsedTime(started) > Deadline)
                    throw new IOException(
                        $"{Holder(handle)} has locked {path}; stop it first, or give this daemon its own checkpoint and socket"
                    );
                await Task.Delay(Pause, time, cancellationToken);
            }

            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private static SafeFileHandle Open(string path)
    {
        try
        {
            return PosixFile.Open(path, OpenMode.ReadWrite | OpenMode.Create)
                ?? throw new IOException($"{path} could not be created: its folder does not exist");
        }
        catch (NotRegularFileException exception)
        {
            throw new IOException(
                $"the checkpoint cannot be locked: {exception.Message}; remove it, or set AWS_VPC_K8S_CNI_BACKING_STORE to "
                    + "another path",
                exception
            );
        }
    }

    /// <summary>Returns the lock's owner, if /proc shows it in this process's PID namespace.</summary>
    private static string Holder(SafeFileHandle handle)
    {
        try
        {
            // proc_locks(5): "1: FLOCK  ADVISORY  WRITE 708 08:02:531 0 EOF"; the inode is the last part of the sixth field.
            var inode = PosixFile.InodeOf(handle).ToString(CultureInfo.InvariantCulture);
            foreach (var line in File.ReadLines("/proc/locks"))
            {
                var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                if (fields is not [_, "FLOCK", _, _, var process, var file, ..] || !file.EndsWith(":" + inode, StringComparison.Ordinal))
                    continue;
                if (!int.TryParse(process, CultureInfo.InvariantCulture, out var id) || id <= 0)
                    return "a process outside this container";
                return $"process {id} ({File.ReadAllText($"/proc/{id}/comm").TrimEnd()})";
            }
        }
        catch (IOException)
        {
            // The process ended meanwhile, or /proc is not mounted.
        }

        return "another process";
    }
}
