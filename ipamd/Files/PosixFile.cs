// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using VpcCni.SystemCalls;

namespace VpcCni.Ipamd.Files;

/// <summary>Flags of <see cref="PosixFile.Open"/>; open(2).</summary>
[Flags]
internal enum OpenMode
{
    /// <summary>O_RDONLY.</summary>
    Read = 0,

    /// <summary>O_WRONLY.</summary>
    Write = 1,

    /// <summary>O_RDWR.</summary>
    ReadWrite = 2,

    /// <summary>O_CREAT.</summary>
    Create = 0x40,

    /// <summary>O_EXCL: fails if the file exists.</summary>
    Exclusive = 0x80,
}

/// <summary>
/// Opens files with flags that .NET does not offer: it rejects symbolic links and never blocks on a FIFO or device. For files in
/// folders that others can write to.
/// </summary>
internal static partial class PosixFile
{
    private const int EWOULDBLOCK = 11;
    private const int LOCK_EX = 2;
    private const int LOCK_NB = 4;

    /// <summary>Opens a regular file. Returns null if it does not exist.</summary>
    /// <param name="path">Path; a symbolic link as its last component is not followed.</param>
    /// <param name="mode">Flags.</param>
    /// <param name="rights">Permissions of a created file, regardless of the umask.</param>
    /// <exception cref="NotRegularFileException">The path is not a regular file.</exception>
    /// <exception cref="IOException">The file cannot be opened, or exists with <see cref="OpenMode.Exclusive"/>.</exception>
    public static SafeFileHandle? Open(string path, OpenMode mode, UnixFileMode rights = UnixFileMode.UserRead | UnixFileMode.UserWrite)
    {
        if (FileCalls.TryOpen(FileCalls.AT_FDCWD, path, (int)mode | FileCalls.O_NONBLOCK, out var errno, (int)rights) is not { } handle)
        {
            return errno switch
            {
                FileCalls.ENOENT or FileCalls.ENOTDIR => null,
                FileCalls.ELOOP => throw new NotRegularFileException($"{path} is a symbolic link"),
                FileCalls.EISDIR => throw new NotRegularFileException($"{path} is a directory"),
                // A FIFO without a reader, or a socket.
                FileCalls.ENXIO => throw new NotRegularFileException($"{path} is not a regular file"),
                FileCalls.EEXIST => throw new IOException($"{path} exists already"),
                _ => throw new IOException($"open {path}: {Marshal.GetPInvokeErrorMessage(errno)}"),
            };
        }

        try
        {
            var type = FileCalls.StatusOf(handle).Type;
            if (type != FileCalls.S_IFREG)
                throw new NotRegularFileException($"{path} is {(type == FileCalls.S_IFDIR ? "a directory" : "not a regular file")}");
            if (mode.HasFlag(OpenMode.Create))
                File.SetUnixFileMode(handle, rights);
            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Takes an exclusive flock(2) without waiting. Returns false if another process has it.</summary>
    /// <exception cref="IOException">The file system does not support locks.</exception>
    public static bool TryLock(SafeFileHandle handle)
    {
        if (Flock(handle, LOCK_EX | LOCK_NB) == 0)
            return true;
        var errno = Marshal.GetLastPInvokeError();
        return errno == EWOULDBLOCK ? false : throw new IOException($"flock: {Marshal.GetPInvokeErrorMessage(errno)}");
    }

    /// <summary>Returns the inode number, by which /proc/locks identifies the file.</summary>
    public static ulong InodeOf(SafeFileHandle handle) => FileCalls.StatusOf(handle).Inode;

    /// <summary>Replaces the target by rename(2), whatever the types of the two files.</summary>
    /// <exception cref="IOException">The rename failed.</exception>
    public static void Rename(string from, string to)
    {
        if (RenameFile(from, to) != 0)
            throw new IOException($"rename {from} to {to}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
    }

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Flock(SafeFileHandle file, int operation);

    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameFile(string from, string to);
}

/// <summary>The path is a directory, link, FIFO, device or socket instead of a regular file.</summary>
internal sealed class NotRegularFileException(string message) : IOException(message);
