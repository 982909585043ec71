// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using VpcCni.SystemCalls;

namespace VpcCni.MissedDels;

/// <summary>
/// System calls of the openat(2) family, which .NET does not have. All operations in a folder are relative to its descriptor, so that the
/// folder cannot be replaced in between, and never follow a symbolic link.
/// </summary>
internal static partial class FolderCalls
{
    public const int AT_REMOVEDIR = 0x200;

    /// <summary>Creates a folder. Returns an errno, or 0.</summary>
    public static int MakeFolder(SafeFileHandle parent, string name, int rights) =>
        MkdirAt(parent, name, rights) == 0 ? 0 : Marshal.GetLastPInvokeError();

    public static int Rename(SafeFileHandle folder, string from, string to) =>
        RenameAt(folder, from, folder, to) == 0 ? 0 : Marshal.GetLastPInvokeError();

    public static int Unlink(SafeFileHandle folder, string name, int flags) =>
        UnlinkAt(folder, name, flags) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Reads directory entries (getdents(2), struct linux_dirent64). Returns the number of bytes; 0 at the end.</summary>
    /// <exception cref="IOException">The folder cannot be listed.</exception>
    public static unsafe int ReadEntries(SafeFileHandle folder, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            var read = GetDents(folder, start, buffer.Length);
            return read >= 0 ? (int)read : throw new IOException($"getdents: {FileCalls.Describe(Marshal.GetLastPInvokeError())}");
        }
    }

    /// <summary>Reads until the buffer is full or the file ends. Returns the number of bytes.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static int ReadAll(SafeFileHandle file, Span<byte> buffer)
    {
        var length = 0;
        while (length < buffer.Length && FileCalls.Read(file, buffer[length..]) is > 0 and var read)
            length += read;
        return length;
    }

    /// <exception cref="IOException">Some bytes were not written.</exception>
    public static void WriteAll(SafeFileHandle file, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (FileCalls.Write(file, bytes, out var written) is not 0 and var errno)
                throw new IOException($"write: {FileCalls.Describe(errno)}");
            bytes = bytes[written..];
        }
    }

    // int mkdirat(int dirfd, const char *pathname, mode_t mode);
    [LibraryImport("libc", EntryPoint = "mkdirat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MkdirAt(SafeFileHandle folder, string path, int mode);

    // int renameat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath);
    [LibraryImport("libc", EntryPoint = "renameat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameAt(SafeFileHandle fromFolder, string from, SafeFileHandle toFolder, string to);

    // int unlinkat(int dirfd, const char *pathname, int flags);
    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int UnlinkAt(SafeFileHandle folder, string name, int flags);

    // ssize_t getdents64(int fd, void *dirp, size_t count);
    [LibraryImport("libc", EntryPoint = "getdents64", SetLastError = true)]
    private static unsafe partial nint GetDents(SafeFileHandle folder, byte* buffer, nint count);

    // uid_t geteuid(void);
    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint EffectiveUser();
}
