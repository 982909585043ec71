// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VpcCni.Netlink.Interop;

/// <summary>
/// System calls on namespace files and their mount points. Methods that change the namespace of the calling thread say so, and belong on a
/// thread that ends afterwards. Failures are <see cref="NetworkNamespaceException"/>s that name the call and the path.
/// </summary>
internal static unsafe class NamespaceFile
{
    /// <summary>The namespace of the calling thread. /proc/self/ns/net is that of the main thread.</summary>
    public const string CallingThreadPath = "/proc/thread-self/ns/net";

    /// <summary>The directory in which iproute2 keeps named namespaces.</summary>
    public const string RunDirectory = "/run/netns";

    /// <summary>Opens a namespace file. O_NONBLOCK: opening a named pipe without a writer must not block.</summary>
    public static SafeFileHandle Open(string path)
    {
        var handle = Libc.Open(path, Libc.O_RDONLY | Libc.O_NONBLOCK | Libc.O_CLOEXEC, 0);
        if (handle.IsInvalid)
            throw Failure("open", path);
        return handle;
    }

    /// <summary>Returns whether the open file is a network namespace: on nsfs and of type CLONE_NEWNET.</summary>
    public static bool IsNetworkNamespace(SafeFileHandle file)
    {
        StatFs fileSystem;
        if (Libc.FStatFs(file, &fileSystem) != 0 || (uint)fileSystem.Type != Libc.NSFS_MAGIC)
            return false;
        return Libc.Ioctl(file, Libc.NS_GET_NSTYPE) == Libc.CLONE_NEWNET;
    }

    /// <summary>Returns the device and inode of a namespace file.</summary>
    public static NamespaceIdentity Identify(SafeFileHandle file, string? path)
    {
        StatXResult result;
        if (Libc.StatX(file, "", Libc.AT_EMPTY_PATH, Libc.STATX_INO, &result) != 0)
            throw Failure("statx", path);
        // Encoded as by makedev(3), so that the number equals st_dev.
        ulong device =
            ((ulong)(result.DeviceMajor & 0xfffff000) << 32)
            | ((ulong)(result.DeviceMinor & 0xffffff00) << 12)
            | ((result.DeviceMajor & 0xfff) << 8)
            | (result.DeviceMinor & 0xff);
        return new NamespaceIdentity(device, result.Inode);
    }

    /// <summary>Moves the calling thread into the namespace.</summary>
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
    /// Prepares /run/netns as iproute2 does: a directory that is a shared mount point, so that a name created here is visible, and can be
    /// removed, in every mount namespace that received the mount. Idempotent. Takes the same lock on the directory as `ip netns add`.
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
        // EINVAL: the directory is not a mount point yet.
        if (Marshal.GetLastPInvokeError() != (int)Errno.EINVAL)
            throw Failure("mount(MS_SHARED)", RunDirectory);
        if (Libc.Mount(RunDirectory, RunDirectory, "none", (nuint)(Libc.MS_BIND | Libc.MS_REC), null) != 0)
            throw Failure("mount(MS_BIND)", RunDirectory);
        if (Libc.Mount("", RunDirectory, "none", (nuint)(Libc.MS_SHARED | Libc.MS_REC), null) != 0)
            throw Failure("mount(MS_SHARED)", RunDirectory);
    }

    /// <summary>Creates the empty file over which a namespace is mounted. Fails with EEXIST if the file exists.</summary>
    public static void CreateMountPoint(string path)
    {
        using var file = Libc.Open(path, Libc.O_RDONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_CLOEXEC, 0);
        if (file.IsInvalid)
            throw Failure("open(O_CREAT|O_EXCL)", path);
    }

    /// <summary>Mounts the namespace of the calling thread over the file.</summary>
    public static void BindCallingThread(string path)
    {
        if (Libc.Mount(CallingThreadPath, path, "none", (nuint)Libc.MS_BIND, null) != 0)
            throw Failure("mount(MS_BIND)", path);
    }

    /// <summary>Unmounts and removes a name. Succeeds if it does not exist or is not a mount point.</summary>
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
