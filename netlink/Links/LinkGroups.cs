// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>Link groups (<c>ip link set .. group N</c>) that the plugin and the daemon share.</summary>
public static class LinkGroups
{
    /// <summary>
    /// Host veths of deleted pods. No address is routed to them, and the daemon deletes them in batches. The kernel stores the group of a
    /// link, so it survives a restart of the daemon. The number is ASCII "vcni", to avoid groups that administrators use.
    /// </summary>
    public const int Released = 0x76636e69;
}
