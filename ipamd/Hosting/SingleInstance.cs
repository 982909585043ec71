// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using VpcCni.Ipamd.Files;

namespace VpcCni.Ipamd.Hosting;

/// <summary>
/// A lock file that one daemon holds for its life; the kernel releases the lock when the process ends, however it ends. A short wait covers
/// a predecessor that is still stopping. The file is root's alone: whoever can open a file can lock it.
/// </summary>
internal static class SingleInstance
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <exception cref="IOException">
    /// Somebody else holds it, named if /proc shows who; or the path leads to something that is no file.
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
                        $"{Holder(handle)} holds {path}: stop it first, or give this daemon a checkpoint and a socket of its own"
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
                ?? throw new IOException($"{path} could not be created: its folder is gone");
        }
        catch (NotRegularFileException exception)
        {
            throw new IOException(
                $"the lock of the checkpoint cannot be had: {exception.Message}; remove it, or set AWS_VPC_K8S_CNI_BACKING_STORE to "
                    + "another path",
                exception
            );
        }
    }

    /// <summary>Who holds the lock, as far as /proc shows it from within this process's PID namespace.</summary>
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
                    return "a process outside of this container";
                return $"process {id} ({File.ReadAllText($"/proc/{id}/comm").TrimEnd()})";
            }
        }
        catch (IOException)
        {
            // It ended meanwhile, or /proc is not here: the message names nobody.
        }

        return "another process";
    }
}
