// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

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
/// Opens files by open(2) with flags that .NET does not offer: it rejects symbolic links and never blocks on a FIFO or device. For files in
/// folders that others can write to.
/// </summary>
internal static partial class PosixFile
{
    private const int O_NONBLOCK = 0x800;
    private const int O_CLOEXEC = 0x80000;

    /// <summary>Octal 0100000 on arm, octal 0400000 on all other architectures of .NET (asm/fcntl.h).</summary>
    private static readonly int O_NOFOLLOW = RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm
        ? 0x8000
        : 0x20000;

    private const int EEXIST = 17;
    private const int ENOENT = 2;
    private const int ENOTDIR = 20;
    private const int EISDIR = 21;
    private const int ELOOP = 40;
    private const int ENXIO = 6;
    private const int EWOULDBLOCK = 11;
    private const int EINTR = 4;

    private const int LOCK_EX = 2;
    private const int LOCK_NB = 4;

    private const int AT_EMPTY_PATH = 0x1000;
    private const uint STATX_BASIC_STATS = 0x7ff;
    private const int StatxSize = 256;
    private const int StatxMode = 28;
    private const int StatxInode = 32;
    private const int S_IFMT = 0xF000;
    private const int S_IFREG = 0x8000;
    private const int S_IFDIR = 0x4000;

    /// <summary>Opens a regular file. Returns null if it does not exist.</summary>
    /// <param name="path">Path; a symbolic link as its last component is not followed.</param>
    /// <param name="mode">Flags.</param>
    /// <param name="rights">Permissions of a created file, regardless of the umask.</param>
    /// <exception cref="NotRegularFileException">The path is not a regular file.</exception>
    /// <exception cref="IOException">The file cannot be opened, or exists with <see cref="OpenMode.Exclusive"/>.</exception>
    public static SafeFileHandle? Open(string path, OpenMode mode, UnixFileMode rights = UnixFileMode.UserRead | UnixFileMode.UserWrite)
    {
        int descriptor;
        do descriptor = OpenFile(path, (int)mode | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, (int)rights);
        while (descriptor < 0 && Marshal.GetLastPInvokeError() == EINTR);
        if (descriptor < 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            return errno switch
            {
                ENOENT or ENOTDIR => null,
                ELOOP => throw new NotRegularFileException($"{path} is a symbolic link"),
                EISDIR => throw new NotRegularFileException($"{path} is a directory"),
                // A FIFO without a reader, or a socket.
                ENXIO => throw new NotRegularFileException($"{path} is not a regular file"),
                EEXIST => throw new IOException($"{path} exists already"),
                _ => throw new IOException($"open {path}: {Marshal.GetPInvokeErrorMessage(errno)}"),
            };
        }

        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        try
        {
            var kind = Stat(handle).Mode & S_IFMT;
            if (kind != S_IFREG)
                throw new NotRegularFileException($"{path} is {(kind == S_IFDIR ? "a directory" : "not a regular file")}");
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
        if (Flock((int)handle.DangerousGetHandle(), LOCK_EX | LOCK_NB) == 0)
            return true;
        var errno = Marshal.GetLastPInvokeError();
        return errno == EWOULDBLOCK ? false : throw new IOException($"flock: {Marshal.GetPInvokeErrorMessage(errno)}");
    }

    /// <summary>Returns the inode number, by which /proc/locks identifies the file.</summary>
    public static ulong InodeOf(SafeFileHandle handle) => Stat(handle).Inode;

    /// <summary>Replaces the target by rename(2), whatever the types of the two files.</summary>
    /// <exception cref="IOException">The rename failed.</exception>
    public static void Rename(string from, string to)
    {
        if (RenameFile(from, to) != 0)
            throw new IOException($"rename {from} to {to}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
    }

    /// <summary>statx(2) has the same layout on every architecture.</summary>
    private static (int Mode, ulong Inode) Stat(SafeFileHandle handle)
    {
        Span<byte> buffer = stackalloc byte[StatxSize];
        if (Statx((int)handle.DangerousGetHandle(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, ref buffer[0]) != 0)
            throw new IOException($"statx: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
        return (BitConverter.ToUInt16(buffer[StatxMode..]), BitConverter.ToUInt64(buffer[StatxInode..]));
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Flock(int descriptor, int operation);

    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameFile(string from, string to);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int folder, string path, int flags, uint mask, ref byte buffer);
}

/// <summary>The path is a directory, link, FIFO, device or socket instead of a regular file.</summary>
internal sealed class NotRegularFileException(string message) : IOException(message);
