// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VpcCni.MissedDels;

/// <summary>
/// System calls of the openat(2) family, which .NET does not have. All operations in a folder are relative to its descriptor, so that the
/// folder cannot be replaced in between, and never follow a symbolic link.
/// </summary>
internal static partial class FolderCalls
{
    public const int ENOENT = 2;
    public const int EEXIST = 17;
    public const int ENOTDIR = 20;
    public const int EISDIR = 21;
    public const int ELOOP = 40;
    private const int EINTR = 4;
    public const int ENXIO = 6;
    private const int EACCES = 13;
    private const int ENOSPC = 28;
    private const int EROFS = 30;
    private const int ENOTEMPTY = 39;

    public const int O_RDONLY = 0;
    public const int O_WRONLY = 0x1;
    public const int O_CREAT = 0x40;
    public const int O_EXCL = 0x80;
    public const int O_NONBLOCK = 0x800;
    private const int O_NOCTTY = 0x100;
    private const int O_CLOEXEC = 0x80000;

    public const int AT_FDCWD = -100;
    public const int AT_REMOVEDIR = 0x200;

    public const int S_IFREG = 0x8000;
    public const int S_IFDIR = 0x4000;

    // The values of these two differ on arm64 (asm/fcntl.h).
    public static int O_DIRECTORY => IsArm ? 0x4000 : 0x10000;

    public static int O_NOFOLLOW => IsArm ? 0x8000 : 0x20000;

    private static bool IsArm => RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm;

    /// <summary>Result of statx(2) for an open file.</summary>
    /// <param name="Type">S_IFREG, S_IFDIR and so on.</param>
    /// <param name="Rights">Permissions: the low nine bits of the mode.</param>
    /// <param name="Owner">User id.</param>
    /// <param name="Length">Length in bytes.</param>
    /// <param name="Inode">Inode number.</param>
    public readonly record struct Status(int Type, int Rights, uint Owner, long Length, ulong Inode);

    /// <summary>Opens a file. Returns null if that fails; <paramref name="errno"/> then has the reason.</summary>
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

    /// <exception cref="IOException">statx(2) failed.</exception>
    public static unsafe Status StatusOf(SafeFileHandle file)
    {
        const int AT_EMPTY_PATH = 0x1000;
        const uint STATX_BASIC_STATS = 0x7ff;
        // struct statx has the same layout on every architecture: stx_uid at 20, stx_mode at 28, stx_ino at 32, stx_size at 40.
        Span<byte> status = stackalloc byte[256];
        int result;
        fixed (byte* start = status)
        {
            byte empty = 0;
            result = Statx(file, &empty, AT_EMPTY_PATH, STATX_BASIC_STATS, start);
        }

        if (result != 0)
            throw new IOException($"statx: {Describe(Marshal.GetLastPInvokeError())}");
        var mode = BinaryPrimitives.ReadUInt16LittleEndian(status[28..]);
        return new Status(
            mode & 0xF000,
            mode & 0x1FF,
            BinaryPrimitives.ReadUInt32LittleEndian(status[20..]),
            (long)BinaryPrimitives.ReadUInt64LittleEndian(status[40..]),
            BinaryPrimitives.ReadUInt64LittleEndian(status[32..])
        );
    }

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
            return read >= 0 ? (int)read : throw new IOException($"getdents: {Describe(Marshal.GetLastPInvokeError())}");
        }
    }

    /// <summary>Reads until the buffer is full or the file ends. Returns the number of bytes.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static unsafe int Read(SafeFileHandle file, Span<byte> buffer)
    {
        var length = 0;
        while (length < buffer.Length)
        {
            nint read;
            fixed (byte* start = buffer[length..])
                read = ReadFile(file, start, buffer.Length - length);
            if (read == 0)
                break;
            if (read > 0)
                length += (int)read;
            else if (Marshal.GetLastPInvokeError() is var errno && errno != EINTR)
                throw new IOException($"read: {Describe(errno)}");
        }

        return length;
    }

    /// <exception cref="IOException">Some bytes were not written.</exception>
    public static unsafe void Write(SafeFileHandle file, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            nint written;
            fixed (byte* start = bytes)
                written = WriteFile(file, start, bytes.Length);
            if (written >= 0)
                bytes = bytes[(int)written..];
            else if (Marshal.GetLastPInvokeError() is var errno && errno != EINTR)
                throw new IOException($"write: {Describe(errno)}");
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
            ENOTEMPTY => "it is a directory that is not empty",
            ELOOP => "it is a symbolic link",
            _ => $"errno {errno}",
        };

    // int openat(int dirfd, const char *pathname, int flags, mode_t mode);
    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle OpenAt(int folder, string path, int flags, int mode);

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

    // ssize_t read(int fd, void *buf, size_t count);
    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static unsafe partial nint ReadFile(SafeFileHandle file, byte* buffer, nint count);

    // ssize_t write(int fd, const void *buf, size_t count);
    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static unsafe partial nint WriteFile(SafeFileHandle file, byte* bytes, nint count);

    // int statx(int dirfd, const char *pathname, int flags, unsigned int mask, struct statx *statxbuf);
    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static unsafe partial int Statx(SafeFileHandle file, byte* path, int flags, uint mask, byte* status);

    // uid_t geteuid(void);
    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint EffectiveUser();
}
