// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace VpcCni.Lab.Hosting;

/// <summary>A mount of the chart's container, and the path that replaces it on a node of the lab.</summary>
/// <param name="HostPath">Host path of the chart's volume.</param>
/// <param name="IsReadOnly">Whether the mount is read-only.</param>
/// <param name="InLab">The path on this machine.</param>
internal sealed record SandboxMount(string HostPath, bool IsReadOnly, Func<NodePaths, string> InLab);

/// <summary>
/// Runs the daemon with the privileges that the chart gives it: one capability, no new privileges, a root that is read-only except for
/// the chart's mounts, and the machine's network namespaces as they appear and disappear. A test compares it with the rendered chart. The
/// runtime's seccomp profile and the container's own root need a container runtime: see tests/EndToEnd/Chart.
/// </summary>
internal static partial class DaemonSandbox
{
    /// <summary>The daemon's capabilities: Kubernetes' names and the kernel's numbers (linux/capability.h).</summary>
    public static IReadOnlyList<(string Name, int Number)> Capabilities { get; } = [("NET_ADMIN", 12)];

    public static IReadOnlyList<SandboxMount> Mounts { get; } =
    [
        new("/var/run/aws-node", IsReadOnly: false, paths => paths.Folder),
        new("/opt/cni/bin", IsReadOnly: false, paths => paths.CniBin),
        new("/etc/cni/net.d", IsReadOnly: false, paths => paths.CniConf),
        new("/var/log/aws-routed-eni", IsReadOnly: false, paths => paths.LogFolder),
        new("/var/run/netns", IsReadOnly: true, _ => "/run/netns"),
        new("/run/xtables.lock", IsReadOnly: false, _ => XtablesLock),
        new("/proc/sys/net", IsReadOnly: false, _ => "/proc/sys/net"),
    ];

    private const string XtablesLock = "/run/xtables.lock";

    private const int CLONE_NEWNS = 0x20000;
    private const ulong MS_BIND = 0x1000;
    private const ulong MS_SLAVE = 1UL << 19;
    private const int AT_FDCWD = -100;
    private const uint AT_RECURSIVE = 0x8000;
    private const ulong MOUNT_ATTR_RDONLY = 1;
    private const int PR_CAPBSET_DROP = 24;
    private const int PR_SET_NO_NEW_PRIVS = 38;
    private const int EINVAL = 22;

    /// <summary>mount_setattr(2) has the same number on every architecture; Linux 5.12.</summary>
    private const nint SYS_mount_setattr = 442;

    /// <summary>struct mount_attr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct MountAttributes
    {
        public ulong Set;
        public ulong Clear;
        public ulong Propagation;
        public ulong UserNamespace;
    }

    /// <summary>
    /// Moves the calling thread, and the processes that it starts, into the sandbox. This cannot be undone, so the thread must end
    /// afterwards.
    /// </summary>
    /// <exception cref="LabException">A system call failed.</exception>
    public static void EnterOnThisThread(NodePaths paths)
    {
        Directory.CreateDirectory(paths.LogFolder);
        // The chart's volume has the type FileOrCreate.
        using (new FileStream(XtablesLock, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite)) { }

        Check(unshare(CLONE_NEWNS), "unshare the mount namespace");
        // Slave propagation: mounts made here stay here, and mounts that the machine makes, such as a new namespace, appear here.
        SetMountAttributes("/", new MountAttributes { Propagation = MS_SLAVE }, recursive: true);
        // The shortest path first, so that a folder is mounted before what it contains.
        string[] writable = [.. Mounts.Where(mount => !mount.IsReadOnly).Select(mount => mount.InLab(paths)).OrderBy(path => path.Length)];
        foreach (var path in writable)
            Check(mount(path, path, null, MS_BIND, null), $"bind {path}");
        SetMountAttributes("/", new MountAttributes { Set = MOUNT_ATTR_RDONLY }, recursive: true);
        foreach (var path in writable)
            SetMountAttributes(path, new MountAttributes { Clear = MOUNT_ATTR_RDONLY }, recursive: false);
        Restrict();
    }

    /// <summary>
    /// Drops all other capabilities from the bounding set, which limits what a root process has after execve (capabilities(7)).
    /// </summary>
    private static void Restrict()
    {
        for (var capability = 0; ; capability++)
        {
            if (Capabilities.Any(kept => kept.Number == capability))
                continue;
            if (prctl(PR_CAPBSET_DROP, (nuint)capability, 0, 0, 0) == 0)
                continue;
            // The kernel has no capability of this or a higher number.
            if (Marshal.GetLastPInvokeError() == EINVAL)
                break;
            Check(-1, $"drop capability {capability}");
        }

        Check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs");
    }

    private static void SetMountAttributes(string path, MountAttributes attributes, bool recursive) =>
        Check(
            (int)syscall(
                SYS_mount_setattr,
                AT_FDCWD,
                path,
                recursive ? AT_RECURSIVE : 0,
                ref attributes,
                Marshal.SizeOf<MountAttributes>()
            ),
            $"mount_setattr {path}"
        );

    private static void Check(int result, string what)
    {
        if (result < 0)
            throw new LabException(
                $"cannot create the daemon's sandbox: {what}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}"
            );
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int unshare(int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mount(string source, string target, string? type, ulong flags, string? data);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int prctl(int option, nuint argument2, nuint argument3, nuint argument4, nuint argument5);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint syscall(nint number, int folder, string path, uint flags, ref MountAttributes attributes, nint size);
}
