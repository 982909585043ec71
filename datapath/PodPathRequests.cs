// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink;

namespace VpcCni.Datapath;

/// <summary><see cref="PodPath"/> as netlink requests, for one batch on each side. Appends to the list that it is given.</summary>
public static class PodPathRequests
{
    /// <summary>
    /// Number of from-pod rules of an address that are removed at most: a lost DEL leaves one, and further ones belong to other programs.
    /// </summary>
    private const int StaleRules = 2;

    /// <summary>
    /// Makes the host's side of one address. Replaces the route and the from-pod rules that an earlier pod with the address left because
    /// its DEL was lost.
    /// </summary>
    /// <param name="requests">Gets the requests.</param>
    /// <param name="address">The pod's.</param>
    /// <param name="hostIndex">The link on the host, which must be up.</param>
    /// <param name="egress">How the address's traffic leaves the node.</param>
    /// <param name="podMac">MAC address of the pod's end.</param>
    public static void AddHostSide(List<NetlinkRequest> requests, IPAddress address, int hostIndex, Egress egress, MacAddress podMac)
    {
        RemoveFromPodRules(requests, address);
        requests.Add(RouteRequests.Replace(PodPath.HostRoute(address, hostIndex)));
        AddPodNeighbour(requests, address, hostIndex, podMac);
        foreach (var rule in PodPath.Rules(address, egress))
            requests.Add(RuleRequests.Add(rule).Tolerating(Errno.EEXIST));
    }

    /// <summary>
    /// Reserves a node-local address (<see cref="NodeLocalAddresses"/>) with its host route. The kernel lets one of several plugins have
    /// it; EEXIST, which counts as success, means that it is in use.
    /// </summary>
    public static NetlinkRequest ReserveNodeLocal(IPAddress address, int hostIndex) =>
        RouteRequests.Add(PodPath.HostRoute(address, hostIndex)).Tolerating(Errno.EEXIST);

    /// <summary>Removes the rules of an address, whatever table they lead to; succeeds when there are none.</summary>
    public static void RemoveRules(List<NetlinkRequest> requests, IPAddress address)
    {
        requests.Add(RuleRequests.Remove(PodPath.ToPod(address)).Tolerating(Errno.ENOENT));
        RemoveFromPodRules(requests, address);
    }

    /// <summary>Removes the route of an address to a link that stays for a while; succeeds when there is none.</summary>
    public static NetlinkRequest RemoveHostRoute(IPAddress address, int hostIndex) =>
        RouteRequests.Remove(PodPath.HostRoute(address, hostIndex)).Tolerating(Errno.ESRCH);

    /// <summary>Makes the pod's side of one address.</summary>
    /// <param name="requests">Gets the requests.</param>
    /// <param name="address">The pod's.</param>
    /// <param name="podIndex">The link in the pod.</param>
    /// <param name="index">Position of the interface in the pod.</param>
    /// <param name="hostMac">MAC address of the host end.</param>
    public static void AddPodSide(List<NetlinkRequest> requests, IPAddress address, int podIndex, int index, MacAddress hostMac)
    {
        var family = address.AddressFamily;
        // The VPC gives an address to one interface only, and the veth has one peer: duplicate address detection would only delay the pod
        // by a second.
        var options = family == IpFamily.V6 ? new AddressOptions { NoDad = true } : null;
        requests.Add(AddressRequests.Add(podIndex, address, IpRanges.Single(address).PrefixLength, options));
        if (PodPath.LocalRoute(address, podIndex) is { } local)
            requests.Add(RouteRequests.Add(local));
        foreach (var route in PodPath.InPod(family, podIndex, index))
            requests.Add(RouteRequests.Add(route));
        requests.Add(NeighbourRequests.Replace(PodPath.GatewayNeighbour(family, podIndex, index, hostMac)));
        if (PodPath.InPodRule(address, index) is { } rule)
            requests.Add(RuleRequests.Add(rule).Tolerating(Errno.EEXIST));
    }

    /// <summary>Makes the host's neighbour entry of an address, if it needs one.</summary>
    public static void AddPodNeighbour(List<NetlinkRequest> requests, IPAddress address, int hostIndex, MacAddress podMac)
    {
        if (PodPath.PodNeighbour(address, hostIndex, podMac) is { } neighbour)
            requests.Add(NeighbourRequests.Replace(neighbour));
    }

    private static void RemoveFromPodRules(List<NetlinkRequest> requests, IPAddress address)
    {
        var remove = RuleRequests.Remove(PodPath.FromPod(address, RouteTable.Unspecified)).Tolerating(Errno.ENOENT);
        for (var count = 0; count < StaleRules; count++)
            requests.Add(remove);
    }
}
