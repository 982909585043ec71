// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VpcCni.Ipamd.Files;

/// <summary>How <see cref="PosixFile.Open"/> opens; open(2).</summary>
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

    /// <summary>O_EXCL: fails when the file exists.</summary>
    Exclusive = 0x80,
}

/// <summary>
/// open(2) with the flags that .NET has no name for: a symbolic link is refused, and a FIFO or device blocks nobody. Files in a folder that
/// others may write to are opened this way.
/// </summary>
internal static partial class PosixFile
{
    private const int O_NONBLOCK = 0x800;
    private const int O_CLOEXEC = 0x80000;

    /// <summary>The octal 0100000 of arm, the octal 0400000 of every other architecture that .NET runs on (asm/fcntl.h).</summary>
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

    /// <summary>Opens a regular file. Null when there is none.</summary>
    /// <param name="path">Its last component is not followed when it is a symbolic link.</param>
    /// <param name="mode">How.</param>
    /// <param name="rights">Of a file that is created, whatever the umask.</param>
    /// <exception cref="NotRegularFileException">There is something else at the path.</exception>
    /// <exception cref="IOException">It cannot be opened; an existing one under <see cref="OpenMode.Exclusive"/> included.</exception>
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
                ENXIO => throw new NotRegularFileException($"{path} is no regular file"),
                EEXIST => throw new IOException($"{path} exists already"),
                _ => throw new IOException($"open {path}: {Marshal.GetPInvokeErrorMessage(errno)}"),
            };
        }

        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        try
        {
            var kind = Stat(handle).Mode & S_IFMT;
            if (kind != S_IFREG)
                throw new NotRegularFileException($"{path} is {(kind == S_IFDIR ? "a directory" : "no regular file")}");
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

    /// <summary>Takes flock(2) exclusively, without waiting. False: somebody else holds it.</summary>
    /// <exception cref="IOException">The file system has no locks.</exception>
    public static bool TryLock(SafeFileHandle handle)
    {
        if (Flock((int)handle.DangerousGetHandle(), LOCK_EX | LOCK_NB) == 0)
            return true;
        var errno = Marshal.GetLastPInvokeError();
        return errno == EWOULDBLOCK ? false : throw new IOException($"flock: {Marshal.GetPInvokeErrorMessage(errno)}");
    }

    /// <summary>The number of its inode, by which /proc/locks names it.</summary>
    public static ulong InodeOf(SafeFileHandle handle) => Stat(handle).Inode;

    /// <summary>Replaces the target by rename(2), whatever kind either is.</summary>
    /// <exception cref="IOException">Not done.</exception>
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

/// <summary>A path leads to a directory, link, FIFO, device or socket where a file belongs.</summary>
internal sealed class NotRegularFileException(string message) : IOException(message);
