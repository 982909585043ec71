// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// The VPC's router: a namespace that answers ARP for every address of the VPC, forwards between ENIs, owns the subnets' gateway addresses
/// and the service addresses, and holds the links to the outside hosts. Routes into <c>lo</c> make proxy-ARP answer for addresses that
/// nobody owns; the firewall drops what is sent there.
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
            // Asymmetric paths are normal in a VPC (a pod's answer may leave by another ENI), so there is no reverse path filter; the
            // firewall checks sources.
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

    /// <summary>Makes the router answer for these ranges of the VPC, and for no others.</summary>
    public void SetRanges(IReadOnlyList<IPNetwork> ranges)
    {
        HashSet<IPNetwork> wanted = [.. ranges.Where(range => range.BaseAddress.AddressFamily == AddressFamily.InterNetwork)];
        var requests = new List<NetlinkRequest>();
        requests.AddRange(wanted.Except(_ranges).Select(range => RouteRequests.Replace(Sink(range))));
        requests.AddRange(_ranges.Except(wanted).Select(range => RouteRequests.Remove(Sink(range)).Tolerating(Errno.ESRCH)));
        if (requests.Count > 0)
            _netlink.Execute(requests);
        _ranges = wanted;
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
        ?? throw new FabricException($"the router lost its link '{link}': something outside of the lab removed it");

    private RouteInfo Sink(IPNetwork range) =>
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
