// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Files;

/// <summary>
/// Replaces a file whole: written beside it, synced, renamed, and the folder synced, as rename(2) alone survives a crash of the process but
/// not one of the machine.
/// </summary>
internal static class DurableFile
{
    /// <summary>Below the size from which an array is collected late only.</summary>
    private const int CopyBuffer = 64 * 1024;

    /// <param name="path">The file.</param>
    /// <param name="beside">
    /// Where it is written first, in the same folder. A fixed name: what a crash left there is removed by the next run.
    /// </param>
    /// <param name="content">What it holds when this returns.</param>
    /// <param name="mode">Its rights from the first byte on.</param>
    /// <exception cref="IOException">Not written; the old content is still there.</exception>
    public static void Replace(string path, string beside, ReadOnlySpan<byte> content, UnixFileMode mode)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        Directory.CreateDirectory(folder);
        // Never written through: what a crash, or anybody else, left at that name is removed, and a link is not followed.
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

    /// <summary>The same with the content, and the time of the last change, of another file, which may be large.</summary>
    /// <param name="source">What is copied.</param>
    /// <param name="path">The file.</param>
    /// <param name="beside">As above.</param>
    /// <param name="mode">Its rights from the first byte on.</param>
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
            // On a full disk, where this is most likely, the part that was written would stay.
            File.Delete(beside);
            throw;
        }

        FolderSync.Flush(folder);
    }
}
