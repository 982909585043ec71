// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VpcCni.Netlink.Interop;

/// <summary>
/// System calls that open, enter, create and name network namespaces (sched.h, sys/mount.h, fcntl.h, sys/stat.h and others).
/// </summary>
internal static unsafe partial class Libc
{
    public const int CLONE_NEWNET = 0x40000000;
    public const int O_RDONLY = 0;
    public const int O_CREAT = 0x40;
    public const int O_EXCL = 0x80;
    public const int O_NONBLOCK = 0x800;
    public const int O_CLOEXEC = 0x80000;
    public const int LOCK_EX = 2;
    public const ulong MS_BIND = 0x1000;
    public const ulong MS_REC = 0x4000;
    public const ulong MS_SHARED = 1UL << 20;
    public const int MNT_DETACH = 2;

    /// <summary>f_type of nsfs, linux/magic.h.</summary>
    public const uint NSFS_MAGIC = 0x6e736673;

    /// <summary>ioctl on an nsfs file that returns its CLONE_NEW* type, linux/nsfs.h.</summary>
    public const nuint NS_GET_NSTYPE = 0xb703;

    public const int AT_EMPTY_PATH = 0x1000;
    public const uint STATX_INO = 0x100;

    // int open(const char *pathname, int flags, mode_t mode);
    [LibraryImport(Library, EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial SafeFileHandle Open(string path, int flags, uint mode);

    // int setns(int fd, int nstype);
    [LibraryImport(Library, EntryPoint = "setns", SetLastError = true)]
    public static partial int SetNs(SafeFileHandle file, int type);

    // int unshare(int flags);
    [LibraryImport(Library, EntryPoint = "unshare", SetLastError = true)]
    public static partial int Unshare(int flags);

    // int ioctl(int fd, unsigned long request);
    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Ioctl(SafeFileHandle file, nuint request);

    // int fstatfs(int fd, struct statfs *buf);
    [LibraryImport(Library, EntryPoint = "fstatfs", SetLastError = true)]
    public static partial int FStatFs(SafeFileHandle file, StatFs* result);

    // int statx(int dirfd, const char *pathname, int flags, unsigned int mask, struct statx *statxbuf);
    [LibraryImport(Library, EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int StatX(SafeFileHandle directory, string path, int flags, uint mask, StatXResult* result);

    // int mkdir(const char *pathname, mode_t mode);
    [LibraryImport(Library, EntryPoint = "mkdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int MkDir(string path, uint mode);

    // int unlink(const char *pathname);
    [LibraryImport(Library, EntryPoint = "unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Unlink(string path);

    // int mount(const char *source, const char *target, const char *filesystemtype, unsigned long mountflags, const void *data);
    [LibraryImport(Library, EntryPoint = "mount", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Mount(string source, string target, string type, nuint flags, void* data);

    // int umount2(const char *target, int flags);
    [LibraryImport(Library, EntryPoint = "umount2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Umount2(string target, int flags);

    // int flock(int fd, int operation);
    [LibraryImport(Library, EntryPoint = "flock", SetLastError = true)]
    public static partial int FLock(SafeFileHandle file, int operation);
}

/// <summary>struct statfs, sys/vfs.h, on 64-bit Linux (the same on x64 and arm64). Only the type of the file system is read.</summary>
[StructLayout(LayoutKind.Sequential, Size = 120)]
internal struct StatFs
{
    public long Type; // f_type
}

/// <summary>struct statx, linux/stat.h. Used instead of struct stat because its layout is the same on every architecture.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct StatXResult
{
    [FieldOffset(0)]
    public uint Mask; // stx_mask

    [FieldOffset(32)]
    public ulong Inode; // stx_ino

    [FieldOffset(136)]
    public uint DeviceMajor; // stx_dev_major

    [FieldOffset(140)]
    public uint DeviceMinor; // stx_dev_minor
}
