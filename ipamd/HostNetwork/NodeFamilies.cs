// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>The address families whose state of the host is kept, whatever the pods have.</summary>
internal static class NodeFamilies
{
    /// <summary>The family of the node's own address and of all its system services.</summary>
    public static IReadOnlyList<AddressFamily> Always { get; } = [IpFamily.V4];
}
