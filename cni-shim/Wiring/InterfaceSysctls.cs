// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;
using VpcCni.Shim.Interop;
using VpcCni.SystemCalls;

namespace VpcCni.Shim.Wiring;

/// <summary>
/// IPv6 settings of one link, under /proc/sys/net/ipv6/conf, in the network namespace of the calling thread.
/// </summary>
internal static class InterfaceSysctls
{
    private const string Ipv6 = "/proc/sys/net/ipv6";

    /// <summary>
    /// Prepares the host end before it comes up, with the values of the AWS VPC CNI. A pod must not configure the node by router
    /// advertisements (accept_ra=0), and the link is no router of its own (forwarding=0; a node forwards by its global setting).
    /// accept_redirects=1 restates the kernel's default for a host.
    /// </summary>
    /// <param name="name">The host end.</param>
    /// <param name="ipv6">
    /// Whether the pod has an IPv6 address. Without one, a kernel without IPv6 is fine: then there is nothing to protect.
    /// </param>
    /// <exception cref="CniException">A setting cannot be made, or the pod needs IPv6 and the kernel has none.</exception>
    public static void PrepareHostVeth(string name, bool ipv6)
    {
        Span<(string Key, char Value)> settings = [("accept_ra", '0'), ("accept_redirects", '1'), ("forwarding", '0'), (Disable, '0')];
        // A node that has IPv6 disabled on new links has it enabled on those of its IPv6 pods.
        foreach (var (key, value) in ipv6 ? settings : settings[..3])
        {
            var path = PathOf(name, key);
            var errno = TrySet(path, value);
            if (errno == Errno.ENOENT && !ipv6)
                return;
            if (errno == Errno.ENOENT)
                throw NoIpv6();
            if (errno != Errno.None)
                throw new CniException(CniErrorCode.WiringFailed, $"cannot set {path} to {value}: {errno}");
        }
    }

    /// <summary>
    /// Enables IPv6 on the pod's end and on its loopback link, on a thread in the pod's namespace, before the link comes up. Runtimes
    /// disable IPv6 in new namespaces when no network of theirs has it, and a pod may ask for that by a sysctl. The pod takes no
    /// configuration from router advertisements (accept_ra=0), and its link-local address is usable at once (accept_dad=0): the veth has
    /// one peer, so duplicate address detection would only take its second.
    /// </summary>
    /// <exception cref="CniException">The kernel has no IPv6, or it cannot be enabled here.</exception>
    public static void EnableIpv6(string name)
    {
        foreach (
            var (link, key) in (ReadOnlySpan<(string, string)>)[(name, "accept_ra"), (name, "accept_dad"), ("lo", Disable), (name, Disable)]
        )
        {
            var path = PathOf(link, key);
            var errno = TrySet(path, '0');
            if (errno == Errno.ENOENT)
                throw NoIpv6();
            if (errno != Errno.None)
                throw new CniException(
                    CniErrorCode.WiringFailed,
                    $"the pod gets an IPv6 address, and IPv6 cannot be enabled in its namespace: writing 0 to {path} fails with {errno}; "
                        + "let the plugin write there, or remove net.ipv6 from the pod's sysctls"
                );
        }
    }

    private const string Disable = "disable_ipv6";

    private static string PathOf(string link, string key) => $"{Ipv6}/conf/{link}/{key}";

    private static CniException NoIpv6() =>
        new(
            CniErrorCode.WiringFailed,
            $"the pod gets an IPv6 address, and the kernel has no IPv6 ({Ipv6} is missing): start the node without ipv6.disable=1, or "
                + "without IPv6 pods"
        );

    /// <summary>
    /// Writes only what differs: for some of the settings, a write takes the lock of all links (rtnl), which every other ADD needs, even
    /// if it changes nothing. A setting that is right and cannot be written is right.
    /// </summary>
    private static Errno TrySet(string path, char value)
    {
        using var file = FileCalls.TryOpen(FileCalls.AT_FDCWD, path, FileCalls.O_RDWR, out var errno, follows: true);
        if (file is not null)
            return HasValue(file, value) ? Errno.None : (Errno)FileCalls.Write(file, [(byte)value], out _);
        if ((Errno)errno is not (Errno.EROFS or Errno.EACCES))
            return (Errno)errno;
        using var present = FileCalls.TryOpen(FileCalls.AT_FDCWD, path, FileCalls.O_RDONLY, out _, follows: true);
        return present is not null && HasValue(present, value) ? Errno.None : (Errno)errno;
    }

    private static bool HasValue(Microsoft.Win32.SafeHandles.SafeFileHandle file, char value)
    {
        Span<byte> text = stackalloc byte[16];
        return Libc.ReadStart(file, text) == 2 && text[0] == value;
    }
}
