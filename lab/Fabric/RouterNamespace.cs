// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// The VPC's router: a namespace that answers ARP for every address of the VPC, forwards between interfaces, owns the subnets' gateway
/// addresses and the service addresses, and has links to the outside hosts. Routes to <c>lo</c> make proxy-ARP answer for addresses that no
/// interface owns; the firewall drops packets for them. With IPv6, it is the default router of every interface's link.
/// </summary>
internal sealed class RouterNamespace : IAsyncDisposable
{
    private readonly RouteNetlink _netlink;
    private readonly int _loopback;
    private HashSet<IPNetwork> _ranges = [];
    private HashSet<IPNetwork> _ranges6 = [];

    private RouterNamespace(NetworkNamespace network, RouteNetlink netlink, int loopback, RouterAdvertiser? advertiser, TimeProvider time)
    {
        Network = network;
        _netlink = netlink;
        _loopback = loopback;
        Advertiser = advertiser;
        Nft = new Nft(network, time);
        Routes = new RouterRoutes(netlink, loopback, advertiser is not null);
    }

    public NetworkNamespace Network { get; }

    public Nft Nft { get; }

    /// <summary>The routes of the route tables, and the rules that select them.</summary>
    public RouterRoutes Routes { get; }

    /// <summary>Sends the router's advertisements; null in a fabric without IPv6.</summary>
    public RouterAdvertiser? Advertiser { get; }

    public bool HasIpv6 => Advertiser is not null;

    public RouteNetlink Netlink => _netlink;

    public static async Task<RouterNamespace> CreateAsync(
        FabricNames names,
        FabricOptions options,
        HostNamespace internet,
        HostNamespace onPremises,
        TimeProvider time,
        ILogger logger,
        CancellationToken cancellationToken
    )
    {
        var network = NetworkNamespace.CreateNamed(names.Router);
        RouteNetlink? netlink = null;
        RouterAdvertiser? advertiser = null;
        try
        {
            // Paths in a VPC may be asymmetric (a pod's reply may leave by another interface), so the reverse path filter is off; the
            // firewall checks sources.
            Sysctl.Write(
                network,
                ("ipv4/ip_forward", "1"),
                ("ipv4/conf/all/proxy_arp", "1"),
                ("ipv4/conf/all/rp_filter", "0"),
                ("ipv4/conf/default/rp_filter", "0"),
                ("ipv4/conf/all/send_redirects", "0"),
                ("ipv4/conf/default/send_redirects", "0"),
                ("ipv6/conf/default/disable_ipv6", options.HasIpv6 ? "0" : "1")
            );
            if (options.HasIpv6)
                EnableIpv6(network);
            netlink = network.OpenRouteNetlink();
            var loopback = netlink.FindLink("lo") ?? throw new FabricException($"namespace {names.Router} has no link 'lo'");
            netlink.Execute(LinkRequests.SetUp(loopback.Index, true));
            var addresses = options
                .Subnets.Select(FabricAddresses.Gateway)
                .Append(FabricAddresses.Imds)
                .Append(FabricAddresses.CloudApi)
                .Append(FabricAddresses.KubernetesApi);
            netlink.Execute([
                .. addresses.Select(address =>
                    AddressRequests.Add(loopback.Index, address, IpFamily.Bits(address.AddressFamily), new AddressOptions { NoDad = true })
                ),
            ]);
            if (options.HasIpv6)
                advertiser = new RouterAdvertiser(network, time, logger);
            var router = new RouterNamespace(network, netlink, loopback.Index, advertiser, time);
            await router.Nft.ApplyAsync(RouterFirewall.Base() + (options.HasIpv6 ? RouterFirewall.BaseIpv6() : ""), cancellationToken);
            await router.SetRangesAsync(options.VpcRanges, cancellationToken);
            router.Connect(internet, RouterFirewall.InternetLink, FabricAddresses.Internet, FabricAddresses.InternetHost);
            router.Connect(onPremises, "onprem", FabricAddresses.OnPremises, FabricAddresses.OnPremisesHost);
            if (options.HasIpv6)
            {
                router.ConnectIpv6(internet, RouterFirewall.InternetLink, FabricAddresses.Internet6, FabricAddresses.InternetHost6);
                router.ConnectIpv6(onPremises, "onprem", FabricAddresses.OnPremises6, FabricAddresses.OnPremisesHost6);
            }

            return router;
        }
        catch
        {
            if (advertiser is not null)
                await advertiser.DisposeAsync();
            netlink?.Dispose();
            network.Dispose();
            throw;
        }
    }

