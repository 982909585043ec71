// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// One attached ENI in the kernel: a veth pair between the router and the node. The node's end carries the ENI's MAC and, for all but the
/// primary, is down and bare, as a hot-plugged ENI is. The router's end has a permanent neighbour for the primary address and one route for
/// each address or prefix, so that what the ENI owns arrives there and nowhere else.
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
    /// Plugs the ENI in. Its guard must stand already: the link carries traffic from here on. A leftover of an earlier attempt is replaced.
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

        // The kernel delays proxy-ARP answers by up to 0.8 s by default; a VPC does not.
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
        link.Route(eni.Addresses);
        if (eni.IsPrimary)
            node.Configure(eni.PrimaryAddress, eni.Subnet.PrefixLength, FabricAddresses.Gateway(eni.Subnet));
        return link;
    }

    /// <summary>Routes exactly these addresses and prefixes to the ENI. An address that another ENI had is taken over.</summary>
    public void Route(IReadOnlyList<IPNetwork> addresses)
    {
        HashSet<IPNetwork> wanted = [.. addresses];
        var requests = new List<NetlinkRequest>();
        // Only our own route is named (by link), so a route that another ENI took over meanwhile stays.
        requests.AddRange(_routed.Except(wanted).Select(address => RouteRequests.Remove(RouteTo(address)).Tolerating(Errno.ESRCH)));
        requests.AddRange(wanted.Except(_routed).Select(address => RouteRequests.Replace(RouteTo(address))));
        if (requests.Count > 0)
            _router.Netlink.Execute(requests);
        _routed = wanted;
    }

    /// <summary>Pulls the ENI out: both ends and their routes vanish.</summary>
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
