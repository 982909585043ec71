// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VpcCni.Logging;

/// <summary>
/// System calls without an equivalent in .NET: opening a file without blocking or following links, O_APPEND, the type of an open file, and
/// waiting with a timeout.
/// </summary>
internal static partial class LogCalls
{
    public const int ENOENT = 2;
    private const int EINTR = 4;
    private const int ENXIO = 6;
    private const int EACCES = 13;
    private const int EISDIR = 21;
    private const int ENOSPC = 28;
    private const int EROFS = 30;
    private const int EPIPE = 32;
    private const int ELOOP = 40;

    private const int O_WRONLY = 0x1;
    private const int O_CREAT = 0x40;
    private const int O_NOCTTY = 0x100;
    private const int O_APPEND = 0x400;
    private const int O_NONBLOCK = 0x800;
    private const int O_CLOEXEC = 0x80000;
    private const short POLLOUT = 0x4;

    /// <summary>O_NOFOLLOW, whose value differs on arm64 (asm/fcntl.h).</summary>
    private static int NoFollow => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x8000 : 0x20000;

    [StructLayout(LayoutKind.Sequential)]
    private struct PollFd
    {
        public int Fd;
        public short Events;
        public short Returned;
    }

    public static SafeFileHandle? OpenForAppend(string path, out int errno)
    {
        const int readableByOwnerAndGroup = 0x1A0; // 0640
        SafeFileHandle handle;
        do
        {
            handle = Open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | NoFollow, readableByOwnerAndGroup);
            errno = handle.IsInvalid ? Marshal.GetLastPInvokeError() : 0;
        } while (errno == EINTR);
        if (!handle.IsInvalid)
            return handle;
        handle.Dispose();
        return null;
    }

    /// <summary>Returns the length of a regular file; null for anything else, whose type is in <paramref name="type"/>.</summary>
    public static unsafe long? RegularLength(SafeFileHandle file, out string type)
    {
        const int AT_EMPTY_PATH = 0x1000;
        const uint typeAndSize = 0x1 | 0x200; // STATX_TYPE | STATX_SIZE
        // struct statx has the same layout on every architecture: stx_mode at 28, stx_size at 40.
        Span<byte> status = stackalloc byte[256];
        int result;
        fixed (byte* start = status)
        {
            byte empty = 0;
            result = Statx(file, &empty, AT_EMPTY_PATH, typeAndSize, start);
        }
        if (result != 0)
        {
            type = "file of unknown type";
            return null;
        }
        type = (BinaryPrimitives.ReadUInt16LittleEndian(status[28..]) & 0xF000) switch
        {
            0x1000 => "FIFO",
            0x2000 => "character device",
            0x4000 => "directory",
            0x6000 => "block device",
            0x8000 => "regular file",
            0xC000 => "socket",
            _ => "file of unknown type",
        };
        return type == "regular file" ? (long)BinaryPrimitives.ReadUInt64LittleEndian(status[40..]) : null;
    }

    /// <summary>Calls write(2) once. Returns an errno, or 0.</summary>
    public static unsafe int Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, out int written)
    {
        fixed (byte* start = bytes)
        {
            while (true)
            {
                written = (int)Write(file, start, bytes.Length);
                if (written >= 0)
                    return 0;
                var errno = Marshal.GetLastPInvokeError();
                if (errno != EINTR)
                    return errno;
            }
        }
    }

    /// <summary>Calls write(2) once for an inherited descriptor. Returns an errno, or 0.</summary>
    public static unsafe int WriteStandard(int descriptor, ReadOnlySpan<byte> bytes, out int written)
    {
        fixed (byte* start = bytes)
        {
            while (true)
            {
                written = (int)Write(descriptor, start, bytes.Length);
                if (written >= 0)
                    return 0;
                var errno = Marshal.GetLastPInvokeError();
                if (errno != EINTR)
                    return errno;
            }
        }
    }

    public static unsafe bool WaitWritable(int descriptor, TimeSpan timeout)
    {
        var poll = new PollFd { Fd = descriptor, Events = POLLOUT };
        int ready;
        do ready = Poll(&poll, 1, (int)timeout.TotalMilliseconds);
        while (ready < 0 && Marshal.GetLastPInvokeError() == EINTR);
        return ready > 0;
    }

    /// <summary>Describes the errno of a failed open of a log file.</summary>
    public static string DescribeOpen(int errno) =>
        errno switch
        {
            EISDIR => "it is a directory, expected a regular file",
            ELOOP => "it is a symbolic link, expected a regular file",
            ENXIO => "it is a FIFO or a socket, expected a regular file",
            _ => $"open: {Describe(errno)}",
        };

    public static string Describe(int errno) =>
        errno switch
        {
            ENOENT => "no such file or directory",
            EACCES => "permission denied",
            ENOSPC => "no space left on device",
            EROFS => "read-only file system",
            EPIPE => "no process reads it",
            _ => $"errno {errno}",
        };

    // int open(const char *pathname, int flags, mode_t mode);
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags, int mode);

    // ssize_t write(int fd, const void *buf, size_t count);
    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static unsafe partial nint Write(SafeFileHandle file, byte* bytes, nint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static unsafe partial nint Write(int descriptor, byte* bytes, nint count);

    // int statx(int dirfd, const char *pathname, int flags, unsigned int mask, struct statx *statxbuf);
    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static unsafe partial int Statx(SafeFileHandle file, byte* path, int flags, uint mask, byte* status);

    // int poll(struct pollfd *fds, nfds_t nfds, int timeout);
    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static unsafe partial int Poll(PollFd* fds, nuint count, int timeout);
}
