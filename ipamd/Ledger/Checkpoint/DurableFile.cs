// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>Replaces a file whole: written beside it, synced, renamed, and the folder synced, as rename(2) alone survives a crash of the process but not one of the machine.</summary>
internal static class DurableFile
{
    /// <param name="path">The file.</param>
    /// <param name="beside">Where it is written first, in the same folder. A fixed name: what a crash left there is written over by the next run.</param>
    /// <param name="content">What it holds when this returns.</param>
    /// <param name="mode">Its rights from the first byte on.</param>
    /// <exception cref="IOException">Not written; the old content is still there.</exception>
    public static void Replace(string path, string beside, ReadOnlySpan<byte> content, UnixFileMode mode)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        Directory.CreateDirectory(folder);
        using (var handle = File.OpenHandle(beside, FileMode.Create, FileAccess.Write, FileShare.None))
        {
            File.SetUnixFileMode(handle, mode);
            RandomAccess.Write(handle, content, fileOffset: 0);
            RandomAccess.FlushToDisk(handle);
        }

        File.Move(beside, path, overwrite: true);
        FolderSync.Flush(folder);
    }
}
