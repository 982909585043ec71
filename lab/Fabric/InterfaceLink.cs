// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// An attached interface in the kernel: a veth pair between the router and the node. The node's end has the interface's MAC; except for the
/// primary interface's, it is down and unconfigured, like a hot-plugged interface. The router has a permanent neighbour entry for the
/// interface and a route for each address or prefix, so that packets for them reach only this interface. In an IPv6 subnet the router has
/// its link-local addresses on the link and advertises itself.
/// </summary>
internal sealed class InterfaceLink
{
    private readonly RouterNamespace _router;
    private readonly HostNamespace _node;
    private FabricInterface _nic;
    private readonly int _index;
    private HashSet<IPNetwork> _routed = [];
    private IPAddress? _configured;

    private InterfaceLink(RouterNamespace router, HostNamespace node, FabricInterface nic, int index)
    {
        _router = router;
        _node = node;
        _nic = nic;
        _index = index;
        Name = FabricNames.RouterLink(nic.InterfaceId);
    }

    /// <summary>Name of the router's end.</summary>
    public string Name { get; }

    /// <summary>The interface as <see cref="Update"/> last set it.</summary>
    public FabricInterface Nic => _nic;

    /// <summary>
    /// Creates the interface's link, which carries traffic at once, so its source guard must exist already. Replaces a link that an earlier
    /// attempt left.
    /// </summary>
    public static InterfaceLink Plug(RouterNamespace router, HostNamespace node, FabricInterface nic)
    {
        var name = FabricNames.RouterLink(nic.InterfaceId);
        router.Netlink.Execute([
            LinkRequests.Delete(name).Tolerating(Errno.ENODEV),
            LinkRequests.CreateVeth(
                new VethSpec
                {
                    Name = name,
                    Mtu = nic.Mtu,
                    Up = true,
                    PeerName = FabricNames.NodeLink(nic.DeviceIndex, nic.NetworkCard),
                    PeerNamespace = node.Network,
                    PeerMac = nic.Mac,
                    PeerMtu = nic.Mtu,
                }
            ),
        ]);

        // By default the kernel delays proxy-ARP replies by up to 0.8 s; a VPC does not.
        Sysctl.Write(router.Network, ($"ipv4/neigh/{name}/proxy_delay", "0"));
        var link = new InterfaceLink(router, node, nic, router.IndexOf(name));
        router.Netlink.Execute(link.Neighbour(nic.PrimaryAddress));
        if (nic.Ipv6Subnet is { } subnet)
        {
            router.Netlink.Execute([
                RouterNamespace.LinkLocalAddress(link._index, FabricAddresses.LinkLocalGateway(subnet), 64),
                RouterNamespace.LinkLocalAddress(link._index, FabricAddresses.LinkLocalRouter, 128),
                link.Neighbour(FabricAddresses.LinkLocal(nic.Mac)),
            ]);
        }

        if (nic.IsPrimary)
            node.Configure(
                nic.PrimaryAddress,
                nic.ConfiguredPrefixLength,
                FabricAddresses.Gateway(nic.Subnet),
                acceptRouters: nic.Ipv6Subnet is not null
            );
        link.Update(nic);
        if (nic.Ipv6Subnet is { } advertised)
            router.Advertiser!.Add(link._index, FabricAddresses.LinkLocalGateway(advertised), router.MacOf(name));
        return link;
    }

    /// <summary>
    /// Routes exactly the addresses and prefixes of this state of the interface to it. Replaces routes of other interfaces for the same
    /// addresses. Configures the primary interface's first IPv6 address on its node, as DHCPv6 does.
    /// </summary>
    public void Update(FabricInterface nic)
    {
        _nic = nic;
        HashSet<IPNetwork> desired = [.. nic.Addresses];
        var requests = new List<NetlinkRequest>();
        // The request names this interface's link, so it does not remove a route that another interface has taken over.
        requests.AddRange(_routed.Except(desired).Select(address => RouteRequests.Remove(RouteTo(address)).Tolerating(Errno.ESRCH)));
        requests.AddRange(desired.Except(_routed).Select(address => RouteRequests.Replace(RouteTo(address))));
        if (requests.Count > 0)
            _router.Netlink.Execute(requests);
        _routed = desired;
        if (!_nic.IsPrimary || Equals(nic.Ipv6Address, _configured))
            return;
        _node.ReplaceIpv6Address(_configured, nic.Ipv6Address);
        _configured = nic.Ipv6Address;
    }

    /// <summary>Whether both ends are up and operational (IFF_RUNNING). A secondary interface's node end is down at first.</summary>
    public bool IsRunning =>
        IsLinkRunning(_router.Netlink, Name) && IsLinkRunning(_node.Netlink, FabricNames.NodeLink(_nic.DeviceIndex, _nic.NetworkCard));

    private static bool IsLinkRunning(RouteNetlink netlink, string name) =>
        netlink.FindLink(name) is { } link && link.Flags.HasFlag(LinkFlags.Running);

    /// <summary>Whether the cloud delivers packets for a destination to this interface: it owns all of it, or it may forward.</summary>
    public bool Delivers(IPNetwork destination) =>
        _nic.MayForward
        || _nic.Addresses.Any(owned => owned.PrefixLength <= destination.PrefixLength && owned.Contains(destination.BaseAddress));

    /// <summary>
    /// The route of a table that sends packets for a destination to this interface; null for an IPv6 destination if the link has no IPv6.
    /// </summary>
    public RouteInfo? RouteThrough(IPNetwork destination, int table)
    {
        var isIpv6 = FabricAddresses.IsIpv6(destination);
        if (isIpv6 && _nic.Ipv6Subnet is null)
            return null;
        return new RouteInfo
        {
            Family = destination.BaseAddress.AddressFamily,
            Destination = RouterRoutes.Selector(destination),
            LinkIndex = _index,
            Gateway = isIpv6 ? FabricAddresses.LinkLocal(_nic.Mac) : _nic.PrimaryAddress,
            OnLink = !isIpv6,
            Table = table,
            Protocol = RouteProtocol.Static,
        };
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
                Mac = _nic.Mac,
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
                FabricAddresses.IsIpv6(address) ? FabricAddresses.LinkLocal(_nic.Mac)
                : IsPrimary(address) ? null
                : _nic.PrimaryAddress,
            OnLink = !IsPrimary(address) && !FabricAddresses.IsIpv6(address),
            Scope = IsPrimary(address) ? RouteScope.Link : RouteScope.Global,
        };

    private bool IsPrimary(IPNetwork address) => address.PrefixLength == 32 && address.BaseAddress.Equals(_nic.PrimaryAddress);
}
