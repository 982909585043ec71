// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// An attached ENI in the kernel: a veth pair between the router and the node. The node's end has the ENI's MAC; except for the primary
/// ENI's, it is down and unconfigured, like a hot-plugged ENI. The router has a permanent neighbour entry for the primary address and a
/// route for each address or prefix, so that packets for them reach only this ENI.
/// </summary>
internal sealed class EniLink
{
    private readonly RouterNamespace _router;
    private readonly EniAttachment _eni;
    private readonly int _index;
    private HashSet<IPNetwork> _routed = [];

    private EniLink(RouterNamespace router, EniAttachment eni, int index)
    {
        _router = router;
        _eni = eni;
        _index = index;
    }

    /// <summary>
    /// Creates the ENI's link, which carries traffic at once, so its source guard must exist already. Replaces a link that an earlier
    /// attempt left.
    /// </summary>
    public static EniLink Plug(RouterNamespace router, HostNamespace node, EniAttachment eni)
    {
        var name = FabricNames.RouterLink(eni.EniId);
        router.Netlink.Execute([
            LinkRequests.Delete(name).Tolerating(Errno.ENODEV),
            LinkRequests.CreateVeth(
                new VethSpec
                {
                    Name = name,
                    Mtu = FabricAddresses.Mtu,
                    Up = true,
                    PeerName = FabricNames.NodeLink(eni.DeviceIndex, eni.NetworkCard),
                    PeerNamespace = node.Network,
                    PeerMac = eni.Mac,
                    PeerMtu = FabricAddresses.Mtu,
                }
            ),
        ]);

        // By default the kernel delays proxy-ARP replies by up to 0.8 s; a VPC does not.
        Sysctl.Write(router.Network, ($"ipv4/neigh/{name}/proxy_delay", "0"));
        var link = new EniLink(router, eni, router.IndexOf(name));
        router.Netlink.Execute(
            NeighbourRequests.Replace(
                new NeighbourInfo
                {
                    LinkIndex = link._index,
                    Address = eni.PrimaryAddress,
                    Mac = eni.Mac,
                    State = NeighbourState.Permanent,
                }
            )
        );
        link.SetAddresses(eni.Addresses);
        if (eni.IsPrimary)
            node.Configure(eni.PrimaryAddress, eni.Subnet.PrefixLength, FabricAddresses.Gateway(eni.Subnet));
        return link;
    }

    /// <summary>Routes exactly these addresses and prefixes to the ENI. Replaces routes of other ENIs for the same addresses.</summary>
    public void SetAddresses(IReadOnlyList<IPNetwork> addresses)
    {
        HashSet<IPNetwork> desired = [.. addresses];
        var requests = new List<NetlinkRequest>();
        // The request names this ENI's link, so it does not remove a route that another ENI has taken over.
        requests.AddRange(_routed.Except(desired).Select(address => RouteRequests.Remove(RouteTo(address)).Tolerating(Errno.ESRCH)));
        requests.AddRange(desired.Except(_routed).Select(address => RouteRequests.Replace(RouteTo(address))));
        if (requests.Count > 0)
            _router.Netlink.Execute(requests);
        _routed = desired;
    }

    /// <summary>Deletes the link; the kernel removes both ends and their routes.</summary>
    public void Unplug() => _router.Netlink.Execute(LinkRequests.Delete(_index).Tolerating(Errno.ENODEV));

    private RouteInfo RouteTo(IPNetwork address) =>
        new()
        {
            Family = AddressFamily.InterNetwork,
            Destination = address,
            LinkIndex = _index,
            Table = RouteTable.Main,
            Protocol = RouteProtocol.Static,
            Type = RouteType.Unicast,
            Gateway = IsPrimary(address) ? null : _eni.PrimaryAddress,
            OnLink = !IsPrimary(address),
            Scope = IsPrimary(address) ? RouteScope.Link : RouteScope.Global,
        };

    private bool IsPrimary(IPNetwork address) => address.PrefixLength == 32 && address.BaseAddress.Equals(_eni.PrimaryAddress);
}
