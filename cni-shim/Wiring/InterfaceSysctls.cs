// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;
using VpcCni.Shim.Interop;

namespace VpcCni.Shim.Wiring;

/// <summary>
/// Kernel settings of one link, under /proc/sys/net/ipv6/conf. They are those of the calling thread's namespace. A kernel without IPv6 has
/// none of the files, which is fine: then there is nothing to protect.
/// </summary>
internal static class InterfaceSysctls
{
    /// <summary>
    /// For the host end, before it comes up. The values of the AWS VPC CNI: a pod must not configure the node by router advertisements
    /// (accept_ra=0), and the link is no router of its own (forwarding=0; a node that forwards does so by its global setting).
    /// accept_redirects=1 only restates the kernel's default for a host. With IPv6, duplicate address detection is off (accept_dad=0):
    /// until it ends, a second or more, the host end has no address from which to ask for the pod's.
    /// </summary>
    public static void PrepareHostVeth(string name, bool ipv6)
    {
        Set(name, "accept_ra", '0');
        Set(name, "accept_redirects", '1');
        Set(name, "forwarding", '0');
        if (ipv6)
            Set(name, "accept_dad", '0');
    }

    /// <summary>
    /// For the pod's end, on a thread in the pod's namespace: runtimes switch IPv6 off in new namespaces when they know of no IPv6 network.
    /// </summary>
    public static void EnableIpv6(string name)
    {
        Set("lo", "disable_ipv6", '0');
        Set(name, "disable_ipv6", '0');
    }

    private static void Set(string link, string key, char value)
    {
        var path = $"/proc/sys/net/ipv6/conf/{link}/{key}";
        using var file = Libc.TryOpen(path, Libc.O_WRONLY, out var errno);
        if (file is null)
        {
            if (errno == (int)Errno.ENOENT)
                return;
            throw new CniException(CniErrorCode.WiringFailed, $"cannot set {path} to {value}: {(Errno)errno}");
        }
        errno = Libc.Write(file, [(byte)value], out _);
        if (errno != 0)
            throw new CniException(CniErrorCode.WiringFailed, $"cannot set {path} to {value}: {(Errno)errno}");
    }
}
