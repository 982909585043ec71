// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VpcCni.SystemCalls;

/// <summary>
/// System calls on files and descriptors that .NET has no equivalent for: an open that neither blocks nor follows links, the type and owner
/// of an open file, one write, and a wait with a timeout. Each call is repeated after EINTR. Errors are returned as errno unless stated.
/// </summary>
internal static partial class FileCalls
{
    public const int ENOENT = 2;
    public const int ENXIO = 6;
    public const int EEXIST = 17;
    public const int ENOTDIR = 20;
    public const int EISDIR = 21;
    public const int ELOOP = 40;
    private const int EINTR = 4;
    private const int EACCES = 13;
    private const int ENOSPC = 28;
    private const int EROFS = 30;
    private const int EPIPE = 32;
    private const int ENOTEMPTY = 39;

    public const int O_RDONLY = 0;
    public const int O_WRONLY = 0x1;
    public const int O_RDWR = 0x2;
    public const int O_CREAT = 0x40;
    public const int O_EXCL = 0x80;
    public const int O_APPEND = 0x400;
    public const int O_NONBLOCK = 0x800;
    private const int O_NOCTTY = 0x100;
    private const int O_CLOEXEC = 0x80000;

    /// <summary>The folder that relative paths of <see cref="TryOpen"/> start from: the current one.</summary>
    public const int AT_FDCWD = -100;

    public const int S_IFIFO = 0x1000;
    public const int S_IFCHR = 0x2000;
    public const int S_IFDIR = 0x4000;
    public const int S_IFBLK = 0x6000;
    public const int S_IFREG = 0x8000;
    public const int S_IFSOCK = 0xC000;

    public const short POLLIN = 0x1;
    public const short POLLOUT = 0x4;

    // The values of these two differ on arm64 (asm/fcntl.h).
    public static int O_DIRECTORY => IsArm ? 0x4000 : 0x10000;

    private static int O_NOFOLLOW => IsArm ? 0x8000 : 0x20000;

    private static bool IsArm => RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm;

    /// <summary>Result of statx(2) for an open file.</summary>
    /// <param name="Type">S_IFREG, S_IFDIR and so on.</param>
    /// <param name="Rights">Permissions: the low nine bits of the mode.</param>
    /// <param name="Owner">User id.</param>
    /// <param name="Length">Length in bytes.</param>
    /// <param name="Inode">Inode number.</param>
    public readonly record struct Status(int Type, int Rights, uint Owner, long Length, ulong Inode);

    /// <summary>Opens a file. Returns null if that fails; <paramref name="errno"/> then has the reason.</summary>
    /// <param name="folder">Descriptor that a relative path starts from, or <see cref="AT_FDCWD"/>.</param>
    /// <param name="path">The file.</param>
    /// <param name="flags">O_*; the file never becomes the controlling terminal and is closed by execve(2).</param>
    /// <param name="errno">0, or why the file was not opened: <see cref="ELOOP"/> for a link that is not followed.</param>
    /// <param name="rights">Permissions of a created file, less the umask.</param>
    /// <param name="follows">Whether to follow a symbolic link as the last component.</param>
    public static SafeFileHandle? TryOpen(int folder, string path, int flags, out int errno, int rights = 0, bool follows = false)
    {
        SafeFileHandle handle;
        do
        {
            handle = OpenAt(folder, path, flags | (follows ? 0 : O_NOFOLLOW) | O_NOCTTY | O_CLOEXEC, rights);
            errno = handle.IsInvalid ? Marshal.GetLastPInvokeError() : 0;
        } while (errno == EINTR);
        if (!handle.IsInvalid)
            return handle;
        handle.Dispose();
        return null;
    }

