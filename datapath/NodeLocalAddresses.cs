// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Datapath;

/// <summary>
/// Addresses with which pods of one family reach destinations of the other (docs/adr/0024-node-local-egress.md). Each is unique on its node
/// only; the daemon translates the traffic that leaves the node to the node's own address. The ranges are those of the AWS VPC CNI's plugin
/// egress-cni. The kernel's main table is the only record of them: an address is in use while it has a route, and the route goes with the
/// pod's link. The addresses are not in the CNI result, because nothing can connect to a pod by one.
/// </summary>
public static class NodeLocalAddresses
{
    /// <summary>The range for IPv4 destinations of IPv6 pods: 169.254.172.0/22.</summary>
    public static readonly IPNetwork Range4 = new(new IPAddress([169, 254, 172, 0]), 22);

    /// <summary>The range for IPv6 destinations of IPv4 pods: fd00::ac:0/118.</summary>
    public static readonly IPNetwork Range6 = new(new IPAddress([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xac, 0, 0]), 118);

    /// <summary>Number of addresses of a range that pods can have.</summary>
    public const int Count = 1021;

    /// <summary>
    /// After the network's own address, and the one that egress-cni puts on the host end of each of its links. The last of the range,
    /// IPv4's broadcast address, is beyond <see cref="Count"/>.
    /// </summary>
    private const int FirstOffset = 2;

    /// <summary>The range of a family, IPv4 or IPv6.</summary>
    public static IPNetwork Range(AddressFamily family) => family == IpFamily.V6 ? Range6 : Range4;

    /// <summary>Whether an address is in the range of its family.</summary>
    public static bool Contains(IPAddress address) => Range(address.AddressFamily).Contains(address);

    /// <summary>The family that a pod's addresses lack; null if there are addresses of both.</summary>
    public static AddressFamily? MissingFamily(IReadOnlyList<IPAddress> addresses) =>
        !addresses.Any(static address => address.AddressFamily == IpFamily.V4) ? IpFamily.V4
        : !addresses.Any(static address => address.AddressFamily == IpFamily.V6) ? IpFamily.V6
        : null;

    /// <summary>
    /// All <see cref="Count"/> addresses of a family in the order in which a pod tries them. The first depends on the pod, so that pods
    /// that start at the same time try different ones.
    /// </summary>
    public static IEnumerable<IPAddress> Candidates(AddressFamily family, PodLinkKey pod)
    {
        var start = 0;
        foreach (var digit in PodLinkNames.Hash(pod, index: 0))
            start = ((start * 16) + digit) % Count;
        for (var position = 0; position < Count; position++)
            yield return IpRanges.AddressAt(Range(family), FirstOffset + ((start + position) % Count));
    }
}
