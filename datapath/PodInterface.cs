// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Datapath;

/// <summary>
/// One network interface of a pod: a veth pair, at most one address of each family, and the way its traffic leaves the node.
/// </summary>
/// <param name="Index">Position in the pod. 0 is the interface that CNI_IFNAME names; it has the default route.</param>
/// <param name="Name">The end in the pod.</param>
/// <param name="HostName">The end on the host.</param>
/// <param name="Addresses">One or two.</param>
/// <param name="Egress">How its traffic leaves the node.</param>
public sealed record PodInterface(int Index, string Name, string HostName, IReadOnlyList<IPAddress> Addresses, Egress Egress)
{
    /// <summary>
    /// Whether the interface also gets one of <see cref="NodeLocalAddresses"/>, of the family that <see cref="Addresses"/> lack.
    /// </summary>
    public bool HasNodeLocalAddress { get; init; }
}
