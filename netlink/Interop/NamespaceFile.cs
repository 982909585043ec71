// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VpcCni.Netlink.Interop;

/// <summary>
/// The system calls on namespace files and their mount points. Everything that changes the calling thread's namespace says so; such calls
/// belong on a thread that ends afterwards. Failures are <see cref="NetworkNamespaceException"/>s that name call and path.
/// </summary>
internal static unsafe class NamespaceFile
{
    /// <summary>The calling thread's own namespace. /proc/self/ns/net would be the main thread's.</summary>
    public const string OfCallingThread = "/proc/thread-self/ns/net";

    /// <summary>Where iproute2 keeps named namespaces.</summary>
    public const string RunDirectory = "/run/netns";

    /// <summary>Never waits: a pipe with a name, whose open(2) waits for a writer, is no namespace either.</summary>
    public static SafeFileHandle Open(string path)
    {
        var handle = Libc.Open(path, Libc.O_RDONLY | Libc.O_NONBLOCK | Libc.O_CLOEXEC, 0);
        if (handle.IsInvalid)
            throw Failure("open", path);
        return handle;
    }

    /// <summary>Is this open file a network namespace: nsfs, and of type CLONE_NEWNET?</summary>
    public static bool IsNetworkNamespace(SafeFileHandle file)
    {
        StatFs fileSystem;
        if (Libc.FStatFs(file, &fileSystem) != 0 || (uint)fileSystem.Type != Libc.NSFS_MAGIC)
            return false;
        return Libc.Ioctl(file, Libc.NS_GET_NSTYPE) == Libc.CLONE_NEWNET;
    }

    public static NamespaceIdentity Identify(SafeFileHandle file, string? path)
    {
        StatXResult result;
        if (Libc.StatX(file, "", Libc.AT_EMPTY_PATH, Libc.STATX_INO, &result) != 0)
            throw Failure("statx", path);
        // makedev(3), so that the number equals st_dev as every other program prints it.
        ulong device =
            ((ulong)(result.DeviceMajor & 0xfffff000) << 32)
            | ((ulong)(result.DeviceMinor & 0xffffff00) << 12)
            | ((result.DeviceMajor & 0xfff) << 8)
            | (result.DeviceMinor & 0xff);
        return new NamespaceIdentity(device, result.Inode);
    }

    /// <summary>Moves the calling thread.</summary>
    public static void Enter(SafeFileHandle file, string? path)
    {
        if (Libc.SetNs(file, Libc.CLONE_NEWNET) != 0)
            throw Failure("setns", path);
    }

    /// <summary>Moves the calling thread into a new, empty namespace.</summary>
    public static void EnterNew()
    {
        if (Libc.Unshare(Libc.CLONE_NEWNET) != 0)
            throw Failure("unshare(CLONE_NEWNET)", path: null);
    }

    /// <summary>
    /// Makes /run/netns what iproute2 makes of it: a directory that is a shared mount point, so that names made here are seen, and can be
    /// removed, from every mount namespace that received it. Idempotent, and serialised with `ip netns add` by the same lock on the
    /// directory.
    /// </summary>
    public static void PrepareRunDirectory()
    {
        if (Libc.MkDir(RunDirectory, Convert.ToUInt32("755", 8)) != 0 && Marshal.GetLastPInvokeError() != (int)Errno.EEXIST)
            throw Failure("mkdir", RunDirectory);
        using var directory = Open(RunDirectory);
        if (Libc.FLock(directory, Libc.LOCK_EX) != 0)
            throw Failure("flock", RunDirectory);
        if (Libc.Mount("", RunDirectory, "none", (nuint)(Libc.MS_SHARED | Libc.MS_REC), null) == 0)
            return;
        // EINVAL: not a mount point yet.
        if (Marshal.GetLastPInvokeError() != (int)Errno.EINVAL)
            throw Failure("mount(MS_SHARED)", RunDirectory);
        if (Libc.Mount(RunDirectory, RunDirectory, "none", (nuint)(Libc.MS_BIND | Libc.MS_REC), null) != 0)
            throw Failure("mount(MS_BIND)", RunDirectory);
        if (Libc.Mount("", RunDirectory, "none", (nuint)(Libc.MS_SHARED | Libc.MS_REC), null) != 0)
            throw Failure("mount(MS_SHARED)", RunDirectory);
    }

    /// <summary>Makes the empty file that a namespace is bound over. Fails if there is one (EEXIST).</summary>
    public static void CreateMountPoint(string path)
    {
        using var file = Libc.Open(path, Libc.O_RDONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_CLOEXEC, 0);
        if (file.IsInvalid)
            throw Failure("open(O_CREAT|O_EXCL)", path);
    }

    /// <summary>Binds the calling thread's namespace to a name.</summary>
    public static void BindCallingThreads(string path)
    {
        if (Libc.Mount(OfCallingThread, path, "none", (nuint)Libc.MS_BIND, null) != 0)
            throw Failure("mount(MS_BIND)", path);
    }

    /// <summary>Removes a name. What is already gone, or was never a mount point, is fine.</summary>
    public static void Remove(string path)
    {
        if (Libc.Umount2(path, Libc.MNT_DETACH) != 0 && Marshal.GetLastPInvokeError() is not ((int)Errno.EINVAL or (int)Errno.ENOENT))
            throw Failure("umount2", path);
        if (Libc.Unlink(path) != 0 && Marshal.GetLastPInvokeError() != (int)Errno.ENOENT)
            throw Failure("unlink", path);
    }

    private static NetworkNamespaceException Failure(string call, string? path)
    {
        var errno = (Errno)Marshal.GetLastPInvokeError();
        return new NetworkNamespaceException(path, errno, path is null ? $"{call}: {errno}" : $"{call} {path}: {errno}");
    }
}
