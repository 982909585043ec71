// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Files;

/// <summary>
/// Replaces a file atomically and durably: writes a temporary file, syncs it, renames it, and syncs the folder, because rename(2) alone
/// survives a crash of the process but not of the machine.
/// </summary>
internal static class DurableFile
{
    /// <summary>64 KiB, below the threshold of the large object heap.</summary>
    private const int CopyBuffer = 64 * 1024;

    /// <param name="path">Path of the replaced file.</param>
    /// <param name="beside">
    /// Path of the temporary file, in the same folder. A fixed name, so that the next run replaces what a crash left.
    /// </param>
    /// <param name="content">New content.</param>
    /// <param name="mode">Permissions, set before the first byte is written.</param>
    /// <exception cref="IOException">The file was not replaced and has its old content.</exception>
    public static void Replace(string path, string beside, ReadOnlySpan<byte> content, UnixFileMode mode)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        Directory.CreateDirectory(folder);
        // Delete a leftover of a crash or of another program instead of opening it, so that a link is not followed.
        File.Delete(beside);
        using (
            var handle =
                PosixFile.Open(beside, OpenMode.Write | OpenMode.Create | OpenMode.Exclusive, mode)
                ?? throw new DirectoryNotFoundException($"{folder} does not exist")
        )
        {
            RandomAccess.Write(handle, content, fileOffset: 0);
            RandomAccess.FlushToDisk(handle);
        }

        PosixFile.Rename(beside, path);
        FolderSync.Flush(folder);
    }

    /// <summary>Replaces a file by a copy of another one, with its modification time. The source may be large.</summary>
    /// <param name="source">Path of the source.</param>
    /// <param name="path">Path of the replaced file.</param>
    /// <param name="beside">Path of the temporary file.</param>
    /// <param name="mode">Permissions, set before the first byte is written.</param>
    /// <exception cref="IOException">Not written; the old content is still there, and nothing is left beside it.</exception>
    public static void Copy(string source, string path, string beside, UnixFileMode mode)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        Directory.CreateDirectory(folder);
        File.Delete(beside);
        try
        {
            using (var from = File.OpenHandle(source, options: FileOptions.SequentialScan))
            using (
                var to =
                    PosixFile.Open(beside, OpenMode.Write | OpenMode.Create | OpenMode.Exclusive, mode)
                    ?? throw new DirectoryNotFoundException($"{folder} does not exist")
            )
            {
                var buffer = new byte[CopyBuffer];
                int read;
                for (long offset = 0; (read = RandomAccess.Read(from, buffer, offset)) > 0; offset += read)
                    RandomAccess.Write(to, buffer.AsSpan(0, read), offset);
                File.SetLastWriteTimeUtc(to, File.GetLastWriteTimeUtc(from));
                RandomAccess.FlushToDisk(to);
            }

            PosixFile.Rename(beside, path);
        }
        catch
        {
            // On a full disk, the likeliest cause, the partial file would take up space.
            File.Delete(beside);
            throw;
        }

        FolderSync.Flush(folder);
    }
}
