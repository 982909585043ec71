// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using VpcCni.SystemCalls;

namespace VpcCni.Ipamd.Files;

/// <summary>Makes renames durable: rename(2) alone survives a crash of the process, but not of the machine.</summary>
internal static partial class FolderSync
{
    /// <exception cref="IOException">The folder cannot be opened or synced.</exception>
    public static void Flush(string folder)
    {
        // .NET cannot open a folder.
        using var opened =
            FileCalls.TryOpen(FileCalls.AT_FDCWD, folder, FileCalls.O_RDONLY | FileCalls.O_DIRECTORY, out var errno, follows: true)
            ?? throw new IOException($"open {folder}: {FileCalls.Describe(errno)}");
        if (Fsync(opened) != 0)
            throw new IOException($"fsync {folder}: {FileCalls.Describe(Marshal.GetLastPInvokeError())}");
    }

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(SafeFileHandle folder);
}
