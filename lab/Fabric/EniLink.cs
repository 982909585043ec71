// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// An attached ENI in the kernel: a veth pair between the router and the node. The node's end has the ENI's MAC; except for the primary
/// ENI's, it is down and unconfigured, like a hot-plugged ENI. The router has a permanent neighbour entry for the ENI and a route for each
/// address or prefix, so that packets for them reach only this ENI. In an IPv6 subnet the router has its link-local addresses on the link
/// and advertises itself.
/// </summary>
internal sealed class EniLink
{
    private readonly RouterNamespace _router;
    private readonly HostNamespace _node;
    private readonly EniAttachment _eni;
    private readonly int _index;
    private HashSet<IPNetwork> _routed = [];
    private IPAddress? _configured;

    private EniLink(RouterNamespace router, HostNamespace node, EniAttachment eni, int index)
    {
        _router = router;
        _node = node;
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
        var link = new EniLink(router, node, eni, router.IndexOf(name));
        router.Netlink.Execute(link.Neighbour(eni.PrimaryAddress));
        if (eni.Ipv6Subnet is { } subnet)
        {
            router.Netlink.Execute([
                RouterNamespace.LinkLocalAddress(link._index, FabricAddresses.LinkLocalGateway(subnet), 64),
                RouterNamespace.LinkLocalAddress(link._index, FabricAddresses.LinkLocalRouter, 128),
                link.Neighbour(FabricAddresses.LinkLocal(eni.Mac)),
            ]);
        }

        if (eni.IsPrimary)
            node.Configure(
                eni.PrimaryAddress,
                eni.Subnet.PrefixLength,
                FabricAddresses.Gateway(eni.Subnet),
                acceptRouters: eni.Ipv6Subnet is not null
            );
        link.SetAddresses(eni);
        if (eni.Ipv6Subnet is { } advertised)
            router.Advertiser!.Add(link._index, FabricAddresses.LinkLocalGateway(advertised), router.MacOf(name));
        return link;
    }

    /// <summary>
    /// Routes exactly the addresses and prefixes of this state of the ENI to it. Replaces routes of other ENIs for the same addresses.
    /// Configures the primary ENI's first IPv6 address on its node, as DHCPv6 does.
    /// </summary>
    public void SetAddresses(EniAttachment eni)
    {
        HashSet<IPNetwork> desired = [.. eni.Addresses];
        var requests = new List<NetlinkRequest>();
        // The request names this ENI's link, so it does not remove a route that another ENI has taken over.
        requests.AddRange(_routed.Except(desired).Select(address => RouteRequests.Remove(RouteTo(address)).Tolerating(Errno.ESRCH)));
        requests.AddRange(desired.Except(_routed).Select(address => RouteRequests.Replace(RouteTo(address))));
        if (requests.Count > 0)
            _router.Netlink.Execute(requests);
        _routed = desired;
        if (!_eni.IsPrimary || Equals(eni.Ipv6Address, _configured))
            return;
        _node.ReplaceIpv6Address(_configured, eni.Ipv6Address);
        _configured = eni.Ipv6Address;
    }

    /// <summary>Deletes the link; the kernel removes both ends and their routes.</summary>
    public void Unplug()
    {
        _router.Advertiser?.Remove(_index);
        _router.Netlink.Execute(LinkRequests.Delete(_index).Tolerating(Errno.ENODEV));
    }

    private NetlinkRequest Neighbour(IPAddress address) =>
        NeighbourRequests.Replace(
            new NeighbourInfo
            {
                LinkIndex = _index,
                Address = address,
                Mac = _eni.Mac,
                State = NeighbourState.Permanent,
            }
        );

    private RouteInfo RouteTo(IPNetwork address) =>
        new()
        {
            Family = address.BaseAddress.AddressFamily,
            Destination = address,
            LinkIndex = _index,
            Table = RouteTable.Main,
            Protocol = RouteProtocol.Static,
            Type = RouteType.Unicast,
            Gateway =
                FabricAddresses.IsIpv6(address) ? FabricAddresses.LinkLocal(_eni.Mac)
                : IsPrimary(address) ? null
                : _eni.PrimaryAddress,
            OnLink = !IsPrimary(address) && !FabricAddresses.IsIpv6(address),
            Scope = IsPrimary(address) ? RouteScope.Link : RouteScope.Global,
        };

    private bool IsPrimary(IPNetwork address) => address.PrefixLength == 32 && address.BaseAddress.Equals(_eni.PrimaryAddress);
}
