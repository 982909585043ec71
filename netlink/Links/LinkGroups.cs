// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>Link groups (<c>ip link set .. group N</c>) that the plugin and the daemon have agreed upon.</summary>
public static class LinkGroups
{
    /// <summary>
    /// Host veths whose pod has been deleted: no address is routed to them any more, and the daemon deletes them, many at once. The
    /// membership is in the kernel, so it outlives a daemon and dies with the node. The number ("vcni") is far from those that people pick.
    /// </summary>
    public const int Released = 0x76636e69;
}
