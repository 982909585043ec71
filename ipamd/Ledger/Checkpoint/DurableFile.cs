// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>Replaces a file whole: written beside it, synced, renamed, and the folder synced, as rename(2) alone survives a crash of the process but not one of the machine.</summary>
internal static class DurableFile
{
    /// <param name="path">The file.</param>
    /// <param name="beside">Where it is written first, in the same folder. A fixed name: what a crash left there is removed by the next run.</param>
    /// <param name="content">What it holds when this returns.</param>
    /// <param name="mode">Its rights from the first byte on.</param>
    /// <exception cref="IOException">Not written; the old content is still there.</exception>
    public static void Replace(string path, string beside, ReadOnlySpan<byte> content, UnixFileMode mode)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        Directory.CreateDirectory(folder);
        // Never written through: what a crash, or anybody else, left at that name is removed, and a link is not followed.
        File.Delete(beside);
        using (var handle = PosixFile.Open(beside, OpenMode.Write | OpenMode.Create | OpenMode.Exclusive, mode)
            ?? throw new DirectoryNotFoundException($"{folder} does not exist"))
        {
            RandomAccess.Write(handle, content, fileOffset: 0);
            RandomAccess.FlushToDisk(handle);
        }

        PosixFile.Rename(beside, path);
        FolderSync.Flush(folder);
    }
}
