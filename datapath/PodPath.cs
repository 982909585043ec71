// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Datapath;

/// <summary>
/// The routes, rules and neighbour entries of a pod interface, as values. The plugin makes them, CHECK and audit compare them, the daemon
/// repairs them.
/// </summary>
public static class PodPath
{
    private static readonly IPAddress Gateway4 = new([169, 254, 1, 1]);
    private static readonly IPAddress Gateway6 = new([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    /// <summary>
    /// The gateway of a pod: 169.254.1.1 or fe80::1 for its first interface. No link has the address; a permanent neighbour entry leads to
    /// the host end of the veth.
    /// </summary>
    public static IPAddress Gateway(AddressFamily family, int index) =>
        (family, index) switch
        {
            (IpFamily.V6, 0) => Gateway6,
            (IpFamily.V6, _) => new([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (byte)(index + 1)]),
            (_, 0) => Gateway4,
            _ => new([169, 254, 1, (byte)(index + 1)]),
        };

    /// <summary>On the host: the route to an address, <c>ADDRESS dev VETH scope link</c> in main.</summary>
    public static RouteInfo HostRoute(IPAddress address, int hostIndex) =>
        new()
        {
            Family = address.AddressFamily,
            Destination = IpRanges.Single(address),
            LinkIndex = hostIndex,
            Scope = RouteScope.Link,
        };

    /// <summary>On the host: the rules of an address.</summary>
    /// <param name="address">The pod's.</param>
    /// <param name="egress">How its traffic leaves the node; null while that is not known: only the rule to the pod.</param>
    public static IEnumerable<RuleInfo> Rules(IPAddress address, Egress? egress)
    {
        yield return ToPod(address);
        if (egress is Egress.Table { Number: var table })
            yield return FromPod(address, table);
    }

    /// <summary>On the host: traffic to the address uses main, where <see cref="HostRoute"/> is.</summary>
    public static RuleInfo ToPod(IPAddress address) =>
        new()
        {
            Family = address.AddressFamily,
            Priority = RulePriorities.ToPod,
            Destination = IpRanges.Single(address),
        };

    /// <summary>On the host: traffic from the address uses the table of its network interface.</summary>
    public static RuleInfo FromPod(IPAddress address, int table) =>
        new()
        {
            Family = address.AddressFamily,
            Priority = RulePriorities.FromPod,
            Source = IpRanges.Single(address),
            Table = table,
        };

    /// <summary>On the host: traffic that arrives by a link of a branch pod uses the table of its VLAN.</summary>
    public static RuleInfo FromBranch(AddressFamily family, string linkName, Egress.Vlan vlan) =>
        new()
        {
            Family = family,
            Priority = RulePriorities.Branch,
            InputInterface = linkName,
            Table = vlan.Number,
        };

    /// <summary>
    /// In the pod: the local route of an IPv6 address, without which the kernel drops packets to it. The kernel makes one itself, with a
    /// lower metric, but from a work queue: up to tens of milliseconds after the address. Null for IPv4, whose local route comes with the
    /// address.
    /// </summary>
    public static RouteInfo? LocalRoute(IPAddress address, int podIndex) =>
        address.AddressFamily == IpFamily.V6
            ? new RouteInfo
            {
                Family = address.AddressFamily,
                Destination = IpRanges.Single(address),
                LinkIndex = podIndex,
                Table = RouteTable.Local,
                Type = RouteType.Local,
            }
            : null;

    /// <summary>In the pod: the gateway is on the link, and everything goes through it, also to the pod's own node.</summary>
    public static IEnumerable<RouteInfo> InPod(AddressFamily family, int podIndex, int index)
    {
        var gateway = Gateway(family, index);
        // Interfaces after the first do not compete for the default route: their routes are for traffic from their own address.
        var table = index == 0 ? RouteTables.Main : index;
        yield return new RouteInfo
        {
            Family = family,
            Destination = IpRanges.Single(gateway),
            LinkIndex = podIndex,
            Table = table,
            Scope = RouteScope.Link,
        };
        yield return new RouteInfo
        {
            Family = family,
            Gateway = gateway,
            LinkIndex = podIndex,
            Table = table,
            Scope = RouteScope.Global,
        };
    }

    /// <summary>In the pod: the neighbour entry of the gateway.</summary>
    public static NeighbourInfo GatewayNeighbour(AddressFamily family, int podIndex, int index, MacAddress hostMac) =>
        new()
        {
            LinkIndex = podIndex,
            Address = Gateway(family, index),
            Mac = hostMac,
            State = NeighbourState.Permanent,
        };

    /// <summary>
    /// On the host: the neighbour entry of a pod's IPv6 address, so that no packet to the pod waits for neighbour discovery. A solicitation
    /// needs a link-local address of the veth, which the kernel makes late and then checks for a second or more. Null for IPv4, where ARP
    /// needs no address of the link.
    /// </summary>
    public static NeighbourInfo? PodNeighbour(IPAddress address, int hostIndex, MacAddress podMac) =>
        address.AddressFamily == IpFamily.V6
            ? new NeighbourInfo
            {
                LinkIndex = hostIndex,
                Address = address,
                Mac = podMac,
                State = NeighbourState.Permanent,
            }
            : null;

    /// <summary>
    /// In the pod: traffic from the address of an interface after the first uses that interface's table; null for the first.
    /// </summary>
    public static RuleInfo? InPodRule(IPAddress address, int index) =>
        index == 0
            ? null
            : new RuleInfo
            {
                Family = address.AddressFamily,
                Priority = RulePriorities.PodInterface,
                Source = IpRanges.Single(address),
                Table = index,
            };
}
