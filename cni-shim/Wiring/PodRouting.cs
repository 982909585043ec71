// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Shim.Wiring;

/// <summary>
/// The routes, rules and neighbours of a pod as netlink requests: the data path of the AWS VPC CNI, in one place for ADD, DEL and CHECK.
/// </summary>
internal static class PodRouting
{
    /// <summary>Before the mark rule (1024) and the from-pod rules: whatever is for a pod of this node goes to its veth.</summary>
    public const int ToPodPriority = 512;

    /// <summary>What a pod sends leaves through the network interface that owns its address.</summary>
    public const int FromPodPriority = 1536;

    /// <summary>Inside the pod, for interfaces after the first.</summary>
    private const int PodTablePriority = 1;

    /// <summary>
    /// Up to this many stale rules with the same selector are replaced. Each ADD leaves one, so more than one would be another program's.
    /// </summary>
    private const int StaleRules = 2;

    public static IPNetwork Host(IPAddress address) => new(address, address.AddressFamily == AddressFamily.InterNetworkV6 ? 128 : 32);

    /// <summary>
    /// The gateway that every pod sees: nothing owns the address, a permanent neighbour entry leads to the host end of the veth.
    /// </summary>
    public static IPAddress Gateway(AddressFamily family, int index) =>
        family == AddressFamily.InterNetworkV6
            ? new IPAddress([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (byte)(index + 1)])
            : new IPAddress([169, 254, 1, (byte)(index + 1)]);

    /// <summary>`ip route replace ADDRESS dev VETH scope link`: takes the address over from the veth of a pod whose DEL was lost.</summary>
    public static RouteInfo HostRoute(IPAddress address, int hostIndex) =>
        new()
        {
            Family = address.AddressFamily,
            Destination = Host(address),
            LinkIndex = hostIndex,
            Table = RouteTable.Main,
            Scope = RouteScope.Link,
            Protocol = RouteProtocol.Boot,
            Type = RouteType.Unicast,
        };

    /// <summary>Takes an address off a host veth that itself stays for a while; success if it is not there.</summary>
    public static NetlinkRequest RemoveHostRoute(IPAddress address, int hostIndex) =>
        RouteRequests.Remove(HostRoute(address, hostIndex)).Tolerating(Errno.ESRCH);

    public static RuleInfo ToPod(IPAddress address) =>
        new()
        {
            Family = address.AddressFamily,
            Priority = ToPodPriority,
            Destination = Host(address),
            Table = RouteTable.Main,
            Action = RuleAction.ToTable,
        };

    public static RuleInfo FromPod(IPAddress address, int table) =>
        new()
        {
            Family = address.AddressFamily,
            Priority = FromPodPriority,
            Source = Host(address),
            Table = table,
            Action = RuleAction.ToTable,
        };

    /// <summary>
    /// The host's side of one address. From-pod rules that an earlier holder of the address left lead to its network interface, which need
    /// not be ours.
    /// </summary>
    public static void AddHostSide(List<NetlinkRequest> requests, IPAddress address, int hostIndex, int table)
    {
        RemoveFromPodRules(requests, address);
        requests.Add(RouteRequests.Replace(HostRoute(address, hostIndex)));
        requests.Add(RuleRequests.Add(ToPod(address)).Tolerating(Errno.EEXIST));
        if (table != RouteTable.Main)
            requests.Add(RuleRequests.Add(FromPod(address, table)).Tolerating(Errno.EEXIST));
    }

    /// <summary>Both rules of an address, whatever the table; success if there are none.</summary>
    public static void RemoveRules(List<NetlinkRequest> requests, IPAddress address)
    {
        requests.Add(RuleRequests.Remove(ToPod(address)).Tolerating(Errno.ENOENT));
        RemoveFromPodRules(requests, address);
    }

    /// <summary>The pod's side of one address: reaches everything through the gateway, also its own node.</summary>
    public static void AddPodSide(List<NetlinkRequest> requests, IPAddress address, int podIndex, int index, MacAddress hostMac)
    {
        var family = address.AddressFamily;
        var gateway = Gateway(family, index);
        // Interfaces after the first must not compete for the default route: their routes are for what has their address as its source.
        var table = index == 0 ? RouteTable.Main : index;
        // The VPC gives an address to one holder only, and the veth has one peer: duplicate address detection would only hold the pod up
        // for a second.
        requests.Add(
            AddressRequests.Add(
                podIndex,
                address,
                Host(address).PrefixLength,
                family == AddressFamily.InterNetworkV6 ? new AddressOptions { NoDad = true } : null
            )
        );
        requests.Add(
            RouteRequests.Add(
                new RouteInfo
                {
                    Family = family,
                    Destination = Host(gateway),
                    LinkIndex = podIndex,
                    Table = table,
                    Scope = RouteScope.Link,
                    Protocol = RouteProtocol.Boot,
                    Type = RouteType.Unicast,
                }
            )
        );
        requests.Add(
            RouteRequests.Add(
                new RouteInfo
                {
                    Family = family,
                    Gateway = gateway,
                    LinkIndex = podIndex,
                    Table = table,
                    Scope = RouteScope.Global,
                    Protocol = RouteProtocol.Boot,
                    Type = RouteType.Unicast,
                }
            )
        );
        requests.Add(
            NeighbourRequests.Replace(
                new NeighbourInfo
                {
                    LinkIndex = podIndex,
                    Address = gateway,
                    Mac = hostMac,
                    State = NeighbourState.Permanent,
                }
            )
        );
        if (index > 0)
        {
            requests.Add(
                RuleRequests
                    .Add(
                        new RuleInfo
                        {
                            Family = family,
                            Priority = PodTablePriority,
                            Source = Host(address),
                            Table = table,
                            Action = RuleAction.ToTable,
                        }
                    )
                    .Tolerating(Errno.EEXIST)
            );
        }
    }

    private static void RemoveFromPodRules(List<NetlinkRequest> requests, IPAddress address)
    {
        var remove = RuleRequests.Remove(FromPod(address, RouteTable.Unspecified)).Tolerating(Errno.ENOENT);
        for (var i = 0; i < StaleRules; i++)
            requests.Add(remove);
    }
}
