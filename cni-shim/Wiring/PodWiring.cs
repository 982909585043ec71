// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Logging;
using VpcCni.Netlink;

namespace VpcCni.Shim.Wiring;

/// <summary>
/// Wires a pod with a veth pair, whose ends are created in their namespaces and not moved. Both MAC addresses are set at creation, so that
/// udev's MACAddressPolicy does not change the host end after the pod has its neighbour entry. Requests of one side are sent together. Must
/// run on a thread in the host's namespace (sysctls).
/// </summary>
internal sealed class PodWiring(
    RouteNetlink host,
    NetworkNamespace hostNamespace,
    RouteNetlink pod,
    NetworkNamespace podNamespace,
    PodLinkKey key,
    int mtu,
    Random random,
    PluginLog log
)
{
    /// <summary>RFC 8200, section 5; the kernel has no IPv6 on a link with less (IPV6_MIN_MTU).</summary>
    private const int LeastIpv6Mtu = 1280;

    /// <summary>Wires one interface. If it throws, the undo stack has what was done.</summary>
    public WiredInterface Wire(PodInterface link, UndoStack undo)
    {
        var nodeLocalFamily = link.HasNodeLocalAddress ? NodeLocalAddresses.MissingFamily(link.Addresses) : null;
        var ipv6 = nodeLocalFamily == IpFamily.V6 || link.Addresses.Any(static address => address.AddressFamily == IpFamily.V6);
        if (ipv6 && mtu < LeastIpv6Mtu)
            throw new CniException(
                CniErrorCode.InvalidConfiguration,
                $"invalid network configuration: mtu: {mtu}, and the pod gets an IPv6 address: expected at least {LeastIpv6Mtu}"
            );
        // A MAC address has to be unique on its veth only.
        var hostMac = MacAddress.Random(random);
        var podMac = MacAddress.Random(random);
        var (podIndex, hostIndex) = CreateVeth(link, hostMac, podMac, undo);

        InterfaceSysctls.PrepareHostVeth(link.HostName, ipv6);
        if (ipv6)
            podNamespace.Run(() => InterfaceSysctls.EnableIpv6(link.Name));

        undo.Push($"remove the rules of {string.Join(", ", link.Addresses)}", () => RemoveRules(link));
        var requests = new List<NetlinkRequest>(8) { LinkRequests.SetUp(hostIndex, up: true) };
        foreach (var address in link.Addresses)
            PodPathRequests.AddHostSide(requests, address, hostIndex, link.Egress, podMac);
        host.Execute(requests);
        var nodeLocal = nodeLocalFamily is { } family ? ReserveNodeLocal(family, hostIndex, podMac) : null;

        requests = new List<NetlinkRequest>(8) { LinkRequests.SetUp(podIndex, up: true) };
        foreach (var address in link.Addresses)
            PodPathRequests.AddPodSide(requests, address, podIndex, link.Index, hostMac);
        if (nodeLocal is not null)
            PodPathRequests.AddPodSide(requests, nodeLocal, podIndex, link.Index, hostMac);
        pod.Execute(requests);
        // The end that came up first has a carrier since the other one is up, and still drops what is sent until a work queue of the kernel
        // has started its transmit queue. A query for the link starts it at once (linkwatch_sync_dev, called by rtnl_getlink).
        _ = host.FindLink(hostIndex);
        return new WiredInterface(link, hostMac, podMac, nodeLocal);
    }

    /// <summary>
    /// Reserves the first free address and makes the host's side of it. It needs no rules: no table but main routes the range. The undo of
    /// the link is the undo of its route.
    /// </summary>
    private IPAddress ReserveNodeLocal(AddressFamily family, int hostIndex, MacAddress podMac)
    {
        var inUse = new List<int>(1);
        foreach (var address in NodeLocalAddresses.Candidates(family, key))
        {
            inUse.Clear();
            host.Execute([PodPathRequests.ReserveNodeLocal(address, hostIndex)], inUse);
            if (inUse.Count > 0)
                continue;
            var requests = new List<NetlinkRequest>(1);
            PodPathRequests.AddPodNeighbour(requests, address, hostIndex, podMac);
            host.Execute(requests);
            return address;
        }
        throw new CniException(
            CniErrorCode.TryAgainLater,
            $"all {NodeLocalAddresses.Count} addresses of {NodeLocalAddresses.Range(family)} for {IpFamily.Name(family)} egress have a "
                + $"route on this node: find the routes that belong to no pod with `{IpFamily.Command(family)} route show`, or run fewer "
                + "pods on the node"
        );
    }

    private (int PodIndex, int HostIndex) CreateVeth(PodInterface link, MacAddress hostMac, MacAddress podMac, UndoStack undo)
    {
        var create = LinkRequests.CreateVeth(
            new VethSpec
            {
                Name = link.Name,
                Mac = podMac,
                Mtu = mtu,
                PeerName = link.HostName,
                PeerNamespace = hostNamespace,
                PeerMac = hostMac,
                PeerMtu = mtu,
            }
        );
        try
        {
            pod.Execute(create);
        }
        catch (NetlinkException exception) when (exception.Errno == Errno.EEXIST)
        {
            RemoveStaleHostVeth(link, exception);
            pod.Execute(create);
        }
        undo.Push($"remove {link.Name} and {link.HostName}", () => pod.Execute(LinkRequests.Delete(link.Name).Tolerating(Errno.ENODEV)));

        var created = pod.FindLink(link.Name);
        if (created?.PeerIndex is not { } hostIndex)
            throw new CniException(
                CniErrorCode.WiringFailed,
                $"the veth {link.Name} was made and is gone, or has no peer: something else changes links in {podNamespace}"
            );
        return (created.Index, hostIndex);
    }

    /// <summary>
    /// Deletes the host veth of an earlier sandbox of the pod, which has the same name and was not deleted yet, as the AWS plugin does; the
    /// DEL of the old sandbox leaves the new veth. A link of another kind with that name is an error.
    /// </summary>
    private void RemoveStaleHostVeth(PodInterface link, NetlinkException exists)
    {
        if (pod.FindLink(link.Name) is not null)
            throw NameTaken(link.Name, podNamespace.ToString());
        var stale = host.FindLink(link.HostName) ?? throw exists;
        if (stale.Kind != "veth")
            throw new CniException(
                CniErrorCode.WiringFailed,
                $"the host has a link {link.HostName} of kind {stale.Kind ?? "unknown"} where the pod's veth belongs; remove it"
            );
        foreach (var other in pod.GetLinks())
        {
            if (other.Kind == "veth" && other.PeerIndex == stale.Index && stale.PeerIndex == other.Index)
                throw new CniException(
                    CniErrorCode.InterfaceNameTaken,
                    $"the pod is attached already, as {other.Name}: its host veth {link.HostName} is named after namespace and pod, "
                        + "so a pod can have one attachment by this plugin"
                );
        }
        log.Info("deleting the host veth of an earlier sandbox of the same pod", (FieldNames.Link, link.HostName));
        host.Execute(LinkRequests.Delete(stale.Index).Tolerating(Errno.ENODEV));
    }

    public static CniException NameTaken(string name, string netns) =>
        new(CniErrorCode.InterfaceNameTaken, $"CNI_IFNAME: {name} exists in {netns} already; it must not be added twice without a DEL");

    private void RemoveRules(PodInterface link)
    {
        var requests = new List<NetlinkRequest>();
        foreach (var address in link.Addresses)
            PodPathRequests.RemoveRules(requests, address);
        host.Execute(requests);
    }
}