    /// <summary>Reads the status of an open file. Returns an errno, or 0.</summary>
    public static unsafe int TryStatus(SafeFileHandle file, out Status status)
    {
        const int AT_EMPTY_PATH = 0x1000;
        const uint STATX_BASIC_STATS = 0x7ff;
        // struct statx has the same layout on every architecture: stx_uid at 20, stx_mode at 28, stx_ino at 32, stx_size at 40.
        Span<byte> result = stackalloc byte[256];
        fixed (byte* start = result)
        {
            byte empty = 0;
            if (Statx(file, &empty, AT_EMPTY_PATH, STATX_BASIC_STATS, start) != 0)
            {
                status = default;
                return Marshal.GetLastPInvokeError();
            }
        }

        var mode = BinaryPrimitives.ReadUInt16LittleEndian(result[28..]);
        status = new Status(
            mode & 0xF000,
            mode & 0x1FF,
            BinaryPrimitives.ReadUInt32LittleEndian(result[20..]),
            (long)BinaryPrimitives.ReadUInt64LittleEndian(result[40..]),
            BinaryPrimitives.ReadUInt64LittleEndian(result[32..])
        );
        return 0;
    }

    /// <exception cref="IOException">statx(2) failed.</exception>
    public static Status StatusOf(SafeFileHandle file) =>
        TryStatus(file, out var status) is not 0 and var errno ? throw new IOException($"statx: {Describe(errno)}") : status;

    /// <summary>One read(2), of as many bytes as there are; 0 at the end.</summary>
    /// <exception cref="IOException">The descriptor is closed or broken, or the file cannot be read.</exception>
    public static unsafe int Read(SafeFileHandle file, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            while (true)
            {
                var read = ReadFile(file, start, buffer.Length);
                if (read >= 0)
                    return (int)read;
                var errno = Marshal.GetLastPInvokeError();
                if (errno != EINTR)
                    throw new IOException($"read: {Describe(errno)}");
            }
        }
    }

    /// <summary>One write(2), of as many bytes as there is room for. Returns an errno, or 0.</summary>
    public static unsafe int Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, out int written)
    {
        fixed (byte* start = bytes)
        {
            while (true)
            {
                written = (int)WriteFile(file, start, bytes.Length);
                if (written >= 0)
                    return 0;
                var errno = Marshal.GetLastPInvokeError();
                if (errno != EINTR)
                    return errno;
            }
        }
    }

    /// <summary>
    /// Waits until the descriptor is ready: data, room, end of file or an error. False after <paramref name="timeoutMilliseconds"/>. A
    /// negative descriptor is never ready.
    /// </summary>
    public static unsafe bool Wait(int descriptor, short events, int timeoutMilliseconds)
    {
        var poll = new PollFd { Descriptor = descriptor, Events = events };
        while (true)
        {
            var ready = Poll(&poll, 1, timeoutMilliseconds);
            if (ready >= 0)
                return ready > 0;
            // A signal restarts the whole wait, because the bound need not be exact.
            if (Marshal.GetLastPInvokeError() != EINTR)
                return true;
        }
    }

    public static string Describe(int errno) =>
        errno switch
        {
            ENOENT => "no such file or directory",
            ENXIO => "it is a FIFO or a socket",
            EACCES => "permission denied",
            EEXIST => "it exists already",
            ENOTDIR => "it is not a directory",
            EISDIR => "it is a directory",
            ENOSPC => "no space left on device",
            EROFS => "read-only file system",
            EPIPE => "no process reads it",
            ENOTEMPTY => "it is a directory that is not empty",
            ELOOP => "it is a symbolic link",
            _ => $"errno {errno}",
        };

    /// <summary>struct pollfd, poll.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct PollFd
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    // int openat(int dirfd, const char *pathname, int flags, mode_t mode);
    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle OpenAt(int folder, string path, int flags, int mode);

    // int statx(int dirfd, const char *pathname, int flags, unsigned int mask, struct statx *statxbuf);
    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static unsafe partial int Statx(SafeFileHandle file, byte* path, int flags, uint mask, byte* status);

    // ssize_t read(int fd, void *buf, size_t count);
    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static unsafe partial nint ReadFile(SafeFileHandle file, byte* buffer, nint count);

    // ssize_t write(int fd, const void *buf, size_t count);
    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static unsafe partial nint WriteFile(SafeFileHandle file, byte* bytes, nint count);

    // int poll(struct pollfd *fds, nfds_t nfds, int timeout);
    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static unsafe partial int Poll(PollFd* descriptors, nuint count, int timeout);
}