    /// <summary>Sets the VPC ranges that the router answers for.</summary>
    public async Task SetRangesAsync(IReadOnlyList<IPNetwork> ranges, CancellationToken cancellationToken)
    {
        HashSet<IPNetwork> desired6 = [.. ranges.Where(FabricAddresses.IsIpv6)];
        if (HasIpv6 && !desired6.SetEquals(_ranges6))
        {
            await Nft.ApplyAsync(RouterFirewall.Ipv6Ranges(desired6), cancellationToken);
            _ranges6 = desired6;
        }

        HashSet<IPNetwork> desired = [.. ranges.Where(range => range.BaseAddress.AddressFamily == IpFamily.V4)];
        var requests = new List<NetlinkRequest>();
        requests.AddRange(desired.Except(_ranges).Select(range => RouteRequests.Replace(LoopbackRoute(range))));
        requests.AddRange(_ranges.Except(desired).Select(range => RouteRequests.Remove(LoopbackRoute(range)).Tolerating(Errno.ESRCH)));
        if (requests.Count > 0)
            _netlink.Execute(requests);
        _ranges = desired;
    }

    public async ValueTask DisposeAsync()
    {
        if (Advertiser is not null)
            await Advertiser.DisposeAsync();
        _netlink.Dispose();
        Network.Dispose();
    }

    private void Connect(HostNamespace host, string link, IPNetwork network, IPAddress address)
    {
        var gateway = FabricAddresses.Gateway(network);
        _netlink.Execute(
            LinkRequests.CreateVeth(
                new VethSpec
                {
                    Name = link,
                    Mtu = FabricAddresses.Mtu,
                    Up = true,
                    PeerName = HostNamespace.Link,
                    PeerNamespace = host.Network,
                    PeerMtu = FabricAddresses.Mtu,
                }
            )
        );
        var index = IndexOf(link);
        _netlink.Execute(AddressRequests.Add(index, gateway, network.PrefixLength));
        host.Configure(address, network.PrefixLength, gateway);
        if (link == RouterFirewall.InternetLink)
            _netlink.Execute(RouteRequests.Add(DefaultRoute(index, address)));
    }

    /// <summary>Adds IPv6 to the link of an outside host, which <see cref="Connect"/> created.</summary>
    private void ConnectIpv6(HostNamespace host, string link, IPNetwork network, IPAddress address)
    {
        var gateway = FabricAddresses.Gateway(network);
        var index = IndexOf(link);
        _netlink.Execute([
            AddressRequests.Add(index, gateway, network.PrefixLength, new AddressOptions { NoDad = true }),
            // The source of the router's neighbour solicitations.
            LinkLocalAddress(index, FabricAddresses.LinkLocalRouter, 128),
        ]);
        host.ConfigureIpv6(address, network.PrefixLength, gateway);
        if (link == RouterFirewall.InternetLink)
            _netlink.Execute(RouteRequests.Add(DefaultRoute(index, address)));
    }

    /// <summary>
    /// Enables IPv6 forwarding, without duplicate address detection. Its links get no link-local address from the kernel, because
    /// <see cref="InterfaceLink"/> adds those of the subnet.
    /// </summary>
    private static void EnableIpv6(NetworkNamespace network) =>
        Sysctl.Write(
            network,
            ("ipv6/conf/all/disable_ipv6", "0"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv6/conf/default/forwarding", "1"),
            ("ipv6/conf/default/accept_ra", "0"),
            ("ipv6/conf/all/accept_dad", "0"),
            ("ipv6/conf/default/accept_dad", "0"),
            ("ipv6/conf/default/addr_gen_mode", "1")
        );

    private static RouteInfo DefaultRoute(int link, IPAddress gateway) =>
        new()
        {
            Family = gateway.AddressFamily,
            Destination = null,
            Gateway = gateway,
            LinkIndex = link,
            Table = RouteTable.Main,
            Scope = RouteScope.Global,
            Protocol = RouteProtocol.Static,
            Type = RouteType.Unicast,
        };

    internal int IndexOf(string link) => Find(link).Index;

    internal MacAddress MacOf(string link) => Find(link).Mac ?? throw new FabricException($"the router's link '{link}' has no MAC address");

    /// <summary>Adds one of the router's link-local addresses to a link.</summary>
    internal static NetlinkRequest LinkLocalAddress(int link, IPAddress address, int prefixLength) =>
        AddressRequests.Add(link, address, prefixLength, new AddressOptions { NoDad = true, Scope = AddressScope.Link });

    private LinkInfo Find(string link) =>
        _netlink.FindLink(link) ?? throw new FabricException($"the router has no link '{link}': something outside the lab removed it");

    private RouteInfo LoopbackRoute(IPNetwork range) =>
        new()
        {
            Family = IpFamily.V4,
            Destination = range,
            LinkIndex = _loopback,
            Table = RouteTable.Main,
            Scope = RouteScope.Link,
            Protocol = RouteProtocol.Static,
            Type = RouteType.Unicast,
        };
}
