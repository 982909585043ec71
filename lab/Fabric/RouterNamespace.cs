// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// The VPC's router: a namespace that answers ARP for every address of the VPC, forwards between ENIs, owns the subnets' gateway addresses
/// and the service addresses, and has links to the outside hosts. Routes to <c>lo</c> make proxy-ARP answer for addresses that no ENI owns;
/// the firewall drops packets for them.
/// </summary>
internal sealed class RouterNamespace : IDisposable
{
    private readonly RouteNetlink _netlink;
    private readonly int _loopback;
    private HashSet<IPNetwork> _ranges = [];

    private RouterNamespace(NetworkNamespace network, RouteNetlink netlink, int loopback, TimeProvider time)
    {
        Network = network;
        _netlink = netlink;
        _loopback = loopback;
        Nft = new Nft(network, time);
    }

    public NetworkNamespace Network { get; }

    public Nft Nft { get; }

    public RouteNetlink Netlink => _netlink;

    public static async Task<RouterNamespace> CreateAsync(
        FabricNames names,
        FabricOptions options,
        HostNamespace internet,
        HostNamespace onPremises,
        TimeProvider time,
        CancellationToken cancellationToken
    )
    {
        var network = NetworkNamespace.CreateNamed(names.Router);
        RouteNetlink? netlink = null;
        try
        {
            // Paths in a VPC may be asymmetric (a pod's reply may leave by another ENI), so the reverse path filter is off; the firewall
            // checks sources.
            Sysctl.Write(
                network,
                ("ipv4/ip_forward", "1"),
                ("ipv4/conf/all/proxy_arp", "1"),
                ("ipv4/conf/all/rp_filter", "0"),
                ("ipv4/conf/default/rp_filter", "0"),
                ("ipv4/conf/all/send_redirects", "0"),
                ("ipv4/conf/default/send_redirects", "0"),
                ("ipv6/conf/default/disable_ipv6", "1")
            );
            netlink = network.OpenRouteNetlink();
            var loopback = netlink.FindLink("lo") ?? throw new FabricException($"namespace {names.Router} has no link 'lo'");
            netlink.Execute(LinkRequests.SetUp(loopback.Index, true));
            var addresses = options
                .Subnets.Select(FabricAddresses.Gateway)
                .Append(FabricAddresses.Imds)
                .Append(FabricAddresses.Ec2Api)
                .Append(FabricAddresses.KubernetesApi);
            netlink.Execute([.. addresses.Select(address => AddressRequests.Add(loopback.Index, address, 32))]);
            var router = new RouterNamespace(network, netlink, loopback.Index, time);
            router.SetRanges(options.VpcRanges);
            await router.Nft.ApplyAsync(RouterFirewall.Base(), cancellationToken);
            router.Connect(internet, RouterFirewall.InternetLink, FabricAddresses.Internet, FabricAddresses.InternetHost);
            router.Connect(onPremises, "onprem", FabricAddresses.OnPremises, FabricAddresses.OnPremisesHost);
            return router;
        }
        catch
        {
            netlink?.Dispose();
            network.Dispose();
            throw;
        }
    }

    /// <summary>Sets the VPC ranges that the router answers for.</summary>
    public void SetRanges(IReadOnlyList<IPNetwork> ranges)
    {
        HashSet<IPNetwork> desired = [.. ranges.Where(range => range.BaseAddress.AddressFamily == AddressFamily.InterNetwork)];
        var requests = new List<NetlinkRequest>();
        requests.AddRange(desired.Except(_ranges).Select(range => RouteRequests.Replace(LoopbackRoute(range))));
        requests.AddRange(_ranges.Except(desired).Select(range => RouteRequests.Remove(LoopbackRoute(range)).Tolerating(Errno.ESRCH)));
        if (requests.Count > 0)
            _netlink.Execute(requests);
        _ranges = desired;
    }

    public void Dispose()
    {
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
        {
            _netlink.Execute(
                RouteRequests.Add(
                    new RouteInfo
                    {
                        Family = AddressFamily.InterNetwork,
                        Destination = null,
                        Gateway = address,
                        LinkIndex = index,
                        Table = RouteTable.Main,
                        Scope = RouteScope.Global,
                        Protocol = RouteProtocol.Static,
                        Type = RouteType.Unicast,
                    }
                )
            );
        }
    }

    internal int IndexOf(string link) =>
        _netlink.FindLink(link)?.Index
        ?? throw new FabricException($"the router has no link '{link}': something outside the lab removed it");

    private RouteInfo LoopbackRoute(IPNetwork range) =>
        new()
        {
            Family = AddressFamily.InterNetwork,
            Destination = range,
            LinkIndex = _loopback,
            Table = RouteTable.Main,
            Scope = RouteScope.Link,
            Protocol = RouteProtocol.Static,
            Type = RouteType.Unicast,
        };
}
