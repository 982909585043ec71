// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace VpcCni.Ipamd.Files;

/// <summary>Makes renames durable: rename(2) alone survives a crash of the process, but not of the machine.</summary>
internal static partial class FolderSync
{
    private const int O_RDONLY = 0;
    private const int O_CLOEXEC = 0x80000;

    /// <exception cref="IOException">The folder cannot be opened or synced.</exception>
    public static void Flush(string folder)
    {
        // .NET cannot open a folder, so the calls are open(2), fsync(2) and close(2).
        var descriptor = Open(folder, O_RDONLY | O_CLOEXEC);
        if (descriptor < 0)
            throw new IOException($"open {folder}: errno {Marshal.GetLastPInvokeError()}");
        try
        {
            if (Fsync(descriptor) != 0)
                throw new IOException($"fsync {folder}: errno {Marshal.GetLastPInvokeError()}");
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
